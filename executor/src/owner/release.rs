//! What waits for a revision, a switch or the end of a pause is asked again when the globals change, a bounded number at a
//! time.
//!
//! Once one of them has killed the owner, each gets a timer of its own, until that one is found: its timer is moved
//! back, and the others go on.

use petrel_execution::owner::{WAITING, Waiting, is_waiting_key, next_revision, next_switch};
use petrel_execution::{Execution, Known};

use super::turn::Turn;
use crate::view::{ExecutorView, Resolution};

/// Prefix of the timer keys that say where a release goes on.
const FROM: &[u8] = b"waiting/from/";
/// Prefix of the timer keys that release one that waits, whose key follows.
const ONE: &[u8] = b"waiting/one/";
/// The first key behind those that wait for the end of a pause.
const BEHIND_PAUSE: &[u8] = b"waiting/pause0";

/// What a timer releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release<'k> {
    /// What waits from this key on.
    From(&'k [u8]),
    /// What waits at this key.
    One(&'k [u8]),
}

impl<'k> Release<'k> {
    /// What the timer of that key releases, if anything.
    pub(super) fn of_timer(key: &'k [u8]) -> Option<Self> {
        key.strip_prefix(FROM).map(Self::From).or_else(|| key.strip_prefix(ONE).map(Self::One))
    }
}

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// Everything that waits.
    pub(super) fn release_all(&mut self) {
        self.release_from(WAITING);
    }

    pub(super) fn release(&mut self, what: Release<'_>) {
        match what {
            Release::From(from) => self.release_from(from),
            Release::One(key) if self.context.get(key).is_some() => drop(self.release_one(key)),
            // It was released meanwhile, or canceled.
            Release::One(_) => {}
        }
    }

    /// From the first that is not below a key.
    fn release_from(&mut self, from: &[u8]) {
        if self.context.is_careful() {
            return self.release_apart(from);
        }
        let mut from = from.to_vec();
        for _ in 0..self.options.release_batch_max {
            let Some(key) = self.next_waiting(&from) else { return };
            from = self.release_one(&key);
        }
        // The others have their turn at once, in steps of their own.
        self.at_once(FROM, &from);
    }

    /// The first of them by a timer of its own, and the others by another: neither this step nor that of the others
    /// does anything with the first.
    fn release_apart(&mut self, from: &[u8]) {
        let Some(key) = self.next_waiting(from) else { return };
        self.at_once(ONE, &key);
        self.at_once(FROM, &behind(&key));
    }

    fn next_waiting(&self, from: &[u8]) -> Option<Vec<u8>> {
        self.context.scan(from).next().map(|(key, _)| key.to_vec()).filter(|key| is_waiting_key(key))
    }

    fn at_once(&mut self, prefix: &[u8], key: &[u8]) {
        let now_ms = self.context.now_ms();
        self.context.set_timer(&[prefix, key].concat(), now_ms);
    }

    /// Where to go on.
    fn release_one(&mut self, key: &[u8]) -> Vec<u8> {
        let behind = behind(key);
        let Some(waiting) = Waiting::parse(key) else { return behind };
        if let Some(switch) = &waiting.switch {
            let now_ms = self.context.now_ms();
            // One that drops what comes drops what has waited for it, too.
            if let Some(off) = self.context.globals().switched_off(switch, now_ms).filter(|off| !off.drops) {
                return self.leave_off(switch, off.until_ms);
            }
        } else if waiting.revision.is_none() && self.context.globals().dispatch_paused() {
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

    /// Nobody who waits for the same switch has to be asked before it is on, by hand or because its time has come: what
    /// waits may have come before anybody said how long.
    fn leave_off(&mut self, switch: &str, until_ms: Option<i64>) -> Vec<u8> {
        let (first, behind) = next_switch(switch);
        if let Some(until_ms) = until_ms {
            self.context.set_timer(&[FROM, &first].concat(), until_ms);
        }
        behind
    }

    fn has_not_come(&self, execution: &Execution) -> bool {
        let subject = &execution.core().subject;
        execution.waits_for().is_some()
            && matches!(self.context.globals().resolve(&subject.revision, &subject.action), Resolution::NotYet)
    }
}

/// The first key behind a key.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, b"\0"].concat()
}
