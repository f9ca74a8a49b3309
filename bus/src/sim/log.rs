//! The simulated log as sessions and tails see it.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::{InDoubt, Partition, State};
use super::{CommitFault, SimClock, SimOptions};
use crate::bus::BusError;
use crate::clock::Clock;
use crate::group::{Counts, Group};
use crate::member::{Block, Log, Transaction};
use crate::publisher::{PublishError, Written};
use crate::record::{Output, OwnedRecord, Record};
use crate::session::{SessionError, TopicPartition};

/// What all handles of a simulated log share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    clock: Arc<SimClock>,
    options: SimOptions,
}

/// Records of a simulated log.
#[derive(Debug)]
pub(super) struct SimBlock(Vec<Arc<OwnedRecord>>);

impl Block for SimBlock {
    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.0.iter().map(|r| r.as_record())
    }
}

impl Shared {
    pub(super) fn new(clock: Arc<SimClock>, options: SimOptions) -> Self {
        Self { state: Arc::default(), clock, options }
    }

    /// The state after what time alone has changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        state.settle(None, now_ms);
        let State { groups, topics, .. } = &mut *state;
        for group in groups.values_mut() {
            let counts: &Counts<'_> = &|topic| topics.get(topic).map(|t| t.spec.partitions);
            group.expire(now_ms, self.options.session_timeout_ms, counts);
        }
        state
    }

    pub(super) fn check(&self) -> Result<(), BusError> {
        match self.lock().unreachable {
            true => Err(BusError::Unavailable("the simulated log is unreachable".into())),
            false => Ok(()),
        }
    }

    pub(super) fn offsets(&self, topic: &str, of: impl Fn(&Partition) -> i64) -> Result<Vec<i64>, BusError> {
        self.check()?;
        let state = self.lock();
        let topic = state.topics.get(topic).ok_or_else(|| BusError::UnknownTopic(topic.into()))?;
        Ok(topic.partitions.iter().map(of).collect())
    }

    pub(super) fn publish(&self, outputs: Vec<Output>) -> Result<Written, PublishError> {
        let mut state = self.lock();
        if state.unreachable {
            return Err(PublishError::Unavailable("the simulated log is unreachable".into()));
        }
        let mut placed = Vec::with_capacity(outputs.len());
        for output in outputs {
            let unknown = || PublishError::UnknownTopic(output.topic.to_string());
            let count = state.count(&output.topic).ok_or_else(unknown)?;
            let partition = output.partition(count);
            if partition >= count {
                return Err(PublishError::UnknownTopic(format!("{}, partition {partition}", output.topic)));
            }
            let (bytes, limit_bytes) = (output.bytes(), self.options.record_bytes_max);
            if bytes > limit_bytes {
                return Err(PublishError::TooLarge { bytes, limit_bytes });
            }
            placed.push((output, partition));
        }
        Ok(state.append(placed, self.clock.now_ms()))
    }
}

impl Log for Shared {
    type Block = SimBlock;

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.lock().count(topic)
    }

    fn bounds(&self, at: &TopicPartition) -> Option<Range<i64>> {
        self.lock().partition(at).map(|p| p.begin..p.end)
    }

    fn read(&self, at: &TopicPartition, from: i64, records_max: usize) -> Result<Vec<SimBlock>, SessionError> {
        let state = self.lock();
        if state.unreachable {
            return Err(SessionError::Rebuild("the simulated log is unreachable".into()));
        }
        let Some(partition) = state.partition(at) else { return Ok(Vec::new()) };
        let fresh = partition.records.partition_point(|r| r.offset < from);
        let records: Vec<_> = partition.records[fresh..].iter().take(records_max).cloned().collect();
        Ok(if records.is_empty() { Vec::new() } else { vec![SimBlock(records)] })
    }

    fn settle(&self, group: &str) -> Result<(), SessionError> {
        let now_ms = self.clock.now_ms();
        self.lock().settle(Some(group), now_ms);
        Ok(())
    }

    fn offset(&self, group: &str, at: &TopicPartition) -> Option<(i64, Option<String>)> {
        self.lock().offsets.get(&(group.into(), at.clone())).cloned()
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<(), SessionError> {
        let mut state = self.lock();
        if state.unreachable {
            return Err(SessionError::Rebuild("the simulated log is unreachable".into()));
        }
        let Transaction { group, member, epoch, outputs, positions } = transaction;
        let members = state.groups.entry(group.clone()).or_default();
        members.check(member, epoch, positions.iter().map(|p| &p.at))?;
        let too_large = outputs.iter().find(|(output, _)| output.bytes() > self.options.record_bytes_max);
        if let Some((output, _)) = too_large {
            return Err(SessionError::Halt(format!("a record of {} bytes is too large", output.bytes())));
        }
        let fault = state.faults.pop_front().unwrap_or(CommitFault::None);
        let now_ms = self.clock.now_ms();
        match fault {
            CommitFault::Abort => return Err(SessionError::Abort("a simulated refusal".into())),
            CommitFault::Lost => return Err(SessionError::Rebuild("a simulated loss of connection".into())),
            CommitFault::InDoubt => {
                let until_ms = now_ms + self.options.in_doubt_ms;
                state.in_doubt.push(InDoubt { group: group.clone(), outputs, positions: positions.to_vec(), until_ms });
            }
            CommitFault::None | CommitFault::AnswerLost => {
                state.append(outputs, now_ms);
                state.store_offsets(group, positions);
            }
        }
        match fault {
            CommitFault::None => Ok(()),
            _ => Err(SessionError::Rebuild("the answer of a simulated commit was lost".into())),
        }
    }

    fn group<R>(&self, group: &str, f: impl FnOnce(&mut Group, &Counts<'_>) -> R) -> R {
        let mut state = self.lock();
        state.version += 1;
        let State { groups, topics, .. } = &mut *state;
        f(groups.entry(group.into()).or_default(), &|topic| topics.get(topic).map(|t| t.spec.partitions))
    }

    fn crashed(&self, _group: &str, _member: &str, _epoch: u64) {
        // Nobody tells a broker that a process died: its member expires, or returns under its name.
    }

    fn version(&self) -> u64 {
        self.lock().version
    }

    fn wait(&self, _seen: u64, _wait: Duration) -> bool {
        // Nothing happens while the only thread waits.
        false
    }
}
