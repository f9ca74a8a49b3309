//! The current attempt is gone: another one, if that is allowed.

use super::Owner;
use super::enter::Left;
use crate::code;
use crate::state::{Canceling, End, In, Running};
use crate::subject::Note;

/// How an attempt was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its worker was silent for a lease, or gave the attempt up because its own lease had passed.
    Lease,
    /// Its worker was shut down, in order; nothing of the attempt runs any more.
    HandOver {
        /// Whether the action had been started.
        begun: bool,
    },
}

impl Owner<'_> {
    /// What becomes of the execution. `why` says what happened, for people.
    pub(super) fn lost(&mut self, mut running: In<Running>, loss: Loss, why: String) {
        let (mut code, may_have_run) = match loss {
            Loss::Lease => {
                running.core.counts.lost_leases += 1;
                (code::LEASE_LOST, true)
            }
            Loss::HandOver { begun } => {
                running.core.counts.hand_overs += 1;
                (code::HANDED_OVER, begun)
            }
        };
        let lost = running.core.counts.lost_leases;
        let why = if may_have_run && running.core.is_at_most_once() {
            format!("{why}; outcome unknown, and the action runs at most once: a human decides")
        } else if loss == Loss::Lease && lost >= self.limits().lost_leases_max {
            code = code::LOST_LEASES_MAX;
            format!("{why}; outcome unknown after {lost} lost workers, the most allowed")
        } else {
            return self.dispatch(running, Note::new(code, why), None);
        };
        let left = Left::of(&running);
        let end = End::silent(self.now_ms(), Some(running.state.holder.clone()));
        self.enter(left, running.abandon(end, Note::new(code, why)));
    }

    /// Nobody has what is being canceled: it is over.
    pub(super) fn end_canceling(&mut self, canceling: In<Canceling>) {
        let left = Left::of(&canceling);
        let end = End::silent(self.now_ms(), canceling.state.holder.clone());
        let note = canceling.core.note.clone();
        self.enter(left, canceling.end_canceled(end, note));
    }
}
