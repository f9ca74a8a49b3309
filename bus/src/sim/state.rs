//! Topics, groups and offsets of a simulated log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::CommitFault;
use crate::bus::{BusError, TopicSpec};
use crate::group::Group;
use crate::record::{Output, OwnedRecord};
use crate::session::{Position, TopicPartition};

#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) begin: i64,
    pub(super) end: i64,
    pub(super) records: Vec<Arc<OwnedRecord>>,
}

impl Partition {
    pub(super) fn offset_at(&self, time_ms: i64) -> i64 {
        self.records.iter().find(|r| r.timestamp_ms >= time_ms).map_or(self.end, |r| r.offset)
    }

    fn append(&mut self, output: Output, now_ms: i64) -> i64 {
        let offset = self.end;
        let timestamp_ms = output.timestamp_ms.unwrap_or(now_ms);
        self.records.push(Arc::new(OwnedRecord { offset, timestamp_ms, key: output.key, value: output.value }));
        self.end += 1;
        offset
    }
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) spec: TopicSpec,
    pub(super) partitions: Vec<Partition>,
}

/// A transaction that is decided and not visible.
#[derive(Debug)]
pub(super) struct InDoubt {
    pub(super) group: Arc<str>,
    pub(super) outputs: Vec<(Output, u32)>,
    pub(super) positions: Vec<Position>,
    pub(super) until_ms: i64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    pub(super) offsets: BTreeMap<(Arc<str>, TopicPartition), (i64, Option<String>)>,
    pub(super) in_doubt: Vec<InDoubt>,
    pub(super) faults: VecDeque<CommitFault>,
    pub(super) unreachable: bool,
    pub(super) version: u64,
    /// How many sole writers were opened, by name.
    pub(super) sole_writers: BTreeMap<Arc<str>, u64>,
}

impl State {
    pub(super) fn count(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).map(|t| t.spec.partitions)
    }

    pub(super) fn partition(&self, at: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&at.topic)?.partitions.get(at.partition as usize)
    }

    fn partition_mut(&mut self, topic: &str, partition: u32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partitions.get_mut(partition as usize)
    }

    pub(super) fn ensure_topics(&mut self, topics: &[TopicSpec]) -> Result<(), BusError> {
        for spec in topics {
            match self.topics.get(&spec.name) {
                Some(topic) => topic.spec.matches(spec)?,
                None => {
                    let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
                    self.topics.insert(spec.name.clone(), Topic { spec: spec.clone(), partitions });
                }
            }
        }
        let Self { groups, topics, .. } = self;
        for group in groups.values_mut() {
            group.rebalance(&|topic| topics.get(topic).map(|t: &Topic| t.spec.partitions));
        }
        self.version += 1;
        Ok(())
    }

    /// Appends the records of one transaction; where each went.
    pub(super) fn append(&mut self, outputs: Vec<(Output, u32)>, now_ms: i64) -> Vec<(TopicPartition, Option<i64>)> {
        self.version += 1;
        let mut touched = BTreeSet::new();
        let mut written = Vec::with_capacity(outputs.len());
        for (output, partition) in outputs {
            let at = TopicPartition { topic: output.topic.clone(), partition };
            let offset = self.partition_mut(&at.topic, partition).map(|p| p.append(output, now_ms));
            written.push((at.clone(), offset));
            touched.insert(at);
        }
        for at in touched {
            // The transaction's marker takes an offset, too.
            if let Some(partition) = self.partition_mut(&at.topic, at.partition) {
                partition.end += 1;
            }
        }
        written
    }

    pub(super) fn store_offsets(&mut self, group: &Arc<str>, positions: &[Position]) {
        for Position { at, offset, metadata } in positions {
            self.offsets.insert((group.clone(), at.clone()), (*offset, metadata.clone()));
        }
    }

    /// Makes decided transactions visible: those of a group, or those whose time has come.
    pub(super) fn settle(&mut self, group: Option<&str>, now_ms: i64) {
        let all = std::mem::take(&mut self.in_doubt);
        let (due, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|t| group == Some(&*t.group) || t.until_ms <= now_ms);
        self.in_doubt = kept;
        for transaction in due {
            self.append(transaction.outputs, now_ms);
            self.store_offsets(&transaction.group, &transaction.positions);
        }
    }

    pub(super) fn drop_before(&mut self, topic: &str, partition: u32, offset: i64) {
        if let Some(partition) = self.partition_mut(topic, partition) {
            partition.begin = partition.begin.max(offset.min(partition.end));
            let begin = partition.begin;
            partition.records.retain(|r| r.offset >= begin);
        }
        self.version += 1;
    }

    pub(super) fn compact(&mut self, topic: &str) {
        for partition in self.topics.get_mut(topic).into_iter().flat_map(|t| &mut t.partitions) {
            let last: BTreeMap<Option<Vec<u8>>, i64> =
                partition.records.iter().map(|r| (r.key.clone(), r.offset)).collect();
            partition.records.retain(|r| last.get(&r.key) == Some(&r.offset));
        }
    }

    pub(super) fn records(&self, topic: &str) -> Vec<(u32, OwnedRecord)> {
        let partitions = self.topics.get(topic).map_or(&[][..], |t| &t.partitions);
        let numbered = (0..).zip(partitions);
        numbered.flat_map(|(n, p)| p.records.iter().map(move |r| (n, OwnedRecord::clone(r)))).collect()
    }
}
