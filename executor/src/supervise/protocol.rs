//! What a worker and a supervisor say to each other. Both ends are the same binary, so this has no versions.
//!
//! The worker writes to the supervisor's stdin: one line with a [`Job`] in JSON, then lines of [`Control`].
//! The supervisor writes to its stdout: the line `started`, unless the command could not start; then, when
//! no process of the action is left, one line with a [`Report`] in JSON, and behind it the captured bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Longest line with a job, in bytes: argv and environment together are far below it on every system.
pub const JOB_BYTES_MAX: usize = 8 << 20;

/// Line that says that the command runs.
pub const STARTED: &str = "started";

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Program and arguments; never given to a shell.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Working directory; a program with a relative path is looked for in it.
    pub directory: PathBuf,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// First deadline of the lease, in milliseconds of `CLOCK_BOOTTIME`.
    pub lease_deadline_ms: u64,
    /// From SIGTERM to SIGKILL, in milliseconds; the lease may cut it short.
    pub kill_grace_ms: u64,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: usize,
}

/// What a worker tells the supervisor of a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The lease holds until this instant of `CLOCK_BOOTTIME`, in milliseconds.
    Lease(u64),
    /// End the command.
    Cancel,
}

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It could not be started.
    NotStarted,
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
}

/// How a command ended; no process of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Why it ended.
    pub why: Why,
    /// Exit code; none where a signal ended it.
    pub return_code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// What went wrong at the start.
    pub error: Option<String>,
    /// Captured bytes of stdout that follow the report.
    pub stdout_bytes: usize,
    /// Captured bytes of stderr, behind those of stdout.
    pub stderr_bytes: usize,
    /// Whether stdout was longer than what was kept.
    pub stdout_truncated: bool,
    /// Whether stderr was longer than what was kept.
    pub stderr_truncated: bool,
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
    fn control_lines_come_back() {
        for control in [Control::Lease(0), Control::Lease(u64::MAX), Control::Cancel] {
            assert_eq!(Control::parse(control.line().trim_end()), Some(control));
        }
        assert_eq!(Control::parse("lease -1"), None);
        assert_eq!(Control::parse("lease"), None);
        assert_eq!(Control::parse(""), None);
    }
}
