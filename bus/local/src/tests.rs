//! What happens where the store fails: faults that no test from outside can bring about.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use petrel_bus::{Bus, Clock, Output, PublishError, TopicSpec};
use tempfile::TempDir;

use crate::log::LocalLog;
use crate::{Fsync, LocalBus, LocalOptions};

/// Failures to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) sync: AtomicBool,
    pub(crate) write: AtomicBool,
}

impl Faults {
    pub(crate) fn sync(&self) -> fjall::Result<()> {
        meet(&self.sync)
    }

    pub(crate) fn write(&self) -> fjall::Result<()> {
        meet(&self.write)
    }
}

fn meet(fault: &AtomicBool) -> fjall::Result<()> {
    match fault.swap(false, Ordering::SeqCst) {
        true => Err(io::Error::other("a fault, as asked").into()),
        false => Ok(()),
    }
}

/// A log's time stands still.
struct Still;

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        1_000_000
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

fn open(options: LocalOptions) -> (LocalBus, LocalLog) {
    let log = LocalLog::open(options, Arc::new(Still)).unwrap();
    (LocalBus::over(log.clone()), log)
}

fn publish(bus: &LocalBus, topic: &str, value: &str, timestamp_ms: i64) -> Result<(), PublishError> {
    let output = Output::keyed(&topic.into(), "k", value.as_bytes().to_vec());
    let output = Output { timestamp_ms: Some(timestamp_ms), ..output };
    bus.publisher("p").unwrap().publish(vec![output]).wait().map(drop)
}

