//! An action as its guard has it: where its processes are, and how all of them are ended.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::kept::Kept;
use super::tree;

/// Where all is that an action has.
pub enum Action {
    /// Below this process.
    Child {
        /// The action itself.
        main: Pid,
        /// How it ended.
        end: Option<WaitStatus>,
    },
    /// Below the keeper of a fork.
    Kept(Kept),
}

impl Action {
    /// How the action itself ended.
    pub fn end(&self) -> Option<WaitStatus> {
        match self {
            Self::Child { end, .. } => *end,
            Self::Kept(kept) => kept.end(),
        }
    }

    /// Takes leave of every process that ended; whether any is left.
    pub fn reap(&mut self) -> io::Result<bool> {
        match self {
            Self::Child { main, end } => reap(*main, end),
            Self::Kept(kept) => kept.look(),
        }
    }

    /// Whether it has to be ended because the action itself has ended: of one that is kept, only if it left something.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Child { end, .. } => end.is_some(),
            Self::Kept(kept) => kept.has_left_something(),
        }
    }

    /// Signals all that the action has.
    pub fn signal(&self, signal: Signal) {
        match self {
            Self::Child { main, end } => {
                let _ = tree::signal_below(getpid().as_raw(), signal);
                if end.is_none() {
                    let _ = killpg(*main, signal);
                }
            }
            Self::Kept(kept) => kept.signal(signal),
        }
    }

    /// Kills all that the action has; how many it has found, where it could look.
    pub fn kill(&mut self) -> Option<usize> {
        match self {
            Self::Child { main, end } => {
                let left = tree::kill_below(getpid().as_raw()).ok();
                // Where `/proc` cannot be read, for want of a descriptor say, its own group is still known.
                if end.is_none() {
                    let _ = killpg(*main, Signal::SIGKILL);
                }
                left
            }
            Self::Kept(kept) => kept.kill(),
        }
    }
}

/// Takes leave of every child that ended; whether any is left.
fn reap(main: Pid, end: &mut Option<WaitStatus>) -> io::Result<bool> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return Ok(true),
            Ok(status) => {
                if status.pid() == Some(main) {
                    *end = Some(status);
                }
            }
            Err(Errno::ECHILD) => return Ok(false),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
