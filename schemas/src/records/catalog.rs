//! Records: the catalog's log.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A pack's content, key `blob/<hash>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogBlob {
    /// Name of the pack.
    pub pack: String,
    /// Archive of the pack's files, as `petrel-catalog` writes it.
    #[serde(with = "apache_avro::serde_avro_bytes")]
    pub content: Vec<u8>,
}

stored!(CatalogBlob, "CatalogBlob");

/// A revision of the catalog, key `revision/<hash>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogRevision {
    /// Hash of the revision.
    pub revision: String,
    /// Hashes of its packs' blobs, sorted.
    pub blobs: Vec<String>,
    /// `name version` of its packs, sorted.
    pub packs: Vec<String>,
    /// When it was first published.
    pub created_at_ms: i64,
}

stored!(CatalogRevision, "CatalogRevision");

/// The revision in force, key `head`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogHead {
    /// Hash of the revision.
    pub revision: String,
    /// Revisions that were in force before and are kept, latest first, without repetition.
    pub history: Vec<String>,
    /// Until when each of `history` was in force: something may name it that was decided until then.
    pub history_until_ms: Vec<i64>,
    /// When it was applied.
    pub applied_at_ms: i64,
    /// Who applied it.
    pub applied_by: String,
}

stored!(CatalogHead, "CatalogHead");

/// Where a bound trigger begins to read, key `binding/<trigger>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerBinding {
    /// Reference of the trigger.
    pub trigger: String,
    /// Topic that it is bound to.
    pub topic: String,
    /// What the pack asked for: `activation`, `earliest`, `latest` or an RFC 3339 time.
    pub start: String,
    /// First offset that the trigger sees, by partition; partitions found later start at their beginning.
    pub offsets: Vec<i64>,
    /// When it was bound.
    pub bound_at_ms: i64,
}

stored!(TriggerBinding, "TriggerBinding");
