//! Removes what has been there for long enough, a little at a time.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{Block, TopicPartition, TopicSpec};

use crate::options::{Fsync, LocalOptions};
use crate::state::Shared;
use crate::store::{Chunk, Store};

/// Looks for tombstones within the time that they stay.
const TOMBSTONE_LOOKS: u64 = 20;
/// Most chunks looked at in one turn: what a commit may have to wait for.
const TURN_CHUNKS_MAX: usize = 32;

/// Where the removal stands; the committer gives it a turn between two batches.
#[derive(Debug)]
pub(crate) struct Retention {
    every: Duration,
    begun: Instant,
    /// Looking for tombstones means looking at every key, so it is done rarely.
    every_tombstones: Duration,
    begun_tombstones: Instant,
    /// Partitions still to be looked at in this pass, and the offset from which to go on.
    left: VecDeque<(TopicPartition, i64)>,
}

/// What one turn found.
#[derive(Debug, Default)]
struct Found {
    /// Chunks to remove, by last offset, with the record key where it is the key's last record.
    chunks: Vec<(i64, Option<Vec<u8>>)>,
    looked_at: usize,
    /// Offset behind the last chunk looked at; none at the end of what can be removed.
    go_on: Option<i64>,
}

impl Retention {
    pub(crate) fn new(options: &LocalOptions) -> Self {
        let every = Duration::from_millis(options.retention_turn_ms);
        let tombstone_ms = u64::try_from(options.tombstone_ms).unwrap_or(0);
        let every_tombstones = every.max(Duration::from_millis(tombstone_ms / TOMBSTONE_LOOKS));
        let now = Instant::now();
        Self { every, begun: now, every_tombstones, begun_tombstones: now, left: VecDeque::new() }
    }

    /// Looks at the next partition, if it is time.
    pub(crate) fn turn(&mut self, shared: &Arc<Shared>, store: &Store, commits: &mut u64) -> Result<(), String> {
        if self.left.is_empty() {
            if self.begun.elapsed() < self.every {
                return Ok(());
            }
            self.begin(shared);
        }
        let mut looked_at = 0;
        while let Some((at, from)) = self.left.pop_front() {
            let found = remove(shared, store, &at, from, commits)?;
            looked_at += found.looked_at;
            if let Some(go_on) = found.go_on {
                self.left.push_front((at, go_on));
            }
            if looked_at >= TURN_CHUNKS_MAX {
                break;
            }
        }
        Ok(())
    }

    fn begin(&mut self, shared: &Shared) {
        self.begun = Instant::now();
        let state = shared.lock();
        let look_for_tombstones = self.begun_tombstones.elapsed() >= self.every_tombstones;
        if look_for_tombstones {
            self.begun_tombstones = Instant::now();
        }
        let is_ageing = |spec: &TopicSpec| match spec.compacted {
            true => look_for_tombstones,
            false => spec.retention_ms.is_some(),
        };
        let ageing = state.topics.values().filter(|t| is_ageing(&t.spec));
        for topic in ageing {
            let partitions = (0..).zip(&topic.bounds).filter(|(_, (begin, end))| begin < end);
            let at = |partition| TopicPartition { topic: topic.spec.name.clone(), partition };
            self.left.extend(partitions.map(|(partition, (begin, _))| (at(partition), *begin)));
        }
    }
}

fn remove(shared: &Shared, store: &Store, at: &TopicPartition, from: i64, commits: &mut u64) -> Result<Found, String> {
    let now_ms = shared.clock.now_ms();
    let (slot, begin, end, compacted, stay_ms) = {
        let state = shared.lock();
        let (Some((slot, begin, end)), Some(topic)) = (state.find(at), state.topics.get(&at.topic)) else {
            return Ok(Found::default());
        };
        let stay_ms = if topic.spec.compacted {
            shared.options.tombstone_ms
        } else {
            topic.spec.retention_ms.unwrap_or(i64::MAX)
        };
        (slot, begin, end, topic.spec.compacted, stay_ms)
    };
    let is_old = |chunk: &Chunk| now_ms.saturating_sub(chunk.newest_ms()) > stay_ms;
    let mut found = Found::default();
    store.scan(slot, from, end, |last, chunk| {
        found.looked_at += 1;
        let key = compacted.then(|| tombstone(&chunk)).flatten();
        match (compacted, is_old(&chunk)) {
            // The first that is young enough ends it: records behind it stay even if they are older.
            (false, false) => {
                found.go_on = None;
                return ControlFlow::Break(());
            }
            (false, true) => found.chunks.push((last, None)),
            (true, true) if key.is_some() => found.chunks.push((last, key)),
            (true, _) => {}
        }
        found.go_on = Some(last + 1);
        match found.looked_at >= TURN_CHUNKS_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    if found.looked_at < TURN_CHUNKS_MAX {
        found.go_on = None;
    }
    let Some((last, _)) = found.chunks.last() else { return Ok(found) };
    // Compaction leaves gaps, but the log still begins where it began.
    let new_begin = if compacted { begin } else { last + 1 };
    let mut batch = store.batch();
    for (last, key) in &found.chunks {
        batch.remove_chunk(slot, *last);
        if let Some(key) = key {
            batch.forget_key(slot, key);
        }
    }
    batch.bounds(slot, new_begin, end);
    *commits += 1;
    let to_disk = shared.options.fsync == Fsync::Commit;
    batch.write(*commits, to_disk).map_err(|e| e.to_string())?;
    if let Some(bounds) = shared.lock().topics.get_mut(&at.topic).and_then(|t| t.bounds.get_mut(at.partition as usize))
    {
        bounds.0 = new_begin;
    }
    tracing::debug!(topic = %at.topic, partition = at.partition, chunks = found.chunks.len(), "old records removed");
    Ok(found)
}

/// The key of a chunk that is one tombstone.
fn tombstone(chunk: &Chunk) -> Option<Vec<u8>> {
    let mut records = chunk.records();
    let first = records.next()?;
    (first.value.is_none() && records.next().is_none()).then(|| first.key.unwrap_or_default().to_vec())
}
