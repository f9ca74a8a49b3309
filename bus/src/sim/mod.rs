//! A bus in memory under virtual time, for tests: the same calls give the same results.
//!
//! It keeps to what Kafka does where that is inconvenient:
//! - A transaction is in its partitions from the first record on, and holds back what readers see
//!   (the last stable offset) until its markers are written, which leaves a gap in the offsets. The one
//!   of a crashed producer stays until it initialises again or the broker finds it too old.
//! - A crashed member holds its partitions until it expires or returns under its name. One that was
//!   silent for too long still writes, and is refused when it commits.
//! - A commit can be lost, late, in doubt (decided, with its markers still on their way) or without an
//!   answer ([`CommitFault`]). Offsets that an open transaction may change are not given away:
//!   [`crate::Session::begin`] fails and is to be tried again, where a client of Kafka waits.
//! - Compaction removes tombstones that are old enough, retention removes records, and a group that
//!   is empty for long loses its offsets.
//!
//! Nothing here waits or runs in the background: a test ticks its drivers and moves [`SimClock`]. Time
//! does its work on the log at the next call.

mod clock;
mod log;
mod options;
mod partition;
mod state;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bus::{Bus, BusError, SessionOptions, Tail, TopicSpec};
use crate::log::Log;
use crate::member::Member;
use crate::publisher::{Publisher, Receipt, SoleWriteError, SoleWriter};
use crate::record::{Output, OwnedRecord};
use crate::session::Session;
use crate::tail::LogTail;
pub use clock::{ProcessClock, SimClock};
use log::Shared;
pub use options::{CommitFault, SimOptions};
use partition::Partition;

/// A log in memory; clones are the same log.
#[derive(Debug, Clone)]
pub struct SimBus {
    shared: Shared,
}

impl SimBus {
    /// An empty log under that clock.
    pub fn new(clock: Arc<SimClock>, options: SimOptions) -> Self {
        Self { shared: Shared::new(clock, options) }
    }

    /// The next commits of sessions, in order, meet these faults; those behind them succeed.
    pub fn fail_commits(&self, faults: impl IntoIterator<Item = CommitFault>) {
        self.shared.lock().faults.extend(faults.into_iter().map(|fault| (None, fault)));
    }

    /// The next commit of the members of that name meets this fault.
    pub fn fail_commit_of(&self, member: &str, fault: CommitFault) {
        self.shared.lock().faults.push_back((Some(member.into()), fault));
    }

    /// Whether the log can be reached; while it cannot, every call fails as unavailable.
    pub fn set_reachable(&self, reachable: bool) {
        self.shared.lock().unreachable_until_ms = if reachable { i64::MIN } else { i64::MAX };
    }

    /// Nobody reaches the log for that many milliseconds from now on.
    pub fn unreachable_for(&self, ms: i64) {
        self.shared.lock().unreachable_until_ms = self.shared.now_ms() + ms;
    }

    /// Forgets what a group has committed, as a broker does after [`SimOptions::offsets_retention_ms`].
    pub fn forget_offsets(&self, group: &str) {
        self.shared.lock().offsets.retain(|(of, _), _| **of != *group);
    }

    /// Deletes a topic, and with it what groups have committed there. One that is made anew is another topic.
    pub fn delete_topic(&self, topic: &str) {
        self.shared.lock().delete_topic(topic);
    }

    /// Writes records in a transaction of a producer that dies before it ends it.
    ///
    /// # Errors
    /// If there is no such topic.
    pub fn leave_open(&self, producer: &str, outputs: Vec<Output>) -> Result<(), BusError> {
        let failed = |e: crate::SessionError| BusError::Unavailable(e.to_string());
        self.shared.leave_open(producer, outputs).map_err(failed)
    }

    /// Removes the records of a partition before an offset, as retention does.
    pub fn drop_before(&self, topic: &str, partition: u32, offset: i64) {
        self.shared.lock().drop_before(topic, partition, offset);
    }

    /// Removes all but the last record of every key of a topic, and tombstones that are old enough.
    pub fn compact(&self, topic: &str) {
        let now_ms = self.shared.now_ms();
        self.shared.lock().compact(topic, now_ms);
    }

    /// Every record of a topic that a reader of committed records can see: partition, record.
    pub fn records(&self, topic: &str) -> Vec<(u32, OwnedRecord)> {
        self.stored_records(topic).into_iter().map(|(partition, record)| (partition, (*record).clone())).collect()
    }

    /// The same, without a copy of each.
    pub fn stored_records(&self, topic: &str) -> Vec<(u32, Arc<OwnedRecord>)> {
        self.shared.lock().records(topic)
    }
}

impl Bus for SimBus {
    fn cluster_id(&self) -> Result<String, BusError> {
        self.shared.check()?;
        Ok("sim".into())
    }

    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.shared.check()?;
        self.shared.lock().ensure_topics(topics)
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        self.shared.check()?;
        Ok(self.shared.lock().count(topic))
    }

    fn incarnations(&self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, String>, BusError> {
        self.shared.check()?;
        let known = |topic: &Arc<str>| Some((topic.clone(), self.shared.incarnation(topic)?.to_string()));
        Ok(topics.iter().filter_map(known).collect())
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.shared.offsets(topic, Partition::end)
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.shared.offsets(topic, Partition::begin)
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        self.shared.offsets(topic, |p| p.offset_at(time_ms))
    }

    fn publisher(&self, _name: &str) -> Result<Arc<dyn Publisher>, BusError> {
        self.shared.check()?;
        Ok(Arc::new(self.clone()))
    }

    fn sole_writer(&self, name: &str) -> Result<Box<dyn SoleWriter>, BusError> {
        self.shared.check()?;
        let name: Arc<str> = name.into();
        let mut state = self.shared.lock();
        let opened = state.sole_writers.entry(name.clone()).or_default();
        *opened += 1;
        Ok(Box::new(SimSoleWriter { shared: self.shared.clone(), number: *opened, name }))
    }

    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        self.shared.check()?;
        Ok(Box::new(LogTail::open(self.shared.clone(), topic)?))
    }

    fn tail_from(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        self.shared.check()?;
        Ok(Box::new(LogTail::open(self.shared.clone(), topic)?.from(offsets)))
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        self.shared.check()?;
        Ok(Box::new(Member::join(self.shared.clone(), options.clone())))
    }
}

impl Publisher for SimBus {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = crate::publisher::receipt();
        // Nobody waits for a receipt that was dropped.
        let _ = acknowledge.send(self.shared.publish(outputs));
        receipt
    }
}

/// The right to write until another writer of the name is opened.
struct SimSoleWriter {
    shared: Shared,
    name: Arc<str>,
    /// How many there were when it was opened.
    number: u64,
}

impl SoleWriter for SimSoleWriter {
    fn write(self: Box<Self>, outputs: Vec<Output>) -> Result<(), SoleWriteError> {
        // Nothing happens in between: a simulated log has one thread.
        if self.shared.lock().sole_writers.get(&self.name) != Some(&self.number) {
            return Err(SoleWriteError::Superseded);
        }
        match self.shared.publish(outputs) {
            Ok(_) => Ok(()),
            Err(error) => Err(SoleWriteError::NotWritten(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
