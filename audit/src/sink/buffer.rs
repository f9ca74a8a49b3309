//! What was read of one partition and is not written yet.

use std::collections::VecDeque;
use std::time::Duration;

use petrel_bus::{BlockedPartition, NotYet, OwnedRecord, TopicPartition};

use super::intent::Intent;
use crate::rows::{Rows, Source, Table};

/// When a batch is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct CutLimits {
    pub records_max: usize,
    pub bytes_max: usize,
    pub wait: Duration,
}

/// A batch: fixed once it is cut.
#[derive(Debug)]
pub(super) struct Cut {
    pub intent: Intent,
    /// Whether the intent stands beside the committed offset.
    pub recorded: bool,
    /// Whether an earlier member has recorded it, until that is counted.
    pub is_replay: bool,
    /// Since when its oldest record waits, in milliseconds since the epoch.
    since_ms: i64,
    pub rows: Rows,
    /// Tables, of [`Table::ALL`], that have their rows.
    pub written: usize,
    /// First and last timestamp of the records.
    pub times: (i64, i64),
}

/// The records of a partition that wait for their turn.
#[derive(Debug)]
pub(super) struct Buffer {
    pub at: TopicPartition,
    /// Committed offset.
    pub position: i64,
    dead_letters: bool,
    /// A range that an earlier member recorded and may have written in part.
    replay: Option<Intent>,
    waiting: VecDeque<OwnedRecord>,
    waiting_bytes: usize,
    /// Since when the oldest waits, in milliseconds since the epoch.
    since_ms: Option<i64>,
    cut: Option<Cut>,
    /// The record that nothing behind may overtake, until a release has the partition that can read it.
    blocked: Option<BlockedPartition>,
}

impl Buffer {
    pub(super) fn new(at: TopicPartition, position: i64, replay: Option<Intent>, dead_letters: bool) -> Self {
        // A range before the position is done; its note only lives on until the next commit.
        let replay = replay.filter(|intent| intent.last >= position);
        Self {
            at,
            position,
            dead_letters,
            replay,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            since_ms: None,
            cut: None,
            blocked: None,
        }
    }

    pub(super) fn push(&mut self, record: OwnedRecord, now_ms: i64) {
        self.waiting_bytes += bytes_of(&record);
        self.since_ms.get_or_insert(now_ms);
        self.waiting.push_back(record);
    }

    /// Bytes of the records that wait for a batch.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether it holds so much that nothing more should be fetched.
    fn is_full(&self, limits: CutLimits) -> bool {
        self.waiting.len() >= limits.records_max || self.waiting_bytes >= limits.bytes_max
    }

    /// What it waits for, if it waits for a newer release.
    pub(super) fn blocked(&self) -> Option<&BlockedPartition> {
        self.blocked.as_ref()
    }

    /// How long until a batch must be cut; none if nothing waits that can be written.
    pub(super) fn due_in(&self, limits: CutLimits, now_ms: i64) -> Option<Duration> {
        if self.cut.is_some() {
            return Some(Duration::ZERO);
        }
        if self.blocked.is_some() {
            return None;
        }
        if self.replay.is_some() {
            return self.replay_is_read().then_some(Duration::ZERO);
        }
        if self.is_full(limits) {
            return Some(Duration::ZERO);
        }
        // A clock that was set back says nothing about how long it was: then the batch is due.
        let waited = |since_ms: i64| Duration::from_millis(u64::try_from(now_ms - since_ms).unwrap_or(u64::MAX));
        self.since_ms.map(|since_ms| limits.wait.saturating_sub(waited(since_ms)))
    }

    /// Whose batch is written first: what is cut before what is not, then what waits longest. None holds nothing.
    pub(super) fn turn(&self) -> Option<(bool, i64)> {
        let is_cut = self.cut.is_some();
        let since_ms = if is_cut { self.cut.as_ref().map(|cut| cut.since_ms) } else { self.since_ms };
        since_ms.map(|since_ms| (!is_cut, since_ms))
    }

