//! The catalog's log as a state machine: records of `petrel.catalog` in, revisions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_schemas::{CatalogBlob, CatalogHead, CatalogRevision, DecodeError, Stored, TriggerBinding, decode};

use crate::limits::COMPILED_REVISIONS_MAX;
use crate::problems::{At, Code, Problems};
use crate::revision::{CompiledRevision, Revision};

/// Key of the record that names the revision in force.
pub const HEAD_KEY: &str = "head";

/// Key of a blob's record.
pub fn blob_key(hash: &str) -> String {
    format!("blob/{hash}")
}

/// Key of a revision's record.
pub fn revision_key(hash: &str) -> String {
    format!("revision/{hash}")
}

/// Key of a binding's record.
pub fn binding_key(trigger: &str) -> String {
    format!("binding/{trigger}")
}

/// What a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A blob came or went; nothing to do until a head names it.
    Blob,
    /// A revision came or went: what waited for it may try again.
    Revision,
    /// Another revision, or none, is in force: swap between two batches.
    Head,
    /// A binding came or went.
    Binding,
}

/// Why a record of the catalog's log cannot be used. The state is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A key of no known kind, as a newer release may write.
    #[error("unknown key {key:?} in the catalog's log")]
    Key {
        /// The key.
        key: String,
    },
    /// The value is no record of the kind that the key says.
    #[error("record {key:?} in the catalog's log")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with the value.
        source: DecodeError,
    },
}

/// Why a revision cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not in the log as far as it was read: wait for it.
    #[error("revision {revision} is not known here yet")]
    Unknown {
        /// Its hash.
        revision: String,
    },
    /// The revision is there and one of its blobs is not: wait for it.
    #[error("revision {revision} lacks its blob {blob} here")]
    BlobMissing {
        /// Hash of the revision.
        revision: String,
        /// Hash of the blob.
        blob: String,
    },
    /// It was removed from the log: it will not come back by waiting.
    #[error("revision {revision} was removed, being older than the last catalog_revisions_max revisions")]
    Removed {
        /// Its hash.
        revision: String,
    },
    /// This release cannot compile it.
    #[error("revision {revision} does not compile in this release: {problems}")]
    Broken {
        /// Its hash.
        revision: String,
        /// Why.
        problems: Problems,
    },
}

impl ResolveError {
    /// Whether waiting may help: for more of the log, or, where revisions of a newer release are met
    /// during an upgrade, for the process that takes this one's place. Nothing that names such a revision
    /// may be dropped.
    pub fn may_appear(&self) -> bool {
        !matches!(self, Self::Removed { .. })
    }
}

type Compiled = Result<Arc<CompiledRevision>, Problems>;

/// The catalog as its log tells it. Compiled revisions are kept, so that resolving one again is cheap.
#[derive(Debug, Default)]
pub struct CatalogState {
    blobs: BTreeMap<String, Arc<CatalogBlob>>,
    revisions: BTreeMap<String, CatalogRevision>,
    removed: BTreeSet<String>,
    head: Option<CatalogHead>,
    bindings: BTreeMap<String, TriggerBinding>,
    /// Latest used last.
    compiled: Mutex<Vec<(String, Compiled)>>,
}

