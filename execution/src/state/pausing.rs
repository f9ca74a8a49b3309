//! Pausing: its worker was asked to let it rest, or it is a workflow of which something still runs.

use super::{Holder, In, LeadsTo, State};
use crate::status::Status;
use crate::subject::Note;
use crate::timer::TimerKind;

/// On the way to `paused`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pausing {
    /// Who has it; nobody if its task was still waiting.
    pub holder: Option<Holder>,
}

impl State for Pausing {
    const STATUS: Status = Status::Pausing;

    fn timer(&self) -> Option<TimerKind> {
        self.holder.as_ref().map(|_| TimerKind::Lease)
    }
}

impl<S: LeadsTo<Pausing>> In<S> {
    /// Somebody wants it to rest.
    pub fn pause(self, holder: Option<Holder>) -> In<Pausing> {
        self.to(Pausing { holder }, Note::NONE)
    }
}
