//! An action without a network: in a network namespace of its own, where it may have one.
#![allow(unsafe_code)] // libc alone has these calls.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};

/// Puts this process, and what it will start, into a network where nothing is but itself.
///
/// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
///
/// # Errors
/// What the system says: most of all `EPERM`, without CAP_SYS_ADMIN.
pub fn leave() -> io::Result<()> {
    unshare(libc::CLONE_NEWNET)?;
    raise_loopback()
}

/// A user namespace, in which any user may leave the network.
pub struct UserNamespace {
    users: Vec<u8>,
    groups: Vec<u8>,
}

impl UserNamespace {
    /// One in which its user and group are those of this process, and there are no others.
    pub fn new() -> Self {
        let own = |id: u32| format!("{id} {id} 1\n").into_bytes();
        Self { users: own(geteuid().as_raw()), groups: own(getegid().as_raw()) }
    }

    /// Enters it, in a network of its own. Whether it could; where it could not, nothing has changed.
    ///
    /// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
    ///
    /// # Errors
    /// If it has changed half: then nothing must be started.
    pub fn leave_network(&self) -> io::Result<bool> {
        if unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET).is_err() {
            return Ok(false);
        }
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", &self.users)?;
        write(c"/proc/self/gid_map", &self.groups)?;
        raise_loopback()?;
        Ok(true)
    }
}

/// Whether this process may have a network namespace for what it starts: it is tried by a child, which starts nothing.
pub fn can_leave() -> bool {
    const DONE: Errno = Errno::ETIME;
    let namespace = UserNamespace::new();
    let mut child = Command::new("/");
    // SAFETY: it makes system calls only.
    unsafe {
        child.pre_exec(move || {
            let has_left = leave().is_ok() || namespace.leave_network()?;
            Err(if has_left { DONE } else { Errno::EPERM }.into())
        });
    }
    child.spawn().is_err_and(|e| e.raw_os_error() == Some(DONE as i32))
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a number.
    if unsafe { libc::unshare(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// In a new network namespace it is there, but down: programs that speak to themselves need it.
fn raise_loopback() -> io::Result<()> {
    // SAFETY: the kernel reads the struct, all of whose bytes may be zero, and the name in it ends in NUL.
    let result = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(1);
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request);
        libc::close(socket);
        result
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn write(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: a path that ends in NUL, and as many bytes as there are; the descriptor is nobody else's.
    let written = unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
        libc::close(file);
        written
    };
    if usize::try_from(written) == Ok(bytes.len()) { Ok(()) } else { Err(io::Error::last_os_error()) }
}
