//! Paused: it rests.

use super::{In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// It rests until somebody resumes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Paused;

impl State for Paused {
    const STATUS: Status = Status::Paused;
}

impl<S: LeadsTo<Paused>> In<S> {
    /// It rests.
    pub fn rest(self) -> In<Paused> {
        self.to(Paused, Note::NONE)
    }
}
