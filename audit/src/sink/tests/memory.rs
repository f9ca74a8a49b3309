//! Against a database in memory that behaves as ClickHouse does: an insert is recognised by its token, and
//! may fail or be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::sim::SimClock;
use petrel_bus::{GroupEvent, TopicPartition};
use petrel_schemas::{TaskMoved, WorkflowMoved, encode};

use super::super::service::SinkOptions;
use super::super::stats::SinkStats;
use super::super::step::{LOOK_INTERVAL_MS, Sink, SinkPoint};
use super::super::writer::{Counted, Range, Writer};
use super::harness::{Counting, Log, Member, live, log, options, points, topics, value};
use crate::client::SqlError;
use crate::rows::{Rows, Source, Table};
use crate::tables::TablesError;

/// Tables in memory. A row is (topic, partition, offset).
#[derive(Default)]
struct Tables {
    rows: BTreeMap<&'static str, Vec<(String, u32, i64)>>,
    tokens: BTreeSet<String>,
    /// Whether tokens are forgotten at once, as they are after a long while.
    forgetful: bool,
    /// Inserts that are lost although they are answered.
    swallow: u32,
    /// Requests that fail.
    fail: u32,
}

impl Tables {
    fn request(&mut self) -> Result<(), SqlError> {
        if self.fail > 0 {
            self.fail -= 1;
            return Err(SqlError::Unavailable("down".into()));
        }
        Ok(())
    }

    fn distinct(&self) -> usize {
        self.rows.values().map(|rows| rows.iter().collect::<BTreeSet<_>>().len()).sum()
    }

    fn all(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }
}

impl Writer for Tables {
    fn prepare(&mut self) -> Result<(), TablesError> {
        Ok(self.request()?)
    }

    fn insert(&mut self, table: Table, rows: &Rows, token: &str) -> Result<(), SqlError> {
        self.request()?;
        if self.swallow > 0 {
            self.swallow -= 1;
            return Ok(());
        }
        if !self.forgetful && !self.tokens.insert(token.to_owned()) {
            return Ok(());
        }
        let into = self.rows.entry(table.name()).or_default();
        macro_rules! take {
            ($($rows:ident),+) => {
                match table.name() {
                    $(name if name == stringify!($rows) => {
                        into.extend(rows.$rows.iter().map(|r| (r.log_topic.clone(), r.log_partition, r.log_offset)));
                    })+
                    other => panic!("no table {other}"),
                }
            };
        }
        take!(
            events,
            rule_matches,
            criteria_errors,
            executions,
            execution_output,
            catalog_revisions,
            secret_changes,
            gate_decisions,
            workflow_tasks,
            dead_letters
        );
        Ok(())
    }

    fn count(&mut self, table: Table, range: &Range<'_>) -> Result<Counted, SqlError> {
        self.request()?;
        let of_range = |r: &&(String, u32, i64)| {
            r.0 == range.topic && r.1 == range.partition && (range.first..=range.last).contains(&r.2)
        };
        let rows: Vec<_> = self.rows.get(table.name()).into_iter().flatten().filter(of_range).collect();
        let distinct = rows.iter().collect::<BTreeSet<_>>().len() as u64;
        Ok(Counted { rows: rows.len() as u64, distinct })
    }
}

#[test]
fn crashed_anywhere_it_writes_every_row_once() {
    for point in points() {
        for nth in 0..3 {
            let (mut log, mut tables, stats) = (log(20), Tables::default(), Arc::new(SinkStats::default()));
            let mut seen = 0;
            let lives = live(&mut log, &mut tables, &stats, &mut |p| {
                seen += usize::from(p == point);
                p == point && seen == nth + 1
            });
            assert_eq!(lives, 2, "{point:?} was not reached {nth} times");
            assert_eq!((tables.all(), tables.distinct()), (60, 60), "crash number {nth} at {point:?}");
        }
    }
}

#[test]
fn crashed_over_and_over_it_gets_through() {
    let (mut log, mut tables, stats) = (log(40), Tables::default(), Arc::new(SinkStats::default()));
    let mut count = 0;
    let lives = live(&mut log, &mut tables, &stats, &mut |_| {
        count += 1;
        // What is committed together meets fewer points, else nothing would ever be.
        count % 47 == 0
    });
    assert!(lives > 5, "{lives} lives");
    assert_eq!((tables.all(), tables.distinct()), (120, 120));
}

#[test]
fn without_tokens_rows_are_written_again_but_are_the_same_rows() {
    let mut tables = Tables { forgetful: true, ..Tables::default() };
    let (mut log, stats) = (log(20), Arc::new(SinkStats::default()));
    let mut crashed = false;
    live(&mut log, &mut tables, &stats, &mut |p| p == SinkPoint::Written && !std::mem::replace(&mut crashed, true));
    assert!(tables.all() > 60);
    assert_eq!(tables.distinct(), 60);
    assert!(stats.duplicates.load(Ordering::Relaxed) > 0);
}

