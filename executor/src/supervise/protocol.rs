//! What a worker, its supervisor and the guards say to each other. All are the same binary, so this has no versions.
//!
//! Worker and supervisor exchange short messages ([`Order`], [`Answer`]). `start` brings one end of a stream, whose
//! other end the worker keeps: there the worker writes a line with a [`Job`] in JSON, the bytes of the action's
//! standard input, then lines of [`Control`]. The guard writes the line `starting` before it starts the action, and
//! `started` once it has; then, as far as the job asks for it and the worker keeps up, a line with a [`Piece`] and its
//! bytes for what the action writes to its standard output and error; and, when no process of the action is left, a line
//! with a [`Report`] in JSON, and behind it the captured bytes. A guard whose report says so waits for another job then,
//! which comes over the same stream; lines that were meant for the action before are none of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use petrel_execution::runner::{Limits, May};
use serde::{Deserialize, Serialize};

use super::confinement::Confinement;
use crate::containers::Left;

/// Longest line with a job, in bytes: argv and environment together are far below it on every system.
pub const JOB_BYTES_MAX: usize = 8 << 20;
/// Most bytes of standard input.
pub const STDIN_BYTES_MAX: usize = 64 << 20;
/// How long after its report a guard that waits is taken for another action, in milliseconds.
pub const TAKEN_MS_MAX: u64 = 5_000;
/// Highest descriptor of an action that is captured: a runner may read results there, beside both outputs.
pub const STREAM_FD_MAX: i32 = 9;

/// Line that says that the action is about to be started: without it, nothing of it ever ran.
pub const STARTING: &str = "starting";
/// Line that says that the action runs.
pub const STARTED: &str = "started";
/// Line that says that a zygote has imported its code: from now on it forks.
pub const READY: &str = "ready";

/// A program to run.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Program and arguments; never given to a shell.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Working directory; a program with a relative path is looked for in it.
    pub directory: PathBuf,
    /// Bytes of standard input that follow the job.
    pub stdin_bytes: usize,
    /// What is read of it; of a descriptor below 3 that is not named, nothing is kept.
    pub streams: Vec<StreamSpec>,
    /// How it is told.
    pub telling: Telling,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// First deadline of the lease, in milliseconds of `CLOCK_BOOTTIME`.
    pub lease_deadline_ms: u64,
    /// From SIGTERM to SIGKILL, in milliseconds; the lease may cut it short.
    pub kill_grace_ms: u64,
    /// Who it runs as; none for the worker's own user.
    pub user: Option<User>,
    /// What it may use up.
    pub limits: Limits,
    /// What it may do beyond its own processes.
    pub may: May,
    /// What it may reach.
    pub confinement: Confinement,
    /// The container that it may leave, which is ended once its processes are gone.
    #[serde(default)]
    pub container: Option<Left>,
}

/// Without arguments and the values of variables: there may be secrets in them.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("program", &self.argv.first())
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("variables", &self.environment.keys())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A descriptor on which an action writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// The descriptor, as the action sees it.
    pub fd: i32,
    /// Bytes kept of it: half from the beginning, half from the end.
    pub bytes_max: usize,
}

/// How what an action writes is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Telling {
    /// Most bytes of both outputs that are told while it runs.
    pub live_bytes_max: u64,
    /// Bytes that are kept of what stood before the end of a stream whose middle is left out: with them, a secret is known
    /// of which the end stands there.
    pub lead_bytes: usize,
}

/// What an action has written to its standard output or error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The descriptor.
    pub fd: i32,
    /// Where it stands in the stream, in bytes: behind the piece before, unless something was left out.
    pub offset: u64,
    /// Bytes that follow.
    pub bytes: usize,
}

/// First word of a piece's line.
const PIECE: &str = "output ";

/// The line of a piece, line feed included.
pub fn piece_line(fd: i32, offset: u64, bytes: usize) -> String {
    format!("{PIECE}{fd} {offset} {bytes}\n")
}

