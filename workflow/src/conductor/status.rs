//! The statuses of workflows and tasks, which are Orquesta's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a workflow, of a task, or of what runs for a task or an item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing has happened yet; written `null`.
    #[default]
    #[serde(rename = "null")]
    Unset,
    /// Somebody has asked for it.
    Requested,
    /// It has a place to run.
    Scheduled,
    /// It waits for a time, a policy or a place.
    Delayed,
    /// It runs.
    Running,
    /// It waits for a person.
    Pending,
    /// It will be paused once what runs has ended.
    Pausing,
    /// It waits for somebody to resume it.
    Paused,
    /// It goes on after a pause or a rerun.
    Resuming,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It ended because it took too long.
    Timeout,
    /// Nobody knows how it ended.
    Abandoned,
    /// It is tried again.
    Retrying,
    /// It will be canceled once what runs has ended.
    Canceling,
    /// It was canceled.
    Canceled,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 16] = [
        Status::Unset,
        Status::Requested,
        Status::Scheduled,
        Status::Delayed,
        Status::Running,
        Status::Pending,
        Status::Pausing,
        Status::Paused,
        Status::Resuming,
        Status::Succeeded,
        Status::Failed,
        Status::Timeout,
        Status::Abandoned,
        Status::Retrying,
        Status::Canceling,
        Status::Canceled,
    ];

    /// Its name, as expressions see it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Unset => "null",
            Status::Requested => "requested",
            Status::Scheduled => "scheduled",
            Status::Delayed => "delayed",
            Status::Running => "running",
            Status::Pending => "pending",
            Status::Pausing => "pausing",
            Status::Paused => "paused",
            Status::Resuming => "resuming",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Timeout => "timeout",
            Status::Abandoned => "abandoned",
            Status::Retrying => "retrying",
            Status::Canceling => "canceling",
            Status::Canceled => "canceled",
        }
    }

    /// The status of a name.
    pub fn of(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }

    /// With one of these a task begins.
    pub fn is_starting(self) -> bool {
        matches!(self, Status::Requested | Status::Scheduled | Status::Delayed | Status::Running | Status::Pending)
    }

    /// A workflow of such a status offers tasks.
    pub fn is_running(self) -> bool {
        matches!(
            self,
            Status::Requested
                | Status::Scheduled
                | Status::Delayed
                | Status::Running
                | Status::Resuming
                | Status::Retrying
        )
    }

    /// Something runs, or is about to.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Status::Requested
                | Status::Scheduled
                | Status::Delayed
                | Status::Running
                | Status::Resuming
                | Status::Pausing
                | Status::Canceling
        )
    }

    /// It ended badly, and not because somebody wanted it.
    pub fn is_abended(self) -> bool {
        matches!(self, Status::Failed | Status::Timeout | Status::Abandoned)
    }

    /// It has ended.
    pub fn is_completed(self) -> bool {
        matches!(self, Status::Succeeded | Status::Canceled) || self.is_abended()
    }

    /// `pausing` or `paused`.
    pub fn is_pause(self) -> bool {
        matches!(self, Status::Pausing | Status::Paused)
    }

    /// `canceling` or `canceled`.
    pub fn is_cancel(self) -> bool {
        matches!(self, Status::Canceling | Status::Canceled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
