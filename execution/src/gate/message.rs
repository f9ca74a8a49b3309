//! What owners, and people, tell a gate.

use petrel_schemas::ExecutionId;

use super::GateId;

/// How urgent an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for it.
    Urgent,
    /// As most are.
    Normal,
    /// Whenever there is room.
    Bulk,
}

impl Class {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// Where an execution stands in a gate's queue. Its owner says it and remembers it, so that a gate finds who no
/// longer waits without an index of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Its class.
    pub class: Class,
    /// When its owner asked, in milliseconds since the epoch: who asked first goes first.
    pub asked_at_ms: i64,
    /// Whose place it is; among those of one instant the smaller id goes first.
    pub execution: ExecutionId,
}

/// How an execution ended, as far as a breaker is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Succeeded,
    /// It failed, timed out or was abandoned.
    Failed,
    /// It says nothing of its action: it was canceled, or did not start.
    Neither,
}

/// What is wanted of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A permit. The message's number names the acquisition from now on.
    Acquire {
        /// Where to wait.
        place: Place,
        /// Whether it may wait at all. It may not where an ancestor holds a gate that comes later in the fixed order:
        /// two such families could wait for each other for ever.
        may_wait: bool,
    },
    /// What was acquired under that number is given back; who still waits for it waits no more.
    Release {
        /// Where it waited.
        place: Place,
        /// Number of the acquisition.
        acquired: u64,
        /// How its execution ended.
        outcome: Outcome,
    },
    /// Nothing passes until then, because the other side said so (`Retry-After`).
    Close {
        /// When it opens by itself, in milliseconds since the epoch.
        until_ms: i64,
    },
    /// A person opens a gate that was shut: pauses, breakers and closures end, and windows begin anew.
    Open,
}

/// A message to a gate.
///
/// Each sender numbers its messages upwards and sends them in that order. A gate's partition remembers the last number
/// of every sender: a message that comes again, after a restart of either side, changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateMessage {
    /// Who sends it, such as the number of an owner's partition.
    pub sender: u32,
    /// Its number among those of its sender, from 1.
    pub number: u64,
    /// To whom.
    pub gate: GateId,
    /// What is wanted.
    pub what: What,
}
