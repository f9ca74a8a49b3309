//! Canceled: it was ended, or never begun, because somebody asked for that.

use super::{End, In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// Over, as somebody wished.
#[derive(Debug, Clone, PartialEq)]
pub struct Canceled(
    /// How it ended.
    pub End,
);

impl State for Canceled {
    const STATUS: Status = Status::Canceled;
}

impl<S: LeadsTo<Canceled>> In<S> {
    /// It ended as somebody wished.
    pub fn end_canceled(self, end: End, note: Note) -> In<Canceled> {
        self.to(Canceled(end), note)
    }
}
