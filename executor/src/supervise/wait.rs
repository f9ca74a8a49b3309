//! Waiting for descriptors, in a process that must not end for want of any.

use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};

use super::fork::regain_descriptors;

/// Pause where nothing can be waited for.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits for any of these to have something, or for the time to be up; what has something says so.
///
/// `poll` refuses more descriptors than the process may have open, and who may signal a process can lower that
/// (`prlimit`). Then it takes back what it can, and each is asked by itself, every few milliseconds: whoever waits here
/// watches an action, and goes on watching it.
pub fn wait(fds: &mut [PollFd<'_>], timeout: PollTimeout) {
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => {
            regain_descriptors();
            wait_for_each(fds);
        }
    }
}

fn wait_for_each(fds: &mut [PollFd<'_>]) {
    let mut is_any_ready = false;
    for fd in fds {
        // Where not even one is allowed, nothing is heard; time and the ends of children are still seen.
        is_any_ready |= poll(std::slice::from_mut(fd), PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    }
    if !is_any_ready {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use nix::poll::PollFlags;

    use super::*;

    #[test]
    fn what_is_ready_is_told_one_by_one_too() {
        let (mut sender, receiver) = UnixStream::pair().unwrap();
        let (_silent, other) = UnixStream::pair().unwrap();
        sender.write_all(b"x").unwrap();
        for wait in [wait_for_each, |fds: &mut [PollFd<'_>]| wait(fds, PollTimeout::NONE)] {
            let mut fds = [&other, &receiver].map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN));
            wait(&mut fds);
            assert_eq!(fds.each_ref().map(|fd| fd.any().unwrap()), [false, true]);
        }
    }
}
