//! Space: what a log that reached its limit does, and that removal keeps up and survives damage.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use petrel_bus::{
    Bus, GroupEvent, InputTopic, Output, Position, PublishError, Session, SessionError, SessionOptions, Start,
    TopicPartition,
};
use petrel_bus_local::{Fsync, LocalBus, LocalOptions};
use tempfile::TempDir;

use support::{clock, compacted, publish, records, wait_until};

const MIB: usize = 1 << 20;

fn fill(bus: &LocalBus, topic: &str) -> (usize, PublishError) {
    let value = "x".repeat(100_000);
    for written in 0..1_000 {
        if let Err(refused) = publish(bus, topic, &[("k", Some(&value))]) {
            return (written, refused);
        }
    }
    panic!("nothing was refused");
}

#[test]
fn a_full_log_refuses_loses_nothing_and_goes_on_once_records_are_old() {
    let (dir, time) = (TempDir::new().unwrap(), clock());
    let options = LocalOptions {
        log_bytes_max: MIB as u64,
        retention_ms_default: Some(60_000),
        // No pass of its own comes to help.
        retention_turn_ms: 3_600_000,
        topic_partitions_default: 1,
        ..LocalOptions::new(dir.path())
    };
    let bus = LocalBus::open(options.clone(), time.clone()).unwrap();
    let (written, refused) = fill(&bus, "t");
    assert_eq!(written, 10);
    let PublishError::Unavailable(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains("log_bytes_max"), "{why}");
    let usage = bus.usage().unwrap();
    assert!(usage.bytes <= usage.bytes_max && usage.bytes_max == MIB as u64, "{usage:?}");
    assert_eq!(usage.problems, [why]);
    assert_eq!(records(&bus, "t").len(), written, "nothing went that was not old enough");
    publish(&bus, "t", &[("k", Some("small"))]).unwrap();
    drop(bus);
    // The limit counts what was there before.
    let bus = LocalBus::open(options, time.clone()).unwrap();
    fill(&bus, "t");
    assert_eq!(records(&bus, "t").len(), written + 1);
    time.0.fetch_add(60_001, Ordering::SeqCst);
    wait_until(&bus, "there is room again", || publish(&bus, "t", &[("k", Some(&"x".repeat(100_000)))]).is_ok());
    assert_eq!(bus.beginning_offsets("t").unwrap(), [written as i64 + 1]);
    wait_until(&bus, "all is well", || bus.usage().unwrap().problems.is_empty());
}

/// A stage's member that owns partition 0 of `in`.
fn member(bus: &LocalBus) -> Box<dyn Session> {
    let options = SessionOptions { group: "g".into(), member: "m".into(), transactional: true };
    let mut session = bus.session(&options).unwrap();
    session.subscribe(&[InputTopic { name: "in".into(), start: Start::Beginning, with: None }]).unwrap();
    let events = session.fetch(Duration::ZERO, 1, &mut |_| {}).unwrap();
    let [GroupEvent::Assigned(assigned)] = &events[..] else { panic!("{events:?}") };
    let positions: Vec<_> = session.begin(assigned).unwrap().into_iter().map(|begun| begun.position).collect();
    session.accept(&positions).unwrap();
    session
}

