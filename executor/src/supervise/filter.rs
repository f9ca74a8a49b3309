//! System calls by which an action could hurt other processes of its user without a signal, held back by seccomp:
//! Landlock knows nothing of them. `prlimit` can take the descriptors of a guard away or have the kernel kill a worker
//! for its processor time; priorities and processors can be taken from either.
//!
//! The filter is a program for the kernel's own small machine (`bpf(4)`, seccomp(2)), which sees numbers and arguments
//! of calls but no memory. So it cannot tell whether a process names itself by its number or another one: only 0, which
//! is the caller, passes.
#![allow(unsafe_code)] // libc has no function for seccomp.

use std::io;
use std::sync::OnceLock;

use libc::sock_filter;

use super::sockets::{self, Network};

#[cfg(not(target_endian = "little"))]
compile_error!("the halves of arguments are read where a little-endian machine has them");

/// Numbers of the same calls on one architecture.
struct Numbers {
    /// `AUDIT_ARCH_…`.
    architecture: u32,
    prlimit64: u32,
    /// With `which` and `who`, and the value of `which` for all processes of a user.
    by_group: [(u32, u32); 2],
    /// With a process as first argument: `sched_setparam`, `sched_setscheduler`, `sched_setaffinity`, `sched_setattr`.
    by_process: [u32; 4],
    sockets: sockets::Numbers,
}

/// What a filter is to hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What can be done to other processes by their numbers.
    pub levers: bool,
    /// Networks.
    pub network: Network,
    /// Whether sockets for services of this machine are not.
    pub unix_sockets: bool,
}

impl Held {
    /// Whether it is anything at all.
    fn is_any(self) -> bool {
        self.levers || self.network != Network::Host || !self.unix_sockets
    }
}

const PRIO_USER: u32 = 2;
const IOPRIO_WHO_USER: u32 = 3;

/// This program's own, and then the 32-bit one that the same kernel runs.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: [Numbers; 2] = [
    Numbers {
        architecture: 0xC000_003E,
        prlimit64: 302,
        by_group: [(141, PRIO_USER), (251, IOPRIO_WHO_USER)],
        by_process: [142, 144, 203, 314],
        sockets: sockets::Numbers { socket: 41, socketpair: 53, socketcall: None, io_uring_setup: 425, setns: 308 },
    },
    Numbers {
        architecture: 0x4000_0003,
        prlimit64: 340,
        by_group: [(97, PRIO_USER), (289, IOPRIO_WHO_USER)],
        by_process: [154, 156, 241, 351],
        sockets: sockets::Numbers {
            socket: 359,
            socketpair: 360,
            socketcall: Some(102),
            io_uring_setup: 425,
            setns: 346,
        },
    },
];
/// This program's own, and then the 32-bit one that the same kernel runs.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: [Numbers; 2] = [
    Numbers {
        architecture: 0xC000_00B7,
        prlimit64: 261,
        by_group: [(140, PRIO_USER), (30, IOPRIO_WHO_USER)],
        by_process: [118, 119, 122, 274],
        sockets: sockets::Numbers { socket: 198, socketpair: 199, socketcall: None, io_uring_setup: 425, setns: 268 },
    },
    Numbers {
        architecture: 0x4000_0028,
        prlimit64: 369,
        by_group: [(97, PRIO_USER), (314, IOPRIO_WHO_USER)],
        by_process: [154, 156, 241, 380],
        sockets: sockets::Numbers {
            socket: 281,
            socketpair: 288,
            socketcall: Some(102),
            io_uring_setup: 425,
            setns: 375,
        },
    },
];
/// Elsewhere there is no filter.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURES: [Numbers; 0] = [];

/// On x86_64, a call whose number has this bit is one of a third architecture with numbers of its own (x32).
const X32_BIT: u32 = 0x4000_0000;

// `struct seccomp_data`: where the call's number, its architecture and its arguments stand, in bytes.
const AT_NUMBER: u32 = 0;
const AT_ARCHITECTURE: u32 = 4;
const AT_ARGUMENTS: u32 = 16;

