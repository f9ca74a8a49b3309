//! What the kernel keeps an action from: system calls of Landlock and a few of `prctl`.
#![allow(unsafe_code)] // libc has no functions for Landlock.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `struct landlock_ruleset_attr`, as of the sixth version of its interface.
#[repr(C)]
#[derive(Default)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: RawFd,
}

const CREATE_RULESET_VERSION: libc::c_uint = 1;
const RULE_PATH_BENEATH: libc::c_int = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SCOPE_SIGNAL: u64 = 1 << 1;
const ACCESS_FS_REFER: u64 = 1 << 13;
/// The first version that can hold signals and abstract sockets back.
pub const ABI_SCOPES: u32 = 6;
/// The first version with a right that may be handled without forbidding anything.
pub const ABI_REFER: u32 = 2;

/// The version of Landlock's interface that this kernel has; 0 if it has none, or it is switched off.
pub fn landlock_abi() -> u32 {
    // SAFETY: with this flag, the call takes no pointer and makes nothing.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION)
    };
    u32::try_from(abi).unwrap_or(0)
}

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::geteuid() == 0 }
}

/// Puts the calling thread, and what it will start, into a Landlock domain of its own. What is in a domain cannot look
/// into a process outside of it (`ptrace`, `/proc/<pid>/environ`, `mem`, `fd`), be it of the same user or by root's
/// rights; from the sixth version on it cannot signal it either, unless `signal_others`, nor reach an abstract socket
/// that was bound outside. What can be reached by other means is not changed.
///
/// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
///
/// # Errors
/// What the system says: most of all `EPERM`, without `PR_SET_NO_NEW_PRIVS` and without CAP_SYS_ADMIN.
pub fn enter_domain(abi: u32, signal_others: bool) -> io::Result<()> {
    let mut attr = RulesetAttr::default();
    if abi >= ABI_SCOPES {
        attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | if signal_others { 0 } else { SCOPE_SIGNAL };
    } else {
        attr.handled_access_fs = ACCESS_FS_REFER;
    }
    // Older kernels refuse bytes that they do not know unless they are zero.
    let bytes = size_of::<RulesetAttr>();
    // SAFETY: the kernel reads that many bytes of the struct.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, bytes, 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: it was just made, and nobody else knows it.
    let ruleset = unsafe { OwnedFd::from_raw_fd(fd) };
    if attr.handled_access_fs != 0 {
        allow_everywhere(&ruleset, attr.handled_access_fs)?;
    }
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn allow_everywhere(ruleset: &OwnedFd, access: u64) -> io::Result<()> {
    // SAFETY: a constant that ends in NUL; the descriptor, if there is one, is nobody else's.
    let root = unsafe {
        let fd = libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let attr = PathBeneathAttr { allowed_access: access, parent_fd: root.as_raw_fd() };
    // SAFETY: the kernel reads the struct, which lives until the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), RULE_PATH_BENEATH, &raw const attr, 0)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    /// What a shell says that tries in such a domain to signal its parent and to look into it, and moves a file to
    /// another folder by its name alone.
    fn try_in_domain(abi: u32, signal_others: bool) -> String {
        let text = "kill -0 $PPID 2>/dev/null && printf signal\n(: < /proc/$PPID/mem) 2>/dev/null && printf memory\n\
                    mkdir a b && echo x > a/x && ln a/x b/x 2>&1 && printf linked";
        let dir = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", text]).current_dir(dir.path());
        // SAFETY: it only makes system calls.
        unsafe { shell.pre_exec(move || enter_domain(abi, signal_others)) };
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_domain_holds_back_what_its_version_can() {
        let abi = landlock_abi();
        if abi < ABI_REFER || !is_root() {
            return eprintln!(
                "without Landlock, or without root's right to enter a domain as it is, nothing can be tried"
            );
        }
        // As an older kernel would.
        assert_eq!(try_in_domain(ABI_REFER, false), "signallinked");
        if abi >= ABI_SCOPES {
            assert_eq!(try_in_domain(abi, false), "linked");
            assert_eq!(try_in_domain(abi, true), "signallinked");
        }
    }
}
