//! Running: a worker has claimed it.

use super::{In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;
use crate::timer::TimerKind;

/// Who has an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Instance id of the worker.
    pub worker: String,
    /// When its owner heard of the claim, or when the action started where that is known; in milliseconds since
    /// the epoch.
    pub started_at_ms: Option<i64>,
}

/// A worker has it, under a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// Who has it.
    pub holder: Holder,
}

impl State for Running {
    const STATUS: Status = Status::Running;

    fn timer(&self) -> Option<TimerKind> {
        Some(TimerKind::Lease)
    }
}

impl<S: LeadsTo<Running>> In<S> {
    /// A worker claimed its task.
    pub fn claimed(self, holder: Holder) -> In<Running> {
        self.to(Running { holder }, Note::NONE)
    }
}
