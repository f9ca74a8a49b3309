//! Waiting for descriptors, in a process that must not end for want of any.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::fork::regain_descriptors;
use super::timer::Timer;

/// Pause where nothing can be waited for, in milliseconds.
const PAUSE_MS: u64 = 10;

/// Waits for any of these to have something, or for that instant of `CLOCK_BOOTTIME`, in milliseconds; what has something
/// says so.
///
/// `poll` refuses more descriptors than the process may have open, and who may signal a process can lower that
/// (`prlimit`). Then it takes back what it can, and each is asked by itself, every few milliseconds: whoever waits here
/// watches an action, and goes on watching it.
pub fn wait<'fd>(fds: &mut Vec<PollFd<'fd>>, timer: &'fd Timer, at_ms: Option<u64>) {
    timer.set(at_ms);
    fds.push(PollFd::new(timer.as_fd(), PollFlags::POLLIN));
    match poll(fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => {
            regain_descriptors();
            wait_for_each(fds, timer);
        }
    }
    fds.pop();
}

fn wait_for_each(fds: &mut [PollFd<'_>], timer: &Timer) {
    let mut is_any_ready = false;
    for fd in fds {
        // Where not even one is allowed, nothing is heard; time and the ends of children are still seen.
        is_any_ready |= poll(std::slice::from_mut(fd), PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    }
    if !is_any_ready {
        timer.pause(PAUSE_MS);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use nix::sys::prctl::{get_timerslack, set_timerslack};

    use super::super::clock::boot_ms;
    use super::*;

    #[test]
    fn what_is_ready_is_told_one_by_one_too() {
        let (mut sender, receiver) = UnixStream::pair().unwrap();
        let (_silent, other) = UnixStream::pair().unwrap();
        let timer = Timer::new().unwrap();
        sender.write_all(b"x").unwrap();
        for is_each in [true, false] {
            let mut fds: Vec<_> =
                [&other, &receiver].map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).into();
            match is_each {
                true => wait_for_each(&mut fds, &timer),
                false => wait(&mut fds, &timer, None),
            }
            assert_eq!(fds.iter().map(|fd| fd.any().unwrap()).collect::<Vec<_>>(), [false, true]);
        }
    }

    /// Where the processor is idle, the time-out of `poll` is late by the whole slack.
    #[test]
    fn no_slack_makes_a_wait_longer() {
        let (_silent, other) = UnixStream::pair().unwrap();
        let (timer, before) = (Timer::new().unwrap(), get_timerslack().unwrap());
        set_timerslack(30_000_000_000).unwrap();
        let began_ms = boot_ms();
        let at_ms = began_ms + 100;
        let mut fds = vec![PollFd::new(other.as_fd(), PollFlags::POLLIN)];
        wait(&mut fds, &timer, Some(at_ms));
        let (waited_ms, is_ready) = (boot_ms() - began_ms, fds.iter().any(|fd| fd.any() == Some(true)));
        wait_for_each(&mut fds, &timer);
        let all_ms = boot_ms() - began_ms;
        set_timerslack(u64::try_from(before).unwrap()).unwrap();
        assert!((100..10_000).contains(&waited_ms) && !is_ready, "{waited_ms}");
        assert!(all_ms < 10_000, "{all_ms}");
    }
}
