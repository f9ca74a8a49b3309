//! The partitions that a driver has: state, and per topic position and backlog.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::progress::Progress;
use super::silence::Listening;
use super::step::Stepping;
use crate::record::{Output, Record};
use crate::session::{Begin, Position, TopicPartition};
use crate::stage::Stage;
use crate::state::{KeptPosition, PartitionState};
use crate::stats::BlockedPartition;
use crate::store::{StoreError, TimerKind};

/// Everything of one partition number.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) number: u32,
    pub(super) state: PartitionState,
    /// Whether more was committed than the store's position says, and when it was told last, in
    /// milliseconds since the epoch.
    pub(super) is_position_old: bool,
    pub(super) noted_ms: i64,
    /// Where the changelog ended when it was asked for last, until a commit lets it count.
    pub(super) asked_end: Option<i64>,
    /// Whether a timer may be noted as moved back.
    pub(super) has_moved_back: bool,
    pub(super) progress: Vec<Progress>,
    pub(super) listening: Listening,
    /// When this member got the partition, in milliseconds since the epoch.
    pub(super) assigned_ms: i64,
    /// Whether no silence timer is left that an earlier member set too far ahead.
    pub(super) are_silences_short: bool,
    /// Version of the globals that the stage was told of; also that of the last commit, for aborts.
    pub(super) globals: Option<u64>,
    globals_committed: Option<u64>,
}

impl Task {
    /// Whether no topic was added yet.
    pub(super) fn is_new(&self) -> bool {
        self.progress.is_empty()
    }

    pub(super) fn topic(&self, name: &str) -> Option<&Progress> {
        self.progress.iter().find(|p| *p.at.topic == *name)
    }

    /// A transaction without a real offset is not fenced (KIP-447): the next commit names this
    /// partition's positions even if none moved.
    pub(super) fn touch(&mut self) {
        for progress in &mut self.progress {
            progress.touch();
        }
    }

    pub(super) fn add(&mut self, begin: &Begin) {
        self.progress.retain(|p| p.at != begin.position.at);
        self.progress.push(Progress::new(begin));
    }

    /// Puts the positions that move into the state.
    fn keep_positions(&mut self) {
        for (at, position) in self.progress.iter().filter_map(|p| Some((&p.at, p.to_keep()?))) {
            self.state.keep_position(&at.topic, &position);
        }
    }

    /// Steps a run of records, or keeps them behind those of their topic that are blocked already; how
    /// many were taken.
    pub(super) fn take<S: Stage>(
        &mut self,
        stepping: &mut Stepping<'_, S>,
        at: &TopicPartition,
        records: &[Record<'_>],
    ) -> usize {
        let Some(progress) = self.progress.iter_mut().find(|p| p.at == *at) else { return 0 };
        progress.take(stepping, &mut self.state, records)
    }

    /// Offers every backlog again; how many records were taken.
    pub(super) fn offer_backlogs<S: Stage>(&mut self, stepping: &mut Stepping<'_, S>) -> usize {
        let state = &mut self.state;
        self.progress.iter_mut().map(|progress| progress.offer_backlog(stepping, state)).sum()
    }

    /// Whether the store holds, or will after the next commit, more than its position says.
    pub(super) fn has_old_position(&self) -> bool {
        self.is_position_old || self.state.is_changed()
    }

    /// Everything since the last commit is committed; the store takes it, or is of no use any more.
    fn committed(&mut self, now_ms: i64) -> Result<(), StoreError> {
        self.globals_committed = self.globals;
        self.progress.iter_mut().for_each(Progress::committed);
        self.is_position_old |= self.state.is_changed();
        self.state.commit(now_ms)
    }

    fn abort(&mut self) {
        self.state.abort();
        self.globals = self.globals_committed;
        self.listening = Listening::default();
        self.progress.iter_mut().for_each(Progress::abort);
    }
}

/// All partitions of a driver, by number.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    by_number: BTreeMap<u32, Task>,
}

