//! The sink as a whole, over a bus.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use petrel_audit::{Format, QueryLimits, SinkHandle, SinkOptions, SinkTopics, SqlClient, spawn_sink};
use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{Bus, Clock, Output, SessionOptions, TopicSpec};
use petrel_schemas::{RuleMatched, encode};
use tokio::runtime::Runtime;

use crate::process::{Engine, wait_for};

const PARTITIONS: u32 = 4;

/// The sink's clock, which goes on by itself; the log's stands still.
struct Passing(Instant);

impl Clock for Passing {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.0.elapsed().as_millis()).expect("a test is short")
    }

    fn sleep(&self, time: Duration) {
        std::thread::park_timeout(time);
    }
}

struct World {
    engine: Engine,
    runtime: Runtime,
    bus: SimBus,
    topics: SinkTopics,
}

impl World {
    fn start() -> Self {
        let bus = SimBus::new(SimClock::at(1_700_000_000_000), SimOptions::default());
        let topics = SinkTopics { audit: "petrel.audit".into(), dead_letters: "petrel.dead_letters".into() };
        let spec = |name: &Arc<str>| TopicSpec {
            name: name.clone(),
            partitions: PARTITIONS,
            compacted: false,
            retention_ms: None,
            delete_retention_ms: None,
        };
        bus.ensure_topics(&[spec(&topics.audit), spec(&topics.dead_letters)]).expect("topics");
        Self { engine: Engine::start(), runtime: Runtime::new().expect("a runtime"), bus, topics }
    }

    fn sink(&self, member: &str) -> SinkHandle {
        let session = SessionOptions { group: "petrel-audit".into(), member: member.into(), transactional: false };
        let endpoint = self.engine.process.endpoint();
        let runtime = self.runtime.handle().clone();
        let options = SinkOptions { backoff_ms: (20, 200), ..SinkOptions::default() };
        let bus = Arc::new(self.bus.clone());
        spawn_sink(bus, session, self.topics.clone(), endpoint, options, Arc::new(Passing(Instant::now())), runtime)
    }

    fn publish(&self, numbers: std::ops::Range<u32>) {
        let output = |n: u32| {
            let told = RuleMatched {
                event_id: format!("e{n}"),
                trigger: "p.t".into(),
                rule: "p.r".into(),
                action: "p.a".into(),
                action_index: 0,
                execution_id: format!("x{n}"),
                event_at_ms: 1_700_000_000_000,
                revision: "r".into(),
                kv_version: 0,
            };
            Output::keyed(&self.topics.audit, told.event_id.as_str(), encode(&told))
        };
        let publisher = self.bus.publisher("test").expect("a publisher");
        publisher.publish(numbers.map(output).collect()).wait().expect("it is written");
    }

    /// Stored rows, duplicates included, and different ones; nothing while ClickHouse is away.
    fn rows(&self) -> Option<(u64, u64)> {
        let client = SqlClient::new(self.engine.process.endpoint(), "petrel");
        let sql = "SELECT (SELECT sum(rows) FROM system.parts WHERE active AND table = 'rule_matches') AS stored, \
                   (SELECT uniqExact(execution_id) FROM rule_matches) AS distinct";
        let answer = self.runtime.block_on(client.query(sql, QueryLimits::default(), Format::Csv)).ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (stored, distinct) = answer.lines().nth(1)?.split_once(',')?;
        Some((stored.parse().ok()?, distinct.parse().ok()?))
    }

    fn wait_for_rows(&self, rows: u64) {
        wait_for("the rows", || self.rows().filter(|found| found.1 == rows));
    }
}

#[test]
fn records_are_rows_within_about_a_second() {
    let world = World::start();
    let sink = world.sink("a");
    // The tables are there once the first record is.
    world.publish(0..10);
    world.wait_for_rows(10);
    let began = Instant::now();
    world.publish(10..100);
    world.wait_for_rows(100);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "a light load took {took:?} to reach SQL");
    assert_eq!(sink.stats().records.load(Ordering::Relaxed), 100);
    assert!(sink.stats().problems().is_empty(), "{:?}", sink.stats().problems());
    sink.join();
    assert_eq!(world.rows(), Some((100, 100)));
}

#[test]
fn another_member_goes_on_where_one_left() {
    let world = World::start();
    let first = world.sink("a");
    world.publish(0..1_000);
    world.wait_for_rows(1_000);
    world.publish(1_000..2_000);
    // In order: what it has read is written before it leaves.
    first.join();
    world.publish(2_000..3_000);
    let second = world.sink("b");
    world.wait_for_rows(3_000);
    second.join();
    assert_eq!(world.rows(), Some((3_000, 3_000)));
}

#[test]
fn the_engine_killed_again_and_again_loses_nothing() {
    let world = World::start();
    let sink = world.sink("a");
    for round in 0..5u32 {
        world.publish(round * 500..(round + 1) * 500);
        let pid = wait_for("the engine", || world.engine.process.pid());
        let kill = std::process::Command::new("/bin/kill").args(["-9", &pid.to_string()]).status();
        assert!(kill.is_ok_and(|s| s.success()));
        wait_for("another engine", || world.engine.process.pid().filter(|p| *p != pid));
    }
    world.wait_for_rows(2_500);
    wait_for("the end of the outage", || (sink.stats().down_since_ms.load(Ordering::Relaxed) == 0).then_some(()));
    assert_eq!(sink.stats().missing.load(Ordering::Relaxed), 0);
    sink.join();
}
