//! The committed state behind a driver's partitions: opened and restored on assignment, told what was
//! committed, thrown away when it fails.
//!
//! A step never sees a state that failed: reads that get no answer are found out before anything of the
//! transaction is sent ([`Driver::check_states`]), and the session starts anew from the changelog.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Driver, Failure};
use crate::session::{RESTORE_OUT_OF_RANGE, RestoreFrom, SessionError, TopicPartition};
use crate::stage::Stage;
use crate::state::PartitionState;
use crate::store::{MemoryStore, StateStore, StoreError, StoreName};

impl<S: Stage> Driver<'_, S> {
    /// Brings new partitions to the end of their changelog.
    pub(super) fn restore(&mut self, numbers: &[u32]) -> Result<(), Failure> {
        let Some(changelog) = self.stage.spec().changelog.clone() else { return Ok(()) };
        // Before the ends of the changelogs are known: what is committed from now on counts as missing.
        let now_ms = self.clock.now_ms();
        for number in numbers {
            let name =
                StoreName { stage: self.stage.spec().name.clone(), changelog: changelog.clone(), partition: *number };
            let state = self.open_state(&name, now_ms)?;
            if let Some(task) = self.tasks.get_mut(*number) {
                task.state = state;
            }
        }
        let mut wanted = numbers.to_vec();
        // Once more for those whose store is of another changelog than this.
        for _ in 0..2 {
            if wanted.is_empty() {
                return Ok(());
            }
            wanted = self.read_changelog(&changelog, &wanted, now_ms)?;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        Err(SessionError::Rebuild(format!("the changelog {changelog} changes while it is read")).into())
    }

    /// Returns the partitions whose changelog does not go on from where their store is.
    fn read_changelog(&mut self, changelog: &Arc<str>, numbers: &[u32], now_ms: i64) -> Result<Vec<u32>, Failure> {
        let Self { session, tasks, stats, .. } = self;
        let from = |number: &u32| RestoreFrom {
            at: TopicPartition { topic: changelog.clone(), partition: *number },
            from: tasks.get_mut(*number).and_then(|task| task.state.position()),
        };
        let wanted: Vec<RestoreFrom> = numbers.iter().map(from).collect();
        let ends = session.restore(&wanted, &mut |number, _, key, value| {
            if let Some(task) = tasks.get_mut(number) {
                task.state.restore(key, value);
                stats.restored.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        let mut again = Vec::new();
        for (RestoreFrom { at, from }, end) in wanted.iter().zip(ends) {
            let Some(task) = tasks.get_mut(at.partition) else { continue };
            if end == RESTORE_OUT_OF_RANGE {
                let (topic, partition) = (&at.topic, at.partition);
                tracing::warn!(%topic, partition, position = ?from, "the changelog does not go on from the state cache");
                task.state.discard()?;
                again.push(partition);
            } else {
                task.state.restored(end, now_ms)?;
                task.noted_ms = now_ms;
                task.has_moved_back = !task.state.moved_back().is_empty();
            }
        }
        Ok(again)
    }

    fn open_state(&self, name: &StoreName, now_ms: i64) -> Result<PartitionState, StoreError> {
        let store: Box<dyn StateStore> = match &self.options.stores {
            Some(stores) => stores.open(name, now_ms)?,
            None => Box::new(MemoryStore::default()),
        };
        Ok(PartitionState::new(store, self.options.output_bytes_max).passing(self.options.outgoing.clone()))
    }

    /// Whether every read since the last commit was answered.
    pub(super) fn check_states(&self) -> Result<(), Failure> {
        self.tasks.state_failure().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Asks where the changelogs end whose position is old, in one question, before a commit. Once that has
    /// succeeded, which says that this member had its partitions all the time, everything up to there is in
    /// their stores: nobody else has committed state of these partitions. Noted without a commit behind it, a
    /// member that stood still in between would take what its heir has written for its own.
    ///
    /// So they are asked for when nothing is open, and noted with the next commit; only the last occasion
    /// does not leave time for that.
    pub(super) fn ask_ends(&mut self, is_last: bool) -> Result<(), Failure> {
        let Some(changelog) = self.stage.spec().changelog.clone() else { return Ok(()) };
        let now_ms = self.clock.now_ms();
        let before_ms = if is_last { i64::MAX } else { now_ms.saturating_sub(self.options.position_interval_ms) };
        let mut due = Vec::new();
        for task in self.tasks.iter_mut().filter(|task| task.has_old_position() && task.noted_ms <= before_ms) {
            // One that does not answer is asked again after the same time as any other.
            task.noted_ms = now_ms;
            due.push(TopicPartition { topic: changelog.clone(), partition: task.number });
        }
        if due.is_empty() {
            return Ok(());
        }
        for (at, end) in due.iter().zip(self.session.high_watermarks(&due)?) {
            match self.tasks.get_mut(at.partition) {
                Some(task) if end.is_some() => task.asked_end = end,
                // The next restore reads a little more.
                _ => tracing::debug!(topic = %at.topic, partition = at.partition, "the end is not known now"),
            }
        }
        Ok(())
    }

    /// A commit has just succeeded, which began at that instant: tells stores where their changelogs ended
    /// before it.
    pub(super) fn note_ends(&mut self, at_ms: i64) -> Result<(), Failure> {
        for task in self.tasks.iter_mut() {
            if let Some(end) = task.asked_end.take() {
                task.state.note(end, at_ms)?;
                task.is_position_old = false;
            }
        }
        Ok(())
    }

    /// A store failed: what it holds is thrown away, and the group left in order.
    pub(super) fn leave_after_store_failure(&mut self) {
        for task in self.tasks.iter_mut().filter(|task| task.state.failure().is_some()) {
            if let Err(error) = task.state.discard() {
                tracing::debug!(partition = task.number, %error, "a failed state cache could not be discarded");
            }
        }
        self.outputs.clear();
        let positions = self.tasks.abort();
        if self.session.abort(&positions).is_ok() {
            self.session.close();
        }
    }
}
