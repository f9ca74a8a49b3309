//! Succeeded: its action did what it should.

use super::{End, In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// Over, and well.
#[derive(Debug, Clone, PartialEq)]
pub struct Succeeded(
    /// How it ended.
    pub End,
);

impl State for Succeeded {
    const STATUS: Status = Status::Succeeded;
}

impl<S: LeadsTo<Succeeded>> In<S> {
    /// It ended well.
    pub fn succeed(self, end: End, note: Note) -> In<Succeeded> {
        self.to(Succeeded(end), note)
    }
}
