//! Topics, groups and offsets of a simulated log, and what time does to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::options::{CommitFault, SimOptions};
use super::partition::Partition;
use super::transactions::Transactions;
use crate::bus::{BusError, TopicSpec};
use crate::group::Group;
use crate::record::{Output, OwnedRecord};
use crate::session::{Position, TopicPartition};

#[derive(Debug)]
pub(super) struct Topic {
    /// How many topics were made before it: no two are alike in this.
    pub(super) number: u64,
    pub(super) spec: TopicSpec,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) options: SimOptions,
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    pub(super) offsets: BTreeMap<(Arc<str>, TopicPartition), (i64, Option<String>)>,
    pub(super) transactions: Transactions,
    /// What commits meet, in order, and whose if it is not anybody's.
    pub(super) faults: VecDeque<(Option<Arc<str>>, CommitFault)>,
    /// Until when nobody can reach the log, in milliseconds since the epoch.
    pub(super) unreachable_until_ms: i64,
    pub(super) version: u64,
    topics_made: u64,
    /// How many sole writers were opened, by name.
    pub(super) sole_writers: BTreeMap<Arc<str>, u64>,
    /// Up to when time has done its work, in milliseconds since the epoch.
    passed_ms: i64,
    /// Since when groups have no member.
    empty_since_ms: BTreeMap<Arc<str>, i64>,
}

impl State {
    pub(super) fn new(options: SimOptions, now_ms: i64) -> Self {
        Self { options, passed_ms: now_ms, unreachable_until_ms: i64::MIN, ..Self::default() }
    }

    pub(super) fn count(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).map(|t| t.spec.partitions)
    }

    pub(super) fn partition(&self, at: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&at.topic)?.partitions.get(at.partition as usize)
    }

    pub(super) fn partition_mut(&mut self, topic: &str, partition: u32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partitions.get_mut(partition as usize)
    }

    pub(super) fn ensure_topics(&mut self, topics: &[TopicSpec]) -> Result<(), BusError> {
        for spec in topics {
            match self.topics.get(&spec.name) {
                Some(topic) => topic.spec.matches(spec)?,
                None => {
                    let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
                    let topic = Topic { number: self.topics_made, spec: spec.clone(), partitions };
                    self.topics_made += 1;
                    self.topics.insert(spec.name.clone(), topic);
                }
            }
        }
        self.topics_changed();
        Ok(())
    }

    /// A topic goes, and with it what groups have committed there.
    pub(super) fn delete_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.offsets.retain(|(_, at), _| *at.topic != *topic);
        self.topics_changed();
    }

    fn topics_changed(&mut self) {
        let Self { groups, topics, .. } = self;
        for group in groups.values_mut() {
            group.rebalance(&|topic| topics.get(topic).map(|t: &Topic| t.spec.partitions));
        }
        self.version += 1;
    }

    /// What a commit of that member meets.
    pub(super) fn take_fault(&mut self, member: &str) -> CommitFault {
        let at = self.faults.iter().position(|(of, _)| of.as_deref().is_none_or(|of| of == member));
        at.and_then(|at| self.faults.remove(at)).map_or(CommitFault::None, |(_, fault)| fault)
    }

    /// Appends records that are committed at once; where each went.
    pub(super) fn append(&mut self, outputs: Vec<(Output, u32)>, now_ms: i64) -> Vec<(TopicPartition, Option<i64>)> {
        self.version += 1;
        let mut touched = BTreeSet::new();
        let mut written = Vec::with_capacity(outputs.len());
        for (output, partition) in outputs {
            let at = TopicPartition { topic: output.topic.clone(), partition };
            let offset = self.partition_mut(&at.topic, partition).map(|p| p.append(output, now_ms, None));
            written.push((at.clone(), offset));
            touched.insert(at);
        }
        for at in touched {
            if let Some(partition) = self.partition_mut(&at.topic, at.partition) {
                partition.mark(None, true);
            }
        }
        written
    }

    pub(super) fn store_offsets(&mut self, group: &Arc<str>, positions: &[Position]) {
        for Position { at, offset, metadata } in positions {
            self.offsets.insert((group.clone(), at.clone()), (*offset, metadata.clone()));
        }
    }

    /// Does what time alone does up to now.
    pub(super) fn pass(&mut self, now_ms: i64) {
        if now_ms <= self.passed_ms {
            return;
        }
        while let Some(at_ms) = self.next_end_ms().filter(|at_ms| *at_ms <= now_ms) {
            self.end_due(at_ms);
        }
        self.expire_members(now_ms);
        self.expire_offsets(now_ms);
        let scan_ms = self.options.retention_scan_ms.max(1);
        if now_ms.div_euclid(scan_ms) > self.passed_ms.div_euclid(scan_ms) {
            self.expire_records(now_ms);
        }
        self.passed_ms = now_ms;
    }

    fn expire_members(&mut self, now_ms: i64) {
        let timeout_ms = self.options.session_timeout_ms;
        let Self { groups, topics, empty_since_ms, .. } = self;
        for (name, group) in groups {
            let last_ms = group.last_seen_ms();
            group.expire(now_ms, timeout_ms, &|topic| topics.get(topic).map(|t| t.spec.partitions));
            if let Some(last_ms) = last_ms.filter(|_| group.is_empty()) {
                empty_since_ms.insert(name.clone(), last_ms + timeout_ms);
            }
        }
    }

    fn expire_offsets(&mut self, now_ms: i64) {
        let Self { groups, offsets, empty_since_ms, options, .. } = self;
        empty_since_ms.retain(|name, since_ms| {
            let is_empty = groups.get(name).is_none_or(Group::is_empty);
            let is_over = now_ms - *since_ms > options.offsets_retention_ms;
            if is_empty && is_over {
                offsets.retain(|(group, _), _| group != name);
            }
            is_empty && !is_over
        });
    }

    /// A group whose last member has left is empty from now on.
    pub(super) fn note_empty(&mut self, group: &Arc<str>, now_ms: i64) {
        match self.groups.get(group).is_none_or(Group::is_empty) {
            true => _ = self.empty_since_ms.entry(group.clone()).or_insert(now_ms),
            false => _ = self.empty_since_ms.remove(group),
        }
    }

    fn expire_records(&mut self, now_ms: i64) {
        for topic in self.topics.values_mut() {
            let Some(retention_ms) = topic.spec.retention_ms else { continue };
            topic.partitions.iter_mut().for_each(|p| p.drop_older(now_ms - retention_ms));
        }
        self.version += 1;
    }

    pub(super) fn drop_before(&mut self, topic: &str, partition: u32, offset: i64) {
        if let Some(partition) = self.partition_mut(topic, partition) {
            partition.drop_before(offset);
        }
        self.version += 1;
    }

    pub(super) fn compact(&mut self, topic: &str, now_ms: i64) {
        let delete_retention_ms = self.options.delete_retention_ms;
        let partitions = self.topics.get_mut(topic).into_iter().flat_map(|t| &mut t.partitions);
        partitions.for_each(|p| p.compact(now_ms, delete_retention_ms));
    }

    /// What a reader of committed records can see, as it is stored.
    pub(super) fn records(&self, topic: &str) -> Vec<(u32, Arc<OwnedRecord>)> {
        let partitions = self.topics.get(topic).map_or(&[][..], |t| &t.partitions);
        let stable = |(n, p): (u32, &Partition)| p.read(p.begin(), usize::MAX).into_iter().map(move |r| (n, r));
        (0..).zip(partitions).flat_map(stable).collect()
    }
}
