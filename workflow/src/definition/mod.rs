//! A workflow ready to be run: its tasks by number, its expressions compiled.
//!
//! Tasks are numbered in the order of their names, so that an order of numbers is the order in which Orquesta offers
//! them. Commands (`noop`, `fail`, `continue`) that transitions lead to are tasks as well.

mod compile;
mod native;
mod shape;

use std::collections::HashMap;
use std::sync::Arc;

use crate::expression::Template;

pub(crate) use native::{AskTask, Call, CallOuts, Finally, MapLimits, NativeTask, NativeWorkflow, OnError, Rollback};
pub(crate) use shape::Shape;

/// The number of a task in its definition.
pub(crate) type TaskIndex = u32;

/// A workflow that can be run. It is shared by everything that runs it.
#[derive(Debug)]
pub struct Definition {
    pub(crate) names: HashMap<Arc<str>, TaskIndex>,
    pub(crate) tasks: Vec<Task>,
    /// The tasks that nothing leads to.
    pub(crate) starts: Vec<TaskIndex>,
    /// The parameters, with the default of those that have one.
    pub(crate) input: Vec<(Arc<str>, Option<Template>)>,
    pub(crate) vars: Vec<(Arc<str>, Template)>,
    pub(crate) output: Vec<(Arc<str>, Template)>,
    /// None of a workflow in Orquesta's dialect.
    pub(crate) native: Option<NativeWorkflow>,
}

/// What the engine does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Continue,
    Fail,
    Noop,
    Retry,
}

impl Command {
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "continue" => Some(Command::Continue),
            "fail" => Some(Command::Fail),
            "noop" => Some(Command::Noop),
            "retry" => Some(Command::Retry),
            _ => None,
        }
    }
}

/// One task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: Arc<str>,
    pub(crate) command: Option<Command>,
    /// How many tasks a join waits for; none if it is no join.
    pub(crate) join: Option<Join>,
    /// Whether every arrival runs it once more, in a route of its own.
    pub(crate) split: bool,
    /// What comes behind, sorted by target.
    pub(crate) next: Vec<Transition>,
    /// The entries of `next`, which transitions share.
    pub(crate) entries: Vec<Entry>,
    /// The joins that it leads to, each once.
    pub(crate) joins: Vec<TaskIndex>,
    pub(crate) action: Template,
    pub(crate) input: Template,
    pub(crate) with: Option<Box<With>>,
    pub(crate) delay: Option<Template>,
    pub(crate) retry: Option<Box<Retry>>,
    /// Whether what is offered depends on the statuses of tasks, and is rendered anew whenever it is asked for.
    pub(crate) reads_statuses: bool,
    pub(crate) native: NativeTask,
}

/// What a join waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// How many tasks have to have arrived.
    pub(crate) needed: usize,
    /// How many tasks lead to it.
    pub(crate) inbound: usize,
    /// Whether it is told of when it can never be met; not so for `join: 0`.
    pub(crate) told: bool,
}

/// One transition.
#[derive(Debug)]
pub(crate) struct Transition {
    pub(crate) to: TaskIndex,
    /// `<target>__t<key>`
    pub(crate) id: Arc<str>,
    /// `<source>__t<key>`, a step of a route.
    pub(crate) step: Arc<str>,
    /// The number of its entry in `next`.
    pub(crate) entry: usize,
}

/// One entry of `next`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) when: Option<Template>,
    pub(crate) publish: Vec<(Arc<str>, Template)>,
}

/// Which items a task runs for.
#[derive(Debug)]
pub(crate) struct With {
    /// The expression of the items as it is written.
    pub(crate) text: Arc<str>,
    pub(crate) items: Template,
    /// The names before `in`; none if there are none.
    pub(crate) names: Option<Vec<Arc<str>>>,
    pub(crate) concurrency: Option<Template>,
    /// Of `map`: how many items are offered at a time, and how many may fail.
    pub(crate) map: Option<MapLimits>,
}

/// When and how often a task is tried again.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) when: Option<Template>,
    pub(crate) count: Template,
    pub(crate) delay: Option<Template>,
}

impl Definition {
    /// The number of a task or of a command that a transition leads to.
    pub(crate) fn task_index(&self, name: &str) -> Option<TaskIndex> {
        self.names.get(name).copied()
    }

    pub(crate) fn task(&self, index: TaskIndex) -> &Task {
        &self.tasks[index as usize]
    }

    /// The names of the tasks that can be reached, sorted; commands are among them.
    pub fn task_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tasks.iter().map(|task| &task.name)
    }

    /// Whether a task runs once for each of several items.
    pub fn has_items(&self, task: &str) -> bool {
        self.task_index(task).is_some_and(|index| self.task(index).with.is_some())
    }

    /// Whether a task asks people.
    pub(crate) fn asks(&self, task: &str) -> bool {
        self.task_index(task).is_some_and(|index| self.task(index).native.ask.is_some())
    }

    /// The names of the workflow's parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.input.iter().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests;
