//! Resuming: somebody resumed it, and it does not run yet.

use super::{In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// On the way from `paused`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resuming;

impl State for Resuming {
    const STATUS: Status = Status::Resuming;
}

impl<S: LeadsTo<Resuming>> In<S> {
    /// Somebody resumed it.
    pub fn resume(self) -> In<Resuming> {
        self.to(Resuming, Note::NONE)
    }
}
