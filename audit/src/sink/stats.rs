//! What the sink counts, read by whoever exports metrics and tells the health.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use petrel_bus::{BlockedPartition, TURN_MS_MAX, TopicPartition};

/// Counters of one sink thread. Counts are totals since the thread began.
#[derive(Debug, Default)]
pub struct SinkStats {
    /// Records that were read.
    pub records: AtomicU64,
    /// Rows that were written.
    pub rows: AtomicU64,
    /// Batches that were written.
    pub batches: AtomicU64,
    /// Batches of an earlier member that were written again.
    pub replays: AtomicU64,
    /// Sessions that had to be built anew.
    pub rebuilds: AtomicU64,
    /// Inserts and counts that failed.
    pub failures: AtomicU64,
    /// Inserts after which rows were missing; each was written again under another token.
    pub missing: AtomicU64,
    /// Rows found written twice; queries do not see them.
    pub duplicates: AtomicU64,
    /// Records not fetched yet, as far as known; -1 while unknown.
    pub lag: AtomicI64,
    /// Partitions assigned now.
    pub assigned: AtomicU64,
    /// Since when ClickHouse does not take rows, in milliseconds since the epoch; 0 while it does.
    pub down_since_ms: AtomicI64,
    /// When its thread began its latest turn, or in it its latest request to ClickHouse, in milliseconds since the
    /// epoch; 0 before the first.
    pub turn_began_ms: AtomicI64,
    problems: Mutex<Problems>,
}

#[derive(Debug, Default)]
struct Problems {
    session: Option<String>,
    clickhouse: Option<String>,
    missing: BTreeMap<Arc<str>, String>,
    halted: BTreeMap<TopicPartition, String>,
    blocked: Vec<BlockedPartition>,
}

impl SinkStats {
    /// Everything that keeps rows from being written, for people; empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let problems = self.lock();
        let halted = problems.halted.iter().map(|(at, why)| format!("{}/{}: {why}", at.topic, at.partition));
        let missing = problems.missing.iter().map(|(topic, why)| format!("{topic}: {why}"));
        problems.session.iter().chain(&problems.clickhouse).cloned().chain(missing).chain(halted).collect()
    }

    /// For how long its thread has waited in one turn, in milliseconds, if that is longer than [`TURN_MS_MAX`]: a call
    /// hangs, and nothing else would tell. Turns in which many requests are answered are long, and no such.
    pub fn hangs_ms(&self, now_ms: i64) -> Option<i64> {
        let began_ms = self.turn_began_ms.load(Ordering::Relaxed);
        let took_ms = now_ms.saturating_sub(began_ms);
        (began_ms > 0 && took_ms > TURN_MS_MAX).then_some(took_ms)
    }

    pub(super) fn turn_began(&self, now_ms: i64) {
        self.turn_began_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The partitions that wait for a release that can read their next record; the others go on.
    pub fn blocked(&self) -> Vec<BlockedPartition> {
        self.lock().blocked.clone()
    }

    pub(super) fn set_blocked(&self, blocked: Vec<BlockedPartition>) {
        self.lock().blocked = blocked;
    }

    pub(super) fn session_problem(&self, problem: Option<String>) {
        let mut problems = self.lock();
        problems.session = problem;
        problems.halted.clear();
        problems.missing.clear();
    }

    pub(super) fn halted(&self, at: TopicPartition, why: String) {
        self.lock().halted.insert(at, why);
    }

    /// These are read again, or looked at anew, or somebody else's.
    pub(super) fn forget_halted(&self, partitions: &[TopicPartition]) {
        self.lock().halted.retain(|at, _| !partitions.contains(at));
    }

    pub(super) fn missing(&self, topic: Arc<str>, why: String) {
        self.lock().missing.insert(topic, why);
    }

    /// Whether no topic is known to be missing.
    pub(super) fn has_all_topics(&self) -> bool {
        self.lock().missing.is_empty()
    }

    /// These are there, and may be read.
    pub(super) fn forget_missing(&self, is_there: impl Fn(&Arc<str>) -> bool) {
        self.lock().missing.retain(|topic, _| !is_there(topic));
    }

    pub(super) fn down(&self, now_ms: i64, problem: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        // Keeps the first instant of a longer outage.
        let _ = self.down_since_ms.compare_exchange(0, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        self.lock().clickhouse = Some(problem);
    }

    pub(super) fn up(&self) {
        self.down_since_ms.store(0, Ordering::Relaxed);
        self.lock().clickhouse = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Problems> {
        // The guarded values are replaced whole, so a panic elsewhere cannot leave them half done.
        self.problems.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
