//! What is about to run: tasks that something has led to, and those that are offered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::context::ContextId;
use super::items::Items;
use super::render::Rendered;
use crate::definition::TaskIndex;
use crate::expression::Map;

/// The number of a staged task, in the order of staging.
pub(crate) type StagedId = u32;

/// Of the runs that led to a staged task, how many are stored together, so that one that arrives at a join is written
/// with few others. The first ones are in the piece of the staged task itself.
pub(crate) const LED_IN_CHUNK: usize = 8;

/// A task that something has led to.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) task: TaskIndex,
    pub(crate) route: u32,
    pub(crate) context: ContextId,
    /// The runs that led to it, by the steps that they took. Very many may lead to a join.
    pub(crate) before: IndexMap<Arc<str>, u32>,
    /// Whether everything that it waits for has arrived.
    pub(crate) ready: bool,
    /// It has ended badly, and its items are kept for a rerun.
    pub(crate) completed: bool,
    /// It is offered though the workflow has failed.
    pub(crate) run_on_fail: bool,
    /// It is tried again, after this delay in seconds.
    pub(crate) retry_delay: Option<i64>,
    /// What a person has changed of what it gives its action.
    pub(crate) input: Map,
    /// Its items, once they have been offered.
    pub(crate) items: Option<Items>,
    /// What is offered of it, once it has been rendered.
    pub(crate) rendered: Option<Arc<Rendered>>,
}

impl Staged {
    /// Whether its items were counted.
    pub(crate) fn has_items(&self) -> bool {
        self.items.as_ref().is_some_and(|items| items.len() > 0)
    }

    pub(crate) fn new(task: TaskIndex, route: u32, context: ContextId, before: Vec<(Arc<str>, u32)>) -> Self {
        Staged {
            task,
            route,
            context,
            before: before.into_iter().collect(),
            ready: true,
            completed: false,
            run_on_fail: false,
            retry_delay: None,
            input: Map::default(),
            items: None,
            rendered: None,
        }
    }

    /// The runs that led to it, as a run of it keeps them.
    pub(crate) fn led_by_runs(&self) -> Vec<(Arc<str>, u32)> {
        self.before.iter().map(|(step, run)| (step.clone(), *run)).collect()
    }

    fn is_open(&self) -> bool {
        self.ready && !self.completed
    }

    /// Remembers which run led here, in the place of an earlier one that took the same step, and says its place.
    pub(crate) fn led_by(&mut self, step: &Arc<str>, run: u32) -> usize {
        self.before.insert_full(step.clone(), run).0
    }

    /// The runs that led here, those of one chunk.
    pub(crate) fn led_in_chunk(&self, chunk: usize) -> Vec<(Arc<str>, u32)> {
        let first = chunk.saturating_mul(LED_IN_CHUNK);
        let of_chunk = (first..first + LED_IN_CHUNK).map_while(|place| self.before.get_index(place));
        of_chunk.map(|(step, run)| (step.clone(), *run)).collect()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    list: BTreeMap<StagedId, Staged>,
    of: BTreeMap<(TaskIndex, u32), Vec<StagedId>>,
    open: BTreeSet<StagedId>,
    next: StagedId,
    /// Those that were added since it was asked last.
    new: BTreeSet<StagedId>,
}

impl Staging {
    pub(crate) fn add(&mut self, staged: Staged) -> StagedId {
        let id = self.next;
        self.restore(id, staged);
        self.new.insert(id);
        id
    }

    /// Those that were added since this was asked last.
    pub(crate) fn take_new(&mut self) -> BTreeSet<StagedId> {
        std::mem::take(&mut self.new)
    }

    pub(crate) fn restore(&mut self, id: StagedId, staged: Staged) {
        self.of.entry((staged.task, staged.route)).or_default().push(id);
        if staged.is_open() {
            self.open.insert(id);
        }
        self.list.insert(id, staged);
        self.next = self.next.max(id + 1);
    }

    /// The first one of a task in a route.
    pub(crate) fn find(&self, task: TaskIndex, route: u32) -> Option<StagedId> {
        self.of.get(&(task, route)).and_then(|ids| ids.first()).copied()
    }

    pub(crate) fn get(&self, id: StagedId) -> Option<&Staged> {
        self.list.get(&id)
    }

    pub(crate) fn change<R>(&mut self, id: StagedId, change: impl FnOnce(&mut Staged) -> R) -> Option<R> {
        let staged = self.list.get_mut(&id)?;
        let result = change(staged);
        if staged.is_open() {
            self.open.insert(id);
        } else {
            self.open.remove(&id);
        }
        Some(result)
    }

    /// Removes one, unless items of it are active. Whether it is gone.
    pub(crate) fn remove(&mut self, id: StagedId) -> bool {
        let Some(staged) = self.list.get(&id) else { return false };
        if staged.items.as_ref().is_some_and(|items| items.active() > 0) {
            return false;
        }
        let key = (staged.task, staged.route);
        if let Some(ids) = self.of.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.of.remove(&key);
            }
        }
        self.open.remove(&id);
        self.list.remove(&id);
        true
    }

    /// Those that can be offered, in the order of staging.
    pub(crate) fn open(&self) -> impl Iterator<Item = (StagedId, &Staged)> {
        self.open.iter().filter_map(|id| self.list.get(id).map(|staged| (*id, staged)))
    }

    pub(crate) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// All numbers, in the order of staging.
    pub(crate) fn ids(&self) -> Vec<StagedId> {
        self.list.keys().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Staged> {
        self.list.values()
    }
}
