//! A bus in memory under virtual time, for tests: the same calls give the same results.
//!
//! It keeps to what Kafka does where that is inconvenient: a transaction leaves a gap in the offsets
//! behind its records, a crashed member holds its partitions until it expires or returns under its
//! name, and a commit can be left in doubt ([`CommitFault::InDoubt`]): decided, but not visible until
//! [`crate::Session::begin`] or some time has settled it, as Kafka's transaction markers are. Whoever
//! restores before that misses it.
//!
//! Nothing here waits or runs in the background: a test ticks its drivers and moves [`SimClock`].

mod clock;
mod log;
mod state;

use std::sync::Arc;

use crate::bus::{Bus, BusError, SessionOptions, Tail, TopicSpec};
use crate::member::Member;
use crate::publisher::{Publisher, Receipt, SoleWriteError, SoleWriter};
use crate::record::{Output, OwnedRecord};
use crate::session::Session;
use crate::tail::LogTail;
pub use clock::SimClock;
use log::Shared;

/// Settings of a [`SimBus`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// How long a silent member keeps its partitions, in milliseconds of virtual time.
    pub session_timeout_ms: i64,
    /// After how long a commit in doubt settles by itself, in milliseconds of virtual time.
    pub in_doubt_ms: i64,
    /// Largest record, key and value, in bytes.
    pub record_bytes_max: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { session_timeout_ms: 10_000, in_doubt_ms: 5_000, record_bytes_max: 1_048_576 }
    }
}

/// What becomes of a session's commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitFault {
    /// Nothing: it succeeds.
    None,
    /// It is refused and may be tried again: the driver aborts.
    Abort,
    /// The connection is lost before anything was written: the driver must rebuild.
    Lost,
    /// It is committed, but the answer is lost: the driver must rebuild.
    AnswerLost,
    /// It is decided, but becomes visible later, and the answer is lost: the driver must rebuild.
    InDoubt,
}

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
        self.shared.lock().faults.extend(faults);
    }

    /// Whether the log can be reached; while it cannot, every call fails as unavailable.
    pub fn set_reachable(&self, reachable: bool) {
        self.shared.lock().unreachable = !reachable;
    }

    /// Removes the records of a partition before an offset, as retention does.
    pub fn drop_before(&self, topic: &str, partition: u32, offset: i64) {
        self.shared.lock().drop_before(topic, partition, offset);
    }

    /// Removes all but the last record of every key of a topic.
    pub fn compact(&self, topic: &str) {
        self.shared.lock().compact(topic);
    }

    /// Every committed record of a topic: partition, record.
    pub fn records(&self, topic: &str) -> Vec<(u32, OwnedRecord)> {
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

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.shared.offsets(topic, |p| p.end)
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.shared.offsets(topic, |p| p.begin)
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
