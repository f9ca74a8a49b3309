//! Actions of stored revisions, one at a time: owners and workers compile no rule and no other action.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::action::ActionDef;
use crate::compile::compile_action;
use crate::content::StoredPack;
use crate::limits::{ACTIONS_CACHED_MAX, LISTINGS_CACHED_MAX};
use crate::pack::{self, PackFile, PolicyDraft};
use crate::problems::Problems;

/// An action of a pack: none if the pack has no such action, or why this release cannot use it.
pub type Found = Result<Option<Arc<ActionDef>>, String>;

/// Resolves actions and keeps those that were asked for last. What a pack says of an action is the same in
/// every revision that has the pack, so revisions share it.
///
/// No lock is held while something is read or compiled: two threads that ask for the same action at the same
/// time may both do it, and neither waits.
#[derive(Debug)]
pub struct Actions {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// By hash of the pack and name of the action.
    actions: Recent<(Arc<str>, String), Found>,
    /// Of packs of which an action was read: their files, but for what only programs say.
    listings: Recent<Arc<str>, Listing>,
    /// Of the same packs: their policies, which stand in many files.
    policies: Recent<Arc<str>, Policies>,
    /// How many actions were compiled.
    compiled: u64,
}

type Listing = Result<Arc<[PackFile]>, String>;

type Policies = Result<Arc<[PolicyDraft]>, String>;

impl Actions {
    /// Nothing resolved yet.
    pub fn new() -> Self {
        let (actions, listings) = (Recent::new(ACTIONS_CACHED_MAX), Recent::new(LISTINGS_CACHED_MAX));
        let policies = Recent::new(LISTINGS_CACHED_MAX);
        Self { kept: Mutex::new(Kept { actions, listings, policies, compiled: 0 }) }
    }

    /// The action of a pack that is called `name`, without the pack's own. Reads and compiles that one action,
    /// unless it is at hand.
    ///
    /// # Errors
    /// What this release cannot read of it; another one may.
    pub fn resolve(&self, pack: &StoredPack, name: &str) -> Found {
        let key = (pack.hash().clone(), name.to_owned());
        if let Some(found) = self.lock().actions.get(&key) {
            return found.clone();
        }
        let found = self.listing(pack).and_then(|files| {
            let policies = self.policies(pack, &files)?;
            compile_one(pack, &files, &policies, name)
        });
        let mut kept = self.lock();
        kept.compiled += 1;
        kept.actions.put(key, found.clone());
        found
    }

    /// How many actions were compiled since the process began.
    pub fn compiled(&self) -> u64 {
        self.lock().compiled
    }

    fn listing(&self, pack: &StoredPack) -> Listing {
        if let Some(listing) = self.lock().listings.get(pack.hash()) {
            return listing.clone();
        }
        let listing = pack.files().map(|files| files.into_iter().map(without_program).collect());
        let listing = listing.map_err(|e| e.to_string());
        self.lock().listings.put(pack.hash().clone(), listing.clone());
        listing
    }

    fn policies(&self, pack: &StoredPack, files: &[PackFile]) -> Policies {
        if let Some(policies) = self.lock().policies.get(pack.hash()) {
            return policies.clone();
        }
        let mut problems = Problems::new();
        let policies = pack::read_policies(pack.name(), files.to_vec(), &mut problems);
        let policies = problems.or(policies.into()).map_err(|problems| problems.to_string());
        self.lock().policies.put(pack.hash().clone(), policies.clone());
        policies
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // It is whole at every moment, also if a holder of the lock panicked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

fn compile_one(pack: &StoredPack, files: &[PackFile], policies: &[PolicyDraft], name: &str) -> Found {
    let mut problems = Problems::new();
    let draft = pack::read_action(pack.name(), files, name, &mut problems);
    let action = draft.and_then(|draft| compile_action(pack.name(), draft, policies, &mut problems)).map(Arc::new);
    problems.or(action).map_err(|problems| problems.to_string())
}

/// Of a program an action needs to know only that it is there, and what runs it.
fn without_program(file: PackFile) -> PackFile {
    let bytes = if file.path.ends_with(".yaml") { file.bytes } else { file.interpreter_line().to_vec() };
    PackFile { bytes, ..file }
}

/// The entries that were used last, at most so many: when the younger half is full, the older one goes.
#[derive(Debug)]
struct Recent<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: std::hash::Hash + Eq + Clone, V: Clone> Recent<K, V> {
    fn new(entries_max: usize) -> Self {
        Self { half: (entries_max / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.put(key.clone(), value);
        }
        self.young.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests;
