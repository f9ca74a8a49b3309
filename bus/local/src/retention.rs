//! Removes what has been there for long enough, a piece at a time.
//!
//! The committer gives it a turn between two batches. A turn looks at several times as much as was
//! written since the last one, so that removal keeps up with any load, and while nothing is written
//! turn follows upon turn until the pass is done. Removals are not waited for: after a power loss old
//! records may be there again, to be removed again.
#![expect(clippy::disallowed_methods, reason = "paces the rounds of retention")]

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use petrel_bus::{Block, TopicPartition, TopicSpec};

use crate::options::LocalOptions;
use crate::state::Shared;
use crate::store::layout::Slot;
use crate::store::{Bounds, Chunk, Store};

/// Looks for tombstones within the shortest time that those of a topic stay.
const TOMBSTONE_LOOKS: u64 = 20;
/// How much more a turn looks at than was written since the last one.
const TURN_FACTOR: usize = 4;
/// What a turn looks at even if little was written.
const TURN_MIN: Work = Work { chunks: 256, bytes: 4 << 20 };
/// What a turn looks at however much was written: what a commit may have to wait for.
const TURN_MAX: Work = Work { chunks: 8192, bytes: 64 << 20 };
/// Pause between two forced passes that found too little.
const FORCE_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two forced looks for tombstones, which look at every key.
const FORCE_TOMBSTONES_PAUSE: Duration = Duration::from_secs(10);

/// Chunks and their bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Work {
    chunks: usize,
    bytes: usize,
}

impl Work {
    /// Counts a chunk; returns its bytes.
    pub(crate) fn add(&mut self, bytes: usize) -> u64 {
        self.extend(Self { chunks: 1, bytes });
        bytes as u64
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.chunks += more.chunks;
        self.bytes += more.bytes;
    }

    /// What a turn after that much writing looks at.
    fn budget(self) -> Self {
        let times = |written: usize, min: usize, max: usize| written.saturating_mul(TURN_FACTOR).clamp(min, max);
        Self {
            chunks: times(self.chunks, TURN_MIN.chunks, TURN_MAX.chunks),
            bytes: times(self.bytes, TURN_MIN.bytes, TURN_MAX.bytes),
        }
    }

    fn exceeds(self, budget: Self) -> bool {
        self.chunks >= budget.chunks || self.bytes >= budget.bytes
    }
}

/// Where the removal stands.
#[derive(Debug)]
pub(crate) struct Retention {
    every: Duration,
    begun: Instant,
    forced: Option<Instant>,
    /// Looking for tombstones means looking at every key, so it is done rarely.
    begun_tombstones: Instant,
    /// Partitions still to be looked at in this pass, and the offset from which to go on.
    left: VecDeque<(TopicPartition, i64)>,
}

/// A chunk to remove.
#[derive(Debug)]
struct Old {
    last: i64,
    bytes: u64,
    /// The record's key, where it is the last one with that key.
    key: Option<Vec<u8>>,
}

/// What a look at a partition found.
#[derive(Debug)]
struct Found {
    at: TopicPartition,
    slot: Slot,
    bounds: Bounds,
    chunks: Vec<Old>,
    /// Offset behind the last chunk looked at; none at the end of what can be removed.
    go_on: Option<i64>,
    unreadable: Option<String>,
}

impl Retention {
    pub(crate) fn new(options: &LocalOptions) -> Self {
        let every = Duration::from_millis(options.retention_turn_ms);
        let now = Instant::now();
        Self { every, begun: now, forced: None, begun_tombstones: now, left: VecDeque::new() }
    }

    /// Whether a pass has begun and is not done.
    pub(crate) fn is_working(&self) -> bool {
        !self.left.is_empty()
    }

    /// Looks at the next partitions, if it is time; whether anything was removed.
    pub(crate) fn turn(
        &mut self,
        shared: &Shared,
        store: &Store,
        commits: &mut u64,
        written: Work,
    ) -> Result<bool, String> {
        if self.left.is_empty() {
            if self.begun.elapsed() < self.every {
                return Ok(false);
            }
            self.begin(shared, Duration::MAX);
        }
        self.work(shared, store, commits, written.budget())
    }

    /// Whether a forced pass may find something that the last one did not.
    pub(crate) fn may_force(&self) -> bool {
        self.forced.is_none_or(|when| when.elapsed() >= FORCE_PAUSE)
    }

    /// Removes everything that is old enough, until that many bytes may be written.
    pub(crate) fn force(
        &mut self,
        shared: &Shared,
        store: &Store,
        commits: &mut u64,
        wanted: u64,
    ) -> Result<(), String> {
        self.left.clear();
        self.begin(shared, FORCE_TOMBSTONES_PAUSE);
        while !self.left.is_empty() && shared.room(&shared.lock()) < wanted {
            self.work(shared, store, commits, TURN_MAX)?;
        }
        self.forced = Some(Instant::now());
        Ok(())
    }

    /// Begins a pass; one that is urgent looks for tombstones again after that time.
    fn begin(&mut self, shared: &Shared, urgent: Duration) {
        self.begun = Instant::now();
        let state = shared.lock();
        let stay_ms = state.topics.values().filter_map(|t| t.spec.delete_retention_ms).min();
        let stay_ms = stay_ms.map_or(u64::MAX, |ms| u64::try_from(ms).unwrap_or(0));
        let usual = self.every.max(Duration::from_millis(stay_ms / TOMBSTONE_LOOKS));
        let look_for_tombstones = self.begun_tombstones.elapsed() >= usual.min(urgent);
        if look_for_tombstones {
            self.begun_tombstones = Instant::now();
        }
        let is_ageing = |spec: &TopicSpec| match spec.compacted {
            true => look_for_tombstones && spec.delete_retention_ms.is_some(),
            false => spec.retention_ms.is_some(),
        };
        let ageing = state.topics.values().filter(|t| is_ageing(&t.spec));
        for topic in ageing {
            let partitions = (0..).zip(&topic.bounds).filter(|(_, bounds)| bounds.begin < bounds.end);
            let at = |partition| TopicPartition { topic: topic.spec.name.clone(), partition };
            self.left.extend(partitions.map(|(partition, bounds)| (at(partition), bounds.begin)));
        }
    }

