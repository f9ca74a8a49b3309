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

/// Why a record of the catalog's log cannot be used, as a newer release may write it. The state remembers that there
/// is one, and is as it was before else.
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
    /// The log has it, and this release cannot read it.
    #[error("{why}")]
    Unreadable {
        /// Which record, and why.
        why: String,
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
///
/// A record that cannot be read is neither taken for removed nor passed over: it stands in the way of whoever needs
/// it, until another one of its key comes.
#[derive(Debug, Clone, Default)]
pub struct CatalogState {
    blobs: BTreeMap<String, Arc<CatalogBlob>>,
    revisions: BTreeMap<String, CatalogRevision>,
    head: Option<CatalogHead>,
    bindings: Arc<BTreeMap<String, TriggerBinding>>,
    /// Keys whose latest record cannot be used.
    unreadable: BTreeMap<String, Unreadable>,
}

#[derive(Debug, Clone)]
struct Unreadable {
    why: String,
    /// Whether a newer release may have written it.
    is_newer: bool,
}

impl CatalogState {
    /// The state before the log's first record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one record in; no value is a tombstone.
    ///
    /// # Errors
    /// [`ApplyError`]; all that changes then is [`Self::problem`], or what [`Self::content`] answers.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>) -> Result<Change, ApplyError> {
        let change = self.fold(key, value);
        match &change {
            // The tombstone of a key that nobody knows leaves nothing to know.
            Err(ApplyError::Key { .. }) if value.is_none() => _ = self.unreadable.remove(key),
            Err(error) => _ = self.unreadable.insert(key.to_owned(), unreadable(error)),
            Ok(_) => _ = self.unreadable.remove(key),
        }
        change
    }

    fn fold(&mut self, key: &str, value: Option<&[u8]>) -> Result<Change, ApplyError> {
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

    /// Why nothing can be decided by this catalog, if so: the head, a binding or a record of an unknown kind cannot be
    /// read. A revision or a blob that cannot is in the way of whoever needs it alone.
    pub fn problem(&self) -> Option<&str> {
        let is_content = |key: &str| key.starts_with("blob/") || key.starts_with("revision/");
        let head = self.unreadable.get(HEAD_KEY);
        let other = || self.unreadable.iter().find(|(key, _)| !is_content(key)).map(|(_, unreadable)| unreadable);
        head.or_else(other).map(|unreadable| unreadable.why.as_str())
    }

    /// Why nothing may be applied by this release, if so: a newer one has written what this one would remove or
    /// replace unread.
    pub fn why_read_only(&self) -> Option<&str> {
        self.unreadable.values().find(|unreadable| unreadable.is_newer).map(|unreadable| unreadable.why.as_str())
    }

    /// Whether the head itself cannot be read: which revision is in force is not known.
    pub fn is_head_unreadable(&self) -> bool {
        self.unreadable.contains_key(HEAD_KEY)
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
        self.revisions.get(revision).ok_or_else(|| {
            let missing = Missing::Revision { revision: revision.to_owned() };
            self.why_unreadable(&revision_key(revision)).unwrap_or(missing)
        })
    }

    fn pack(&self, revision: &str, blob: &str) -> Result<StoredPack, Missing> {
        match self.blobs.get(blob) {
            Some(found) => Ok(StoredPack::new(blob, found.clone())),
            None => {
                let missing = Missing::Blob { revision: revision.to_owned(), blob: blob.to_owned() };
                Err(self.why_unreadable(&blob_key(blob)).unwrap_or(missing))
            }
        }
    }

    fn why_unreadable(&self, key: &str) -> Option<Missing> {
        self.unreadable.get(key).map(|unreadable| Missing::Unreadable { why: unreadable.why.clone() })
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

fn unreadable(error: &ApplyError) -> Unreadable {
    let (why, is_newer) = match error {
        ApplyError::Key { .. } => (format!("{error}; it may come from a newer release"), true),
        ApplyError::Value { source, .. } => (format!("{error}: {source}"), source.may_be_newer()),
        ApplyError::Hash { .. } => (error.to_string(), false),
    };
    Unreadable { why, is_newer }
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
