//! The simulated log as sessions and tails see it.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::SimClock;
use super::options::SimOptions;
use super::partition::Partition;
use super::state::State;
use crate::bus::BusError;
use crate::clock::Clock;
use crate::group::{Counts, Group};
use crate::log::{Block, Log, Transaction};
use crate::publisher::{PublishError, Written};
use crate::record::{Output, OwnedRecord, Record};
use crate::session::{SessionError, TopicPartition};

const UNREACHABLE: &str = "the simulated log is unreachable";

/// What all handles of a simulated log share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    clock: Arc<SimClock>,
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
        let state = State::new(options, clock.now_ms());
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// The state after what time alone has changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pass(self.clock.now_ms());
        state
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The state, if the log can be reached.
    fn reached(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let state = self.lock();
        match self.clock.now_ms() < state.unreachable_until_ms {
            true => Err(SessionError::Rebuild(UNREACHABLE.into())),
            false => Ok(state),
        }
    }

    pub(super) fn check(&self) -> Result<(), BusError> {
        self.reached().map(|_| ()).map_err(|_| BusError::Unavailable(UNREACHABLE.into()))
    }

    pub(super) fn offsets(&self, topic: &str, of: impl Fn(&Partition) -> i64) -> Result<Vec<i64>, BusError> {
        self.check()?;
        let state = self.lock();
        let topic = state.topics.get(topic).ok_or_else(|| BusError::UnknownTopic(topic.into()))?;
        Ok(topic.partitions.iter().map(of).collect())
    }

    pub(super) fn publish(&self, outputs: Vec<Output>) -> Result<Written, PublishError> {
        let mut state = self.reached().map_err(|_| PublishError::Unavailable(UNREACHABLE.into()))?;
        let mut placed = Vec::with_capacity(outputs.len());
        for output in outputs {
            let unknown = || PublishError::UnknownTopic(output.topic.to_string());
            let count = state.count(&output.topic).ok_or_else(unknown)?;
            let partition = output.partition(count);
            if partition >= count {
                return Err(PublishError::UnknownTopic(format!("{}, partition {partition}", output.topic)));
            }
            let (bytes, limit_bytes) = (output.bytes(), state.options.record_bytes_max);
            if bytes > limit_bytes {
                return Err(PublishError::TooLarge { bytes, limit_bytes });
            }
            placed.push((output, partition));
        }
        Ok(state.append(placed, self.clock.now_ms()))
    }

    /// Leaves a transaction open that its producer will never end.
    pub(super) fn leave_open(&self, producer: &str, outputs: Vec<Output>) -> Result<(), SessionError> {
        let mut state = self.lock();
        let (id, now_ms) = (("".into(), producer.into()), self.clock.now_ms());
        let epoch = state.init_producer(id.clone());
        for output in outputs {
            let count = state.count(&output.topic).unwrap_or(1);
            let partition = output.partition(count);
            state.send(&id, epoch, output, partition, now_ms)?;
        }
        Ok(())
    }
}

impl Log for Shared {
    type Block = SimBlock;

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn reach(&self) -> Result<(), SessionError> {
        self.reached().map(|_| ())
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.lock().count(topic)
    }

    fn incarnation(&self, topic: &str) -> Option<Arc<str>> {
        self.lock().topics.get(topic).map(|topic| topic.number.to_string().into())
    }

    fn bounds(&self, at: &TopicPartition) -> Option<Range<i64>> {
        self.lock().partition(at).map(|p| p.begin()..p.stable_end())
    }

    fn high_watermark(&self, at: &TopicPartition) -> Result<i64, SessionError> {
        Ok(self.reached()?.partition(at).map_or(0, Partition::end))
    }

    fn read(&self, at: &TopicPartition, from: i64, records_max: usize) -> Result<Vec<SimBlock>, SessionError> {
        let state = self.reached()?;
        let Some(partition) = state.partition(at) else { return Ok(Vec::new()) };
        let records = partition.read(from, records_max);
        Ok(if records.is_empty() { Vec::new() } else { vec![SimBlock(records)] })
    }

    fn settle(&self, group: &str, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.reached()?.settle(group, partitions)
    }

    fn stabilise(&self, at: &TopicPartition, end: i64) -> Result<(), SessionError> {
        self.reached()?.stabilise(at, end)
    }

    fn offset(&self, group: &str, at: &TopicPartition) -> Option<(i64, Option<String>)> {
        self.lock().offsets.get(&(group.into(), at.clone())).cloned()
    }

    fn init_producer(&self, group: &Arc<str>, member: &Arc<str>) -> u64 {
        self.lock().init_producer((group.clone(), member.clone()))
    }

    fn send(
        &self,
        transaction: &Transaction<'_>,
        output: Output,
        partition: u32,
    ) -> Result<Option<(Output, u32)>, SessionError> {
        let mut state = self.reached()?;
        if output.bytes() > state.options.record_bytes_max {
            return Err(SessionError::Halt(format!("a record of {} bytes is too large", output.bytes())));
        }
        let id = (transaction.group.clone(), transaction.member.clone());
        let epoch = transaction.producer.unwrap_or_default();
        state.send(&id, epoch, output, partition, self.clock.now_ms())?;
        Ok(None)
    }

    fn abort(&self, transaction: &Transaction<'_>) -> Result<(), SessionError> {
        let id = (transaction.group.clone(), transaction.member.clone());
        self.reached()?.abort(&id, transaction.producer.unwrap_or_default())
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<(), SessionError> {
        let mut state = self.reached()?;
        let Transaction { group, member, epoch, producer, positions, .. } = transaction;
        if let Some(position) = positions.iter().find(|position| state.count(&position.at.topic).is_none()) {
            return Err(SessionError::Abort(format!(
                "there is no topic {} to commit a position of",
                position.at.topic
            )));
        }
        // A transaction that carries no offset does not meet the group, and is not fenced by it.
        if !positions.is_empty() {
            let members = state.groups.entry(group.clone()).or_default();
            members.check(member, epoch, positions.iter().map(|p| &p.at))?;
        }
        let fault = state.take_fault(member);
        match producer {
            Some(epoch) => state.commit(&(group.clone(), member.clone()), epoch, positions, fault, self.clock.now_ms()),
            None => state.commit_offsets(group, positions, fault),
        }
    }

    fn group<R>(&self, group: &str, f: impl FnOnce(&mut Group, &Counts<'_>) -> R) -> R {
        let mut state = self.lock();
        if !state.groups.contains_key(group) {
            state.groups.insert(group.into(), Group::default());
        }
        let State { groups, topics, version, .. } = &mut *state;
        let Some(members) = groups.get_mut(group) else { unreachable!("it is there now") };
        let (before, was_empty) = (members.generation(), members.is_empty());
        let answer = f(members, &|topic| topics.get(topic).map(|t| t.spec.partitions));
        *version += u64::from(members.generation() != before);
        if was_empty || members.is_empty() {
            state.note_empty(&group.into(), self.clock.now_ms());
        }
        answer
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
