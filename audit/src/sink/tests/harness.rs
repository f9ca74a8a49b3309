//! A log in memory, with crashes: the sink cannot tell it from a bus.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use petrel_bus::{
    Begin, Clock, Fetched, GroupEvent, InputTopic, Output, OwnedRecord, Position, RestoreFrom, Restored, Session,
    SessionError, TopicPartition,
};
use petrel_schemas::{CriteriaFailed, DeadLetter, OutputCaptured, RuleMatched, encode};

use super::super::intent::Intent;
use super::super::service::{SinkOptions, SinkTopics};
use super::super::stats::SinkStats;
use super::super::step::{Sink, SinkPoint, StepError};
use super::super::writer::Writer;
use crate::rows::Table;

/// A log that outlives its sessions.
#[derive(Default)]
pub(super) struct Log {
    records: BTreeMap<TopicPartition, Vec<OwnedRecord>>,
    committed: BTreeMap<TopicPartition, (i64, Option<String>)>,
    /// Where nobody can begin, and why.
    refused: BTreeMap<TopicPartition, &'static str>,
}

impl Log {
    /// From now on nobody can begin on that partition, for that reason; without one, everybody can.
    pub(super) fn refuse(&mut self, at: &TopicPartition, why: Option<&'static str>) {
        match why {
            Some(why) => self.refused.insert(at.clone(), why),
            None => self.refused.remove(at),
        };
    }

    /// Another value for the record at that place of a partition; its offset.
    pub(super) fn replace(&mut self, at: &TopicPartition, place: usize, value: Vec<u8>) -> i64 {
        let record = &mut self.records.get_mut(at).expect("a partition")[place];
        record.value = Some(value);
        record.offset
    }

    /// A range that a member has recorded and not written.
    pub(super) fn record_intent(&mut self, at: &TopicPartition, first: i64, last: i64) {
        self.committed.insert(at.clone(), (first, Some(Intent { first, last }.encode())));
    }

    /// Where the group goes on.
    pub(super) fn committed(&self, at: &TopicPartition) -> Option<i64> {
        self.committed.get(at).map(|(offset, _)| *offset)
    }
}

/// The only member of its group.
pub(super) struct Member<'a> {
    log: &'a mut Log,
    group: Arc<str>,
    assigned: bool,
    next: BTreeMap<TopicPartition, i64>,
    paused: BTreeSet<TopicPartition>,
    /// Most records that one fetch hands out: other batches come of other sizes.
    fetch_max: usize,
    /// Whether there is no right to read on, and none to the dead letters.
    pub(super) is_denied: Rc<Cell<bool>>,
    /// Told once nothing is left to be handed out.
    pub(super) events: Vec<GroupEvent>,
    /// What was asked for again and can be read.
    ended: BTreeSet<TopicPartition>,
}

impl<'a> Member<'a> {
    pub(super) fn new(log: &'a mut Log, fetch_max: usize) -> Self {
        Self {
            log,
            group: "sink".into(),
            assigned: false,
            next: BTreeMap::new(),
            paused: BTreeSet::new(),
            fetch_max,
            is_denied: Rc::default(),
            events: Vec::new(),
            ended: BTreeSet::new(),
        }
    }
}

impl Session for Member<'_> {
    fn group(&self) -> &Arc<str> {
        &self.group
    }

    fn subscribe(&mut self, _: &[InputTopic]) -> Result<(), SessionError> {
        Ok(())
    }

    fn fetch(
        &mut self,
        _: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        if !std::mem::replace(&mut self.assigned, true) {
            return Ok(vec![GroupEvent::Assigned(self.log.records.keys().cloned().collect())]);
        }
        let mut fetched = Fetched::with_capacity(max);
        for (at, next) in &mut self.next {
            if self.paused.contains(at) {
                continue;
            }
            let ready = self.log.records[at].iter().filter(|r| r.offset >= *next).take(self.fetch_max.min(max));
            let ready: Vec<&OwnedRecord> = ready.collect();
            for record in &ready {
                fetched.push(&at.topic, at.partition, record.as_record());
            }
            *next = ready.last().map_or(*next, |r| r.offset + 1);
        }
        if fetched.is_empty() {
            return Ok(std::mem::take(&mut self.events));
        }
        each(&fetched);
        Ok(Vec::new())
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        let begin = |at: &TopicPartition| {
            let committed = self.log.committed.get(at).cloned();
            let is_committed = committed.is_some();
            let (offset, metadata) = committed.unwrap_or_default();
            let position = Position { at: at.clone(), offset, metadata };
            let refused = self.log.refused.get(at).map(|why| (*why).to_owned());
            Begin { position, committed: is_committed, is_made_anew: false, incarnation: None, bounds: None, refused }
        };
        Ok(assigned.iter().map(begin).collect())
    }

    fn restore(&mut self, _: &[RestoreFrom], _: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        Ok(Vec::new())
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.next.extend(positions.iter().map(|p| (p.at.clone(), p.offset)));
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.next.retain(|at, _| !partitions.contains(at));
        Ok(())
    }

    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.paused.insert(at.clone());
        Ok(())
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.paused.remove(at);
        Ok(())
    }

    fn read_again(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        match self.is_denied.get() {
            true => self.events.push(GroupEvent::Halted(at.clone(), "no right".into())),
            false => drop(self.ended.insert(at.clone())),
        }
        Ok(())
    }

    fn caught_up(&self, at: &TopicPartition) -> bool {
        self.ended.contains(at)
    }

    fn all_caught_up(&self) -> bool {
        false
    }

    fn position(&self, at: &TopicPartition) -> i64 {
        self.next.get(at).copied().unwrap_or(0)
    }

    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        Ok(partitions.iter().map(|at| Some(self.log.records[at].last().map_or(0, |r| r.offset + 1))).collect())
    }

    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError> {
        let is_described = |topic: &&Arc<str>| !self.is_denied.get() || ***topic != *"petrel.dead_letters";
        Ok(topics.iter().filter(is_described).map(|topic| (topic.clone(), None)).collect())
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn partitions(&mut self, _: &Arc<str>) -> Result<u32, SessionError> {
        Ok(1)
    }

    fn send(&mut self, _: Output, _: u32) -> Result<(), SessionError> {
        Err(SessionError::Halt("no transactions".into()))
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        for position in positions {
            self.log.committed.insert(position.at.clone(), (position.offset, position.metadata.clone()));
        }
        Ok(())
    }

    fn abort(&mut self, _: &[Position]) -> Result<(), SessionError> {
        Ok(())
    }

    fn close(&mut self) {}
}

