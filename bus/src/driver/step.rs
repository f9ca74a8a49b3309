//! What every step about records needs, whichever partition it is of.

use super::poison::{Next, STAGE_PANICKED, Suspects};
use crate::dead_letters::Reason;
use crate::panics::caught;
use crate::record::{Output, Record};
use crate::session::{Batch, TopicPartition};
use crate::stage::{Context, Facts, Stage, Taken};
use crate::state::PartitionState;

/// A stage on its way over the batches of a turn.
pub(super) struct Stepping<'d, S: Stage> {
    pub(super) stage: &'d mut S,
    pub(super) globals: &'d S::Globals,
    pub(super) outputs: &'d mut Vec<Output>,
    pub(super) suspects: &'d mut Suspects,
    pub(super) now_ms: i64,
    /// What a panic of the stage said: nothing more is offered, and all of the turn is to be undone.
    pub(super) panicked: Option<String>,
}

impl<S: Stage> Stepping<'_, S> {
    /// Offers records that were first refused at `since_ms`; how many were taken, and why not more.
    pub(super) fn records(
        &mut self,
        state: &mut PartitionState,
        at: &TopicPartition,
        records: &[Record<'_>],
        since_ms: Option<i64>,
    ) -> (usize, Option<String>) {
        let mut taken = 0;
        while taken < records.len() && self.panicked.is_none() {
            let rest = &records[taken..];
            let offered = match self.suspects.next(at, rest) {
                Next::Offer(count) => &rest[..count],
                Next::GiveUp(said) => {
                    self.give_up(at, &rest[0], said);
                    taken += 1;
                    continue;
                }
            };
            match self.offer(state, at, offered, since_ms.filter(|_| taken == 0)) {
                Some(Taken::All) => taken += offered.len(),
                Some(Taken::Blocked { consumed, reason }) => {
                    debug_assert!(consumed < offered.len(), "a step that took everything is done");
                    return (taken + consumed.min(offered.len()), Some(reason));
                }
                None => {}
            }
        }
        (taken, None)
    }

    /// One step; nothing if the stage panicked.
    fn offer(
        &mut self,
        state: &mut PartitionState,
        at: &TopicPartition,
        records: &[Record<'_>],
        since_ms: Option<i64>,
    ) -> Option<Taken> {
        let batch = Batch { topic: &at.topic, partition: at.partition, records };
        let blocked_ms = since_ms.map_or(0, |since_ms| self.now_ms.saturating_sub(since_ms).max(0));
        let facts = Facts { partition: at.partition, now_ms: self.now_ms, blocked_ms, is_careful: false };
        let Self { stage, globals, outputs, .. } = self;
        let mut context = Context::new(facts, *globals, state, outputs);
        match caught(|| stage.records(batch, &mut context)) {
            Ok(taken) => Some(taken),
            Err(said) => {
                self.suspects.panicked(at, records, &said);
                self.panicked = Some(said);
                None
            }
        }
    }

    fn give_up(&mut self, at: &TopicPartition, record: &Record<'_>, said: String) {
        let (topic, partition, offset) = (&at.topic, at.partition, record.offset);
        let spec = self.stage.spec();
        tracing::error!(stage = %spec.name, %topic, partition, offset, said, "a record that kills the stage is given up");
        let letter = spec.give_up(topic, partition, record, Reason::new(STAGE_PANICKED, said));
        self.outputs.push(letter);
    }
}
