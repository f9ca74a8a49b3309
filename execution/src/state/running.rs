//! Running: a worker has claimed it, or its owner conducts it.

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

/// A worker has it, under a lease; or, if it is a workflow, nobody but its owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// Who has it; none of a workflow, which its owner conducts.
    pub holder: Option<Holder>,
}

impl State for Running {
    const STATUS: Status = Status::Running;

    fn timer(&self) -> Option<TimerKind> {
        self.holder.as_ref().map(|_| TimerKind::Lease)
    }
}

impl<S: LeadsTo<Running>> In<S> {
    /// A worker claimed its task.
    pub fn claimed(self, holder: Holder) -> In<Running> {
        self.to(Running { holder: Some(holder) }, Note::NONE)
    }
}

impl In<Running> {
    /// Whether that worker has it.
    pub fn is_held_by(&self, worker: &str) -> bool {
        self.state.holder.as_ref().is_some_and(|holder| holder.worker == worker)
    }

    /// Who has it, for people.
    pub(crate) fn holder_text(&self) -> &str {
        self.state.holder.as_ref().map_or("unknown", |holder| &holder.worker)
    }
}

impl<S: LeadsTo<Running>> In<S> {
    /// Its owner conducts it.
    pub fn conduct(self) -> In<Running> {
        self.to(Running { holder: None }, Note::NONE)
    }
}
