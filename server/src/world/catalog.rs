//! The catalog's log as this process has read it, and actions of any of its revisions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use petrel_bus::{Record, Tail};
use petrel_catalog::{Actions, CatalogState, Change, Missing};
use petrel_executor::{Resolution, resolve_in};
use tokio::sync::watch;

use super::lookups::Lookups;

/// Longest wait for the log to be read to its end.
const READ_MAX: Duration = Duration::from_secs(30);

/// What of the catalog all threads share. Its lock is held for moments: nothing is read of a pack or compiled
/// under it.
#[derive(Debug, Default)]
pub struct Catalog {
    state: RwLock<CatalogState>,
    actions: Actions,
    lookups: Lookups,
    rounds: Rounds,
}

/// Readings of the log to the end that it had when somebody asked, by number.
#[derive(Debug, Default)]
struct Rounds {
    asked: AtomicU64,
    /// The latest one that the end was noted for and not reached.
    reading: Mutex<Option<u64>>,
    done: watch::Sender<u64>,
}

impl Catalog {
    /// The log as far as it was read.
    pub fn state(&self) -> RwLockReadGuard<'_, CatalogState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds a record in; what it changed. One that cannot be used changes what it stands in the way of.
    pub(super) fn take(&self, record: &Record<'_>) -> Change {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.problem().map(str::to_owned);
        let change = state.apply(&key, record.value);
        let is_problem_new = state.problem() != before.as_deref();
        drop(state);
        if let Err(error) = &change {
            tracing::error!(
                error = error as &dyn std::error::Error,
                offset = record.offset,
                "catalog record cannot be used"
            );
        }
        let revision = key.strip_prefix("revision/");
        if let Some(revision) = revision.filter(|_| change.is_ok() && record.value.is_some()) {
            self.lookups.arrived(revision);
        }
        match change {
            _ if is_problem_new => Change::Head,
            Ok(change) => change,
            Err(_) if revision.is_some() => Change::Revision,
            Err(_) => Change::Blob,
        }
    }

    /// Resolves once the log was read to the end that it has now.
    ///
    /// # Errors
    /// If it was not within half a minute.
    pub async fn read_to_end(&self) -> Result<(), Duration> {
        let round = self.rounds.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.rounds.done.subscribe();
        let wait = done.wait_for(|done| *done >= round);
        // The sender lives as long as `self`.
        tokio::time::timeout(READ_MAX, wait).await.map(|_| ()).map_err(|_| READ_MAX)
    }

    /// Looks after what somebody waits for; whether a revision is gone that nobody knew to be. One thread calls
    /// this, the one that reads the log.
    pub(super) fn look(&self, tail: &mut dyn Tail) -> bool {
        let mut news = false;
        let mut reading = self.rounds.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(round) = *reading {
            if !tail.passed_mark() {
                return false;
            }
            *reading = None;
            news = self.lookups.end(|revision| self.state().content(revision).is_ok());
            self.rounds.done.send_replace(round);
        }
        let asked = self.rounds.asked.load(Ordering::SeqCst);
        if self.lookups.begin() | (asked > *self.rounds.done.borrow()) {
            match tail.mark() {
                Ok(()) => *reading = Some(asked),
                Err(error) => {
                    tracing::warn!(%error, "the end of the catalog's log is not known");
                    self.lookups.put_off();
                }
            }
        }
        news
    }

    /// An action (`pack.name`) of a revision. Compiles it if it is not at hand, on the caller's thread and under
    /// no lock.
    pub fn resolve(&self, revision: &str, action: &str) -> Resolution {
        let pack = action.split('.').next().unwrap_or_default();
        let found = self.state().pack_of(revision, pack);
        match found {
            Ok(Some(stored)) => resolve_in(&self.actions, &stored, action),
            Ok(None) => Resolution::NoSuchAction,
            // It is there, for a release that can read it.
            Err(why @ Missing::Unreadable { .. }) => Resolution::Broken(why.to_string()),
            Err(_) if self.lookups.is_gone(revision) => Resolution::Removed,
            Err(_) => Resolution::NotYet,
        }
    }
}
