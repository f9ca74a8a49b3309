//! What is about to run: tasks that something has led to, and those that are offered. What led to each is in `led`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::ContextId;
use super::items::Items;
use super::led::Led;
use super::render::Rendered;
use crate::definition::TaskIndex;
use crate::expression::Value;

/// The number of a staged task, in the order of staging.
pub(crate) type StagedId = u32;

/// A task that something has led to.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) task: TaskIndex,
    pub(crate) route: u32,
    pub(crate) context: ContextId,
    /// The runs that led to it.
    pub(crate) before: Led,
    /// Whether everything that it waits for has arrived.
    pub(crate) ready: bool,
    /// It has ended badly, and its items are kept for a rerun.
    pub(crate) completed: bool,
    /// It is offered though the workflow has failed.
    pub(crate) run_on_fail: bool,
    /// It is tried again, after this delay in seconds.
    pub(crate) retry_delay: Option<i64>,
    /// What a person has changed of what it gives its action, a map; `null` if nothing.
    pub(crate) input: Value,
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
            before: Led::of(before),
            ready: true,
            completed: false,
            run_on_fail: false,
            retry_delay: None,
            input: Value::Null,
            items: None,
            rendered: None,
        }
    }

    fn is_open(&self) -> bool {
        self.ready && !self.completed
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    list: BTreeMap<StagedId, Box<Staged>>,
    /// By task and route.
    of: BTreeSet<(TaskIndex, u32, StagedId)>,
    open: BTreeSet<StagedId>,
    next: StagedId,
    /// Those that were added since it was asked last, in order.
    new: Vec<StagedId>,
}

impl Staging {
    pub(crate) fn add(&mut self, staged: Staged) -> StagedId {
        let id = self.next;
        self.restore(id, staged);
        self.new.push(id);
        id
    }

    /// Those that were added since this was asked last, in order.
    pub(crate) fn take_new(&mut self) -> Vec<StagedId> {
        std::mem::take(&mut self.new)
    }

    pub(crate) fn restore(&mut self, id: StagedId, staged: Staged) {
        self.of.insert((staged.task, staged.route, id));
        if staged.is_open() {
            self.open.insert(id);
        }
        self.list.insert(id, Box::new(staged));
        self.next = self.next.max(id + 1);
    }

    /// The first one of a task in a route.
    pub(crate) fn find(&self, task: TaskIndex, route: u32) -> Option<StagedId> {
        self.of.range((task, route, 0)..=(task, route, StagedId::MAX)).next().map(|(_, _, id)| *id)
    }

    pub(crate) fn get(&self, id: StagedId) -> Option<&Staged> {
        self.list.get(&id).map(|staged| &**staged)
    }

    pub(crate) fn change<R>(&mut self, id: StagedId, change: impl FnOnce(&mut Staged) -> R) -> Option<R> {
        let staged = self.list.get_mut(&id)?;
        let was_open = staged.is_open();
        let result = change(staged);
        if staged.is_open() != was_open {
            if was_open {
                self.open.remove(&id);
            } else {
                self.open.insert(id);
            }
        }
        Some(result)
    }

    /// Removes one, unless items of it are active. Whether it is gone.
    pub(crate) fn remove(&mut self, id: StagedId) -> bool {
        let Some(staged) = self.list.get(&id) else { return false };
        if staged.items.as_ref().is_some_and(|items| items.active() > 0) {
            return false;
        }
        self.of.remove(&(staged.task, staged.route, id));
        self.open.remove(&id);
        self.list.remove(&id);
        true
    }

    /// Those that can be offered, in the order of staging.
    pub(crate) fn open(&self) -> impl Iterator<Item = (StagedId, &Staged)> {
        self.open.iter().filter_map(|id| self.get(*id).map(|staged| (*id, staged)))
    }

    pub(crate) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// All numbers, in the order of staging.
    pub(crate) fn ids(&self) -> Vec<StagedId> {
        self.list.keys().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Staged> {
        self.list.values().map(|staged| &**staged)
    }
}