// Instructions: load a word, keep some bits of it, compare it (then jump by `jt` or `jf`), return.
const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

pub(super) const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
// Numbers of errors are small and positive.
pub(super) const DENY: u32 = ERRNO | libc::EPERM as u32;
pub(super) const NO_SUCH_CALL: u32 = ERRNO | libc::ENOSYS as u32;
pub(super) const NO_FAMILY: u32 = ERRNO | libc::EAFNOSUPPORT as u32;

// Operations and a flag of `seccomp`.
const SET_MODE_FILTER: libc::c_uint = 1;
const GET_ACTION_AVAIL: libc::c_uint = 2;
/// Without it, some kernels make every filtered program slower than it has to be.
const FLAG_SPEC_ALLOW: libc::c_ulong = 1 << 2;

/// A filter, ready to be set between `fork` and `exec`.
pub struct Filter(Vec<sock_filter>);

impl Filter {
    /// The filter; nothing where there is nothing to hold back, and where there can be [no filters](filters).
    pub fn new(held: Held) -> Option<Self> {
        (held.is_any() && filters()).then(|| Self(program(held)))
    }

    /// Sets it for the calling thread and what it will start; it cannot be taken away again.
    ///
    /// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
    ///
    /// # Errors
    /// What the system says: most of all `EACCES`, without `PR_SET_NO_NEW_PRIVS` and without CAP_SYS_ADMIN.
    pub fn set(&self) -> io::Result<()> {
        let length = libc::c_ushort::try_from(self.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len: length, filter: self.0.as_ptr().cast_mut() };
        let set = |flags: libc::c_ulong| {
            // SAFETY: the kernel reads the struct and as many instructions as it says, which live until it returns.
            unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) }
        };
        if set(FLAG_SPEC_ALLOW) == 0 || set(0) == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Whether there can be filters: the kernel can answer a call with an error on behalf of one, and this program knows the
/// numbers of its calls.
pub fn filters() -> bool {
    static FILTERS: OnceLock<bool> = OnceLock::new();
    *FILTERS.get_or_init(|| {
        let action = ERRNO;
        // SAFETY: the kernel reads one number.
        let is_known = unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) == 0 };
        is_known && !ARCHITECTURES.is_empty()
    })
}

fn program(held: Held) -> Vec<sock_filter> {
    let mut program = vec![load(AT_ARCHITECTURE)];
    for numbers in ARCHITECTURES {
        let calls = calls(&numbers, held);
        program.push(unless_equal(numbers.architecture, skip(&calls)));
        program.extend(calls);
    }
    // A call of an architecture whose numbers are not known here.
    program.push(give(NO_SUCH_CALL));
    program
}

/// What is looked at of the calls of one architecture; ends with a return.
fn calls(numbers: &Numbers, held: Held) -> Vec<sock_filter> {
    let mut program = Vec::new();
    if cfg!(target_arch = "x86_64") && numbers.architecture == ARCHITECTURES[0].architecture {
        program.extend([load(AT_NUMBER), jump(IF_AT_LEAST, X32_BIT, 0, 1), give(NO_SUCH_CALL)]);
    }
    if held.levers {
        program.extend(levers(numbers));
    }
    program.extend(sockets::held_back(&numbers.sockets, held.network, held.unix_sockets));
    program.push(give(ALLOW));
    program
}

/// What changes a process by its number; falls through where none of it is called.
fn levers(numbers: &Numbers) -> Vec<sock_filter> {
    // The caller's own limits, or another's read only.
    let prlimit64 = [
        load(argument(0)),
        jump(IF_EQUAL, 0, 4, 0),
        load(argument(2)),
        jump(IF_EQUAL, 0, 0, 3),
        load(argument(2) + 4),
        jump(IF_EQUAL, 0, 0, 1),
        give(ALLOW),
        give(DENY),
    ];
    let mut program = call(numbers.prlimit64, &prlimit64);
    for (number, user) in numbers.by_group {
        // The caller or its own process group; not all processes of its user.
        let own = [
            load(argument(0)),
            jump(IF_EQUAL, user, 3, 0),
            load(argument(1)),
            jump(IF_EQUAL, 0, 0, 1),
            give(ALLOW),
            give(DENY),
        ];
        program.extend(call(number, &own));
    }
    for number in numbers.by_process {
        let own = [load(argument(0)), jump(IF_EQUAL, 0, 0, 1), give(ALLOW), give(DENY)];
        program.extend(call(number, &own));
    }
    program
}

