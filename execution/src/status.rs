//! Where an execution stands, named as in StackStorm.

/// Status of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Its owner has just been asked for it.
    Requested,
    /// It waits, for a reason that it names; no task of it is with the workers.
    Delayed,
    /// A task waits for a worker.
    Scheduled,
    /// A worker has claimed it.
    Running,
    /// A worker was asked to let it rest.
    Pausing,
    /// It rests until somebody resumes it.
    Paused,
    /// Somebody resumed it, and it does not run yet.
    Resuming,
    /// It waits for an answer.
    Pending,
    /// Somebody wants it to end; whoever may have it was told.
    Canceling,
    /// Its action did what it should.
    Succeeded,
    /// It ended otherwise, or could not begin.
    Failed,
    /// It ran too long, or did not start in time.
    Timeout,
    /// It was ended, or never begun, because somebody asked for that.
    Canceled,
    /// Its outcome is not known and nobody tries again by himself.
    Abandoned,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Requested,
        Self::Delayed,
        Self::Scheduled,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Resuming,
        Self::Pending,
        Self::Canceling,
        Self::Succeeded,
        Self::Failed,
        Self::Timeout,
        Self::Canceled,
        Self::Abandoned,
    ];

    /// As records and people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Delayed => "delayed",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::Pending => "pending",
            Self::Canceling => "canceling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Abandoned => "abandoned",
        }
    }

    /// Reads it back; nothing for a name that this release does not know.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether it is over: nothing changes it any more, but that a workflow may be run again.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Timeout | Self::Canceled | Self::Abandoned)
    }
}