#[test]
fn rows_that_vanish_are_written_again() {
    let mut tables = Tables { swallow: 2, ..Tables::default() };
    let (mut log, stats) = (log(20), Arc::new(SinkStats::default()));
    live(&mut log, &mut tables, &stats, &mut |_| false);
    assert_eq!((tables.all(), tables.distinct()), (60, 60));
    assert_eq!(stats.missing.load(Ordering::Relaxed), 2);
}

#[test]
fn an_outage_loses_nothing_and_is_told() {
    let mut tables = Tables { fail: 5, ..Tables::default() };
    let (mut log, stats) = (log(20), Arc::new(SinkStats::default()));
    let (topics, options) = (topics(), options(5));
    let mut member = Member::new(&mut log, 4);
    let mut sink = Sink::new(&mut member, &mut tables, &topics, &options, Arc::new(Counting), stats.clone())
        .expect("it subscribes");
    let down_since = || stats.down_since_ms.load(Ordering::Relaxed);
    let mut told = false;
    for _ in 0..100_000 {
        sink.step(&mut |_| false).expect("an outage is no error");
        told |= down_since() != 0 && stats.problems() == ["ClickHouse cannot be reached: down"];
        if told && down_since() == 0 && stats.rows.load(Ordering::Relaxed) == 60 {
            break;
        }
        std::thread::yield_now();
    }
    sink.finish(&mut |_| false).expect("it ends");
    assert!(told && stats.problems().is_empty());
    assert_eq!((tables.all(), tables.distinct()), (60, 60));
}

#[test]
fn a_record_of_many_tasks_is_a_row_for_each() {
    let task =
        |change: i32, status: &str| TaskMoved { task: "a".into(), route: 1, run: 7, change, status: status.into() };
    let moved = WorkflowMoved {
        execution_id: "x".into(),
        root_execution_id: "x".into(),
        event_id: None,
        rule: Some("p.r".into()),
        action: "p.flow".into(),
        revision: "r".into(),
        moved_at_ms: 5,
        tasks: vec![task(0, "running"), task(1, "succeeded")],
    };
    let (mut rows, value) = (Rows::default(), encode(&moved));
    let record = petrel_bus::Record { offset: 9, timestamp_ms: 5, key: None, value: Some(&value) };
    assert_eq!(rows.add(Source { topic: "petrel.audit", partition: 3, dead_letters: false }, record), Ok(()));
    let told: Vec<_> = rows.workflow_tasks.iter().map(|r| (r.change, &*r.status, r.log_offset, r.log_row)).collect();
    assert_eq!(told, [(0, "running", 9, 0), (1, "succeeded", 9, 1)]);
}

