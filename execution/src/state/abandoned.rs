//! Abandoned: its outcome is not known, and nobody tries again by himself.

use super::{End, In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// Over for its owner; a human decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Abandoned(
    /// How it ended.
    pub End,
);

impl State for Abandoned {
    const STATUS: Status = Status::Abandoned;
}

impl<S: LeadsTo<Abandoned>> In<S> {
    /// Nobody tries again by himself.
    pub fn abandon(self, end: End, note: Note) -> In<Abandoned> {
        self.to(Abandoned(end), note)
    }
}
