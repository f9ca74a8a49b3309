//! Paused: it rests.

use super::{In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// It rests until somebody resumes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paused {
    /// Of a workflow that rests because something failed, what a person needs to decide with, a JSON object
    /// ([`crate::workflow::shown_frozen`]).
    pub frozen: Option<String>,
}

impl State for Paused {
    const STATUS: Status = Status::Paused;
}

impl<S: LeadsTo<Paused>> In<S> {
    /// It rests.
    pub fn rest(self, paused: Paused, note: Note) -> In<Paused> {
        self.to(paused, note)
    }
}
