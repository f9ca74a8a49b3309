//! Records: the key-value store.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A value of the key-value store, on `petrel.kv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KvEntry {
    /// The value, JSON text.
    pub value: String,
    /// When it was written.
    pub updated_at_ms: i64,
    /// Who wrote it.
    pub updated_by: String,
}

stored!(KvEntry, "KvEntry");
