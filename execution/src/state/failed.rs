//! Failed: it ended badly, or could not begin.

use super::{End, In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// Over, and badly.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed(
    /// How it ended.
    pub End,
);

impl State for Failed {
    const STATUS: Status = Status::Failed;
}

impl<S: LeadsTo<Failed>> In<S> {
    /// It ended badly.
    pub fn fail(self, end: End, note: Note) -> In<Failed> {
        self.to(Failed(end), note)
    }
}
