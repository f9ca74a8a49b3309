//! Records: the processes themselves.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A process of Petrel runs, or has ended, on `petrel.processes`; written every few seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessAlive {
    /// Name of the process; the record's key.
    pub instance: String,
    /// Version of its release.
    pub release: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Number of the oldest format that it can write.
    pub format_oldest: i32,
    /// Number of the newest format that it can write.
    pub format_newest: i32,
    /// Number of the format that it writes.
    pub format: i32,
    /// Whether it ends now.
    pub ended: bool,
    /// When, by its clock, in milliseconds since the epoch.
    pub told_at_ms: i64,
    /// Pool of its worker; none without one.
    pub pool: Option<String>,
    /// Attempts that its worker may run at once.
    pub slots: i32,
    /// Attempts that its worker runs.
    pub slots_busy: i32,
    /// Instant of the order by which its worker takes nothing more, in milliseconds since the epoch; none while it does.
    pub drained_by_ms: Option<i64>,
}

stored!(ProcessAlive, "ProcessAlive");
