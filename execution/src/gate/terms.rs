//! What a policy allows at each of its gates, and which policies hold.

use super::{GateId, InForce, Kind};

/// Most starts that a window may allow, for each of them is an entry.
pub const ACTIONS_MAX: u32 = 100_000;

/// How much may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many executions at once; a permit comes back when its execution ends.
    Concurrency {
        /// Most permits that are out, at any instant.
        permits_max: u32,
    },
    /// Everything, until so many have failed one after the other; then nothing for a while, then a few on trial.
    Breaker {
        /// Failures in a row that open it.
        failures_max: u32,
        /// For how long it stays open, in milliseconds.
        open_ms: i64,
        /// Probes that must succeed before it is closed again.
        probes: u32,
    },
    /// A bucket that fills steadily; each start takes a token out of it.
    Rate {
        /// Tokens that come in [`Limit::Rate::per_ms`].
        tokens: u32,
        /// The time in which they come, in milliseconds.
        per_ms: i64,
        /// Most tokens that the bucket holds.
        burst: u32,
    },
    /// So many starts in any time of that length: a strict window that slides, where a bucket would let twice as
    /// many through.
    Radius {
        /// Most starts in any such time; [`ACTIONS_MAX`] where it says more.
        actions_max: u32,
        /// Length of the time, in milliseconds.
        per_ms: i64,
    },
}

impl Limit {
    /// Of which gates it is the limit.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Concurrency { .. } => Kind::Concurrency,
            Self::Breaker { .. } => Kind::Breaker,
            Self::Rate { .. } => Kind::Rate,
            Self::Radius { .. } => Kind::Radius,
        }
    }
}

/// What becomes of who comes when the limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It waits: first come, first served within its class.
    Wait,
    /// It is turned away, and its execution ends.
    Drop,
    /// The gate is shut until a person opens it; who comes waits.
    Pause,
}

/// What holds at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How much may pass.
    pub limit: Limit,
    /// What becomes of the others.
    pub excess: Excess,
}

/// What the process of the gates knows of policies, the same for a whole step.
pub trait Policies {
    /// What holds at a gate by the revision in force; nothing where no policy of it is for that gate.
    fn terms(&self, gate: &GateId) -> Option<Terms>;

    /// Whether this process has come as far as an owner had when it asked: its revision in force is that one or a later
    /// one.
    fn knows(&self, in_force: &InForce) -> bool;
}