impl Piece {
    /// Reads a line; nothing if it is none of a piece.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end().strip_prefix(PIECE)?.split(' ');
        let piece = Self {
            fd: words.next()?.parse().ok()?,
            offset: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(piece)
    }
}

/// Who an action runs as. Only root can change that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// What a worker asks of its supervisor. Attempts have numbers that are unique in the life of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Starts a guard for what the stream beside this message will say; ends it like `End` at that instant of
    /// `CLOCK_BOOTTIME`, in milliseconds, should it be there by then.
    Start(u64, u64),
    /// The same with a nursery in the place of the guard.
    Nursery(u64, u64),
    /// That instant is a later one now: the lease was extended.
    Until(u64, u64),
    /// That guard has another attempt now, which it is to be ended for at that instant and no other.
    Again(u64, u64),
    /// Ends the guard and all that is under it, at once: it did not do what was due.
    End(u64),
    /// To be answered.
    Ping,
}

/// What a supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The guard's process; a descriptor of it is beside the message, where the kernel has such. With it the worker ends
    /// a guard whose supervisor is gone.
    Started(u64, i32),
    /// The guard is gone, and nothing that was under it runs.
    Gone(u64),
    /// The guard is gone, but there are orphans, its own or another one's, that cannot be killed.
    Left(u64),
    /// To a ping.
    Pong,
}

/// What a worker tells the guard of a running action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The lease holds until this instant of `CLOCK_BOOTTIME`, in milliseconds.
    Lease(u64),
    /// End the action.
    Cancel,
}

/// Why an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It could not be started, here or elsewhere.
    NotStarted,
    /// It was not started, for no reason of its own: its lease had passed, or the system had no room for it.
    NotBegun,
    /// It was not started: its worker's kernel cannot hold it to what it requires.
    NotConfined,
    /// By itself.
    Exited,
    /// Its time was up.
    Timeout,
    /// The worker asked for it.
    Canceled,
    /// The lease ran out: somebody else may run it by now.
    LeaseLost,
    /// The worker is gone; nobody reads this.
    WorkerGone,
    /// The supervisor is gone: nobody would watch this guard any more.
    SupervisorGone,
}

/// How an action ended; no process of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Why it ended.
    pub why: Why,
    /// Exit code; none where a signal ended it.
    pub return_code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Whether it left processes behind that had to be ended: what they wrote may be cut anywhere.
    pub left_others: bool,
    /// Whether somebody who is none of its processes had an end of what it wrote to when these were gone: it was handed out
    /// by them, or taken, and so may be whatever else they had open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_held: bool,
    /// What went wrong at the start.
    pub error: Option<String>,
    /// Whether its guard is as it was before, and waits for another job behind what follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// What was captured; the bytes follow the report, in this order.
    pub streams: Vec<StreamReport>,
}

/// What was captured of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReport {
    /// The descriptor, as the action saw it.
    pub fd: i32,
    /// Bytes of its beginning that follow; if nothing was left out, all of it.
    pub bytes: usize,
    /// Bytes behind them of what stood before its end.
    pub lead_bytes: usize,
    /// Bytes behind them of its end.
    pub tail_bytes: usize,
    /// All that was read of it.
    pub read_bytes: u64,
    /// Whether there was more than follows.
    pub truncated: bool,
}

impl Order {
    /// The message that says it.
    pub fn message(self) -> String {
        match self {
            Self::Start(id, end_at_ms) => format!("start {id} {end_at_ms}"),
            Self::Nursery(id, end_at_ms) => format!("nursery {id} {end_at_ms}"),
            Self::Until(id, end_at_ms) => format!("until {id} {end_at_ms}"),
            Self::Again(id, end_at_ms) => format!("again {id} {end_at_ms}"),
            Self::End(id) => format!("end {id}"),
            Self::Ping => "ping".to_owned(),
        }
    }

