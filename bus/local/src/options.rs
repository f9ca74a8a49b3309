//! Settings of a local log.

use std::path::PathBuf;

/// When a commit reaches the disk. A killed process loses nothing acknowledged under any of them; a
/// power loss does under the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is acknowledged.
    Commit,
    /// At the latest that many milliseconds later.
    Interval(u64),
    /// When the operating system wants to.
    Never,
}

/// Where a local log is, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// The directory, made if it is not there. One process uses it at a time.
    pub dir: PathBuf,
    /// When a commit reaches the disk.
    pub fsync: Fsync,
    /// How long records of a topic stay that its first record created, in milliseconds; none for ever.
    pub retention_ms_default: Option<i64>,
    /// Partitions of a topic that its first record creates.
    pub topic_partitions_default: u32,
    /// Most topics.
    pub topics_max: usize,
    /// Largest record, key and value, in bytes.
    pub record_bytes_max: usize,
    /// Most bytes of records, with their framing. At it, records whose retention is over are removed at
    /// once; while that does not make room, writers are refused and nothing is lost. On the disk the log
    /// takes up to 256 MiB of journals more, and what removed records took until the store merges its
    /// tables.
    pub log_bytes_max: u64,
    /// With less free space on the disk, in bytes, nothing more is written until there is more again.
    pub disk_free_bytes_min: u64,
    /// Most bytes that may wait to be written before publishers are refused.
    pub queue_bytes_max: usize,
    /// Most calls that may wait to be written before publishers are refused.
    pub queue_calls_max: usize,
    /// Most bytes written as one batch.
    pub batch_bytes_max: usize,
    /// Time between two looks for records to remove, in milliseconds.
    pub retention_turn_ms: u64,
}

impl LocalOptions {
    /// The defaults, in that directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            fsync: Fsync::Commit,
            retention_ms_default: Some(7 * 24 * 3_600_000),
            topic_partitions_default: 4,
            topics_max: 1_000,
            record_bytes_max: 16 * 1024 * 1024,
            log_bytes_max: 64 << 30,
            disk_free_bytes_min: 128 * 1024 * 1024,
            queue_bytes_max: 64 * 1024 * 1024,
            queue_calls_max: 10_000,
            batch_bytes_max: 8 * 1024 * 1024,
            retention_turn_ms: 1_000,
        }
    }
}
