//! Records that make the stage panic.
//!
//! After a panic the transaction is undone, and the records that were offered together are offered one by one: the
//! one that kills the stage then is known, and what stands before and behind it goes on. At its third panic it is
//! given up: a dead letter, in the transaction that passes its offset.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::timers::TimerSuspects;
use super::{Driver, DriverError};
use crate::record::Record;
use crate::session::TopicPartition;
use crate::stage::Stage;

/// So many panics of the stage a record is worth before it is given up, and a timer before it is moved back.
pub const RECORD_PANICS_MAX: u32 = 3;
/// Code of the dead letter of such a record.
pub(super) const STAGE_PANICKED: &str = "stage_panicked";

/// What is known of records that made the stage panic, until an offset behind them is committed, and of timers. It may
/// outlive a driver.
#[derive(Debug, Default)]
pub struct Suspects {
    pub(super) timers: TimerSuspects,
    by_partition: BTreeMap<TopicPartition, Range>,
}

/// Consecutive records, one of which made the stage panic.
#[derive(Debug)]
struct Range {
    first: i64,
    last: i64,
    /// Panics at several records at once: they count for the first that makes the stage panic alone.
    shared: u32,
    alone: BTreeMap<i64, Alone>,
}

/// A record that made the stage panic when it was offered alone.
#[derive(Debug)]
struct Alone {
    panics: u32,
    said: String,
}

/// How many records may be offered together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many, at least one.
    Offer(usize),
    /// The first is given up; what the stage's panic said.
    GiveUp(String),
}

