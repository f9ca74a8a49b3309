//! A process by a descriptor, which never means another one, however often numbers are given again.
#![allow(unsafe_code)] // libc has no functions for these calls.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

/// A process of somebody else.
#[derive(Debug)]
pub struct PidFd {
    /// Its number, which means it for as long as it has not ended.
    pub pid: i32,
    fd: OwnedFd,
}

/// Opens a child that was not waited for yet; no child inherits the descriptor.
///
/// # Errors
/// What the system says: kernels before 5.3 know no such thing.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl PidFd {
    /// The process of that number, as whoever opened it says.
    pub fn new(pid: i32, fd: OwnedFd) -> Self {
        Self { pid, fd }
    }

    /// Whether it runs no more.
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Signals it; one that has ended is no error.
    pub fn signal(&self, signal: Signal) {
        // SAFETY: there is no further information, so that no pointer is read.
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), signal as libc::c_int, 0_usize, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_signalled_and_seen_to_end() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = PidFd::new(pid, open(pid).unwrap());
        assert!(!process.has_ended());
        process.signal(Signal::SIGKILL);
        child.wait().unwrap();
        assert!(process.has_ended());
        process.signal(Signal::SIGKILL);
        assert!(open(pid).is_err());
    }
}
