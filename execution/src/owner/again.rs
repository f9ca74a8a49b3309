//! An attempt ended badly, and the action's `retry:` may want another one.

use super::Owner;
use super::enter::Left;
use crate::code;
use crate::gate::Outcome;
use crate::outcome::Said;
use crate::state::{DelayReason, Delayed, Failed, In, LeadsTo, Running};
use crate::status::Status;
use crate::subject::Note;

impl Owner<'_> {
    /// Sets it aside until its next attempt, or gives back what is over. What runs at most once is never repeated,
    /// whatever its action says, and neither is what its worker says would end the same way.
    pub(super) fn again(&mut self, mut running: In<Running>, said: Said) -> Option<(In<Running>, Said)> {
        let ended_badly = matches!(said.status, Status::Failed | Status::Timeout);
        if !ended_badly || !said.retriable || running.core.is_at_most_once() {
            return Some((running, said));
        }
        let retry = running.core.terms.as_ref().and_then(|terms| terms.retry);
        let first_ms = running.core.scheduled_at_ms.unwrap_or(running.core.subject.requested_at_ms);
        let retries = running.core.counts.failures;
        let next_ms =
            |retry: crate::Retry| retry.next_ms(said.status, running.core.id(), retries, first_ms, self.facts.now_ms);
        let Some(until_ms) = retry.and_then(next_ms) else { return Some((running, said)) };
        running.core.counts.failures = retries.saturating_add(1);
        let what = match said.status {
            Status::Timeout => "timed out",
            _ => "failed",
        };
        let error = said.note.error.or(said.note.code).map(|error| format!(": {error}")).unwrap_or_default();
        let why = format!("attempt {} {what}{error}", running.core.attempt.number);
        // Others may have its permits while it waits; and a breaker hears of each attempt.
        self.give_back(&mut running.core, Outcome::Failed);
        let left = Left::of(&running);
        let delayed = Delayed { reason: DelayReason::BackOff, until_ms: Some(until_ms), start_by_ms: None };
        self.enter(left, running.delay(delayed, Some(why)));
        None
    }

    /// The time in which it could have been tried again has passed, as in a long pause of all dispatch.
    pub(super) fn too_late_again<S: LeadsTo<Failed>>(&mut self, from: In<S>, note: Note) {
        let before = note.error.map(|error| format!("{error}; ")).unwrap_or_default();
        let why = format!("{before}the time in which it could be tried again has passed");
        self.refuse(from, Note::new(code::RETRY_TIME, why));
    }
}