/// A clock that goes on with every look at it.
pub(super) struct Counting;

impl Clock for Counting {
    fn now_ms(&self) -> i64 {
        static LOOKS: AtomicI64 = AtomicI64::new(0);
        1_700_000_000_000 + LOOKS.fetch_add(1, Ordering::Relaxed)
    }

    fn sleep(&self, _: Duration) {}
}

pub(super) fn topics() -> SinkTopics {
    SinkTopics { audit: "petrel.audit".into(), dead_letters: "petrel.dead_letters".into() }
}

/// Records of several kinds, with gaps between their offsets as transactions leave them.
pub(super) fn log(records: i64) -> Log {
    let mut log = Log::default();
    for (topic, partition) in [("petrel.audit", 0), ("petrel.audit", 1), ("petrel.dead_letters", 0)] {
        let at = TopicPartition { topic: topic.into(), partition };
        let of = |n: i64| OwnedRecord {
            offset: n * 2 + n / 3,
            timestamp_ms: 1_700_000_000_000 + n,
            key: None,
            value: Some(value(topic, n)),
        };
        log.records.insert(at, (0..records).map(of).collect());
    }
    log
}

pub(super) fn value(topic: &str, n: i64) -> Vec<u8> {
    if topic == "petrel.dead_letters" {
        let letter = DeadLetter {
            stage: "match".into(),
            topic: "t".into(),
            partition: 0,
            offset: n,
            timestamp_ms: n,
            reason: "malformed_json".into(),
            detail: String::new(),
            trigger: None,
            rule: None,
            execution_id: None,
            event_id: None,
            record_bytes: 1,
            head: vec![b'\n', 0xff],
        };
        return encode(&letter);
    }
    match n % 4 {
        0 => encode(&RuleMatched {
            event_id: format!("e{n}"),
            trigger: "p.t".into(),
            rule: "p.r".into(),
            action: "p.a".into(),
            action_index: 0,
            execution_id: format!("x{n}"),
            event_at_ms: n,
            revision: "r".into(),
            kv_version: 0,
        }),
        1 => encode(&OutputCaptured {
            execution_id: format!("x{n}"),
            attempt: 1,
            stream: "stdout".into(),
            content: "\n\n".into(),
            truncated: false,
            tail: String::new(),
            omitted_bytes: 0,
            captured_at_ms: n,
        }),
        2 => encode(&CriteriaFailed {
            event_id: format!("e{n}"),
            trigger: "p.t".into(),
            rule: "p.r".into(),
            code: "division_by_zero".into(),
            detail: String::new(),
            event_at_ms: n,
            revision: "r".into(),
        }),
        // Nobody can read it: a row of dead_letters.
        _ => b"damaged".to_vec(),
    }
}

pub(super) fn options(batch_rows_max: usize) -> SinkOptions {
    SinkOptions { flush_ms: 0, idle_wait_ms: 0, batch_rows_max, backoff_ms: (1, 2), ..SinkOptions::default() }
}

/// Lives that end where `crash` says, until everything is committed. Returns how many there were.
pub(super) fn live(
    log: &mut Log,
    writer: &mut impl Writer,
    stats: &Arc<SinkStats>,
    crash: &mut dyn FnMut(SinkPoint) -> bool,
) -> usize {
    for life in 1..1_000 {
        let (topics, options) = (topics(), options(3 + life % 3));
        let ends: BTreeMap<TopicPartition, i64> =
            log.records.iter().filter_map(|(at, r)| Some((at.clone(), r.last()?.offset + 1))).collect();
        let mut member = Member::new(log, 2 + life % 4);
        let mut sink = Sink::new(&mut member, &mut *writer, &topics, &options, Arc::new(Counting), stats.clone())
            .expect("it subscribes");
        let mut crashed = false;
        for _ in 0..1_000 {
            match sink.step(crash) {
                Ok(()) => {}
                Err(StepError::Crashed(_)) => {
                    crashed = true;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
            // What waits for the end of an outage is not done.
            std::thread::yield_now();
        }
        drop(sink);
        let done = |at: &TopicPartition| log.committed.get(at).is_some_and(|(offset, _)| *offset == ends[at]);
        if !crashed && ends.keys().all(done) {
            return life;
        }
        assert!(crashed, "a life went by without getting anything done");
    }
    panic!("no end");
}

pub(super) fn points() -> Vec<SinkPoint> {
    use SinkPoint::{Committed, Counted, Cut, Inserted, Recorded, Written};
    let of_tables = [Table::RuleMatches, Table::ExecutionOutput, Table::DeadLetters];
    let of_tables = of_tables.into_iter().flat_map(|t| [Inserted(t), Counted(t)]);
    [Cut, Recorded, Written, Committed].into_iter().chain(of_tables).collect()
}
