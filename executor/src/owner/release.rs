//! What waits for a revision or the end of a pause is asked again when the globals change, a bounded number at a
//! time.

use petrel_execution::owner::{WAITING, Waiting, is_waiting_key, next_revision};
use petrel_execution::{Execution, Known, Status};

use super::turn::Turn;
use crate::view::{ExecutorView, Resolution};

/// Prefix of the timer keys that say where a release goes on.
const FROM: &[u8] = b"waiting/from/";
/// The first key behind those that wait for the end of a pause.
const BEHIND_PAUSE: &[u8] = b"waiting/pause0";

/// The key where a release goes on, if a timer says so.
pub(super) fn goes_on_from(timer: &[u8]) -> Option<&[u8]> {
    timer.strip_prefix(FROM)
}

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// From the first that waits.
    pub(super) fn release(&mut self) {
        self.release_from(WAITING);
    }

    /// From the first that is not below a key.
    pub(super) fn release_from(&mut self, from: &[u8]) {
        let mut from = from.to_vec();
        for _ in 0..self.options.release_batch_max {
            let Some(key) = self.context.scan(&from).next().map(|(key, _)| key.to_vec()).filter(|k| is_waiting_key(k))
            else {
                return;
            };
            from = self.release_one(&key);
        }
        // The others have their turn at once, in steps of their own.
        let now_ms = self.context.now_ms();
        self.context.set_timer(&[FROM, &from].concat(), now_ms);
    }

    /// Where to go on.
    fn release_one(&mut self, key: &[u8]) -> Vec<u8> {
        let behind = [key, b"\0"].concat();
        let Some(waiting) = Waiting::parse(key) else { return behind };
        if waiting.revision.is_none() && self.context.globals().dispatch_paused() {
            return BEHIND_PAUSE.to_vec();
        }
        // What cannot be read by this release waits on, for one that can.
        let Ok(known) = self.load(&waiting.id) else { return behind };
        let Some(Known::Live(execution)) = &known else { return behind };
        // Nobody who waits for the same revision has to be asked.
        if let Some(revision) = &waiting.revision
            && self.has_not_come(execution)
        {
            return next_revision(revision);
        }
        self.decide(|owner| owner.release(known));
        behind
    }

    fn has_not_come(&self, execution: &Execution) -> bool {
        let subject = &execution.core().subject;
        execution.status() == Status::Delayed
            && matches!(self.context.globals().resolve(&subject.revision, &subject.action), Resolution::NotYet)
    }
}
