//! What owners and gates tell each other. The record of decisions 0024 has the whole of it.

use std::fmt;
use std::sync::Arc;

use petrel_schemas::{Class, ExecutionId};

use super::{GateId, Refusal};

/// The number of a message among those of its sender: they go up, and never come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Grows where a sender has lost its numbering.
    pub epoch: i64,
    /// Grows by one with each message, from 1.
    pub number: u64,
}

impl Stamp {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.rsplit_once('/')?;
        Some(Self { epoch: epoch.parse().ok()?, number: number.parse().ok()? })
    }
}

/// Epoch and number, with a slash between.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.number)
    }
}

/// The revision by which an owner decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InForce {
    /// Its hash.
    pub revision: Arc<str>,
    /// Since when it was in force, in milliseconds since the epoch: one may be in force for a second time.
    pub since_ms: i64,
}

/// An execution, and what one of its acquisitions is named by: the stamp of the message that asked first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct About {
    /// Which execution.
    pub execution: ExecutionId,
    /// Which of its acquisitions.
    pub acquisition: Stamp,
}

/// How an execution ended, as far as a gate is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Succeeded,
    /// It failed, timed out or was abandoned.
    Failed,
    /// It did not start: what it took of a rate or a window is given back.
    NotStarted,
    /// It says nothing of its action: it was canceled after it started, or nobody knows any more.
    Silent,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::NotStarted, Self::Silent];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NotStarted => "not_started",
            Self::Silent => "silent",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// What is wanted of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A permit, be it for the first time or again.
    Acquire {
        /// For whom, and under which name.
        about: About,
        /// How urgent it is.
        class: Class,
        /// Whether it may wait at all. It may not where an ancestor holds a gate that comes later in the fixed order:
        /// two such families could wait for each other for ever.
        may_wait: bool,
        /// By which revision its owner asks: a gate does not decide by an older one.
        in_force: InForce,
    },
    /// What was acquired is given back; who still waits for it waits no more.
    Release {
        /// Who, and what.
        about: About,
        /// How its execution ended.
        outcome: Outcome,
    },
    /// Nothing passes until then, because the other side said so (`Retry-After`).
    Close {
        /// When it opens by itself, in milliseconds since the epoch; [`super::CLOSE_MS_MAX`] from now at most.
        until_ms: i64,
    },
    /// A person shuts a gate: nothing passes until a person opens it.
    Shut {
        /// Who, and why, for the audit trail.
        by: String,
    },
    /// A person opens a gate that was shut: pauses, breakers and closures end, and windows begin anew.
    Open {
        /// Who, and why, for the audit trail.
        by: String,
    },
}

/// A message to a gate.
///
/// Each sender stamps its messages upwards and sends them in that order. A partition of gates remembers the last stamp
/// of every sender: a message that comes again, after whatever was read again, changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateMessage {
    /// Who sends it: the number of an owner's partition.
    pub sender: u32,
    /// Its stamp among those of its sender.
    pub stamp: Stamp,
    /// To whom.
    pub gate: GateId,
    /// What is wanted.
    pub what: What,
}

/// What a gate tells the owner of an execution. Each may come late or twice: owners look at what they await and hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has a permit.
    Granted,
    /// It has a permit; does it still hold it? Only who does not answers, with a release.
    Held,
    /// It is turned away.
    Refused(Refusal),
}
