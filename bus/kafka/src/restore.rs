//! Reads partitions of a changelog to their ends, all of them at once.
//!
//! The end is the high watermark, asked for by a client that sees what is not committed: a client that
//! does not is told the last stable offset, and the markers of the last owner's commit may reach this
//! partition after its offsets became stable (KAFKA-10167; guarantees §2). Then open transactions are
//! waited for, and everything committed is read until the positions have passed those ends, markers
//! included.
//!
//! One consumer reads all partitions, as fast as the broker gives them; what is fetched ahead is bounded
//! for all of them together.
#![expect(clippy::disallowed_methods, reason = "how long the broker may be silent, and how long it took")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use petrel_bus::{
    BusError, RESTORE_OUT_OF_RANGE, RestoreFrom, RestoreProgress, Restored, SessionError, TopicPartition,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::context::Context;
use crate::faults::rebuild;
use crate::lists;
use crate::native::{Message, Polled, Poller, TopicHandle};
use crate::offsets::{self, Which};
use crate::session::KafkaSession;

/// Pause before last stable offsets are asked for again.
const STABLE_PAUSE: Duration = Duration::from_millis(10);
/// How often a long restore tells of itself.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// After how many records the progress of a partition is told.
const TOLD_RECORDS: u64 = 1024;
/// Longest wait in one poll.
const POLL_WAIT: Duration = Duration::from_millis(200);

/// A partition that is being read.
struct Reading {
    at: TopicPartition,
    next: i64,
    end: i64,
}

pub(crate) fn restore(
    session: &mut KafkaSession,
    wanted: &[RestoreFrom],
    each: &mut Restored<'_>,
) -> Result<Vec<i64>, SessionError> {
    let partitions: Vec<TopicPartition> = wanted.iter().map(|w| w.at.clone()).collect();
    let asked = |which| session.questions.offsets(&partitions, which);
    let bounds = asked(Which::Beginning).and_then(|begins| Ok((begins, asked(Which::End)?)));
    let (begins, ends) = bounds.map_err(|e| no_ends(session, &partitions, &e))?;
    let (mut readings, mut answer) = (Vec::new(), Vec::with_capacity(wanted.len()));
    for (RestoreFrom { at, from }, (begin, end)) in wanted.iter().zip(begins.into_iter().zip(ends)) {
        let next = from.unwrap_or(begin);
        let is_there = (begin..=end).contains(&next);
        answer.push(if is_there { end } else { RESTORE_OUT_OF_RANGE });
        if is_there && next < end {
            readings.push(Reading { at: at.clone(), next, end });
        }
    }
    if readings.is_empty() {
        return Ok(answer);
    }
    readings.iter().for_each(|r| session.progress.reached(&r.at, r.next, r.end));
    wait_until_stable(session, &readings)?;
    let restorer = match session.restorer.take() {
        Some(restorer) => restorer,
        None => reader(session)?,
    };
    let (began, partitions) = (Instant::now(), readings.len());
    let records = read(session, &restorer, readings, each)?;
    let took_ms = began.elapsed().as_millis();
    tracing::debug!(group = %session.group, partitions, records, took_ms, "changelog restored");
    session.restorer = Some(restorer);
    Ok(answer)
}

/// A partition that is not there is a mistake of the configuration; anything else may pass.
fn no_ends(session: &KafkaSession, partitions: &[TopicPartition], error: &BusError) -> SessionError {
    for TopicPartition { topic, partition } in partitions {
        if session.questions.partitions(topic).is_ok_and(|count| count.unwrap_or(0) <= *partition) {
            return SessionError::Halt(format!(
                "changelog {topic} has no partition {partition}: it needs the same number of partitions as its inputs"
            ));
        }
    }
    SessionError::Rebuild(error.to_string())
}

fn reader(session: &KafkaSession) -> Result<Poller, SessionError> {
    let context = Context::new(format!("restore of {}", session.group));
    let consumer: Result<BaseConsumer<Context>, _> =
        session.options.reader(&session.group).create_with_context(context);
    consumer.and_then(Poller::new).map_err(|e| rebuild("cannot restore", &e))
}