impl Suspects {
    /// What to do with consecutive records, of which there is at least one.
    pub(super) fn next(&self, at: &TopicPartition, records: &[Record<'_>]) -> Next {
        let Some((range, first)) = self.by_partition.get(at).zip(records.first()) else {
            return Next::Offer(records.len());
        };
        match range.alone.get(&first.offset) {
            Some(alone) if alone.panics >= RECORD_PANICS_MAX => return Next::GiveUp(alone.said.clone()),
            _ => {}
        }
        if first.offset > range.last {
            return Next::Offer(records.len());
        }
        let before = records.iter().take_while(|record| record.offset < range.first).count();
        Next::Offer(before.max(1))
    }

    /// The stage panicked when it was offered these.
    pub(super) fn panicked(&mut self, at: &TopicPartition, records: &[Record<'_>], said: &str) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let new = || Range { first: first.offset, last: last.offset, shared: 0, alone: BTreeMap::new() };
        let range = self.by_partition.entry(at.clone()).or_insert_with(new);
        (range.first, range.last) = (range.first.min(first.offset), range.last.max(last.offset));
        if records.len() > 1 {
            range.shared = 1;
            return;
        }
        let shared = std::mem::take(&mut range.shared);
        let alone = range.alone.entry(first.offset).or_insert(Alone { panics: shared, said: String::new() });
        alone.panics += 1;
        said.clone_into(&mut alone.said);
    }

    /// That partition goes on at an offset: what stands before it is done.
    pub(super) fn passed(&mut self, at: &TopicPartition, next: i64) {
        if let Some(range) = self.by_partition.get_mut(at) {
            range.alone.retain(|offset, _| *offset >= next);
            if range.last < next {
                self.by_partition.remove(at);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_partition.is_empty() && self.timers.is_empty()
    }

    /// Somebody else has that partition now.
    pub(super) fn forget(&mut self, at: &TopicPartition) {
        self.by_partition.remove(at);
        self.timers.forget_topic(at);
    }
}

impl<S: Stage> Driver<'_, S> {
    /// Goes on with what an earlier driver of this stage knew about records and timers that made it panic.
    pub fn remember(&mut self, suspects: Suspects) {
        self.suspects = suspects;
    }

    /// What it knows about records and timers that made the stage panic; it knows nothing more afterwards.
    pub fn suspects(&mut self) -> Suspects {
        std::mem::take(&mut self.suspects)
    }

    /// The stage panicked in a step: everything since the last commit is undone, and nobody is told that all is
    /// well before the next one.
    pub(super) fn after_panic(&mut self, said: String) -> DriverError {
        self.stats.panics.fetch_add(1, Ordering::Relaxed);
        self.stats.ready.store(false, Ordering::Relaxed);
        self.stats.session_problem(Some(format!("the stage panicked: {said}")));
        self.is_recovering = true;
        match self.abort() {
            Ok(()) => DriverError::Panicked(said),
            Err(failure) => self.failed(failure),
        }
    }

    /// After a commit: what it passed is not under suspicion any more, and a stage that commits is well, unless a
    /// timer that may have killed it has yet to come.
    pub(super) fn clear_suspects(&mut self) {
        if !self.suspects.is_empty() {
            for position in self.tasks.positions() {
                self.suspects.passed(&position.at, position.offset);
                self.suspects.timers.passed(&position.at, position.offset);
            }
        }
        self.clear_timer_suspects();
        if !self.suspects.timers.is_any() {
            self.recovered();
        }
    }

    /// Whether the stage has panicked, and not shown since then that it is well.
    pub(crate) fn is_recovering(&self) -> bool {
        self.is_recovering
    }

    /// What made the stage panic is somebody else's now.
    pub(super) fn recovered_by_giving_up(&mut self) {
        if self.suspects.is_empty() {
            self.recovered();
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.is_recovering) {
            self.stats.ready.store(true, Ordering::Relaxed);
            self.stats.session_problem(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 3 }
    }

    fn records(offsets: std::ops::Range<i64>) -> Vec<Record<'static>> {
        offsets.map(|offset| Record { offset, timestamp_ms: 0, key: None, value: None }).collect()
    }

    #[test]
    fn a_range_is_offered_one_by_one_and_the_third_panic_of_a_record_is_its_last() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.next(&at(), &records(0..9)), Next::Offer(9));
        suspects.panicked(&at(), &records(2..7), "first");
        assert_eq!(suspects.next(&at(), &records(0..9)), Next::Offer(2));
        assert_eq!(suspects.next(&at(), &records(2..9)), Next::Offer(1));
        assert_eq!(suspects.next(&at(), &records(6..9)), Next::Offer(1));
        assert_eq!(suspects.next(&at(), &records(7..9)), Next::Offer(2));
        // It panics at the fourth, alone; the panic of all of them was the first of the three.
        suspects.panicked(&at(), &records(4..5), "second");
        assert_eq!(suspects.next(&at(), &records(4..9)), Next::Offer(1));
        suspects.panicked(&at(), &records(4..5), "third");
        assert_eq!(suspects.next(&at(), &records(4..9)), Next::GiveUp("third".into()));
        // Another one of the range has three of its own.
        for _ in 0..3 {
            assert_eq!(suspects.next(&at(), &records(6..9)), Next::Offer(1));
            suspects.panicked(&at(), &records(6..7), "again");
        }
        assert_eq!(suspects.next(&at(), &records(6..9)), Next::GiveUp("again".into()));
        // Until both are committed they stay given up.
        assert_eq!(suspects.next(&at(), &records(4..9)), Next::GiveUp("third".into()));
        suspects.passed(&at(), 5);
        assert_eq!(suspects.next(&at(), &records(6..9)), Next::GiveUp("again".into()));
        suspects.passed(&at(), 7);
        assert!(suspects.is_empty());
    }

    #[test]
    fn what_panics_behind_a_range_widens_it_and_forgets_nothing() {
        let mut suspects = Suspects::default();
        for _ in 0..3 {
            suspects.panicked(&at(), &records(1..2), "one");
        }
        suspects.panicked(&at(), &records(2..9), "many");
        assert_eq!(suspects.next(&at(), &records(0..9)), Next::Offer(1));
        assert_eq!(suspects.next(&at(), &records(1..9)), Next::GiveUp("one".into()));
        assert_eq!(suspects.next(&at(), &records(5..9)), Next::Offer(1));
        let other = TopicPartition { partition: 4, ..at() };
        assert_eq!(suspects.next(&other, &records(0..9)), Next::Offer(9));
    }
}
