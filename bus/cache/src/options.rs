//! Settings of a cache.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Smallest [`CacheOptions::memory_bytes_max`].
pub(crate) const MEMORY_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// Where a cache is, whose it is, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// The directory, made if it is not there. One process uses it at a time, and nothing else is in it.
    pub dir: PathBuf,
    /// Identifies the log that holds the changelogs. What is there of another one is thrown away.
    pub cluster_id: String,
    /// What tells a changelog from an earlier one of the same name, where the log can tell.
    pub incarnations: BTreeMap<Arc<str>, String>,
    /// How long ago a partition's cache may have been known to be whole, in milliseconds, to be used. At
    /// most half of the time for which changelogs keep tombstones.
    pub age_ms_max: i64,
    /// Memory for what is hot and what is being written, in bytes. A cache that was made with another
    /// value is thrown away.
    pub memory_bytes_max: u64,
    /// How long a write may wait for others to reach the disk, in milliseconds, before the cache counts
    /// as broken.
    pub stall_ms_max: u64,
}

impl CacheOptions {
    /// The defaults, in that directory, for the changelogs of that log.
    pub fn new(dir: impl Into<PathBuf>, cluster_id: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            cluster_id: cluster_id.into(),
            incarnations: BTreeMap::new(),
            age_ms_max: 12 * 3_600_000,
            memory_bytes_max: 64 * 1024 * 1024,
            stall_ms_max: 30_000,
        }
    }

    /// Memory for blocks that were read.
    pub(crate) fn blocks_bytes(&self) -> u64 {
        self.memory_bytes_max.max(MEMORY_BYTES_MIN) / 2
    }

    /// Memory for one table of what was written; up to four of them wait for the disk.
    pub(crate) fn memtable_bytes(&self) -> u64 {
        self.memory_bytes_max.max(MEMORY_BYTES_MIN) / 8
    }
}
