//! Waiting until an instant that nobody else can put off.
//!
//! The time-out of `poll`, and every sleep, may be late by the timer slack of the process, which others with CAP_SYS_NICE
//! set over `/proc/<pid>/timerslack_ns`, to hours if they like. A `timerfd` expires at its instant whatever the slack is,
//! and who waits for a descriptor alone has no time-out that could be late.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::clock::boot_ms;

/// A descriptor that is readable from an instant on.
///
/// By `CLOCK_BOOTTIME`: while a machine sleeps, the owner of a lease, on another machine, does not, and the lease passes. By
/// `CLOCK_MONOTONIC`, which stands still meanwhile, its end would be seen later by as long as the machine slept; by this
/// clock it is seen when the machine wakes.
#[derive(Debug)]
pub struct Timer {
    fd: TimerFd,
    /// Until when it is set, so that it is not set again for the same instant.
    at_ms: Cell<Option<u64>>,
}

impl Timer {
    /// Is not set yet. No child inherits it.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // Its reads wait, which is the only way to wait for it in a process that may not poll.
        let fd = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC)?;
        Ok(Self { fd, at_ms: Cell::new(None) })
    }

    /// Is readable from this instant of `CLOCK_BOOTTIME` on, in milliseconds, or never.
    pub fn set(&self, at_ms: Option<u64>) {
        if self.at_ms.replace(at_ms) == at_ms {
            return;
        }
        // The kernel knows no other reasons to refuse than a wrong descriptor and no time at all.
        let _ = match at_ms {
            None => self.fd.unset(),
            Some(at_ms) => {
                // Nought would mean never.
                let at = TimeSpec::from_duration(Duration::from_millis(at_ms.max(1)));
                self.fd.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            }
        };
    }

    /// Does nothing for so long, in milliseconds.
    pub fn pause(&self, ms: u64) {
        self.set(Some(boot_ms().saturating_add(ms)));
        let _ = self.fd.wait();
        // What was read is not there any more.
        self.at_ms.set(None);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Does nothing for so long, in milliseconds; about so long where this process has no descriptor left.
pub fn pause(ms: u64) {
    match Timer::new() {
        Ok(timer) => timer.pause(ms),
        Err(_) => std::thread::sleep(Duration::from_millis(ms)),
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn is_readable(timer: &Timer) -> bool {
        poll(&mut [PollFd::new(timer.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
    }

    #[test]
    fn it_is_readable_from_its_instant_on_and_no_sooner() {
        let timer = Timer::new().unwrap();
        assert!(!is_readable(&timer));
        for past_ms in [0, 1, boot_ms()] {
            timer.set(Some(past_ms));
            // Its interrupt may take a moment.
            let readable = poll(&mut [PollFd::new(timer.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000_u16));
            assert_eq!(readable, Ok(1), "{past_ms}");
        }
        for never in [None, Some(u64::MAX)] {
            timer.set(never);
            assert!(!is_readable(&timer), "{never:?}");
        }
        let at_ms = boot_ms() + 30;
        timer.set(Some(at_ms));
        poll(&mut [PollFd::new(timer.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        assert!(boot_ms() >= at_ms);
        // The same instant is set again, and still is over.
        timer.set(Some(at_ms));
        assert!(is_readable(&timer));
    }

    #[test]
    fn a_pause_lasts_as_long_as_it_says_each_time() {
        let timer = Timer::new().unwrap();
        for ms in [0, 20, 20] {
            let began_ms = boot_ms();
            timer.pause(ms);
            assert!(boot_ms() >= began_ms + ms);
        }
        let began_ms = boot_ms();
        pause(20);
        assert!(boot_ms() >= began_ms + 20);
    }
}
