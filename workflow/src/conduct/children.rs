//! What is remembered of the children of a workflow: for what the open ones run, and of a task with items what those
//! that have ended have resulted in, until the task ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pieces::OwnPiece;
use crate::conductor::{Status, json_bytes};
use crate::expression::{List, Value};

/// What a child runs for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Child {
    /// The task.
    pub(super) task: Arc<str>,
    /// The task's route.
    pub(super) route: u32,
    /// The item of the task, if it has items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<usize>,
    /// Whether its task has ended without it. How it ends is of no account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stopped: bool,
    /// Whether another child has ended the run, or the try, that it began for. It runs on, and how it ends is of no account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) set_aside: bool,
    /// Whether it is to be ended with its workflow, and was not told yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) to_end: bool,
    /// Whether it calls people about a question of its task, or about a freeze. How it ends is of no account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) notice: bool,
}

impl Child {
    /// For a task as a whole.
    pub(super) fn of(task: Arc<str>, route: u32) -> Child {
        Child { task, route, item: None, stopped: false, set_aside: false, to_end: false, notice: false }
    }

    /// What people call it: `evacuate`, `evacuate[3]`, on another route than the first one `evacuate~2[3]`, and what calls
    /// people about the question of a task `ask/notify`.
    pub(super) fn label(&self) -> String {
        let route = if self.route == 0 { String::new() } else { format!("~{}", self.route) };
        let item = self.item.map(|item| format!("[{item}]")).unwrap_or_default();
        let notice = if self.notice { "/notify" } else { "" };
        format!("{}{route}{item}{notice}", self.task)
    }

    /// Whether it undoes something, or is of `finally`: that runs whatever the end is.
    pub(super) fn is_of_end(&self) -> bool {
        self.task.contains('/')
    }

    fn of_task(&self) -> (Arc<str>, u32) {
        (self.task.clone(), self.route)
    }
}

/// How an item has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    /// What ran for it.
    pub(super) child: Child,
    pub(super) status: Status,
    pub(super) result: Value,
}

/// All of them, by number.
#[derive(Debug, Default)]
pub(super) struct Children {
    next: u32,
    open: BTreeMap<u32, Child>,
    /// The numbers of the open ones, by task and route.
    by_task: BTreeSet<(Arc<str>, u32, u32)>,
    done: BTreeMap<u32, Done>,
    /// The numbers of what is done, by task, route and item.
    items: BTreeMap<(Arc<str>, u32), BTreeMap<usize, u32>>,
    changed: BTreeSet<OwnPiece>,
    /// Those that are to be ended and were not told yet.
    to_end: BTreeSet<u32>,
    /// About how many bytes what is done has resulted in, as JSON.
    done_bytes: usize,
    /// The open ones that rest: workflows that are paused, and questions.
    rests: BTreeSet<u32>,
}

impl Children {
    /// Of a workflow that begins.
    pub(super) fn new() -> Self {
        // Numbers of children begin with 1.
        Children { next: 1, changed: BTreeSet::from([OwnPiece::Next]), ..Children::default() }
    }

