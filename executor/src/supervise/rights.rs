//! Rights of root that a confined action does not need: with them it would reach round its files, by a module of the
//! kernel, a disk, or what other processes show to who measures them.
#![allow(unsafe_code)] // libc alone has the call.

/// The highest number that there can be.
const HIGHEST: u64 = 63;
/// Those that a container has by default, but for making devices: over files and their owners (0, 1, 3, 4), signals (5),
/// users and capabilities (6, 7, 8), low ports and raw sockets (10, 13), changing the root (18), records of logins (29), and
/// capabilities of files (31).
const KEPT: u64 = bits(&[0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31]);

const fn bits(numbers: &[u64]) -> u64 {
    let (mut bits, mut index) = (0, 0);
    while index < numbers.len() {
        bits |= 1 << numbers[index];
        index += 1;
    }
    bits
}

/// Keeps what this process executes from having any other one. Who is not root has none of them.
///
/// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
pub fn drop_rights() {
    for number in (0..=HIGHEST).filter(|number| KEPT & (1 << number) == 0) {
        // SAFETY: numbers. What the kernel does not know, or this process may not drop, it does not have.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
    }
}

/// Version 3 of the kernel's interface, which has two words of each set.
const CAPABILITIES_VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Set {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Keeps what this process executes from having the rights that a manager has given its worker to pass on: who is not root
/// has no others.
///
/// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
pub fn drop_inherited() {
    let mut header = Header { version: CAPABILITIES_VERSION, pid: 0 };
    let mut sets = [Set::default(); 2];
    // SAFETY: numbers; the kernel reads the header, and writes and then reads two sets. Kernels before 4.3 pass none on in the
    // first way. To have fewer rights is refused nobody.
    unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        if libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) == 0 {
            sets.iter_mut().for_each(|set| set.inheritable = 0);
            libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr());
        }
    }
}
