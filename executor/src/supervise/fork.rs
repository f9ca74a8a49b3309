//! Forks of a process with one thread, and what a process keeps open and may open.
#![allow(unsafe_code)] // Neither `fork` nor the closing of what others own can be said otherwise.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, dup2_stdin};

/// The first descriptor that a child keeps beside 0, 1 and 2.
const KEPT_FROM: RawFd = 3;
/// Above all that is kept.
const ABOVE: RawFd = 16;

/// Which of both it is.
pub enum Side {
    /// The one that forked: the child's number.
    Parent(i32),
    /// The child, with duplicates of what it was to keep. Nothing else is open in it, so whoever goes on there must
    /// touch nothing of the parent's, and end by [`exit`].
    Child(Vec<OwnedFd>),
}

/// Forks; the child keeps the standard streams and these, in this order. To be called with one thread only.
///
/// # Errors
/// What the system says: most of all that there are too many processes or descriptors.
pub fn fork(kept: &[BorrowedFd<'_>]) -> io::Result<Side> {
    let mut above = Vec::with_capacity(kept.len());
    for fd in kept {
        let duplicate = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(ABOVE))?;
        // SAFETY: it was just made, and nobody else knows it.
        above.push(unsafe { OwnedFd::from_raw_fd(duplicate) });
    }
    // SAFETY: this process has one thread, so the child finds no lock held.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Side::Parent(child.as_raw())),
        ForkResult::Child => match keep(above) {
            Ok(kept) => Ok(Side::Child(kept)),
            // Nothing of the parent's must go on here.
            Err(_) => exit(1),
        },
    }
}

fn keep(above: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    let mut kept = Vec::with_capacity(above.len());
    let mut next = KEPT_FROM;
    for fd in &above {
        // SAFETY: the child goes on with nothing of its parent's, so it does not matter what had that number.
        let duplicate = unsafe { libc::dup3(fd.as_raw_fd(), next, libc::O_CLOEXEC) };
        if duplicate < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made, and nobody else knows it.
        kept.push(unsafe { OwnedFd::from_raw_fd(duplicate) });
        next += 1;
    }
    std::mem::forget(above);
    close_from(next);
    Ok(kept)
}

/// Closes every descriptor from this one on.
fn close_from(first: RawFd) {
    let from = libc::c_uint::try_from(first).unwrap_or(0);
    // SAFETY: as above: nothing of the parent's is used any more.
    if unsafe { libc::syscall(libc::SYS_close_range, from, libc::c_uint::MAX, 0) } == 0 {
        return;
    }
    // Kernels before 5.9.
    // SAFETY: numbers only.
    let most = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    for fd in first..RawFd::try_from(most).unwrap_or(1 << 16) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Takes what this process got as its standard input, leaves it an empty one, and closes whatever else it was given. To
/// be called before this process has opened anything.
///
/// # Errors
/// What the system says.
pub fn take_stdin() -> io::Result<OwnedFd> {
    // SAFETY: this process has opened nothing yet, so nobody owns that number.
    let taken = unsafe { libc::dup3(libc::STDIN_FILENO, KEPT_FROM, libc::O_CLOEXEC) };
    if taken < 0 {
        return Err(io::Error::last_os_error());
    }
    close_from(KEPT_FROM + 1);
    dup2_stdin(open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)?;
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(taken) })
}

/// Descriptors that a supervisor or a guard takes for itself, with much to spare.
const DESCRIPTORS_MIN: libc::rlim_t = 1_024;

/// Gives this process back what it may have open, as far as it can, after somebody has lowered that: all that is still
/// allowed, and root enough in any case.
pub fn regain_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the struct, or reads it.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let most = limit.rlim_max;
        limit.rlim_max = most.max(DESCRIPTORS_MIN);
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
            limit = libc::rlimit { rlim_cur: most, rlim_max: most };
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Ends a child without what its parent has registered for its own end.
pub fn exit(code: i32) -> ! {
    // SAFETY: it ends the process.
    unsafe { libc::_exit(code) }
}
