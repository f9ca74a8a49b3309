//! Progress on one topic's partition: its position, and the records that the stage cannot take yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::step::Stepping;
use crate::incarnation::beside;
use crate::record::{OwnedRecord, Record};
use crate::session::{Begin, Position, TopicPartition};
use crate::stage::Stage;
use crate::state::{KeptPosition, PartitionState};
use crate::stats::BlockedPartition;

/// Why the first record of a backlog is not taken.
#[derive(Debug)]
struct Refused {
    reason: String,
    offset: i64,
    since_ms: i64,
}

#[derive(Debug)]
pub(super) struct Progress {
    pub(super) at: TopicPartition,
    /// What tells its topic from earlier ones of the name.
    incarnation: Option<Arc<str>>,
    committed: i64,
    next: i64,
    /// Whether the next commit must name it.
    moved: bool,
    /// Whether the group has any position here.
    is_begun: bool,
    /// Whether a commit of this driver has written it: what an earlier one wrote beside the group may be older.
    is_noted: bool,
    /// Records that were fetched and could not be taken yet.
    backlog: VecDeque<OwnedRecord>,
    refused: Option<Refused>,
    pub(super) paused: bool,
}

impl Progress {
    pub(super) fn new(Begin { position, committed, incarnation, .. }: &Begin) -> Self {
        Self {
            at: position.at.clone(),
            incarnation: incarnation.clone(),
            committed: position.offset,
            next: position.offset,
            moved: false,
            is_begun: *committed,
            is_noted: false,
            backlog: VecDeque::new(),
            refused: None,
            paused: false,
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn blocked(&self) -> Option<BlockedPartition> {
        let refused = self.refused.as_ref().filter(|_| self.is_blocked())?;
        Some(BlockedPartition {
            at: self.at.clone(),
            offset: refused.offset,
            reason: refused.reason.clone(),
            since_ms: refused.since_ms,
        })
    }

    pub(super) fn touch(&mut self) {
        self.moved = true;
    }

    /// Steps records, or keeps them behind those that are blocked already; how many were taken.
    pub(super) fn take<S: Stage>(
        &mut self,
        stepping: &mut Stepping<'_, S>,
        state: &mut PartitionState,
        records: &[Record<'_>],
    ) -> usize {
        // After a rewind the bus may hand out what was fetched ahead of it once more.
        let fresh = records.iter().position(|r| r.offset >= self.next).unwrap_or(records.len());
        let records = &records[fresh..];
        let consumed = match self.is_blocked() || records.is_empty() {
            true => 0,
            false => self.step(stepping, state, records),
        };
        self.backlog.extend(records[consumed..].iter().map(Record::to_owned));
        consumed
    }

    /// Offers the backlog again; how many records were taken.
    pub(super) fn offer_backlog<S: Stage>(
        &mut self,
        stepping: &mut Stepping<'_, S>,
        state: &mut PartitionState,
    ) -> usize {
        // Taken out for the length of the steps, so that the records need not be copied.
        let mut backlog = std::mem::take(&mut self.backlog);
        // Mostly the first one is refused again, and the others need not be looked at.
        let (mut taken, mut ahead) = (0, 1);
        while !backlog.is_empty() {
            let views: Vec<Record<'_>> = backlog.iter().take(ahead).map(OwnedRecord::as_record).collect();
            let consumed = self.step(stepping, state, &views);
            let is_refused = consumed < views.len();
            backlog.drain(..consumed);
            taken += consumed;
            if is_refused {
                break;
            }
            ahead = backlog.len();
        }
        self.backlog = backlog;
        taken
    }

    fn step<S: Stage>(
        &mut self,
        stepping: &mut Stepping<'_, S>,
        state: &mut PartitionState,
        records: &[Record<'_>],
    ) -> usize {
        let first = records.first().map_or(self.next, |r| r.offset);
        let since_ms = self.refused.as_ref().filter(|refused| refused.offset == first).map(|refused| refused.since_ms);
        let (consumed, reason) = stepping.records(state, &self.at, records, since_ms);
        if let Some(last) = consumed.checked_sub(1).and_then(|i| records.get(i)) {
            (self.next, self.moved) = (last.offset + 1, true);
        }
        self.refused = reason.map(|reason| {
            let offset = records.get(consumed).map_or(self.next, |r| r.offset);
            // The same record as before has been waiting since then.
            let since_ms = since_ms.filter(|_| offset == first).unwrap_or(stepping.now_ms);
            Refused { reason, offset, since_ms }
        });
        consumed
    }

    /// Where the next commit puts it, if it must name it.
    pub(super) fn moved(&self) -> Option<Position> {
        let is_named = self.moved || !self.is_begun;
        let metadata = || self.incarnation.as_deref().map(beside);
        is_named.then(|| Position { at: self.at.clone(), offset: self.next, metadata: metadata() })
    }

    /// What is to be kept beside the group of where the next commit puts it, if that must name it.
    pub(super) fn to_keep(&self) -> Option<KeptPosition> {
        self.moved().map(|position| KeptPosition { offset: position.offset, incarnation: self.incarnation.clone() })
    }

    /// Where it is, if an abort would take it back.
    pub(super) fn uncommitted(&self) -> Option<Position> {
        let position = || Position { at: self.at.clone(), offset: self.next, metadata: None };
        (self.next > self.committed).then(position)
    }

    /// Whether the topic that has its name now is another one.
    pub(super) fn is_of_earlier_topic(&self, now: Option<&Arc<str>>) -> bool {
        self.incarnation.as_ref().zip(now).is_some_and(|(begun, now)| begun != now)
    }

    /// Whether it begins where nobody has committed anything.
    pub(super) fn is_start(&self) -> bool {
        !self.is_begun
    }

    /// Whether the next commit puts it where it was not before, as far as this driver knows.
    pub(super) fn is_new(&self) -> bool {
        self.next != self.committed || !self.is_begun || !self.is_noted
    }

    /// Where it was committed.
    pub(super) fn position(&self) -> Position {
        Position { at: self.at.clone(), offset: self.committed, metadata: None }
    }

    pub(super) fn committed(&mut self) {
        // A commit names what has moved, and nothing else.
        self.is_noted |= self.moved || !self.is_begun;
        (self.committed, self.moved, self.is_begun) = (self.next, false, true);
    }

    /// Forgets everything since the last commit: the bus hands it out again.
    pub(super) fn abort(&mut self) {
        self.backlog.clear();
        (self.next, self.moved) = (self.committed, false);
    }
}
