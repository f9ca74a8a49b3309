//! A batch in the making: offsets are assigned, nothing is written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use petrel_bus::{Output, Position, TopicPartition, TopicSpec};

use crate::retention::Work;
use crate::state::State;
use crate::store::layout::Slot;
use crate::store::{Batch, Bounds, ChunkWriter, Committed, Store, record_bytes};

/// Most records and bytes of one chunk: what a reader in its middle reads in vain.
const CHUNK_RECORDS_MAX: u32 = 512;
const CHUNK_BYTES_MAX: usize = 128 * 1024;

/// Records of one partition that are to be written.
#[derive(Debug)]
struct Tail {
    at: TopicPartition,
    /// What the partition holds before this batch.
    bounds: Bounds,
    next: i64,
    /// Last offset and bytes.
    chunks: Vec<(i64, Vec<u8>)>,
    open: ChunkWriter,
}

impl Tail {
    fn close_chunk(&mut self) {
        if self.open.count() > 0 {
            let chunk = std::mem::replace(&mut self.open, ChunkWriter::new());
            self.chunks.push((self.next - 1, chunk.finish()));
        }
    }
}

/// Everything of one batch. The last word on a key or an offset wins before anything is written, for
/// the store does not order the changes of one batch.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    topics: Vec<(u32, TopicSpec)>,
    /// Number, name and partitions of topics that go.
    deleted: Vec<(u32, Arc<str>, u32)>,
    tails: BTreeMap<Slot, Tail>,
    /// Last record of every key of compacted topics: offset and chunk.
    keyed: HashMap<(Slot, Vec<u8>), (i64, Vec<u8>)>,
    /// None forgets the offset.
    offsets: HashMap<(Arc<str>, TopicPartition), Option<Committed>>,
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.deleted.is_empty() && self.tails.is_empty() && self.offsets.is_empty()
    }

    pub(crate) fn topic(&mut self, id: u32, spec: TopicSpec) {
        self.topics.push((id, spec));
    }

    /// Takes a record for a partition that exists; returns where it goes.
    pub(crate) fn record(
        &mut self,
        state: &State,
        output: Output,
        partition: u32,
        now_ms: i64,
    ) -> (TopicPartition, Option<i64>) {
        let Output { topic, key, value, timestamp_ms, .. } = output;
        let at = TopicPartition { topic, partition };
        let Some((slot, bounds)) = state.find(&at) else { return (at, None) };
        let tail = self.tails.entry(slot).or_insert_with(|| Tail {
            at: at.clone(),
            bounds,
            next: bounds.end,
            chunks: Vec::new(),
            open: ChunkWriter::new(),
        });
        let (offset, timestamp_ms) = (tail.next, timestamp_ms.unwrap_or(now_ms));
        let is_compacted = state.topics.get(&at.topic).is_some_and(|t| t.spec.compacted);
        if is_compacted {
            let mut chunk = ChunkWriter::new();
            chunk.push(timestamp_ms, key.as_deref(), value.as_deref());
            self.keyed.insert((slot, key.unwrap_or_default()), (offset, chunk.finish()));
            tail.next += 1;
            return (at, Some(offset));
        }
        let bytes = record_bytes(key.as_deref(), value.as_deref());
        if tail.open.count() >= CHUNK_RECORDS_MAX || tail.open.bytes() + bytes > CHUNK_BYTES_MAX {
            tail.close_chunk();
        }
        tail.open.push(timestamp_ms, key.as_deref(), value.as_deref());
        tail.next += 1;
        (at, Some(offset))
    }

    pub(crate) fn positions(&mut self, group: &Arc<str>, positions: Vec<Position>) {
        for Position { at, offset, metadata } in positions {
            self.offsets.insert((group.clone(), at), Some((offset, metadata)));
        }
    }

    pub(crate) fn forget(&mut self, state: &State, group: &str) {
        let staged = self.offsets.keys().cloned();
        let known: Vec<_> = state.offsets.keys().cloned().chain(staged).filter(|(of, _)| **of == *group).collect();
        self.offsets.extend(known.into_iter().map(|at| (at, None)));
    }

    /// A topic goes, with what this batch would have written there.
    pub(crate) fn delete(&mut self, state: &State, id: u32, spec: &TopicSpec) {
        self.topics.retain(|(staged, _)| *staged != id);
        self.tails.retain(|slot, _| slot.topic != id);
        self.keyed.retain(|(slot, _), _| slot.topic != id);
        let staged = self.offsets.keys().cloned();
        let known = state.offsets.keys().cloned().chain(staged);
        let known: Vec<_> = known.filter(|(_, at)| at.topic == spec.name).collect();
        self.offsets.extend(known.into_iter().map(|at| (at, None)));
        self.deleted.push((id, spec.name.clone(), spec.partitions));
    }

    /// Puts everything into a batch of the store; returns how many chunks and bytes these are.
    pub(crate) fn fill(&mut self, store: &Store, batch: &mut Batch<'_>) -> fjall::Result<Work> {
        let mut written = Work::default();
        for (id, spec) in &self.topics {
            batch.topic(*id, spec);
        }
        if let Some(max) = self.topics.iter().map(|(id, _)| *id).max() {
            batch.topic_max(max);
        }
        for (id, name, partitions) in &self.deleted {
            batch.remove_content(*id, *partitions)?;
            // Made anew in the same batch, its entry is the new one.
            if self.topics.iter().all(|(_, spec)| spec.name != *name) {
                batch.forget_topic(name);
            }
        }
        let Self { tails, keyed, .. } = self;
        for (slot, tail) in &mut *tails {
            tail.close_chunk();
            tail.bounds.end = tail.next;
            for (last, bytes) in std::mem::take(&mut tail.chunks) {
                tail.bounds.bytes += written.add(bytes.len());
                batch.chunk(*slot, last, bytes);
            }
        }
        for ((slot, key), (offset, chunk)) in std::mem::take(keyed) {
            let bytes = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let mut older_bytes = 0;
            if let Some((older, bytes)) = store.last_of_key(slot, &key)? {
                batch.remove_chunk(slot, older);
                older_bytes = u64::from(bytes);
            }
            if let Some(Tail { bounds, .. }) = tails.get_mut(&slot) {
                bounds.bytes = (bounds.bytes + written.add(chunk.len())).saturating_sub(older_bytes);
            }
            batch.last_of_key(slot, &key, offset, bytes);
            batch.chunk(slot, offset, chunk);
        }
        for (slot, tail) in &*tails {
            batch.bounds(*slot, tail.bounds);
        }
        for ((group, at), committed) in &self.offsets {
            batch.offset(group, at, committed.as_ref());
        }
        Ok(written)
    }

    /// Makes visible what is written.
    pub(crate) fn apply(self, state: &mut State) {
        for tail in self.tails.into_values() {
            state.set_bounds(&tail.at, tail.bounds);
        }
        for (at, committed) in self.offsets {
            match committed {
                Some(committed) => drop(state.offsets.insert(at, committed)),
                None => drop(state.offsets.remove(&at)),
            }
        }
        state.version += 1;
    }
}
