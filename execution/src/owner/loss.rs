//! The current attempt is gone: another one, if that is allowed.

use super::Owner;
use super::enter::Left;
use crate::code;
use crate::gate::Outcome;
use crate::retry::Retry;
use crate::state::{Canceling, End, In, Running};
use crate::subject::Note;

/// Attempts that were given back before they began, or for what their workers lacked, one after the other, of which each
/// is followed by the next at once: so many workers may shut down one after the other, or have no room, and none of them
/// is the action's doing.
const NOT_BEGUN_AT_ONCE: i32 = 2;

/// How an attempt was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its worker was silent for a lease, or gave the attempt up because its own lease had passed.
    Lease,
    /// Its worker was shut down, in order, or lacked something; nothing of the attempt runs any more.
    HandOver {
        /// Whether the action had been started.
        begun: bool,
        /// Whether its worker lacked what it takes.
        lacks: bool,
    },
}

impl Owner<'_> {
    /// What becomes of the execution. `why` says what happened, for people.
    pub(super) fn lost(&mut self, mut running: In<Running>, loss: Loss, why: String) {
        let counts = &mut running.core.counts;
        let (mut code, may_have_run, is_fruitless) = match loss {
            Loss::Lease => {
                counts.lost_leases += 1;
                (code::LEASE_LOST, true, false)
            }
            Loss::HandOver { begun, lacks } => {
                counts.hand_overs += 1;
                (code::HANDED_OVER, begun, !begun || lacks)
            }
        };
        counts.not_begun = if is_fruitless { counts.not_begun.saturating_add(1) } else { 0 };
        let lost = counts.lost_leases;
        if let Some(passage) = running.core.passage.as_mut() {
            passage.begun |= may_have_run;
        }
        let why = if may_have_run && running.core.is_at_most_once() {
            format!("{why}; outcome unknown, and the action runs at most once: a human decides")
        } else if loss == Loss::Lease && lost >= self.limits().lost_leases_max {
            code = code::LOST_LEASES_MAX;
            format!("{why}; outcome unknown after {lost} lost workers, the most allowed")
        } else if let Some(retry) = self.retry_of_lost(&running, loss) {
            match self.next_attempt_ms(&retry, &running, None) {
                Some(until_ms) => {
                    running.core.counts.failures = running.core.counts.failures.saturating_add(1);
                    self.give_back(&mut running.core, Outcome::Failed);
                    return self.pause(running, until_ms, why);
                }
                None => format!("{why}; outcome unknown, and its retry allows no further attempt"),
            }
        } else {
            return match self.pause_ms(running.core.counts.not_begun) {
                None => self.dispatch(running, Note::new(code, why), None),
                // What no worker can begin, for a reason that none of them takes for the action's, would go round for
                // ever, as fast as it goes: it waits, and each time for longer.
                // Others may have what it has of its gates meanwhile.
                Some(pause_ms) => {
                    self.stand_back(&mut running.core);
                    self.pause(running, self.now_ms().saturating_add(pause_ms), why)
                }
            };
        };
        let left = Left::of(&running);
        let end = End::silent(self.now_ms(), running.state.holder.clone());
        self.enter(left, running.abandon(end, Note::new(code, why)));
    }

    /// How long to wait until the next attempt, in milliseconds, after so many that came to nothing.
    fn pause_ms(&self, not_begun: i32) -> Option<i64> {
        let doubled = u32::try_from(not_begun - NOT_BEGUN_AT_ONCE - 1).ok()?;
        let limits = self.limits();
        let pause_ms = limits.not_begun_pause_ms.saturating_mul(2_i64.saturating_pow(doubled));
        Some(pause_ms.min(limits.not_begun_pause_ms_max))
    }

    /// The retry that counts a lost worker among its attempts, if its action's does.
    fn retry_of_lost(&self, running: &In<Running>, loss: Loss) -> Option<Retry> {
        let retry = running.core.terms.as_ref()?.retry.clone();
        retry.filter(|retry| retry.on_lost_worker && loss == Loss::Lease)
    }

    /// Nobody has what is being canceled: it is over.
    pub(super) fn end_canceling(&mut self, canceling: In<Canceling>) {
        let end = End::silent(self.now_ms(), canceling.state.holder.clone());
        let note = canceling.core.note.clone();
        self.ended_on_order(canceling, end, note);
    }
}