    /// How many numbers have been given.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    pub(super) fn restore_next(&mut self, next: u32) {
        self.next = next;
    }

    pub(super) fn restore_open(&mut self, number: u32, child: Child) {
        if child.to_end {
            self.to_end.insert(number);
        }
        self.insert(number, child);
    }

    fn insert(&mut self, number: u32, child: Child) {
        self.by_task.insert((child.task.clone(), child.route, number));
        self.open.insert(number, child);
    }

    pub(super) fn restore_rests(&mut self, rests: BTreeSet<u32>) {
        self.rests = rests;
    }

    pub(super) fn restore_done(&mut self, number: u32, done: Done) {
        if let Some(item) = done.child.item {
            self.items.entry(done.child.of_task()).or_default().insert(item, number);
        }
        self.done_bytes += json_bytes(&done.result);
        self.done.insert(number, done);
    }

    /// About how many bytes is remembered of what items have resulted in.
    pub(super) fn done_bytes(&self) -> usize {
        self.done_bytes
    }

    /// A number that no other child has.
    pub(super) fn take_number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.changed.insert(OwnPiece::Next);
        number
    }

    /// A child that begins; its number.
    pub(super) fn open(&mut self, child: Child) -> u32 {
        let number = self.take_number();
        self.insert(number, child);
        self.changed.insert(OwnPiece::Child(number));
        number
    }

    /// A child that has ended is not open any more.
    pub(super) fn close(&mut self, number: u32) -> Option<Child> {
        let child = self.open.remove(&number)?;
        self.by_task.remove(&(child.task.clone(), child.route, number));
        self.to_end.remove(&number);
        self.changed.insert(OwnPiece::Child(number));
        self.rest(number, false);
        Some(child)
    }

    /// A child rests, or goes on again.
    pub(super) fn rest(&mut self, number: u32, rests: bool) {
        let has_changed = match rests && self.open.contains_key(&number) {
            true => self.rests.insert(number),
            false => self.rests.remove(&number),
        };
        if has_changed {
            self.changed.insert(OwnPiece::Rests);
        }
    }

    /// Those that rest.
    pub(super) fn rests(&self) -> &BTreeSet<u32> {
        &self.rests
    }

    /// Whether none of the open ones runs, but for what calls people.
    pub(super) fn all_rest(&self) -> bool {
        self.open.iter().all(|(number, child)| child.notice || self.rests.contains(number))
    }

    /// A task has ended without what runs for it: those children are stopped, and told once. What calls people about it
    /// runs on.
    pub(super) fn stop(&mut self, task: &Arc<str>, route: u32) -> Vec<u32> {
        self.stop_those(task, route, |child| !child.notice)
    }

    /// The items of a task begin anew: the children that run for them are stopped, and told once.
    pub(super) fn stop_items(&mut self, task: &Arc<str>, route: u32) -> Vec<u32> {
        self.stop_those(task, route, |child| child.item.is_some() && !child.notice)
    }

    fn stop_those(&mut self, task: &Arc<str>, route: u32, which: impl Fn(&Child) -> bool) -> Vec<u32> {
        let of_task = self.by_task.range((task.clone(), route, 0)..=(task.clone(), route, u32::MAX));
        let mut stopped = Vec::new();
        for (_, _, number) in of_task {
            if let Some(child) = self.open.get_mut(number).filter(|child| !child.stopped && which(child)) {
                child.stopped = true;
                stopped.push(*number);
            }
        }
        self.changed.extend(stopped.iter().map(|number| OwnPiece::Child(*number)));
        stopped
    }

    /// A run of a task has ended, or is tried again: what else runs for it as a whole has nothing to do with what the task
    /// does next.
    pub(super) fn set_aside(&mut self, task: &Arc<str>, route: u32) {
        for (_, _, number) in self.by_task.range((task.clone(), route, 0)..=(task.clone(), route, u32::MAX)) {
            let runs_for_it = |child: &&mut Child| child.item.is_none() && !child.notice && !child.set_aside;
            if let Some(child) = self.open.get_mut(number).filter(runs_for_it) {
                child.set_aside = true;
                self.changed.insert(OwnPiece::Child(*number));
            }
        }
    }

    /// The workflow is to end: what runs for its tasks is to be ended, what calls people as well, but not what runs whatever
    /// the end is.
    pub(super) fn end_all(&mut self) {
        for (number, child) in self.open.iter_mut().filter(|(_, child)| !child.is_of_end() && !child.to_end) {
            child.to_end = true;
            self.to_end.insert(*number);
            self.changed.insert(OwnPiece::Child(*number));
        }
    }

    /// The next ones that are to be ended, at most so many, each told once.
    pub(super) fn next_to_end(&mut self, most: usize) -> Vec<u32> {
        let told: Vec<u32> = self.to_end.iter().take(most).copied().collect();
        for number in &told {
            self.to_end.remove(number);
        }
        told
    }

    /// Whether some are to be ended that were not told yet.
    pub(super) fn has_to_end(&self) -> bool {
        !self.to_end.is_empty()
    }

    /// Whether what runs for tasks that have ended without it has not ended yet.
    pub(super) fn has_stopped(&self) -> bool {
        self.open.values().any(|child| child.stopped)
    }

    /// Whether something runs for tasks, or because of the end: anything but what calls people.
    pub(super) fn run_for_tasks(&self) -> bool {
        self.open.values().any(|child| !child.notice)
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// The open ones, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Child)> {
        self.open.iter().map(|(number, child)| (*number, child))
    }

    /// Remembers how an item has ended, in the place of what was known of it.
    pub(super) fn finish_item(&mut self, number: u32, item: usize, done: Done) {
        let before = self.items.entry(done.child.of_task()).or_default().insert(item, number);
        if let Some(before) = before {
            self.forget(before);
        }
        self.done_bytes += json_bytes(&done.result);
        self.done.insert(number, done);
        self.changed.insert(OwnPiece::Done(number));
    }

    /// The results of a task's items in their order, `null` where there is none.
    pub(super) fn results(&self, task: &Child, count: usize) -> Value {
        let mut results = vec![Value::Null; count];
        for (item, number) in self.items.get(&task.of_task()).into_iter().flatten() {
            if let (Some(place), Some(done)) = (results.get_mut(*item), self.done.get(number)) {
                *place = done.result.clone();
            }
        }
        Value::List(List::from(results))
    }

    /// Forgets the items of a task, but for those that are kept.
    pub(super) fn forget_items(&mut self, task: &Child, keep: impl Fn(usize) -> bool) {
        let key = task.of_task();
        let Some(mut items) = self.items.remove(&key) else { return };
        items.retain(|item, number| {
            let keep = keep(*item);
            if !keep {
                self.forget(*number);
            }
            keep
        });
        if !items.is_empty() {
            self.items.insert(key, items);
        }
    }

    fn forget(&mut self, number: u32) {
        if let Some(done) = self.done.remove(&number) {
            self.done_bytes -= json_bytes(&done.result);
        }
        self.changed.insert(OwnPiece::Done(number));
    }

    /// Whether something is remembered of the items of a task.
    pub(super) fn has_items_of(&self, task: &Child) -> bool {
        self.items.contains_key(&task.of_task())
    }

    pub(super) fn take_changed(&mut self) -> BTreeSet<OwnPiece> {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Child> {
        self.open.get(&number)
    }

    pub(super) fn done(&self, number: u32) -> Option<&Done> {
        self.done.get(&number)
    }
}