    /// Looks at as much as the budget allows and removes what is old enough, as one batch.
    fn work(&mut self, shared: &Shared, store: &Store, commits: &mut u64, budget: Work) -> Result<bool, String> {
        let (mut looked_at, mut all) = (Work::default(), Vec::new());
        while let Some((at, from)) = self.left.pop_front() {
            if let Some(found) = look(shared, store, at, from, &mut looked_at, budget) {
                if let Some(go_on) = found.go_on {
                    self.left.push_front((found.at.clone(), go_on));
                }
                all.push(found);
            }
            if looked_at.exceeds(budget) {
                break;
            }
        }
        tell(shared, &all);
        all.retain(|found| !found.chunks.is_empty());
        match all.is_empty() {
            true => Ok(false),
            false => remove(shared, store, all, commits).map(|()| true),
        }
    }
}

/// Looks for what is old enough in a partition; none if the partition is gone.
fn look(
    shared: &Shared,
    store: &Store,
    at: TopicPartition,
    from: i64,
    looked_at: &mut Work,
    budget: Work,
) -> Option<Found> {
    let now_ms = shared.clock.now_ms();
    let (slot, bounds, compacted, stay_ms) = {
        let state = shared.lock();
        let ((slot, bounds), topic) = state.find(&at).zip(state.topics.get(&at.topic))?;
        let TopicSpec { compacted, retention_ms, delete_retention_ms, .. } = topic.spec;
        (slot, bounds, compacted, if compacted { delete_retention_ms } else { retention_ms })
    };
    let stay_ms = stay_ms.unwrap_or(i64::MAX);
    let mut found = Found { at, slot, bounds, chunks: Vec::new(), go_on: None, unreadable: None };
    // Chunks whose age is not known, behind which an old one has not come yet.
    let mut doubtful = Vec::new();
    let scanned = store.scan_raw(slot, from, bounds.end, |last, bytes| {
        let length = looked_at.add(bytes.len());
        found.go_on = None;
        let Some(chunk) = Chunk::parse(bytes, last) else {
            found.unreadable.get_or_insert_with(|| format!("what ends at offset {last} cannot be read"));
            doubtful.push(Old { last, bytes: length, key: None });
            return ControlFlow::Continue(());
        };
        let is_old = now_ms.saturating_sub(chunk.newest_ms()) > stay_ms;
        let key = compacted.then(|| tombstone(&chunk)).flatten();
        match (compacted, is_old) {
            // The first that is young enough ends it: records behind it stay even if they are older.
            (false, false) => return ControlFlow::Break(()),
            (false, true) => found.chunks.append(&mut doubtful),
            (true, _) => doubtful.clear(),
        }
        if is_old && (!compacted || key.is_some()) {
            found.chunks.push(Old { last, bytes: length, key });
        }
        found.go_on = Some(last + 1);
        match looked_at.exceeds(budget) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if let Err(why) = scanned {
        found.unreadable = Some(why);
    }
    if !looked_at.exceeds(budget) {
        found.go_on = None;
    }
    Some(found)
}

/// Says what cannot be read, once, and forgets it when it is gone.
fn tell(shared: &Shared, all: &[Found]) {
    let mut state = shared.lock();
    for found in all {
        match &found.unreadable {
            None if found.go_on.is_none() => drop(state.unreadable.remove(&found.at)),
            None => {}
            Some(why) if state.unreadable.get(&found.at) == Some(why) => {}
            Some(why) => {
                let (topic, partition) = (&found.at.topic, found.at.partition);
                tracing::error!(%topic, partition, %why, "old records of the local log cannot be read to be removed");
                state.unreadable.insert(found.at.clone(), why.clone());
            }
        }
    }
}

fn remove(shared: &Shared, store: &Store, all: Vec<Found>, commits: &mut u64) -> Result<(), String> {
    let mut batch = store.batch();
    let (mut changed, mut chunks) = (Vec::with_capacity(all.len()), 0);
    for Found { at, slot, mut bounds, chunks: old, .. } in all {
        let is_keyed = old.iter().any(|chunk| chunk.key.is_some());
        for Old { last, bytes, key } in old {
            batch.remove_chunk(slot, last);
            if let Some(key) = key {
                batch.forget_key(slot, &key);
            }
            bounds.bytes = bounds.bytes.saturating_sub(bytes);
            // Compaction leaves gaps, but the log still begins where it began.
            if !is_keyed {
                bounds.begin = last + 1;
            }
            chunks += 1;
        }
        batch.bounds(slot, bounds);
        changed.push((at, bounds));
    }
    *commits += 1;
    // Before the records go: a reader that stands among them must meet an offset out of range, not a gap.
    let mut state = shared.lock();
    changed.iter().for_each(|(at, bounds)| state.set_bounds(at, *bounds));
    drop(state);
    batch.write(*commits, false).map_err(|e| e.to_string())?;
    tracing::debug!(partitions = changed.len(), chunks, "old records removed");
    Ok(())
}

/// The key of a chunk that is one tombstone.
fn tombstone(chunk: &Chunk) -> Option<Vec<u8>> {
    let mut records = chunk.records();
    let first = records.next()?;
    (first.value.is_none() && records.next().is_none()).then(|| first.key.unwrap_or_default().to_vec())
}