/// What is done at one call, and ends with a return.
pub(super) fn call(number: u32, body: &[sock_filter]) -> Vec<sock_filter> {
    let mut program = vec![load(AT_NUMBER), unless_equal(number, skip(body))];
    program.extend_from_slice(body);
    program
}

/// The lower half of an argument. The kernel takes no more of a process or a `which`, so that the upper one means nothing.
pub(super) const fn argument(index: u32) -> u32 {
    AT_ARGUMENTS + 8 * index
}

pub(super) const fn load(at: u32) -> sock_filter {
    jump(LOAD, at, 0, 0)
}

pub(super) const fn give(action: u32) -> sock_filter {
    jump(RETURN, action, 0, 0)
}

const fn unless_equal(value: u32, skipped: u8) -> sock_filter {
    jump(IF_EQUAL, value, 0, skipped)
}

pub(super) const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// How far to jump over a part of the program. Each is far shorter than the longest jump.
fn skip(part: &[sock_filter]) -> u8 {
    debug_assert!(part.len() <= usize::from(u8::MAX));
    u8::try_from(part.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVERS: Held = Held { levers: true, network: Network::Host, unix_sockets: true };

    fn run(architecture: u32, number: u32, arguments: [u64; 3]) -> u32 {
        run_with(LEVERS, architecture, number, arguments)
    }

    /// What the kernel's machine would answer.
    fn run_with(held: Held, architecture: u32, number: u32, arguments: [u64; 3]) -> u32 {
        let mut data = [0_u8; 64];
        data[..4].copy_from_slice(&number.to_le_bytes());
        data[4..8].copy_from_slice(&architecture.to_le_bytes());
        for (index, argument) in arguments.iter().enumerate() {
            data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_le_bytes());
        }
        let (program, mut at, mut word) = (program(held), 0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let jump = |is_true| 1 + usize::from(if is_true { jt } else { jf });
            at += match code {
                LOAD => {
                    word = u32::from_le_bytes(data[k as usize..k as usize + 4].try_into().unwrap());
                    1
                }
                AND => {
                    word &= k;
                    1
                }
                IF_EQUAL => jump(word == k),
                IF_AT_LEAST => jump(word >= k),
                RETURN => return k,
                other => panic!("no instruction {other}"),
            };
        }
    }

    #[test]
    fn only_what_reaches_others_is_held_back() {
        const POINTER: u64 = 0x7f00_0000_0000;
        for numbers in ARCHITECTURES {
            let call = |number, arguments| run(numbers.architecture, number, arguments);
            for (expected, arguments) in [
                (ALLOW, [0, 7, POINTER]),
                (ALLOW, [9, 7, 0]),
                (DENY, [9, 7, POINTER]),
                (DENY, [9, 7, 0x8000]),
                // The kernel takes 32 bits of a process.
                (DENY, [1 << 40 | 9, 7, POINTER]),
            ] {
                assert_eq!(call(numbers.prlimit64, arguments), expected, "{arguments:x?}");
            }
            for (number, user) in numbers.by_group {
                let user = u64::from(user);
                let answers = [[0, 0, 5], [user - 1, 0, 5], [user, 0, 5], [0, 9, 5], [user, 9, 5]];
                assert_eq!(answers.map(|a| call(number, a)), [ALLOW, ALLOW, DENY, DENY, DENY]);
            }
            for number in numbers.by_process {
                assert_eq!([0, 9].map(|process| call(number, [process, 1, 1])), [ALLOW, DENY]);
            }
            assert_eq!(call(1, [9, 9, 9]), ALLOW);
        }
        assert_eq!(run(0x1234, 1, [0; 3]), NO_SUCH_CALL);
    }

    #[test]
    fn families_of_sockets_are_held_back_as_asked() {
        const CLOEXEC: u64 = 0o2_000_000;
        let (inet, unix, netlink, vsock) = (2, 1, 16, 40);
        for numbers in ARCHITECTURES {
            let n = &numbers.sockets;
            let of = |network, unix_sockets| {
                let held = Held { levers: false, network, unix_sockets };
                move |number, arguments| run_with(held, numbers.architecture, number, arguments)
            };
            let families = |call: &dyn Fn(u32, [u64; 3]) -> u32| {
                [unix, inet, netlink, vsock].map(|family| call(n.socket, [family, 1, 0]) == ALLOW)
            };
            let [host, no_unix] = [true, false].map(|unix_sockets| of(Network::Host, unix_sockets));
            assert_eq!(families(&host), [true; 4]);
            assert_eq!(host(n.io_uring_setup, [8, 0, 0]), ALLOW);
            assert_eq!(families(&no_unix), [false, true, true, true]);
            assert_eq!(families(&of(Network::None, true)), [true, false, false, false]);
            assert_eq!(families(&of(Network::None, false)), [false; 4]);
            assert_eq!(families(&of(Network::Namespace, true)), [true, true, true, false]);
            assert_eq!(families(&of(Network::Namespace, false)), [false, true, true, false]);
            assert_eq!(no_unix(n.socket, [unix, 1, 0]), NO_FAMILY);
            // Pairs: streams and packets in order, whatever the flags; of datagrams only where others may be spoken to.
            let pair = |call: &dyn Fn(u32, [u64; 3]) -> u32| {
                [1, 5 | CLOEXEC, 2, 3].map(|kind| call(n.socketpair, [unix, kind, 0]) == ALLOW)
            };
            assert_eq!(pair(&no_unix), [true, true, false, false]);
            assert_eq!(pair(&of(Network::None, true)), [true; 4]);
            assert_eq!(of(Network::None, true)(n.socketpair, [30, 1, 0]), NO_FAMILY);
            for held in [&no_unix as &dyn Fn(u32, [u64; 3]) -> u32, &of(Network::None, true)] {
                assert_eq!(held(n.io_uring_setup, [8, 0, 0]), NO_SUCH_CALL);
                assert!(n.socketcall.is_none_or(|number| held(number, [1, 0, 0]) == NO_SUCH_CALL));
                assert_eq!(held(n.setns, [3, 0, 0]), ALLOW);
                assert_eq!(held(numbers.by_process[0], [9, 1, 1]), ALLOW);
            }
            assert_eq!(of(Network::Namespace, true)(n.setns, [3, 0, 0]), DENY);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_numbers_are_those_of_this_architecture() {
        let own = &ARCHITECTURES[0];
        let known = [libc::SYS_prlimit64, libc::SYS_setpriority, libc::SYS_ioprio_set];
        let known: Vec<_> = known.map(|number| u32::try_from(number).unwrap()).to_vec();
        assert_eq!(known, [own.prlimit64, own.by_group[0].0, own.by_group[1].0]);
        let known = [
            libc::SYS_sched_setparam,
            libc::SYS_sched_setscheduler,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_setattr,
        ];
        assert_eq!(known.map(|number| u32::try_from(number).unwrap()), own.by_process);
        let known = [libc::SYS_socket, libc::SYS_socketpair, libc::SYS_io_uring_setup, libc::SYS_setns];
        let sockets = &own.sockets;
        let ours = [sockets.socket, sockets.socketpair, sockets.io_uring_setup, sockets.setns];
        assert_eq!(known.map(|number| u32::try_from(number).unwrap()), ours);
        assert_eq!(run(own.architecture, X32_BIT | own.prlimit64, [9, 7, 1]), NO_SUCH_CALL);
    }
}
