//! The catalog's log as a state machine: records of `petrel.catalog` in, revisions out.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_schemas::{CatalogBlob, CatalogHead, CatalogRevision, DecodeError, Stored, TriggerBinding, decode};

use crate::content::{Content, StoredPack, revision_hash};

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
    /// The revision is another one than its key says.
    #[error("the packs of revision {revision} have the hash {found}")]
    Hash {
        /// The hash under which it is stored.
        revision: String,
        /// That of its packs.
        found: String,
    },
}

/// What a log lacks of a revision that something names, as far as it was read. More of the log may bring it;
/// who has read the log to its end and still misses it may take it as removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The revision.
    #[error("revision {revision} is not in the catalog's log")]
    Revision {
        /// Its hash.
        revision: String,
    },
    /// The revision is there and one of its blobs is not.
    #[error("revision {revision} lacks its blob {blob} in the catalog's log")]
    Blob {
        /// Hash of the revision.
        revision: String,
        /// Hash of the blob.
        blob: String,
    },
}

/// The catalog as its log tells it: content, of which nothing is read or compiled here.
#[derive(Debug, Default)]
pub struct CatalogState {
    blobs: BTreeMap<String, Arc<CatalogBlob>>,
    revisions: BTreeMap<String, CatalogRevision>,
    head: Option<CatalogHead>,
    bindings: Arc<BTreeMap<String, TriggerBinding>>,
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
                revision.iter().try_for_each(|revision| check_hash(name, revision))?;
                put(&mut self.revisions, name, revision);
                Ok(Change::Revision)
            }
            "binding" => {
                let binding = read(key, value)?;
                // Whoever looks at the bindings of a moment ago keeps them.
                put(Arc::make_mut(&mut self.bindings), name, binding);
                Ok(Change::Binding)
            }
            _ => Err(ApplyError::Key { key: key.to_owned() }),
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

    /// All blobs, by hash.
    pub fn blobs(&self) -> &BTreeMap<String, Arc<CatalogBlob>> {
        &self.blobs
    }

    /// Bindings of the bound triggers in force, by reference of the trigger.
    pub fn bindings(&self) -> &Arc<BTreeMap<String, TriggerBinding>> {
        &self.bindings
    }

    /// The content of a revision.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn content(&self, revision: &str) -> Result<Content, Missing> {
        let record = self.record(revision)?;
        let packs = record.blobs.iter().map(|blob| self.pack(revision, blob)).collect::<Result<Vec<_>, _>>()?;
        Ok(Content::of(packs))
    }

    /// The content of the revision in force; nothing before the first apply.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn head_content(&self) -> Result<Option<Content>, Missing> {
        self.head.as_ref().map(|head| self.content(&head.revision)).transpose()
    }

    /// A pack of a revision; none if the revision has no pack of that name.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn pack_of(&self, revision: &str, pack: &str) -> Result<Option<StoredPack>, Missing> {
        for blob in &self.record(revision)?.blobs {
            let stored = self.pack(revision, blob)?;
            if stored.name() == pack {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    fn record(&self, revision: &str) -> Result<&CatalogRevision, Missing> {
        self.revisions.get(revision).ok_or_else(|| Missing::Revision { revision: revision.to_owned() })
    }

    fn pack(&self, revision: &str, blob: &str) -> Result<StoredPack, Missing> {
        match self.blobs.get(blob) {
            Some(found) => Ok(StoredPack::new(blob, found.clone())),
            None => Err(Missing::Blob { revision: revision.to_owned(), blob: blob.to_owned() }),
        }
    }
}

/// A revision is its hash: anything else under that name must not decide.
fn check_hash(name: &str, revision: &CatalogRevision) -> Result<(), ApplyError> {
    let mut blobs: Vec<&str> = revision.blobs.iter().map(String::as_str).collect();
    blobs.sort_unstable();
    let found = revision_hash(blobs.into_iter());
    if found == name {
        return Ok(());
    }
    Err(ApplyError::Hash { revision: name.to_owned(), found })
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
