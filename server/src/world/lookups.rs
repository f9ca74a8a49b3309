//! Revisions that somebody names and the catalog does not hold: not there yet, or not there any more?
//!
//! Whoever asks gets its answer once the log has been read to the end that it had then: a revision is published
//! before anything can name it, so one that is missing there was removed, or never was.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most revisions that are looked for or known to be gone; one more has to be asked for again.
const LOOKUPS_MAX: usize = 1_024;

/// The revisions that were asked for.
#[derive(Debug, Default)]
pub(super) struct Lookups(Mutex<BTreeMap<String, Stage>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The end of the log is to be noted.
    Asked,
    /// The log is read to the end that it had when this began.
    Reading,
    /// It was read, and there was no such revision.
    Gone,
}

impl Lookups {
    /// Whether the log is known not to hold the revision; else it will be.
    pub fn is_gone(&self, revision: &str) -> bool {
        let mut lookups = self.lock();
        if let Some(stage) = lookups.get(revision) {
            return *stage == Stage::Gone;
        }
        if lookups.len() >= LOOKUPS_MAX {
            lookups.retain(|_, stage| *stage != Stage::Gone);
        }
        if lookups.len() < LOOKUPS_MAX {
            lookups.insert(revision.to_owned(), Stage::Asked);
        }
        false
    }

    /// Whether something was asked for since the last call, or since [`Self::put_off`]. The end of the log has
    /// to be noted after this.
    pub fn begin(&self) -> bool {
        self.turn(Stage::Asked, Stage::Reading)
    }

    /// The end of the log could not be noted.
    pub fn put_off(&self) {
        self.turn(Stage::Reading, Stage::Asked);
    }

    /// The log was read to the end that was noted; whether something is gone that nobody knew to be.
    pub fn end(&self, is_there: impl Fn(&str) -> bool) -> bool {
        self.lock().retain(|revision, stage| *stage != Stage::Reading || !is_there(revision));
        self.turn(Stage::Reading, Stage::Gone)
    }

    /// The revision has come, again perhaps.
    pub fn arrived(&self, revision: &str) {
        self.lock().remove(revision);
    }

    fn turn(&self, from: Stage, to: Stage) -> bool {
        let mut any = false;
        for stage in self.lock().values_mut().filter(|stage| **stage == from) {
            (*stage, any) = (to, true);
        }
        any
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stage>> {
        // Every entry is whole at every moment, also if a holder of the lock panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_gone_once_the_log_was_read_to_the_end_that_it_had_when_somebody_asked() {
        let lookups = Lookups::default();
        assert!(!lookups.begin(), "nobody asked");
        assert!(!lookups.is_gone("a"));
        assert!(lookups.begin());
        // Asked for after the end was noted: this round says nothing about it.
        assert!(!lookups.is_gone("b"));
        assert!(lookups.end(|_| false));
        assert!(lookups.is_gone("a") && !lookups.is_gone("b"));
        assert!(lookups.begin());
        lookups.put_off();
        assert!(!lookups.end(|_| false), "the end was not noted");
        assert!(lookups.begin());
        assert!(!lookups.end(|revision| revision == "b"), "it came");
        assert!(!lookups.is_gone("b"), "and went: it is looked for again");
        lookups.arrived("a");
        assert!(!lookups.is_gone("a"));
    }

    #[test]
    fn no_more_are_remembered_than_the_limit() {
        let lookups = Lookups::default();
        let name = |n: usize| n.to_string();
        (0..LOOKUPS_MAX + 5).for_each(|n| assert!(!lookups.is_gone(&name(n))));
        assert!(lookups.begin() && lookups.end(|_| false));
        assert!(lookups.is_gone(&name(0)) && lookups.is_gone(&name(LOOKUPS_MAX - 1)));
        assert!(!lookups.is_gone(&name(LOOKUPS_MAX)), "those that are gone make room");
        assert!(lookups.begin() && lookups.end(|_| false));
        assert!(lookups.is_gone(&name(LOOKUPS_MAX)));
        assert_eq!(lookups.lock().len(), 1);
    }
}
