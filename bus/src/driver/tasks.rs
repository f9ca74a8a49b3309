//! The partitions that a driver has: state, positions and backlog of each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::record::{Output, OwnedRecord, Record};
use crate::session::{Batch, Position, TopicPartition};
use crate::stage::{Context, Input, Stage, Step};
use crate::state::PartitionState;
use crate::store::StoreError;

/// Progress on one topic's partition.
#[derive(Debug)]
struct Progress {
    at: TopicPartition,
    committed: i64,
    next: i64,
    /// Whether the next commit must name it.
    moved: bool,
}

/// Everything of one partition number.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) number: u32,
    pub(super) state: PartitionState,
    /// Whether more was committed than the store's position says, and when it was told last, in
    /// milliseconds since the epoch.
    pub(super) is_position_old: bool,
    pub(super) noted_ms: i64,
    progress: Vec<Progress>,
    /// Records that were fetched and could not be taken yet, in order of arrival.
    backlog: VecDeque<(Arc<str>, OwnedRecord)>,
    blocked: Option<String>,
    pub(super) paused: bool,
    /// Version of the globals that the stage was told of; also that of the last commit, for aborts.
    pub(super) globals: Option<u64>,
    globals_committed: Option<u64>,
    taken: u64,
}

impl Task {
    /// Whether no topic was added yet.
    pub(super) fn is_new(&self) -> bool {
        self.progress.is_empty()
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &TopicPartition> {
        self.progress.iter().map(|p| &p.at)
    }

    pub(super) fn touch(&mut self) {
        for progress in &mut self.progress {
            progress.moved = true;
        }
    }

    pub(super) fn add(&mut self, positions: &[Position]) {
        for position in positions {
            let (at, next) = (position.at.clone(), position.offset);
            self.progress.retain(|p| p.at != at);
            self.progress.push(Progress { at, committed: next, next, moved: false });
        }
        // A topic that joins while others are paused would otherwise run ahead of them.
        self.paused = false;
    }

    /// Steps a run of records, or keeps them behind those that are blocked already.
    pub(super) fn take<S: Stage>(
        &mut self,
        stage: &mut S,
        globals: &S::Globals,
        outputs: &mut Vec<Output>,
        at: &TopicPartition,
        records: &[Record<'_>],
        now_ms: i64,
    ) {
        // After a rewind the bus may hand out what was fetched ahead of it once more.
        let Some(next) = self.progress.iter().find(|p| p.at == *at).map(|p| p.next) else { return };
        let fresh = records.iter().position(|r| r.offset >= next).unwrap_or(records.len());
        let records = &records[fresh..];
        let consumed = if self.is_blocked() || records.is_empty() {
            0
        } else {
            self.step(stage, globals, outputs, &at.topic, records, now_ms)
        };
        self.backlog.extend(records[consumed..].iter().map(|r| (at.topic.clone(), r.to_owned())));
        if let Some(record) = consumed.checked_sub(1).and_then(|i| records.get(i)) {
            self.advance(&at.topic, record.offset + 1);
        }
    }

    /// Offers the backlog again, run by run; whether anything was taken.
    pub(super) fn offer_backlog<S: Stage>(
        &mut self,
        stage: &mut S,
        globals: &S::Globals,
        outputs: &mut Vec<Output>,
        now_ms: i64,
    ) -> bool {
        let before = self.taken;
        while let Some((topic, _)) = self.backlog.front() {
            let topic = topic.clone();
            // Taken out for the length of the step, so that the records need not be copied.
            let mut backlog = std::mem::take(&mut self.backlog);
            let same_topic = backlog.iter().take_while(|(t, _)| *t == topic);
            let views: Vec<Record<'_>> = same_topic.map(|(_, r)| r.as_record()).collect();
            let run = views.len();
            let consumed = self.step(stage, globals, outputs, &topic, &views, now_ms);
            if let Some(last) = consumed.checked_sub(1).and_then(|i| views.get(i)) {
                self.advance(&topic, last.offset + 1);
            }
            backlog.drain(..consumed);
            self.backlog = backlog;
            if consumed < run {
                break;
            }
        }
        self.taken > before
    }

    fn step<S: Stage>(
        &mut self,
        stage: &mut S,
        globals: &S::Globals,
        outputs: &mut Vec<Output>,
        topic: &Arc<str>,
        records: &[Record<'_>],
        now_ms: i64,
    ) -> usize {
        let batch = Batch { topic, partition: self.number, records };
        // Records are here to be read: whatever waits behind them, the partition is not caught up.
        let mut context = Context::new(self.number, now_ms, false, globals, &mut self.state, outputs);
        let consumed = match stage.step(Input::Records(batch), &mut context) {
            Step::Done => {
                self.blocked = None;
                records.len()
            }
            Step::Blocked { consumed, reason } => {
                debug_assert!(consumed < records.len(), "a step that took everything is done");
                self.blocked = Some(reason);
                consumed.min(records.len())
            }
        };
        self.taken += consumed as u64;
        consumed
    }

    fn advance(&mut self, topic: &Arc<str>, next: i64) {
        if let Some(progress) = self.progress.iter_mut().find(|p| p.at.topic == *topic) {
            (progress.next, progress.moved) = (next, true);
        }
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

    pub(super) fn ensure(&mut self, number: u32) -> &mut Task {
        self.by_number.entry(number).or_insert_with(|| Task { number, ..Task::default() })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        self.by_number.iter().map(|(number, task)| (*number, task))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.by_number.values_mut()
    }

    pub(super) fn partitions(&self) -> Vec<u32> {
        self.by_number.keys().copied().collect()
    }

    pub(super) fn topic_partitions(&self) -> usize {
        self.by_number.values().map(|t| t.progress.len()).sum()
    }

    /// Records taken since the beginning.
    pub(super) fn taken(&self) -> u64 {
        self.by_number.values().map(|t| t.taken).sum()
    }

    /// Partitions that have not been told of that version of the globals.
    pub(super) fn behind(&self, version: u64) -> Vec<u32> {
        self.by_number.iter().filter(|(_, task)| task.globals != Some(version)).map(|(number, _)| *number).collect()
    }

    pub(super) fn any_blocked(&self) -> bool {
        self.by_number.values().any(Task::is_blocked)
    }

    pub(super) fn blocked_reason(&self) -> Option<String> {
        self.by_number.values().filter(|t| t.is_blocked()).find_map(|t| t.blocked.clone())
    }

    pub(super) fn any_change(&self) -> bool {
        self.by_number.values().any(|t| t.state.is_changed())
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.by_number.values().filter_map(|t| t.state.next_due_ms(crate::store::TimerKind::Time)).min()
    }

    /// Changelog records of everything that changed, in order of partition and key.
    pub(super) fn changelog(&self, topic: &Arc<str>) -> Vec<Output> {
        let of_task = |task: &Task| -> Vec<Output> {
            let record = |(key, value): (std::borrow::Cow<'_, [u8]>, Option<Vec<u8>>)| Output::to_partition(topic, task.number, key, value);
            task.state.changes().map(record).collect()
        };
        self.by_number.values().flat_map(of_task).collect()
    }

    /// Positions that the next commit must name.
    pub(super) fn moved(&self) -> Vec<Position> {
        self.positions(|p| p.moved.then_some(p.next))
    }

    /// Everything since the last commit is committed: positions first, then the stores take it.
    pub(super) fn committed(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let mut applied = Ok(());
        for task in self.by_number.values_mut() {
            task.globals_committed = task.globals;
            for progress in &mut task.progress {
                (progress.committed, progress.moved) = (progress.next, false);
            }
            task.is_position_old |= task.state.is_changed();
            applied = applied.and(task.state.commit(now_ms));
        }
        applied
    }

    /// Why a state did not answer, if one did not.
    pub(super) fn state_failure(&self) -> Option<StoreError> {
        self.by_number.values().find_map(|task| task.state.failure())
    }

    /// Undoes everything since the last commit; returns where to read on.
    pub(super) fn abort(&mut self) -> Vec<Position> {
        for task in self.by_number.values_mut() {
            task.state.abort();
            task.globals = task.globals_committed;
            task.backlog.clear();
            task.blocked = None;
            for progress in &mut task.progress {
                (progress.next, progress.moved) = (progress.committed, false);
            }
        }
        self.positions(|p| Some(p.committed))
    }

    /// Forgets partitions; returns the numbers that nothing is left of.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) -> Vec<u32> {
        for task in self.by_number.values_mut() {
            task.progress.retain(|p| !partitions.contains(&p.at));
            let progress = &task.progress;
            task.backlog.retain(|(topic, _)| progress.iter().any(|p| p.at.topic == *topic));
        }
        let gone: Vec<u32> = self.by_number.iter().filter(|(_, t)| t.progress.is_empty()).map(|(n, _)| *n).collect();
        for number in &gone {
            self.by_number.remove(number);
        }
        gone
    }

    fn positions(&self, offset: impl Fn(&Progress) -> Option<i64>) -> Vec<Position> {
        let position = |p: &Progress| offset(p).map(|offset| Position { at: p.at.clone(), offset, metadata: None });
        self.by_number.values().flat_map(|t| &t.progress).filter_map(position).collect()
    }
}
