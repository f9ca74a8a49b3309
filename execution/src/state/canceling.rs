//! Canceling: somebody wants it to end, and whoever may have it was told.

use super::{Holder, In, LeadsTo, State};
use crate::code;
use crate::status::Status;
use crate::subject::Note;
use crate::timer::TimerKind;

/// It is being ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Canceling {
    /// Who asked for it.
    pub by: String,
    /// Who has it; nobody, as far as its owner knows, while its task waits.
    pub holder: Option<Holder>,
    /// Until when a worker may still claim its task, in milliseconds since the epoch.
    pub start_by_ms: Option<i64>,
}

impl State for Canceling {
    const STATUS: Status = Status::Canceling;

    fn timer(&self) -> Option<TimerKind> {
        match (&self.holder, self.start_by_ms) {
            (Some(_), _) => Some(TimerKind::Lease),
            (None, Some(_)) => Some(TimerKind::ScheduleToStart),
            (None, None) => None,
        }
    }
}

impl<S: LeadsTo<Canceling>> In<S> {
    /// Somebody wants it to end.
    pub fn cancel(self, canceling: Canceling) -> In<Canceling> {
        let note = Note::new(code::CANCELED, format!("canceled by {}", canceling.by));
        self.to(canceling, note)
    }

    /// Nobody can go on with it: it ends once what it has started has, and then it says why.
    pub(crate) fn give_up(self, canceling: Canceling, why: Note) -> In<Canceling> {
        self.to(canceling, why)
    }

    /// Its whole time is over.
    pub fn cancel_late(self, canceling: Canceling, why: String) -> In<Canceling> {
        self.to(canceling, Note::new(code::DEADLINE, why))
    }
}

impl In<Canceling> {
    /// Whether its time is over, rather than that somebody wants it to end.
    pub fn is_late(&self) -> bool {
        self.core.note.code.as_deref() == Some(code::DEADLINE)
    }

    /// A worker had claimed it before the order reached it. It is not another status.
    pub fn held(mut self, holder: Holder) -> Self {
        self.state.holder = Some(holder);
        self.state.start_by_ms = None;
        self
    }
}
