//! A sink that waits for an answer that does not come, and one that only has much to ask.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{Bus, Clock, SessionOptions, TURN_MS_MAX, TopicPartition, TopicSpec};
use tokio::runtime::Runtime;

use super::super::service::{SinkOptions, spawn_sink};
use super::super::stats::SinkStats;
use super::super::step::Sink;
use super::super::writer::{Counted, Range, Writer};
use super::harness::{Member, log, options, topics};
use crate::address::{Address, Endpoint};
use crate::client::SqlError;
use crate::rows::{Rows, Table};
use crate::tables::TablesError;

/// Nobody waits that often for a millisecond unless something is lost.
const LOOKS_MAX: u32 = 60_000;

/// A clock that a test moves.
#[derive(Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.0.load(Ordering::Relaxed)
    }

    fn sleep(&self, time: Duration) {
        std::thread::park_timeout(time);
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..LOOKS_MAX {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("never: {what}");
}

#[test]
fn a_request_that_hangs_is_told_by_a_turn_that_does_not_end() {
    let bus = SimBus::new(SimClock::at(1_700_000_000_000), SimOptions::default());
    let topics = topics();
    let spec = |name: &Arc<str>| TopicSpec {
        name: name.clone(),
        partitions: 1,
        compacted: false,
        retention_ms: None,
        delete_retention_ms: None,
    };
    bus.ensure_topics(&[spec(&topics.audit), spec(&topics.dead_letters)]).unwrap();
    // It takes what it is asked, and says nothing.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let endpoint = Endpoint::fixed(Address { url, user: None, password: None });
    let session = SessionOptions { group: "audit".into(), member: "a".into(), transactional: false };
    let (clock, runtime) = (Arc::new(Moved::default()), Runtime::new().unwrap());
    let (options, handle) = (SinkOptions::default(), runtime.handle().clone());
    let sink = spawn_sink(Arc::new(bus), session, topics, endpoint, options, clock.clone(), handle);
    let stats = sink.stats().clone();
    let (asked, _) = server.accept().unwrap();
    assert_eq!(stats.hangs_ms(clock.now_ms()), None, "an answer may take its time");
    clock.0.store(TURN_MS_MAX + 1, Ordering::Relaxed);
    assert_eq!(stats.hangs_ms(clock.now_ms()), Some(TURN_MS_MAX + 1));
    assert_eq!(stats.problems(), [""; 0], "nothing else tells");
    drop((asked, server));
    wait_until("the next turn", || stats.hangs_ms(clock.now_ms()).is_none());
    wait_until("what became of it", || stats.problems().iter().any(|why| why.contains("ClickHouse")));
    sink.join();
}

/// Every answer takes most of what a turn may.
struct Slow {
    clock: Arc<Moved>,
    stats: Arc<SinkStats>,
    requests: i64,
    inserted: u64,
}

impl Slow {
    fn request(&mut self) {
        self.clock.0.fetch_add(TURN_MS_MAX - 1, Ordering::Relaxed);
        self.requests += 1;
        assert_eq!(self.stats.hangs_ms(self.clock.now_ms()), None, "request {}", self.requests);
    }
}

impl Writer for Slow {
    fn prepare(&mut self) -> Result<(), TablesError> {
        self.request();
        Ok(())
    }

    fn insert(&mut self, table: Table, rows: &Rows, _: &str) -> Result<(), SqlError> {
        self.request();
        self.inserted = rows.len_of(table) as u64;
        Ok(())
    }

    fn count(&mut self, _: Table, _: &Range<'_>) -> Result<Counted, SqlError> {
        self.request();
        Ok(Counted { rows: self.inserted, distinct: self.inserted })
    }
}

#[test]
fn a_long_turn_of_many_answers_is_none_that_hangs() {
    let (mut log, clock, stats) = (log(20), Arc::new(Moved::default()), Arc::new(SinkStats::default()));
    let (topics, options, mut member) = (topics(), options(100), Member::new(&mut log, 100));
    let mut writer = Slow { clock: clock.clone(), stats: stats.clone(), requests: 0, inserted: 0 };
    let mut sink = Sink::new(&mut member, &mut writer, &topics, &options, clock.clone(), stats.clone()).unwrap();
    for _ in 0..100 {
        sink.step(&mut |_| false).unwrap();
    }
    drop(sink);
    // Each partition's rows were one batch.
    assert_eq!((stats.rows.load(Ordering::Relaxed), stats.batches.load(Ordering::Relaxed)), (60, 3));
    assert!(writer.requests > 6, "{} requests", writer.requests);
}

#[test]
fn what_is_written_is_committed_before_a_group_would_give_its_member_up() {
    let (mut log, clock, stats) = (log(20), Arc::new(Moved::default()), Arc::new(SinkStats::default()));
    let (topics, options, mut member) = (topics(), options(100), Member::new(&mut log, 100));
    let mut writer = Slow { clock: clock.clone(), stats: stats.clone(), requests: 0, inserted: 0 };
    let mut sink = Sink::new(&mut member, &mut writer, &topics, &options, clock, stats.clone()).unwrap();
    let mut batches = Vec::new();
    for _ in 0..100 {
        sink.step(&mut |_| false).unwrap();
        batches.push(stats.batches.load(Ordering::Relaxed));
    }
    batches.dedup();
    // A single one takes longer than all may.
    assert_eq!(batches, [0, 1, 2, 3]);
    drop(sink);
    let committed = [("petrel.audit", 0), ("petrel.audit", 1), ("petrel.dead_letters", 0)]
        .map(|(topic, partition)| log.committed(&TopicPartition { topic: topic.into(), partition }));
    assert_eq!(committed, [Some(45); 3]);
}

#[test]
fn a_partition_waits_for_each_of_the_others_once() {
    let (mut log, clock, stats) = (log(20), Arc::new(Moved::default()), Arc::new(SinkStats::default()));
    // Each of the others has something new whenever one was written.
    let (topics, options, mut member) = (topics(), options(100), Member::new(&mut log, 2));
    let mut writer = Slow { clock: clock.clone(), stats: stats.clone(), requests: 0, inserted: 0 };
    let mut sink = Sink::new(&mut member, &mut writer, &topics, &options, clock, stats.clone()).unwrap();
    let is_enough = || stats.batches.load(Ordering::Relaxed) == 3;
    (0..100).take_while(|_| !is_enough()).for_each(|_| sink.step(&mut |_| false).unwrap());
    assert!(is_enough());
    drop(sink);
    for (topic, partition) in [("petrel.audit", 0), ("petrel.audit", 1), ("petrel.dead_letters", 0)] {
        let at = TopicPartition { topic: topic.into(), partition };
        assert!(log.committed(&at).is_some_and(|offset| offset > 0), "{topic}/{partition}");
    }
}