    fn replay_is_read(&self) -> bool {
        match (self.replay, self.waiting.back()) {
            (Some(intent), Some(newest)) => newest.offset >= intent.last,
            _ => false,
        }
    }

    /// The batch to write now, cut if there is none yet. There is none if the next record blocks.
    pub(super) fn cut(&mut self, limits: CutLimits, now_ms: i64) -> Option<&mut Cut> {
        if self.cut.is_none() && self.blocked.is_none() {
            self.cut = self.new_cut(limits, now_ms);
        }
        self.cut.as_mut()
    }

    /// The batch that is cut, if there is one.
    pub(super) fn cut_now(&mut self) -> Option<&mut Cut> {
        self.cut.as_mut()
    }

    /// Whether there is one.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    fn new_cut(&mut self, limits: CutLimits, now_ms: i64) -> Option<Cut> {
        let records = match self.replay {
            // Cut as it was cut then: other limits must not make other batches of it. A record behind
            // it shows that it is whole, if its own last one is gone.
            Some(intent) if self.replay_is_read() => {
                self.waiting.iter().take_while(|r| r.offset <= intent.last).count()
            }
            // More records than one batch may hold, and still not at the recorded end: keep reading.
            Some(_) => return None,
            None => self.fitting(limits),
        };
        let (rows, records) = self.rows_of(records, now_ms)?;
        let recorded = self.replay.take();
        let taken: Vec<OwnedRecord> = self.waiting.drain(..records).collect();
        self.waiting_bytes -= taken.iter().map(bytes_of).sum::<usize>();
        let since_ms = self.since_ms.unwrap_or(now_ms);
        self.since_ms = if self.waiting.is_empty() { None } else { Some(now_ms) };
        let (first, last) = (taken.first()?.offset, taken.last()?.offset);
        let times = taken.iter().map(|record| record.timestamp_ms);
        Some(Cut {
            intent: recorded.unwrap_or(Intent { first, last }),
            recorded: recorded.is_some(),
            is_replay: recorded.is_some(),
            since_ms,
            rows,
            written: 0,
            times: times.fold((i64::MAX, i64::MIN), |(first, last), ms| (first.min(ms), last.max(ms))),
        })
    }

    /// The rows of the first `records` that wait, or of those before one that a newer release has written, and of
    /// how many records they are. None if that leaves no batch: a range that is recorded is written whole.
    fn rows_of(&mut self, records: usize, now_ms: i64) -> Option<(Rows, usize)> {
        let source = Source { topic: &self.at.topic, partition: self.at.partition, dead_letters: self.dead_letters };
        let mut rows = Rows::default();
        for (before, record) in self.waiting.iter().take(records).enumerate() {
            if let Err(NotYet(reason)) = rows.add(source, record.as_record()) {
                let (at, offset) = (self.at.clone(), record.offset);
                self.blocked = Some(BlockedPartition { at, offset, reason, since_ms: now_ms });
                return (before > 0 && self.replay.is_none()).then_some((rows, before));
            }
        }
        Some((rows, records))
    }

    /// How many records the next batch takes: at least one.
    fn fitting(&self, limits: CutLimits) -> usize {
        let mut bytes = 0;
        let fits = |record: &&OwnedRecord| {
            bytes += bytes_of(record);
            bytes <= limits.bytes_max
        };
        let fitting = self.waiting.iter().take(limits.records_max).take_while(fits).count();
        fitting.max(1).min(self.waiting.len())
    }

    /// The batch is written and its end committed.
    pub(super) fn done(&mut self) {
        if let Some(cut) = self.cut.take() {
            self.position = cut.intent.last + 1;
        }
    }
}

impl Cut {
    /// The next table that lacks its rows.
    pub(super) fn next_table(&self) -> Option<Table> {
        Table::ALL.get(self.written).copied()
    }
}

fn bytes_of(record: &OwnedRecord) -> usize {
    record.value.as_ref().map_or(0, Vec::len) + record.key.as_ref().map_or(0, Vec::len)
}
