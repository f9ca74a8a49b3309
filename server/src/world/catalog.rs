//! The catalog's log as this process has read it, and actions of any of its revisions.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use petrel_bus::{Record, Tail};
use petrel_catalog::{Actions, CatalogState, Change};
use petrel_executor::{Resolution, resolve_in};

use super::lookups::Lookups;

/// What of the catalog all threads share. Its lock is held for moments: nothing is read of a pack or compiled
/// under it.
#[derive(Debug, Default)]
pub struct Catalog {
    state: RwLock<CatalogState>,
    actions: Actions,
    lookups: Lookups,
}

impl Catalog {
    /// The log as far as it was read.
    pub fn state(&self) -> RwLockReadGuard<'_, CatalogState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds a record in; what it changed.
    pub(super) fn take(&self, record: &Record<'_>) -> Option<Change> {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let change = self.state.write().unwrap_or_else(PoisonError::into_inner).apply(&key, record.value);
        match change {
            Ok(change) => {
                if let Some(revision) = key.strip_prefix("revision/").filter(|_| record.value.is_some()) {
                    self.lookups.arrived(revision);
                }
                Some(change)
            }
            Err(error) => {
                tracing::error!(%error, offset = record.offset, "catalog record cannot be used");
                None
            }
        }
    }

    /// Looks after what somebody waits for; whether there is an answer that nobody knew.
    pub(super) fn look(&self, tail: &mut dyn Tail) -> bool {
        if tail.passed_mark() && self.lookups.end(|revision| self.state().content(revision).is_ok()) {
            return true;
        }
        if self.lookups.begin()
            && let Err(error) = tail.mark()
        {
            tracing::warn!(%error, "the end of the catalog's log is not known");
            self.lookups.put_off();
        }
        false
    }

    /// An action (`pack.name`) of a revision. Compiles it if it is not at hand, on the caller's thread and under
    /// no lock.
    pub fn resolve(&self, revision: &str, action: &str) -> Resolution {
        let pack = action.split('.').next().unwrap_or_default();
        let found = self.state().pack_of(revision, pack);
        match found {
            Ok(Some(stored)) => resolve_in(&self.actions, &stored, action),
            Ok(None) => Resolution::NoSuchAction,
            Err(_) if self.lookups.is_gone(revision) => Resolution::Removed,
            Err(_) => Resolution::NotYet,
        }
    }
}