/// A read_committed client is told the last stable offset as the end.
fn wait_until_stable(session: &KafkaSession, readings: &[Reading]) -> Result<(), SessionError> {
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    let mut left: Vec<&Reading> = readings.iter().collect();
    loop {
        let partitions: Vec<TopicPartition> = left.iter().map(|reading| reading.at.clone()).collect();
        let stable = offsets::of(session.consumer(), &partitions, Which::End, session.options.request_timeout());
        let stable = stable.map_err(|e| SessionError::Rebuild(e.to_string()))?;
        let mut stable = stable.into_iter();
        left.retain(|reading| stable.next().is_none_or(|stable| stable < reading.end));
        let Some(first) = left.first() else { return Ok(()) };
        let TopicPartition { topic, partition } = &first.at;
        if began.elapsed() > session.options.stable_timeout() {
            return Err(SessionError::Rebuild(format!("a transaction of {topic}/{partition} stays open")));
        }
        if told.is_none_or(|when| when.elapsed() > PROGRESS_EVERY) {
            told = Some(Instant::now());
            tracing::info!(%topic, partition, partitions = left.len(), "restore waits for open transactions");
        }
        std::thread::sleep(STABLE_PAUSE);
    }
}

/// Reads everything before the ends; returns the number of records.
fn read(
    session: &KafkaSession,
    restorer: &Poller,
    readings: Vec<Reading>,
    each: &mut Restored<'_>,
) -> Result<u64, SessionError> {
    let mut list = TopicPartitionList::with_capacity(readings.len());
    for Reading { at, next, .. } in &readings {
        let added = list.add_partition_offset(&at.topic, lists::number(at.partition), Offset::Offset(*next));
        added.map_err(|e| rebuild("cannot restore", &e))?;
    }
    restorer.consumer().assign(&list).map_err(|e| rebuild("cannot restore", &e))?;
    let mut left = Left { open: readings.len(), readings, by_handle: HashMap::new() };
    let (mut records, mut progressed, mut told) = (0_u64, Instant::now(), Instant::now());
    while left.open > 0 {
        match restorer.poll(POLL_WAIT) {
            Polled::Message(message) => {
                let record = message.record();
                if let Some(partition) = left.take(&message, record.offset) {
                    (records, progressed) = (records + 1, Instant::now());
                    each(partition, record.offset, record.key.unwrap_or_default(), record.value);
                    if records.is_multiple_of(TOLD_RECORDS) {
                        left.tell(&session.progress);
                    }
                }
            }
            // Whatever stands between the last record and here is aborted, or markers.
            Polled::End { topic, partition, offset } => {
                left.reached(&topic, partition, offset);
                left.tell(&session.progress);
            }
            Polled::Error { fatal: true, reason, .. } => return Err(SessionError::Rebuild(reason)),
            _ => {}
        }
        if progressed.elapsed() > Duration::from_millis(session.options.restore_idle_timeout_ms) {
            return Err(SessionError::Rebuild(format!("{} cannot be read on", left.describe())));
        }
        if told.elapsed() > PROGRESS_EVERY {
            told = Instant::now();
            tracing::info!(group = %session.group, left = %left.describe(), records, "restoring");
        }
    }
    restorer.consumer().unassign().map_err(|e| rebuild("cannot restore", &e))?;
    Ok(records)
}

/// What is still to be read.
struct Left {
    readings: Vec<Reading>,
    /// Partitions that have not reached their ends.
    open: usize,
    by_handle: HashMap<(TopicHandle, u32), usize>,
}

impl Left {
    /// Partition of a record that is wanted.
    fn take(&mut self, message: &Message<'_>, offset: i64) -> Option<u32> {
        let key = (message.topic_handle(), message.partition());
        let index = match self.by_handle.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.index_of(&message.topic(), key.1)?;
                self.by_handle.insert(key, index);
                index
            }
        };
        let reading = &self.readings[index];
        let is_wanted = (reading.next..reading.end).contains(&offset);
        self.advance(index, offset + 1);
        is_wanted.then_some(key.1)
    }

    fn reached(&mut self, topic: &str, partition: u32, offset: i64) {
        if let Some(index) = self.index_of(topic, partition) {
            self.advance(index, offset);
        }
    }

    fn index_of(&self, topic: &str, partition: u32) -> Option<usize> {
        self.readings.iter().position(|r| r.at.partition == partition && *r.at.topic == *topic)
    }

    fn advance(&mut self, index: usize, next: i64) {
        let reading = &mut self.readings[index];
        let was_open = reading.next < reading.end;
        reading.next = reading.next.max(next);
        self.open -= usize::from(was_open && reading.next >= reading.end);
    }

    fn tell(&self, progress: &RestoreProgress) {
        self.readings.iter().for_each(|r| progress.reached(&r.at, r.next.min(r.end), r.end));
    }

    /// For people: how far the partitions are that are not done.
    fn describe(&self) -> String {
        let open = self.readings.iter().filter(|r| r.next < r.end);
        let one = |r: &Reading| format!("{}/{} at {} of {}", r.at.topic, r.at.partition, r.next, r.end);
        open.map(one).collect::<Vec<_>>().join(", ")
    }
}
