//! What a driver counts, read by whoever exports metrics.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::restores::RestoreProgress;
use crate::session::TopicPartition;
use crate::store::DueTimer;

/// Upper bounds of the commit-time histogram's buckets, in milliseconds; one more bucket has none.
pub(crate) const COMMIT_BUCKETS_MS: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 500, 2000];

/// Longest turn of a stage that is well, in milliseconds. The longest thing in it that is waited for is a commit to
/// Kafka, for a minute, unless its client hangs; a restore, which may take longer, is told by itself.
pub const TURN_MS_MAX: i64 = 90_000;

/// Most timers that were moved back of which a stage tells, and of which a partition takes note.
pub const DELAYED_TIMERS_MAX: usize = 100;

/// Counters of one stage thread. All are totals since the thread began.
#[derive(Debug, Default)]
pub struct StageStats {
    /// Records taken by committed or uncommitted steps.
    pub records: AtomicU64,
    /// Outputs and changelog records handed to the bus.
    pub outputs: AtomicU64,
    /// Changelog records read by restores.
    pub restored: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Aborted transactions.
    pub aborts: AtomicU64,
    /// Sessions that had to be built anew.
    pub rebuilds: AtomicU64,
    /// Panics of the stage.
    pub panics: AtomicU64,
    /// Timers that killed the stage and were moved back.
    pub timers_moved_back: AtomicU64,
    /// Microseconds spent in commits.
    pub commit_us: AtomicU64,
    commit_buckets: [AtomicU64; COMMIT_BUCKETS_MS.len() + 1],
    /// Records not fetched yet, as far as known; -1 while unknown.
    pub lag: AtomicI64,
    /// Partitions assigned now.
    pub assigned: AtomicU64,
    /// Version of the globals that the next step will see.
    pub globals_version: AtomicU64,
    /// Whether a session is up and its partitions are restored.
    pub ready: AtomicBool,
    /// When its thread began its latest turn, in milliseconds since the epoch; 0 before the first.
    pub turn_began_ms: AtomicI64,
    /// How far restores are; empty while there are none.
    pub restores: Arc<RestoreProgress>,
    problems: Mutex<Problems>,
}

/// What keeps partitions, or the whole stage, from going on.
#[derive(Debug, Default, Clone)]
struct Problems {
    session: Option<String>,
    missing: Vec<(Arc<str>, String)>,
    halted: Vec<(String, String)>,
    blocked: Vec<BlockedPartition>,
    delayed: Vec<(u32, DueTimer)>,
}

/// A topic's partition whose next record the stage cannot take yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedPartition {
    /// The partition.
    pub at: TopicPartition,
    /// Offset of the record.
    pub offset: i64,
    /// Why, for people.
    pub reason: String,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
}

/// A timer that killed the stage and has been moved back: what it would do waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedTimer {
    /// Number of the partition.
    pub partition: u32,
    /// Its key, what is no printable text escaped.
    pub key: String,
    /// When it comes again, in milliseconds since the epoch.
    pub due_ms: i64,
}

/// Most of a timer's key that people are shown, in bytes.
const KEY_SHOWN_BYTES_MAX: usize = 256;

/// A timer's key, for people.
pub(crate) fn shown(key: &[u8]) -> String {
    let mut shown = key.escape_ascii().to_string();
    shown.truncate(KEY_SHOWN_BYTES_MAX);
    shown
}

impl StageStats {
    /// (upper bound in milliseconds, commits not slower than that), cumulative; the last has no bound.
    pub fn commit_histogram(&self) -> Vec<(Option<u64>, u64)> {
        let mut total = 0;
        let bounds = COMMIT_BUCKETS_MS.iter().copied().map(Some).chain([None]);
        bounds
            .zip(&self.commit_buckets)
            .map(|(bound, count)| {
                total += count.load(Ordering::Relaxed);
                (bound, total)
            })
            .collect()
    }

    /// Everything that keeps this stage from going on, for people; empty when all is well. A blocked
    /// partition (back-pressure) is not among them.
    pub fn problems(&self) -> Vec<String> {
        let problems = self.lock().clone();
        let halted = problems.halted.into_iter().map(|(at, why)| format!("{at}: {why}"));
        let missing = problems.missing.into_iter().map(|(topic, why)| format!("{topic}: {why}"));
        problems.session.into_iter().chain(missing).chain(halted).collect()
    }

    /// For how long its thread has been in one turn, in milliseconds, if that is longer than [`TURN_MS_MAX`]: a call
    /// hangs, and nothing else would tell.
    pub fn hangs_ms(&self, now_ms: i64) -> Option<i64> {
        let began_ms = self.turn_began_ms.load(Ordering::Relaxed);
        let took_ms = now_ms.saturating_sub(began_ms);
        (began_ms > 0 && took_ms > TURN_MS_MAX).then_some(took_ms)
    }

    /// The partitions that are blocked now.
    pub fn blocked(&self) -> Vec<BlockedPartition> {
        self.lock().blocked.clone()
    }

    /// The first of the timers that were moved back and have not come again, at most [`DELAYED_TIMERS_MAX`]. What goes
    /// wrong with each is its own: the stage is well.
    pub fn delayed_timers(&self) -> Vec<DelayedTimer> {
        let one = |(partition, timer): &(u32, DueTimer)| DelayedTimer {
            partition: *partition,
            key: shown(&timer.key),
            due_ms: timer.due_ms,
        };
        self.lock().delayed.iter().map(one).collect()
    }

    /// Those of all partitions that this member has.
    pub(crate) fn set_delayed(&self, delayed: Vec<(u32, DueTimer)>) {
        self.lock().delayed = delayed;
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_us.fetch_add(us, Ordering::Relaxed);
        let bucket = COMMIT_BUCKETS_MS.iter().position(|ms| us <= ms * 1000).unwrap_or(COMMIT_BUCKETS_MS.len());
        self.commit_buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn session_problem(&self, problem: Option<String>) {
        self.lock().session = problem;
    }

    pub(crate) fn halted(&self, at: String, why: String) {
        let mut problems = self.lock();
        problems.halted.retain(|(known, _)| *known != at);
        problems.halted.push((at, why));
    }

    pub(crate) fn forget_halted(&self, no_longer: impl Fn(&str) -> bool) {
        self.lock().halted.retain(|(at, _)| !no_longer(at));
    }

    pub(crate) fn set_missing(&self, missing: Vec<(Arc<str>, String)>) {
        self.lock().missing = missing;
    }

    pub(crate) fn set_blocked(&self, blocked: Vec<BlockedPartition>) {
        self.lock().blocked = blocked;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Problems> {
        // The guarded values are replaced whole, so a panic elsewhere cannot leave them half done.
        self.problems.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
