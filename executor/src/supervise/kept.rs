//! An attempt that is a fork of a zygote, as its guard sees it.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, pipe2};

use super::clock::boot_ms;
use super::pidfd::{self, PidFd};
use super::protocol::Job;
use super::timer::Timer;
use super::wait::wait;
use super::{message, tree};

/// How long a zygote may take to fork, in milliseconds.
const FORK_MS_MAX: u64 = 5_000;
/// Rounds of SIGKILL that find nothing below a keeper until the keeper itself is ended.
const EMPTY_ROUNDS_MAX: u32 = 20;

/// A keeper, below which is all that an attempt has.
pub struct Kept {
    keeper: PidFd,
    connection: OwnedFd,
    /// How the action itself ended.
    end: Option<WaitStatus>,
    /// Nothing was left when it did.
    is_alone: bool,
    empty_rounds: u32,
}

/// The guard's ends of the pipes of an attempt.
pub struct Pipes {
    /// One for each stream of the job.
    pub streams: Vec<OwnedFd>,
    /// What the attempt is told.
    pub stdin: OwnedFd,
}

impl Kept {
    /// Waits for the keeper of an attempt, a child of that zygote; nothing if there is none within its lease.
    ///
    /// # Errors
    /// What the system says.
    pub fn meet(connection: OwnedFd, zygote: i32, job: &Job, timer: &Timer) -> io::Result<Self> {
        let lacking = |what: &str| io::Error::other(what.to_owned());
        let began_ms = boot_ms();
        let end_ms = began_ms.saturating_add(FORK_MS_MAX).min(job.lease_deadline_ms);
        let pid = loop {
            if boot_ms() >= end_ms {
                return Err(lacking("the zygote does not fork"));
            }
            wait(&mut vec![PollFd::new(connection.as_fd(), PollFlags::POLLIN)], timer, Some(end_ms));
            match message::receive(connection.as_fd()) {
                Ok(Some((text, _))) => {
                    break text.parse::<i32>().map_err(|_| lacking("the zygote tells no process"))?;
                }
                Ok(None) => return Err(lacking("the zygote cannot fork")),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
            }
        };
        let keeper = PidFd::new(pid, pidfd::open(pid)?);
        // What is ended below is what the zygote has forked, and nothing else.
        if !tree::children(zygote, |_| false).0.contains(&pid) {
            return Err(lacking("the zygote tells a process that is none of its own"));
        }
        Ok(Self { keeper, connection, end: None, is_alone: false, empty_rounds: 0 })
    }

    /// Hands over what the attempt reads and writes. It begins once all of its standard input was written.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(&self, job: &Job) -> io::Result<Pipes> {
        let (theirs, stdin) = pipe2(OFlag::O_CLOEXEC)?;
        self.give(&theirs)?;
        let mut streams = Vec::new();
        for _ in &job.streams {
            let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
            self.give(&theirs)?;
            streams.push(ours);
        }
        Ok(Pipes { streams, stdin })
    }

    fn give(&self, fd: &OwnedFd) -> io::Result<()> {
        message::send(self.connection.as_fd(), "fd", Some(fd.as_fd()))
    }

    /// Hears what the keeper tells; whether it is still there.
    ///
    /// # Errors
    /// It is gone without having told how the action ended.
    pub fn look(&mut self) -> io::Result<bool> {
        let has_ended = self.keeper.has_ended();
        while let Ok(Some((text, _))) = message::receive(self.connection.as_fd()) {
            let (status, rest) = text.split_once(' ').unwrap_or((text.as_str(), ""));
            let status =
                status.parse().ok().and_then(|raw| WaitStatus::from_raw(Pid::from_raw(self.keeper.pid), raw).ok());
            self.end = self.end.or(status);
            self.is_alone |= rest == "alone";
        }
        match (has_ended, self.end) {
            (true, None) => Err(io::Error::other("the keeper of an attempt was lost")),
            (true, Some(_)) => Ok(false),
            (false, _) => Ok(true),
        }
    }

    /// How the action ended, if it did.
    pub fn end(&self) -> Option<WaitStatus> {
        self.end
    }

    /// Whether the action has ended, and something of it is left that has to be ended.
    pub fn has_left_something(&self) -> bool {
        self.end.is_some() && !self.is_alone
    }

    /// Signals all that the action has.
    pub fn signal(&self, signal: Signal) {
        if !self.keeper.has_ended() {
            let _ = tree::signal_below(self.keeper.pid, signal);
        }
    }

    /// Kills all that the action has; how many it has found, where it could look.
    pub fn kill(&mut self) -> Option<usize> {
        if self.keeper.has_ended() {
            return Some(0);
        }
        let left = tree::kill_below(self.keeper.pid).ok();
        self.empty_rounds = if left == Some(0) { self.empty_rounds + 1 } else { 0 };
        if self.empty_rounds > EMPTY_ROUNDS_MAX {
            self.keeper.signal(Signal::SIGKILL);
        }
        left
    }

    /// What says that there is something to look at.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.keeper.as_fd(), self.connection.as_fd()]
    }
}
