//! Timeout: it ran too long, or did not start in time.

use super::{End, In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;

/// Over, for it took too long.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeout(
    /// How it ended.
    pub End,
);

impl State for Timeout {
    const STATUS: Status = Status::Timeout;
}

impl<S: LeadsTo<Timeout>> In<S> {
    /// It took too long.
    pub fn time_out(self, end: End, note: Note) -> In<Timeout> {
        self.to(Timeout(end), note)
    }
}
