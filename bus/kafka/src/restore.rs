//! Reads a changelog's partition to its end.
//!
//! The end is the high watermark, asked for by a client that sees what is not committed: a client that
//! does not is told the last stable offset, and the markers of the last owner's commit may reach this
//! partition after its offsets became stable (KAFKA-10167; guarantees §2). Then an open transaction is
//! waited for, and everything committed is read until the position has passed that end, markers
//! included.

use std::time::{Duration, Instant};

use petrel_bus::{BusError, Restored, SessionError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::context::Context;
use crate::faults::rebuild;
use crate::lists;
use crate::native::{Polled, Poller};
use crate::session::KafkaSession;

/// Pause before the last stable offset is asked for again.
const STABLE_PAUSE: Duration = Duration::from_millis(10);
/// How often a long restore tells of itself.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Longest wait in one poll.
const POLL_WAIT: Duration = Duration::from_millis(200);

pub(crate) fn restore(
    session: &mut KafkaSession,
    changelog: &TopicPartition,
    each: &mut Restored<'_>,
) -> Result<(), SessionError> {
    let ends = session.questions.watermarks(&changelog.topic, changelog.partition);
    let (low, end) = ends.map_err(|e| no_ends(session, changelog, &e))?;
    if low >= end {
        return Ok(());
    }
    wait_until_stable(session, changelog, end)?;
    let restorer = match session.restorer.take() {
        Some(restorer) => restorer,
        None => reader(session)?,
    };
    let began = Instant::now();
    let records = read(session, &restorer, changelog, (low, end), each)?;
    let took_ms = began.elapsed().as_millis();
    tracing::debug!(topic = %changelog.topic, partition = changelog.partition, records, took_ms, "changelog restored");
    session.restorer = Some(restorer);
    Ok(())
}

/// A partition that is not there is a mistake of the configuration; anything else may pass.
fn no_ends(session: &KafkaSession, changelog: &TopicPartition, error: &BusError) -> SessionError {
    let (topic, partition) = (&changelog.topic, changelog.partition);
    match session.questions.partitions(topic) {
        Ok(count) if count.unwrap_or(0) <= partition => SessionError::Halt(format!(
            "changelog {topic} has no partition {partition}: it needs the same number of partitions as its inputs"
        )),
        _ => SessionError::Rebuild(error.to_string()),
    }
}

fn reader(session: &KafkaSession) -> Result<Poller, SessionError> {
    let context = Context::new(format!("restore of {}", session.group));
    let consumer: Result<BaseConsumer<Context>, _> =
        session.options.reader(&session.group).create_with_context(context);
    consumer.and_then(Poller::new).map_err(|e| rebuild("cannot restore", &e))
}

/// A read_committed client is told the last stable offset as the end.
fn wait_until_stable(session: &KafkaSession, at: &TopicPartition, end: i64) -> Result<(), SessionError> {
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let timeout = session.options.request_timeout();
        let watermarks = session.consumer().fetch_watermarks(&at.topic, lists::number(at.partition), timeout);
        let (_, stable) = watermarks.map_err(|e| rebuild("no end of the changelog", &e))?;
        if stable >= end {
            return Ok(());
        }
        if began.elapsed() > session.options.stable_timeout() {
            let (topic, partition) = (&at.topic, at.partition);
            return Err(SessionError::Rebuild(format!("a transaction of {topic}/{partition} stays open at {stable}")));
        }
        if told.is_none_or(|when| when.elapsed() > PROGRESS_EVERY) {
            told = Some(Instant::now());
            tracing::info!(topic = %at.topic, partition = at.partition, stable, end,
                "restore waits for an open transaction");
        }
        std::thread::sleep(STABLE_PAUSE);
    }
}

fn read(
    session: &KafkaSession,
    restorer: &Poller,
    at: &TopicPartition,
    (low, end): (i64, i64),
    each: &mut Restored<'_>,
) -> Result<u64, SessionError> {
    let mut list = TopicPartitionList::new();
    let added = list.add_partition_offset(&at.topic, lists::number(at.partition), Offset::Offset(low));
    added.and_then(|()| restorer.consumer().assign(&list)).map_err(|e| rebuild("cannot restore", &e))?;
    let (mut records, mut next) = (0, low);
    let mut progressed = Instant::now();
    let mut told = Instant::now();
    while next < end {
        match restorer.poll(POLL_WAIT) {
            Polled::Message(message) if message.partition() == at.partition && message.offset() >= next => {
                let record = message.record();
                (records, next, progressed) = (records + 1, record.offset + 1, Instant::now());
                if let Some(key) = record.key {
                    each(key, record.value);
                }
            }
            // Whatever stands between the last record and here is aborted, or markers.
            Polled::End { topic, partition, offset } if partition == at.partition && *topic == *at.topic => {
                next = next.max(offset);
            }
            Polled::Error { fatal: true, reason, .. } => return Err(SessionError::Rebuild(reason)),
            _ => {}
        }
        if progressed.elapsed() > Duration::from_millis(session.options.restore_idle_timeout_ms) {
            return Err(SessionError::Rebuild(format!("{} cannot be read on at {next}", at.topic)));
        }
        if told.elapsed() > PROGRESS_EVERY {
            told = Instant::now();
            tracing::info!(topic = %at.topic, partition = at.partition, next, end, records, "restoring");
        }
    }
    restorer.consumer().unassign().map_err(|e| rebuild("cannot restore", &e))?;
    Ok(records)
}
