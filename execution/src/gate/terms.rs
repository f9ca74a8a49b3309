//! What a policy allows at each of its gates.

/// How much may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many executions at once; a permit comes back when its execution ends.
    Concurrency {
        /// Most permits that are out, at any instant.
        permits_max: u32,
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
        /// Most starts in any such time.
        actions_max: u32,
        /// Length of the time, in milliseconds.
        per_ms: i64,
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
}

/// What becomes of who comes when nothing may pass.
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