#[test]
fn a_stage_at_a_full_log_fails_its_commit_as_a_whole_and_may_still_commit_positions() {
    let (dir, time) = (TempDir::new().unwrap(), clock());
    let options = LocalOptions {
        log_bytes_max: MIB as u64,
        retention_ms_default: None,
        topic_partitions_default: 1,
        ..LocalOptions::new(dir.path())
    };
    let bus = LocalBus::open(options, time).unwrap();
    publish(&bus, "in", &[("k", Some("1"))]).unwrap();
    fill(&bus, "t");
    let at = TopicPartition { topic: "in".into(), partition: 0 };
    let position = [Position { at, offset: 1, metadata: None }];
    let mut session = member(&bus);
    let topic: Arc<str> = "t".into();
    session.send(Output::keyed(&topic, "k", vec![0; 200_000]), 0).unwrap();
    let refused = session.commit(&position);
    let Err(SessionError::Rebuild(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("log_bytes_max"), "{why}");
    drop(session);
    let mut session = member(&bus);
    let mut count = 0;
    session.fetch(Duration::ZERO, 10, &mut |fetched| count += fetched.len()).unwrap();
    assert_eq!(count, 1, "the record comes again: its position was not committed without the output");
    session.commit(&position).unwrap();
}

#[test]
fn records_that_are_replaced_give_their_bytes_back() {
    let dir = TempDir::new().unwrap();
    let options = LocalOptions { log_bytes_max: MIB as u64, ..LocalOptions::new(dir.path()) };
    let bus = LocalBus::open(options, clock()).unwrap();
    bus.ensure_topics(&[compacted("c")]).unwrap();
    for _ in 0..50 {
        publish(&bus, "c", &[("k", Some(&"x".repeat(100_000)))]).unwrap();
    }
    let bytes = bus.usage().unwrap().bytes;
    assert!((100_000..101_000).contains(&bytes), "{bytes}");
}

#[test]
fn removal_keeps_up_with_many_small_batches() {
    const PARTITIONS: usize = 96;
    const STAYS: i64 = 50;
    let (dir, time) = (TempDir::new().unwrap(), clock());
    let options = LocalOptions {
        fsync: Fsync::Never,
        retention_ms_default: Some(STAYS),
        retention_turn_ms: 0,
        topic_partitions_default: PARTITIONS as u32,
        ..LocalOptions::new(dir.path())
    };
    let bus = LocalBus::open(options, time.clone()).unwrap();
    let (publisher, topic): (_, Arc<str>) = (bus.publisher("p").unwrap(), "t".into());
    let mut kept_max = 0;
    for batch in 0..1_000_i64 {
        // One chunk in every partition, and time goes on by one.
        let output = |partition| Output::to_partition(&topic, partition, "k", Some(vec![0; 10]));
        publisher.publish((0..PARTITIONS as u32).map(output).collect()).wait().unwrap();
        time.0.fetch_add(1, Ordering::SeqCst);
        if batch > 2 * STAYS {
            kept_max = kept_max.max(batch + 1 - bus.beginning_offsets("t").unwrap().iter().min().unwrap());
        }
    }
    assert!(kept_max >= STAYS, "{kept_max}: records went too early");
    assert!(kept_max < 3 * STAYS, "{kept_max} batches are kept where {STAYS} should be");
}

/// Bytes of a chunk are others than were written, as on a disk that is dying.
fn damage(dir: &std::path::Path, topic: u32, partition: u32, last: i64) {
    let db = fjall::Database::builder(dir.join("store")).open().unwrap();
    let log = db.keyspace("log", fjall::KeyspaceCreateOptions::default).unwrap();
    let key = [&topic.to_be_bytes()[..], &partition.to_be_bytes(), &last.to_be_bytes()].concat();
    assert!(log.get(&key).unwrap().is_some(), "the chunk is there");
    log.insert(&key, b"\xffnonsense").unwrap();
    db.persist(fjall::PersistMode::SyncAll).unwrap();
}

#[test]
fn an_unreadable_chunk_is_told_and_goes_with_those_behind_it_and_nothing_else_stops() {
    let (dir, time) = (TempDir::new().unwrap(), clock());
    let options = LocalOptions {
        retention_ms_default: Some(10_000),
        retention_turn_ms: 1,
        topic_partitions_default: 1,
        ..LocalOptions::new(dir.path())
    };
    let bus = LocalBus::open(options.clone(), time.clone()).unwrap();
    for _ in 0..3 {
        publish(&bus, "damaged", &[("k", Some("v"))]).unwrap();
        publish(&bus, "whole", &[("k", Some("v"))]).unwrap();
    }
    drop(bus);
    damage(dir.path(), 1, 0, 1);
    let bus = LocalBus::open(options, time.clone()).unwrap();
    time.0.fetch_add(10_001, Ordering::SeqCst);
    // The last of each is young again.
    for topic in ["damaged", "whole"] {
        publish(&bus, topic, &[("k", Some("young"))]).unwrap();
    }
    wait_until(&bus, "old records of others go", || bus.beginning_offsets("whole").unwrap() == [3]);
    wait_until(&bus, "what is behind the damage goes, and with it the damage", || {
        bus.beginning_offsets("damaged").unwrap() == [3]
    });
    assert_eq!(records(&bus, "damaged").len(), 1);
    wait_until(&bus, "the damage is gone", || bus.usage().unwrap().problems.is_empty());
}

#[test]
fn an_unreadable_chunk_without_a_successor_stops_nothing_and_is_a_problem() {
    let (dir, time) = (TempDir::new().unwrap(), clock());
    let options = LocalOptions {
        retention_ms_default: Some(10_000),
        retention_turn_ms: 1,
        topic_partitions_default: 1,
        ..LocalOptions::new(dir.path())
    };
    let bus = LocalBus::open(options.clone(), time.clone()).unwrap();
    publish(&bus, "damaged", &[("k", Some("v"))]).unwrap();
    drop(bus);
    damage(dir.path(), 1, 0, 0);
    let bus = LocalBus::open(options, time.clone()).unwrap();
    time.0.fetch_add(10_001, Ordering::SeqCst);
    wait_until(&bus, "the damage is told", || bus.usage().unwrap().problems.len() == 1);
    let problems = bus.usage().unwrap().problems;
    assert!(problems[0].contains("damaged/0"), "{problems:?}");
    for _ in 0..200 {
        publish(&bus, "other", &[("k", Some("v"))]).unwrap();
    }
    assert_eq!(records(&bus, "other").len(), 200);
    assert_eq!(bus.beginning_offsets("damaged").unwrap(), [0], "nobody knows how old it is");
}
