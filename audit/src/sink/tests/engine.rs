//! Against the real engine.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::super::stats::SinkStats;
use super::super::step::{Sink, SinkPoint, StepError};
use super::super::writer::{ClickHouseWriter, Writer};
use super::harness::{Counting, Log, Member, live, log, options, points, topics};
use crate::process::{Engine, wait_for};
use crate::query::{Format, QueryLimits, SqlClient};
use crate::rows::Table;
use crate::sink::SinkOptions;

/// Longest request in these tests, in milliseconds.
const REQUEST_MS: u64 = 20_000;

struct World {
    engine: Engine,
    runtime: Runtime,
}

impl World {
    fn start() -> Self {
        Self { engine: Engine::start(), runtime: Runtime::new().expect("a runtime") }
    }

    fn writer(&self, database: &str) -> ClickHouseWriter {
        let runtime = self.runtime.handle().clone();
        let options = SinkOptions { database: database.to_owned(), request_ms: REQUEST_MS, ..SinkOptions::default() };
        ClickHouseWriter::new(self.engine.process.endpoint(), &options, runtime)
    }

    fn ask(&self, database: &str, sql: &str) -> String {
        let sql_client = SqlClient::new(self.engine.process.endpoint(), database);
        let answer = self.runtime.block_on(sql_client.query(sql, QueryLimits::default(), Format::Csv));
        let answer = String::from_utf8(answer.expect(sql)).expect("text");
        answer.lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    /// Rows as they are stored, duplicates included, and as queries see them.
    fn rows(&self, database: &str) -> (usize, usize) {
        let count = |table: &Table, modifier: &str| -> usize {
            let of = format!("SELECT count() FROM (SELECT log_offset FROM {} {modifier})", table.name());
            self.ask(database, &of).parse().expect("a number")
        };
        // `final` is on by default for whoever asks; a setting of the query cannot change it, so the
        // parts are asked for what they hold.
        let stored = format!(
            "SELECT sum(rows) FROM system.parts WHERE active AND database = '{database}' AND table != 'schema_migrations'"
        );
        let stored = self.ask(database, &stored).parse().expect("a number");
        (stored, Table::ALL.iter().map(|table| count(table, "")).sum())
    }
}

#[test]
fn crashed_anywhere_it_writes_every_row_once() {
    let world = World::start();
    for (number, point) in points().into_iter().enumerate() {
        let database = format!("crash_{number}");
        let (mut log, stats) = (log(20), Arc::new(SinkStats::default()));
        let mut crashed = false;
        let mut writer = world.writer(&database);
        let crash = &mut |p| p == point && !std::mem::replace(&mut crashed, true);
        assert_eq!(live(&mut log, &mut writer, &stats, crash), 2, "{point:?} was not reached");
        assert_eq!(world.rows(&database), (60, 60), "crash at {point:?}");
    }
    let reasons = world.ask("crash_0", "SELECT reason, count() FROM dead_letters GROUP BY reason ORDER BY reason");
    assert_eq!(reasons, "\"malformed_json\",20\n\"not_a_record\",10");
    let heads = world.ask("crash_0", "SELECT DISTINCT hex(head) FROM dead_letters WHERE reason = 'malformed_json'");
    assert_eq!(heads, "\"0AFF\"");
}

#[test]
fn the_engine_killed_at_any_step_loses_nothing() {
    let world = World::start();
    for (number, point) in points().into_iter().enumerate() {
        let database = format!("killed_{number}");
        let (mut log, stats) = (log(12), Arc::new(SinkStats::default()));
        let (topics, options) = (topics(), options(5));
        let mut member = Member::new(&mut log, 4);
        let mut writer = world.writer(&database);
        let clock = Arc::new(Counting);
        let mut sink = Sink::new(&mut member, &mut writer, &topics, &options, clock, stats.clone()).expect("a sink");
        let mut killed = false;
        let kill = &mut |p| {
            if p == point && !std::mem::replace(&mut killed, true) {
                let pid = world.engine.process.pid().expect("it runs");
                let kill = std::process::Command::new("/bin/kill").args(["-9", &pid.to_string()]).status();
                assert!(kill.is_ok_and(|s| s.success()));
            }
            false
        };
        wait_for("all rows", || {
            sink.step(kill).expect("an outage is no error");
            let idle = stats.rows.load(Ordering::Relaxed) == 36 && stats.down_since_ms.load(Ordering::Relaxed) == 0;
            idle.then_some(())
        });
        drop(sink);
        assert!(killed, "{point:?} was not reached");
        wait_for("the engine", || world.engine.process.endpoint().now());
        // An insert whose answer was lost may have been written under a token that the engine lost with
        // its life: it is there twice at most, and seen once.
        assert_eq!(world.rows(&database).1, 36, "killed at {point:?}");
    }
}

#[test]
fn twenty_thousand_rows_in_one_batch() {
    let world = World::start();
    let (mut log, stats) = (log(20_000), Arc::new(SinkStats::default()));
    let topics = topics();
    let options = SinkOptions { flush_ms: 60_000, ..options(20_000) };
    let mut member = Member::new(&mut log, 5_000);
    let mut writer = world.writer("large");
    writer.prepare().expect("tables");
    let mut sink =
        Sink::new(&mut member, &mut writer, &topics, &options, Arc::new(Counting), stats.clone()).expect("a sink");
    let began = Instant::now();
    while stats.rows.load(Ordering::Relaxed) < 60_000 {
        sink.step(&mut |_| false).expect("a step");
        assert!(began.elapsed().as_secs() < 60, "{stats:?}");
    }
    drop(sink);
    assert_eq!(stats.batches.load(Ordering::Relaxed), 3);
    assert_eq!(world.rows("large"), (60_000, 60_000));
}

#[test]
fn tables_of_a_newer_release_are_refused_and_told() {
    let world = World::start();
    let mut writer = world.writer("newer");
    writer.prepare().expect("tables");
    let connection = crate::client::Connection::open(&world.engine.process.endpoint(), Some("newer")).expect("up");
    let newer = "INSERT INTO schema_migrations (version, name) VALUES (99, 'from the future')";
    world.runtime.block_on(connection.execute(newer, REQUEST_MS)).expect("a row");
    let mut log: Log = log(3);
    let (topics, options, stats) = (topics(), options(5), Arc::new(SinkStats::default()));
    let mut member = Member::new(&mut log, 4);
    let mut sink =
        Sink::new(&mut member, &mut writer, &topics, &options, Arc::new(Counting), stats.clone()).expect("a sink");
    let never = &mut |point| -> bool { panic!("{point:?} was reached") };
    let never: &mut dyn FnMut(SinkPoint) -> bool = never;
    for _ in 0..5 {
        sink.step(never).map_err(|e: StepError| e.to_string()).expect("a problem, not an end");
    }
    let problems = stats.problems();
    assert!(problems.iter().any(|p| p.contains("schema version 99")), "{problems:?}");
}
