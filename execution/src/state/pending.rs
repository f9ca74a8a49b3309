//! Pending: it waits for an answer, of a person say.

use super::{In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;
use crate::timer::TimerKind;

/// It waits for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending;

impl State for Pending {
    const STATUS: Status = Status::Pending;

    fn timer(&self) -> Option<TimerKind> {
        Some(TimerKind::Freeze)
    }
}

impl<S: LeadsTo<Pending>> In<S> {
    /// It asked something.
    pub fn ask(self) -> In<Pending> {
        self.to(Pending, Note::NONE)
    }
}