    /// Reads a message; nothing if it says none of these.
    pub fn parse(message: &str) -> Option<Self> {
        let words: Vec<&str> = message.split(' ').collect();
        Some(match words[..] {
            ["start", id, end_at_ms] => Self::Start(id.parse().ok()?, end_at_ms.parse().ok()?),
            ["nursery", id, end_at_ms] => Self::Nursery(id.parse().ok()?, end_at_ms.parse().ok()?),
            ["until", id, end_at_ms] => Self::Until(id.parse().ok()?, end_at_ms.parse().ok()?),
            ["again", id, end_at_ms] => Self::Again(id.parse().ok()?, end_at_ms.parse().ok()?),
            ["end", id] => Self::End(id.parse().ok()?),
            ["ping"] => Self::Ping,
            _ => return None,
        })
    }
}

impl Answer {
    /// The message that says it.
    pub fn message(&self) -> String {
        match self {
            Self::Started(id, pid) => format!("started {id} {pid}"),
            Self::Gone(id) => format!("gone {id}"),
            Self::Left(id) => format!("left {id}"),
            Self::Pong => "pong".to_owned(),
        }
    }

    /// Reads a message; nothing if it says none of these.
    pub fn parse(message: &str) -> Option<Self> {
        let words: Vec<&str> = message.split(' ').collect();
        Some(match words[..] {
            ["started", id, pid] => Self::Started(id.parse().ok()?, pid.parse().ok()?),
            ["gone", id] => Self::Gone(id.parse().ok()?),
            ["left", id] => Self::Left(id.parse().ok()?),
            ["pong"] => Self::Pong,
            _ => return None,
        })
    }
}

impl Control {
    /// The line that says it, line feed included.
    pub fn line(self) -> String {
        match self {
            Self::Lease(deadline_ms) => format!("lease {deadline_ms}\n"),
            Self::Cancel => "cancel\n".to_owned(),
        }
    }

    /// Reads a line without its line feed; nothing if it says neither.
    pub fn parse(line: &str) -> Option<Self> {
        if line == "cancel" {
            return Some(Self::Cancel);
        }
        line.strip_prefix("lease ")?.parse().ok().map(Self::Lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_job_is_shown() {
        let job = Job {
            argv: ["curl", "-u", "secret"].map(str::to_owned).to_vec(),
            environment: BTreeMap::from([("TOKEN".to_owned(), "secret".to_owned())]),
            directory: "/packs/a".into(),
            stdin_bytes: 0,
            streams: Vec::new(),
            telling: Telling::default(),
            timeout_ms: 1,
            lease_deadline_ms: 1,
            kill_grace_ms: 1,
            user: None,
            limits: Limits::default(),
            may: May::default(),
            container: None,
            confinement: Confinement::default(),
        };
        let shown = format!("{job:?}");
        assert!(shown.contains("curl") && shown.contains("TOKEN") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_said_comes_back() {
        for control in [Control::Lease(0), Control::Lease(u64::MAX), Control::Cancel] {
            assert_eq!(Control::parse(control.line().trim_end()), Some(control));
        }
        for order in [
            Order::Start(u64::MAX, 0),
            Order::Nursery(3, 4),
            Order::Until(1, u64::MAX),
            Order::Again(2, 5),
            Order::End(0),
            Order::Ping,
        ] {
            assert_eq!(Order::parse(&order.message()), Some(order));
        }
        for answer in [Answer::Started(1, 2), Answer::Gone(3), Answer::Left(4), Answer::Pong] {
            assert_eq!(Answer::parse(&answer.message()), Some(answer));
        }
        let piece = Piece { fd: 2, offset: u64::MAX, bytes: 7 };
        assert_eq!(Piece::parse(&piece_line(2, u64::MAX, 7)), Some(piece));
        assert_eq!(
            (Piece::parse("output 1 2"), Piece::parse("output 1 2 3 4"), Piece::parse("started")),
            (None, None, None)
        );
        for nothing in ["", "lease", "lease -1", "start", "start x", "gone", "end 1 2"] {
            assert_eq!((Control::parse(nothing), Order::parse(nothing), Answer::parse(nothing)), (None, None, None));
        }
    }
}
