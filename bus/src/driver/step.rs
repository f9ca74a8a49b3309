//! What every step about records needs, whichever partition it is of.

use crate::record::{Output, Record};
use crate::session::{Batch, TopicPartition};
use crate::stage::{Context, Facts, Stage, Taken};
use crate::state::PartitionState;

/// A stage on its way over the batches of a turn.
pub(super) struct Stepping<'d, S: Stage> {
    pub(super) stage: &'d mut S,
    pub(super) globals: &'d S::Globals,
    pub(super) outputs: &'d mut Vec<Output>,
    pub(super) now_ms: i64,
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
        let batch = Batch { topic: &at.topic, partition: at.partition, records };
        let blocked_ms = since_ms.map_or(0, |since_ms| self.now_ms.saturating_sub(since_ms).max(0));
        let facts = Facts { partition: at.partition, now_ms: self.now_ms, blocked_ms };
        let mut context = Context::new(facts, self.globals, state, self.outputs);
        match self.stage.records(batch, &mut context) {
            Taken::All => (records.len(), None),
            Taken::Blocked { consumed, reason } => {
                debug_assert!(consumed < records.len(), "a step that took everything is done");
                (consumed.min(records.len()), Some(reason))
            }
        }
    }
}
