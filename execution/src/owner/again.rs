//! An attempt ended badly, and the action's `retry:` may want another one.

use super::Owner;
use super::enter::Left;
use crate::outcome::Said;
use crate::plan::Resolution;
use crate::state::{DelayReason, Delayed, In, Running};
use crate::status::Status;

impl Owner<'_> {
    /// Sets it aside until its next attempt, or gives back what is over. What runs at most once is never repeated,
    /// whatever its action says.
    pub(super) fn again(&mut self, mut running: In<Running>, mut said: Said) -> Option<(In<Running>, Said)> {
        if !matches!(said.status, Status::Failed | Status::Timeout) || running.core.is_at_most_once() {
            return Some((running, said));
        }
        let subject = &running.core.subject;
        let retry = match self.facts.actions.resolve(&subject.revision, &subject.action) {
            Resolution::Ready(plan) => plan.retry,
            Resolution::Removed | Resolution::NoSuchAction => None,
            // Waiting for it would lose what the attempt said.
            Resolution::NotYet | Resolution::Broken(_) => {
                let error = said.note.error.take().unwrap_or_else(|| "the attempt failed".to_owned());
                let why = "whether it is to be tried again could not be read";
                said.note.error = Some(format!("{error}; {why}: revision {} is not here", subject.revision));
                None
            }
        };
        let first_ms = running.core.scheduled_at_ms.unwrap_or(subject.requested_at_ms);
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
        let left = Left::of(&running);
        let delayed = Delayed { reason: DelayReason::BackOff, until_ms: Some(until_ms), start_by_ms: None };
        self.enter(left, running.delay(delayed, Some(why)));
        None
    }
}