impl Tasks {
    pub(super) fn get(&self, number: u32) -> Option<&Task> {
        self.by_number.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Task> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn ensure(&mut self, number: u32, now_ms: i64) -> &mut Task {
        let new = || Task { number, assigned_ms: now_ms, ..Task::default() };
        self.by_number.entry(number).or_insert_with(new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.by_number.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.by_number.values_mut()
    }

    pub(super) fn progress(&self) -> impl Iterator<Item = &Progress> {
        self.by_number.values().flat_map(|t| &t.progress)
    }

    pub(super) fn partitions(&self) -> Vec<u32> {
        self.by_number.keys().copied().collect()
    }

    pub(super) fn topic_partitions(&self) -> usize {
        self.by_number.values().map(|t| t.progress.len()).sum()
    }

    /// Partitions that have not been told of that version of the globals.
    pub(super) fn behind(&self, version: u64) -> Vec<u32> {
        self.by_number.iter().filter(|(_, task)| task.globals != Some(version)).map(|(number, _)| *number).collect()
    }

    pub(super) fn any_blocked(&self) -> bool {
        self.by_number.values().flat_map(|t| &t.progress).any(Progress::is_blocked)
    }

    /// What is blocked, why and since when.
    pub(super) fn blocked(&self) -> Vec<BlockedPartition> {
        self.by_number.values().flat_map(|t| &t.progress).filter_map(Progress::blocked).collect()
    }

    pub(super) fn any_change(&self) -> bool {
        self.by_number.values().any(|t| t.state.is_changed())
    }

    pub(super) fn next_due_ms(&self, kind: TimerKind) -> Option<i64> {
        self.by_number.values().filter_map(|t| t.state.next_due_ms(kind)).min()
    }

    /// Changelog records of everything that changed, in order of partition and key.
    pub(super) fn changelog(&self, topic: &Arc<str>) -> Vec<Output> {
        let of_task = |task: &Task| -> Vec<Output> {
            let record =
                |(key, value): (Cow<'_, [u8]>, Option<Vec<u8>>)| Output::to_partition(topic, task.number, key, value);
            task.state.changes().map(record).collect()
        };
        self.by_number.values().flat_map(of_task).collect()
    }

    /// Puts the positions that move into the states.
    pub(super) fn keep_positions(&mut self) {
        self.by_number.values_mut().for_each(Task::keep_positions);
    }

    /// Positions that the next commit changes.
    pub(super) fn new_positions(&self) -> Vec<(TopicPartition, KeptPosition)> {
        let progress = self.by_number.values().flat_map(|t| &t.progress);
        progress.filter(|p| p.is_new()).filter_map(|p| Some((p.at.clone(), p.to_keep()?))).collect()
    }

    /// Whether a partition begins where nobody has committed anything.
    pub(super) fn any_start(&self) -> bool {
        self.by_number.values().flat_map(|t| &t.progress).any(Progress::is_start)
    }

    /// Positions that the next commit must name.
    pub(super) fn moved(&self) -> Vec<Position> {
        self.by_number.values().flat_map(|t| &t.progress).filter_map(Progress::moved).collect()
    }

    /// Where every topic's partition was committed.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.by_number.values().flat_map(|t| &t.progress).map(Progress::position)
    }

    pub(super) fn committed(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let committed = self.by_number.values_mut().map(|task| task.committed(now_ms));
        // Every one of them is told, whatever became of the first.
        committed.fold(Ok(()), Result::and)
    }

    /// Why a state did not answer, if one did not.
    pub(super) fn state_failure(&self) -> Option<StoreError> {
        self.by_number.values().find_map(|task| task.state.failure())
    }

    /// Undoes everything since the last commit; returns where to read on.
    pub(super) fn abort(&mut self) -> Vec<Position> {
        self.by_number.values_mut().for_each(Task::abort);
        self.positions().collect()
    }

    /// Forgets partitions; returns the numbers that nothing is left of.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) -> Vec<u32> {
        for task in self.by_number.values_mut() {
            task.progress.retain(|p| !partitions.contains(&p.at));
        }
        let gone: Vec<u32> = self.by_number.iter().filter(|(_, t)| t.progress.is_empty()).map(|(n, _)| *n).collect();
        for number in &gone {
            self.by_number.remove(number);
        }
        gone
    }
}
