//! How far restores are, for whoever watches a process that is not ready yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::session::TopicPartition;

/// A partition of a changelog that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoring {
    /// The partition.
    pub at: TopicPartition,
    /// Offset of the next record to be read.
    pub position: i64,
    /// Offset at which the restore ends.
    pub end: i64,
}

/// How far the restores of one stage thread are; the session writes, anybody reads.
#[derive(Debug, Default)]
pub struct RestoreProgress(Mutex<BTreeMap<TopicPartition, (i64, i64)>>);

impl RestoreProgress {
    /// The partition is read up to `position`, of `end`.
    pub fn reached(&self, at: &TopicPartition, position: i64, end: i64) {
        self.lock().insert(at.clone(), (position, end));
    }

    /// Nothing is being restored any more.
    pub fn done(&self) {
        self.lock().clear();
    }

    /// What is being restored now, in order.
    pub fn now(&self) -> Vec<Restoring> {
        let one = |(at, (position, end)): (&TopicPartition, &(i64, i64))| Restoring {
            at: at.clone(),
            position: *position,
            end: *end,
        };
        self.lock().iter().map(one).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, (i64, i64)>> {
        // Entries are replaced whole, so a panic elsewhere cannot leave one half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
