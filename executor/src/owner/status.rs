//! Where an execution stands, named as in StackStorm.

/// Status of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Known, not dispatched: dispatch is paused.
    Requested,
    /// A task waits for a worker.
    Scheduled,
    /// A worker has claimed it.
    Running,
    /// A worker was asked to end it.
    Canceling,
    /// It ended with exit code 0.
    Succeeded,
    /// It ended otherwise, or could not begin.
    Failed,
    /// It ran too long.
    Timeout,
    /// It was ended, or never begun, because somebody asked for that.
    Canceled,
    /// Its outcome is not known and nobody tries again by himself.
    Abandoned,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Scheduled,
        Self::Running,
        Self::Canceling,
        Self::Succeeded,
        Self::Failed,
        Self::Timeout,
        Self::Canceled,
        Self::Abandoned,
    ];

    /// As records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
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

    /// Whether nothing changes it any more.
    pub const fn is_final(self) -> bool {
        !self.is_leased() && !matches!(self, Self::Requested | Self::Scheduled)
    }

    /// Whether a worker holds a lease.
    pub const fn is_leased(self) -> bool {
        matches!(self, Self::Running | Self::Canceling)
    }
}
