//! An attempt ended, and the action's `retry:` may want another one.

use super::Owner;
use super::enter::Left;
use crate::code;
use crate::gate::Outcome;
use crate::outcome::Said;
use crate::retry::Retry;
use crate::state::{DelayReason, Delayed, Failed, In, LeadsTo, Running};
use crate::status::Status;
use crate::subject::Note;

impl Owner<'_> {
    /// Sets it aside until its next attempt, or gives back what is over. What runs at most once is never repeated,
    /// whatever its action says, and neither is what its worker says would end the same way.
    pub(super) fn again(&mut self, mut running: In<Running>, mut said: Said) -> Option<(In<Running>, Said)> {
        let has_succeeded = said.status == Status::Succeeded;
        // Declines and hand-overs have numbers of attempts, too, and none of them has ended.
        let tried = running.core.counts.failures.saturating_add(1);
        let may_differ = match said.status {
            Status::Failed | Status::Timeout => said.retriable,
            Status::Succeeded => true,
            _ => false,
        };
        let retry = running.core.terms.as_ref().and_then(|terms| terms.retry.clone());
        let Some(retry) = retry.filter(|_| may_differ && !running.core.is_at_most_once()) else {
            return Some((running, said));
        };
        if !retry.is_on(said.status) {
            match retry.is_wanted(&said, tried) {
                Ok(true) => {}
                Ok(false) => return Some((running, said)),
                Err(why) => {
                    let error = said.note.error.take().map(|error| format!("{error}; ")).unwrap_or_default();
                    said.note = Note::of(said.note.code, Some(format!("{error}{why}")));
                    return Some((running, said));
                }
            }
        }
        let Some(until_ms) = self.next_attempt_ms(&retry, &running, said.retry_after_ms) else {
            if has_succeeded {
                said.status = Status::Failed;
                let why = format!("after {tried} attempts its result still asks for another one");
                said.note = Note::new(code::RETRY_UNMET, why);
            }
            return Some((running, said));
        };
        let what = match said.status {
            Status::Timeout => "timed out",
            Status::Succeeded => "succeeded, and its result asks for another one",
            _ => "failed",
        };
        let error = said.note.error.or(said.note.code).map(|error| format!(": {error}")).unwrap_or_default();
        let why = format!("attempt {} {what}{error}", running.core.attempt.number);
        running.core.counts.failures = running.core.counts.failures.saturating_add(1);
        running.core.counts.not_begun = 0;
        // Others may have its permits while it waits; and a breaker hears of each attempt.
        self.give_back(&mut running.core, if has_succeeded { Outcome::Succeeded } else { Outcome::Failed });
        self.pause(running, until_ms, why);
        None
    }

    /// When its next attempt may begin, in milliseconds since the epoch; nothing where there is none any more.
    pub(super) fn next_attempt_ms(&self, retry: &Retry, running: &In<Running>, asked_ms: Option<i64>) -> Option<i64> {
        let core = &running.core;
        let first_ms = core.scheduled_at_ms.unwrap_or(core.subject.requested_at_ms);
        let next_ms = retry.next_ms(core.id(), core.counts.failures, first_ms, self.now_ms(), asked_ms)?;
        // What would begin when its whole time is over is over now.
        core.deadline_at_ms().is_none_or(|by_ms| next_ms < by_ms).then_some(next_ms)
    }

    /// It waits for its next attempt.
    pub(super) fn pause(&mut self, running: In<Running>, until_ms: i64, why: String) {
        let left = Left::of(&running);
        let delayed = Delayed { reason: DelayReason::BackOff, until_ms: Some(until_ms), start_by_ms: None };
        self.enter(left, running.delay(delayed, Some(why)));
    }

    /// The time in which it could have been tried again has passed, as in a long pause of all dispatch.
    pub(super) fn too_late_again<S: LeadsTo<Failed>>(&mut self, from: In<S>, note: Note) {
        let before = note.error.map(|error| format!("{error}; ")).unwrap_or_default();
        let why = format!("{before}the time in which it could be tried again has passed");
        self.refuse(from, Note::new(code::RETRY_TIME, why));
    }
}