fn count(bus: &LocalBus, topic: &str) -> usize {
    let (mut tail, mut count) = (bus.tail(topic).unwrap(), 0);
    while !tail.caught_up() {
        tail.next(Duration::ZERO, &mut |_, _| count += 1).unwrap();
    }
    count
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_failed_sync_opens_the_log_anew_and_it_goes_on() {
    let dir = TempDir::new().unwrap();
    let (bus, log) = open(LocalOptions { fsync: Fsync::Interval(1), ..LocalOptions::new(dir.path()) });
    publish(&bus, "t", "1", 0).unwrap();
    log.shared().store().unwrap().faults.sync.store(true, Ordering::SeqCst);
    // Whatever this one meets, it is answered.
    let _ = publish(&bus, "t", "2", 0);
    wait_until("the log is opened anew", || log.shared().lock().reopened == 1);
    wait_until("it goes on", || publish(&bus, "t", "3", 0).is_ok());
    assert!((2..=3).contains(&count(&bus, "t")), "{}", count(&bus, "t"));
}

#[test]
fn a_removal_that_cannot_be_written_opens_the_log_anew_and_it_goes_on() {
    let dir = TempDir::new().unwrap();
    let options = LocalOptions {
        retention_ms_default: Some(10),
        retention_turn_ms: 300,
        topic_partitions_default: 1,
        ..LocalOptions::new(dir.path())
    };
    let (bus, log) = open(options);
    publish(&bus, "t", "old", 0).unwrap();
    log.shared().store().unwrap().faults.write.store(true, Ordering::SeqCst);
    wait_until("the log is opened anew", || log.shared().lock().reopened == 1);
    wait_until("the removal is made again", || bus.beginning_offsets("t").unwrap() == [1]);
    publish(&bus, "t", "new", 1_000_000).unwrap();
    assert_eq!(count(&bus, "t"), 1);
}

#[test]
fn a_failed_write_is_told_and_the_log_goes_on() {
    let dir = TempDir::new().unwrap();
    let (bus, log) = open(LocalOptions::new(dir.path()));
    publish(&bus, "t", "1", 0).unwrap();
    log.shared().store().unwrap().faults.write.store(true, Ordering::SeqCst);
    let unknown = publish(&bus, "t", "2", 0);
    assert!(matches!(unknown, Err(PublishError::OutcomeUnknown(_))), "{unknown:?}");
    wait_until("it goes on", || publish(&bus, "t", "3", 0).is_ok());
    assert_eq!(log.shared().lock().reopened, 1);
    assert_eq!(count(&bus, "t"), 2);
}

/// What is kept about the bytes is what is there, after everything that changes it.
#[test]
fn the_bytes_are_counted() {
    let dir = TempDir::new().unwrap();
    let options = LocalOptions {
        retention_ms_default: Some(10),
        retention_turn_ms: 1,
        topic_partitions_default: 2,
        ..LocalOptions::new(dir.path())
    };
    let there = |log: &LocalLog| -> u64 {
        let (store, state) = (log.shared().store().unwrap(), log.shared().lock());
        let mut bytes = 0;
        for topic in state.topics.values() {
            for partition in 0..topic.spec.partitions {
                let slot = crate::store::layout::Slot { topic: topic.id, partition };
                let each = |_, raw: fjall::Slice| {
                    bytes += raw.len() as u64;
                    std::ops::ControlFlow::Continue(())
                };
                store.scan_raw(slot, 0, i64::MAX, each).unwrap();
            }
        }
        assert_eq!(state.bytes, bytes);
        bytes
    };
    let (bus, log) = open(options.clone());
    let spec = TopicSpec {
        name: "c".into(),
        partitions: 1,
        compacted: true,
        retention_ms: None,
        delete_retention_ms: Some(0),
    };
    bus.ensure_topics(&[spec]).unwrap();
    for round in 0..20 {
        publish(&bus, "c", &"x".repeat(round), 0).unwrap();
        publish(&bus, "old", &"x".repeat(round), 0).unwrap();
        publish(&bus, "new", &"x".repeat(round), 1_000_000).unwrap();
    }
    wait_until("old records are gone", || count(&bus, "old") == 0);
    let before = there(&log);
    assert!(before > 0);
    let gone = Output { value: None, timestamp_ms: Some(0), ..Output::keyed(&"c".into(), "k", Vec::new()) };
    bus.publisher("p").unwrap().publish(vec![gone]).wait().unwrap();
    wait_until("the tombstone is gone", || count(&bus, "c") == 0);
    assert!(there(&log) < before);
    let before = there(&log);
    drop((bus, log));
    let (bus, log) = open(options);
    assert_eq!(there(&log), before, "opened again");
    assert_eq!(bus.usage().unwrap().bytes, before);
}

/// Nothing of a deleted topic is left, and one that is made anew is told from it, also after the log was closed.
#[test]
fn a_topic_that_was_deleted_leaves_nothing_and_one_made_anew_is_another() {
    let dir = TempDir::new().unwrap();
    let options = LocalOptions { topic_partitions_default: 2, ..LocalOptions::new(dir.path()) };
    let id = |bus: &LocalBus| bus.incarnations(&["t".into()]).unwrap().into_values().next();
    let keys = |log: &LocalLog, id: u32| {
        let (chunks, keys) = log.shared().store().unwrap().keys_of_topic(id).unwrap();
        (chunks.len(), keys.len())
    };
    let (bus, log) = open(options.clone());
    let compacted = |name: &str| TopicSpec {
        name: name.into(),
        partitions: 2,
        compacted: true,
        retention_ms: None,
        delete_retention_ms: None,
    };
    bus.ensure_topics(&[compacted("other"), compacted("t")]).unwrap();
    publish(&bus, "t", "1", 0).unwrap();
    publish(&bus, "other", "1", 0).unwrap();
    let (first, number) = (id(&bus), log.shared().lock().topics["t"].id);
    assert_eq!(keys(&log, number), (1, 1));
    bus.delete_topic("t").unwrap();
    assert_eq!((bus.partitions("t").unwrap(), id(&bus), keys(&log, number)), (None, None, (0, 0)));
    let kept = log.shared().lock().bytes;
    drop((bus, log));
    let (bus, log) = open(options);
    assert_eq!(log.shared().lock().bytes, kept);
    assert_eq!((count(&bus, "other"), bus.partitions("t").unwrap()), (1, None));
    bus.ensure_topics(&[compacted("t")]).unwrap();
    assert!(first.is_some() && id(&bus).is_some() && id(&bus) != first, "{first:?}");
    assert_eq!(bus.end_offsets("t").unwrap(), [0, 0]);
    publish(&bus, "t", "2", 0).unwrap();
    assert_eq!(count(&bus, "t"), 1);
    // A topic that nobody has is deleted already.
    bus.delete_topic("none").unwrap();
}