impl CatalogState {
    /// The state before the log's first record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one record in; no value is a tombstone.
    ///
    /// # Errors
    /// [`ApplyError`]; the state does not change then.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>) -> Result<Change, ApplyError> {
        if key == HEAD_KEY {
            self.head = read(key, value)?;
            return Ok(Change::Head);
        }
        let (kind, name) = key.split_once('/').ok_or_else(|| ApplyError::Key { key: key.to_owned() })?;
        match kind {
            "blob" => {
                put(&mut self.blobs, name, read(key, value)?.map(Arc::new));
                Ok(Change::Blob)
            }
            "revision" => {
                let revision: Option<CatalogRevision> = read(key, value)?;
                self.note_removal(name, revision.is_none());
                put(&mut self.revisions, name, revision);
                Ok(Change::Revision)
            }
            "binding" => {
                put(&mut self.bindings, name, read(key, value)?);
                Ok(Change::Binding)
            }
            _ => Err(ApplyError::Key { key: key.to_owned() }),
        }
    }

    fn note_removal(&mut self, revision: &str, removed: bool) {
        if !removed {
            self.removed.remove(revision);
        } else if self.revisions.contains_key(revision) {
            self.removed.insert(revision.to_owned());
        }
    }

    /// The revision in force.
    pub fn head(&self) -> Option<&CatalogHead> {
        self.head.as_ref()
    }

    /// Records of all revisions, by hash.
    pub fn revisions(&self) -> &BTreeMap<String, CatalogRevision> {
        &self.revisions
    }

    /// Hashes of all blobs.
    pub fn blob_hashes(&self) -> impl Iterator<Item = &str> {
        self.blobs.keys().map(String::as_str)
    }

    /// Bindings of the bound triggers in force, by reference of the trigger.
    pub fn bindings(&self) -> &BTreeMap<String, TriggerBinding> {
        &self.bindings
    }

    /// A revision, compiled.
    ///
    /// # Errors
    /// [`ResolveError`]; see [`ResolveError::may_appear`] for whether to wait.
    pub fn revision(&self, hash: &str) -> Result<Arc<CompiledRevision>, ResolveError> {
        let blobs = self.blobs_of(hash)?;
        let compiled = self.kept(hash).unwrap_or_else(|| {
            let before = self.newest();
            let compiled =
                CompiledRevision::from_blobs(before.as_deref(), &blobs).and_then(|compiled| checked(compiled, hash));
            self.keep(hash, compiled.clone());
            compiled
        });
        compiled.map_err(|problems| ResolveError::Broken { revision: hash.to_owned(), problems })
    }

    /// The revision in force, compiled; nothing before the first apply.
    ///
    /// # Errors
    /// As [`Self::revision`].
    pub fn head_revision(&self) -> Result<Option<Arc<CompiledRevision>>, ResolveError> {
        self.head.as_ref().map(|head| self.revision(&head.revision)).transpose()
    }

    /// A revision with its blobs, to be applied again or to be the base of another one.
    ///
    /// # Errors
    /// As [`Self::revision`].
    pub fn stored_revision(&self, hash: &str) -> Result<Revision, ResolveError> {
        let compiled = self.revision(hash)?;
        Ok(Revision::stored(compiled, &self.blobs_of(hash)?))
    }

    /// The blobs of a revision, in its order, with their hashes.
    pub(crate) fn blobs_of(&self, hash: &str) -> Result<Vec<(String, Arc<CatalogBlob>)>, ResolveError> {
        let revision = || hash.to_owned();
        let Some(record) = self.revisions.get(hash) else {
            let removed = self.removed.contains(hash);
            return Err(match removed {
                true => ResolveError::Removed { revision: revision() },
                false => ResolveError::Unknown { revision: revision() },
            });
        };
        let find = |blob: &String| match self.blobs.get(blob) {
            Some(found) => Ok((blob.clone(), found.clone())),
            None => Err(ResolveError::BlobMissing { revision: revision(), blob: blob.clone() }),
        };
        record.blobs.iter().map(find).collect()
    }

    fn kept(&self, hash: &str) -> Option<Compiled> {
        let mut kept = self.lock();
        let index = kept.iter().position(|(name, _)| name == hash)?;
        let entry = kept.remove(index);
        let compiled = entry.1.clone();
        kept.push(entry);
        Some(compiled)
    }

    /// The compiled revision that was asked for last.
    fn newest(&self) -> Option<Arc<CompiledRevision>> {
        self.lock().iter().rev().find_map(|(_, compiled)| compiled.clone().ok())
    }

    fn keep(&self, hash: &str, compiled: Compiled) {
        let mut kept = self.lock();
        kept.retain(|(name, _)| name != hash);
        kept.push((hash.to_owned(), compiled));
        if kept.len() > COMPILED_REVISIONS_MAX {
            kept.drain(..1);
        }
    }

    /// The list is whole at every moment, also if a holder of the lock panicked.
    fn lock(&self) -> MutexGuard<'_, Vec<(String, Compiled)>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A revision is its hash: anything else under that name must not decide.
fn checked(compiled: CompiledRevision, hash: &str) -> Compiled {
    if compiled.hash() == hash {
        return Ok(Arc::new(compiled));
    }
    let mut problems = Problems::new();
    let message = format!("the packs of revision {hash} have the hash {}", compiled.hash());
    problems.add_at(&revision_key(hash), At::START, Code::BadValue, message);
    Err(problems)
}

fn read<T: Stored>(key: &str, value: Option<&[u8]>) -> Result<Option<T>, ApplyError> {
    value.map(decode).transpose().map_err(|source| ApplyError::Value { key: key.to_owned(), source })
}

fn put<T>(map: &mut BTreeMap<String, T>, name: &str, value: Option<T>) {
    match value {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    };
}

#[cfg(test)]
mod tests;