#[test]
fn damaged_records_are_dead_letters_with_their_reason() {
    let mut rows = Rows::default();
    let audit = Source { topic: "petrel.audit", partition: 3, dead_letters: false };
    let letters = Source { topic: "petrel.dead_letters", partition: 3, dead_letters: true };
    let huge = vec![0; 100 << 10];
    let mut corrupt = value("petrel.audit", 0);
    corrupt.push(1);
    let cases: [(Source<'_>, &[u8], &str); 5] = [
        (audit, b"plain text", "not_a_record"),
        (audit, b"", "not_a_record"),
        (audit, &corrupt, "corrupt_record"),
        (letters, &value("petrel.audit", 0), "unexpected_kind"),
        (audit, &huge, "not_a_record"),
    ];
    for (source, value, reason) in cases {
        let record = petrel_bus::Record { offset: 9, timestamp_ms: 5, key: None, value: Some(value) };
        assert_eq!(rows.add(source, record), Ok(()));
        let row = rows.dead_letters.last().expect("a row");
        assert_eq!((row.reason.as_str(), row.stage.as_str(), row.log_offset), (reason, "audit", 9));
        assert_eq!((row.record_bytes as usize, row.head.len()), (value.len(), value.len().min(64 << 10)));
    }
}

#[test]
fn much_that_waits_is_written_before_its_time_from_the_fullest_partition_on() {
    let batches = |waiting_bytes_max: usize| {
        let (mut log, stats) = (log(40), Arc::new(SinkStats::default()));
        // Nothing is due by its age or its number.
        let options = SinkOptions { flush_ms: 3_600_000, waiting_bytes_max, ..options(1_000) };
        let (mut tables, mut member, topics) = (Tables::default(), Member::new(&mut log, 10), topics());
        let clock = Arc::new(Counting);
        let mut sink = Sink::new(&mut member, &mut tables, &topics, &options, clock, stats.clone()).unwrap();
        (0..100).for_each(|_| sink.step(&mut |_| false).unwrap());
        stats.batches.load(Ordering::Relaxed)
    };
    assert_eq!(batches(usize::MAX), 0);
    assert!(batches(1_000) > 1);
}

/// Of a schema that this release does not know, as a newer one writes it.
fn newer() -> Vec<u8> {
    [vec![0xC3, 0x01], vec![7; 12]].concat()
}

/// What the partitions of [`log`] have in the tables when one of them holds a record of a newer release at its
/// seventh place.
fn live_with_a_newer_record(log: &mut Log, stats: &Arc<SinkStats>) -> BTreeMap<(String, u32), usize> {
    let mut tables = Tables::default();
    let (topics, options) = (topics(), options(5));
    let mut member = Member::new(log, 4);
    let mut sink = Sink::new(&mut member, &mut tables, &topics, &options, Arc::new(Counting), stats.clone())
        .expect("it subscribes");
    for _ in 0..200 {
        sink.step(&mut |_| false).expect("a record of a newer release is no error");
    }
    sink.finish(&mut |_| false).expect("it ends");
    let mut rows = BTreeMap::new();
    for (topic, partition, _) in tables.rows.values().flatten() {
        *rows.entry((topic.clone(), *partition)).or_default() += 1;
    }
    rows
}

#[test]
fn a_record_of_a_newer_release_makes_its_partition_wait_and_no_other() {
    let (mut log, stats) = (log(20), Arc::new(SinkStats::default()));
    let at = TopicPartition { topic: "petrel.audit".into(), partition: 1 };
    let offset = log.replace(&at, 7, newer());
    let rows = live_with_a_newer_record(&mut log, &stats);
    let audit = |partition| ("petrel.audit".to_owned(), partition);
    assert_eq!(rows, [(audit(0), 20), (audit(1), 7), (("petrel.dead_letters".to_owned(), 0), 20)].into());
    let blocked = stats.blocked();
    assert_eq!(blocked.len(), 1, "{blocked:?}");
    assert_eq!((&blocked[0].at, blocked[0].offset), (&at, offset));
    assert!(blocked[0].reason.contains("newer release") && blocked[0].since_ms > 0, "{blocked:?}");
    assert_eq!(log.committed(&at), Some(offset - 1), "behind the last record that it could read");

    // A member that can read it goes on from there, and nothing is missing or twice.
    log.replace(&at, 7, value("petrel.audit", 0));
    let rows = live_with_a_newer_record(&mut log, &stats);
    assert_eq!((rows.get(&audit(1)), stats.blocked()), (Some(&13), Vec::new()));
}

#[test]
fn a_recorded_range_with_a_record_of_a_newer_release_is_not_written_in_part() {
    let (mut log, stats) = (log(20), Arc::new(SinkStats::default()));
    let at = TopicPartition { topic: "petrel.audit".into(), partition: 1 };
    // A newer release had recorded it, and was taken back before it had written it.
    let offset = log.replace(&at, 3, newer());
    log.record_intent(&at, 0, 9);
    let rows = live_with_a_newer_record(&mut log, &stats);
    assert_eq!(rows.get(&("petrel.audit".to_owned(), 1)), None);
    assert_eq!(stats.blocked().iter().map(|b| b.offset).collect::<Vec<_>>(), [offset]);
    assert_eq!(log.committed(&at), Some(0));
    log.replace(&at, 3, value("petrel.audit", 3));
    let rows = live_with_a_newer_record(&mut log, &stats);
    assert_eq!(rows.get(&("petrel.audit".to_owned(), 1)), Some(&20));
}

/// Nobody writes to them: what is read again has nothing new.
#[test]
fn what_can_be_read_again_is_not_told_as_halted_or_missing() {
    let (mut log, mut tables, stats) = (log(3), Tables::default(), Arc::new(SinkStats::default()));
    let (topics, options, clock) = (topics(), options(5), SimClock::at(1_700_000_000_000));
    let mut member = Member::new(&mut log, 4);
    let at = TopicPartition { topic: topics.audit.clone(), partition: 1 };
    let is_denied = member.is_denied.clone();
    is_denied.set(true);
    member.events = vec![
        GroupEvent::Halted(at, "no right".into()),
        GroupEvent::Missing(topics.dead_letters.clone(), "no right".into()),
    ];
    let mut sink =
        Sink::new(&mut member, &mut tables, &topics, &options, clock.clone(), stats.clone()).expect("it subscribes");
    let mut pass = |time_ms| {
        clock.advance(time_ms);
        (0..50).for_each(|_| sink.step(&mut |_| false).expect("a right that is missing is no error"));
        stats.problems()
    };
    for time_ms in [0, LOOK_INTERVAL_MS, LOOK_INTERVAL_MS] {
        assert_eq!(pass(time_ms), ["petrel.dead_letters: no right", "petrel.audit/1: no right"]);
    }
    is_denied.set(false);
    assert_eq!(pass(LOOK_INTERVAL_MS), [""; 0]);
}
