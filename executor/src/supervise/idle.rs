//! Guards that wait for another action, as their worker keeps them.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::client::Guarded;
use super::clock::boot_ms;
use super::protocol::TAKEN_MS_MAX;

/// Most guards that wait.
const IDLE_MAX: usize = 32;
/// What is left at least until the supervisor would end a guard for its action before, in milliseconds: a supervisor that
/// is slow hears in time that it has another one.
const LEFT_MS_MIN: u64 = 1_000;

/// Guards that wait; the one that began to last is taken first, so that those that are too many end.
#[derive(Debug, Default)]
pub struct Idle(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    guarded: Guarded,
    /// In milliseconds of `CLOCK_BOOTTIME`.
    since_ms: u64,
}

impl Idle {
    /// Keeps one, unless there are enough. One that is not kept ends by itself.
    pub fn keep(&mut self, guarded: Guarded) {
        if self.0.len() < IDLE_MAX {
            self.0.push(Waiting { guarded, since_ms: boot_ms() });
        }
    }

    /// One that can have an action now.
    pub fn take(&mut self) -> Option<Guarded> {
        while let Some(Waiting { guarded, since_ms }) = self.0.pop() {
            let now_ms = boot_ms();
            if now_ms >= since_ms.saturating_add(TAKEN_MS_MAX) {
                // Those before it wait for even longer.
                self.0.clear();
                return None;
            }
            if guarded.lives_until_ms() >= now_ms.saturating_add(LEFT_MS_MIN) && is_silent(&guarded.stream) {
                return Some(guarded);
            }
        }
        None
    }
}

/// Whether nothing has come that should not have, nor its end.
fn is_silent(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(0)
}
