//! A workflow as people look at it: its tasks and what leads to what, by the names and in the order of its text. What
//! checks a workflow against the catalog, and what draws it, begin here.

mod calls;
mod graph;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::definition::Shape;
use crate::expression::{Dialect, Template, Value};
use crate::spec::{TaskSpec, TransitionSpec, WorkflowSpec};
use crate::yaml::At;

pub use calls::{ASK, Argument, Call, Input};
pub use graph::{dot, json, mermaid, text};

/// A workflow's parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Its parameters, in the order written.
    pub inputs: Vec<Parameter>,
    /// Its tasks, in the order written.
    pub tasks: Vec<Task>,
    /// The names of its output.
    pub output: Vec<Arc<str>>,
    /// Each cycle as the names of its tasks, in the order written.
    pub cycles: Vec<Vec<Arc<str>>>,
}

/// A parameter of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Arc<str>,
    /// What it is where nobody gives it; none if it has to be given.
    pub default: Option<Value>,
    /// Whether that has to be evaluated.
    pub is_evaluated: bool,
    /// Where it stands.
    pub at: At,
}

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub at: At,
    /// The action as it is written; none of a task that does nothing itself.
    pub action: Option<Arc<str>>,
    /// The items as they are written, of a task that runs for each of several.
    pub items: Option<Arc<str>>,
    /// `all`, or how many tasks it waits for; none if it is no join.
    pub join: Option<String>,
    /// Whether it runs once for each task that leads to it.
    pub is_split: bool,
    /// Whether it comes back to itself.
    pub is_cyclic: bool,
    /// Whether the workflow begins with it.
    pub is_start: bool,
    /// Whether it is tried again by itself.
    pub is_retried: bool,
    /// What comes behind it, in the order written.
    pub next: Vec<Transition>,
}

/// What comes behind a task in one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The condition as it is written; none if there is none.
    pub when: Option<Arc<str>>,
    /// Names of the variables that it publishes.
    pub publish: Vec<Arc<str>>,
    /// Tasks and commands, in the order written; `continue` where none is named.
    pub to: Vec<Arc<str>>,
}

impl WorkflowSpec {
    /// Which languages its texts may hold.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its parts, as far as they are well-formed: what is not is for an inspection to tell.
    pub fn outline(&self) -> Outline {
        let shape = Shape::of(self);
        let tasks = self.tasks.iter().map(|(name, task)| self.outline_task(name, task, &shape)).collect();
        let output = self.output.as_list().unwrap_or_default().iter().filter_map(name_of).collect();
        Outline { inputs: self.parameters(), tasks, output, cycles: cycles(self, &shape) }
    }

    /// The parameters, in the order written.
    pub fn parameters(&self) -> Vec<Parameter> {
        let list = self.input.as_list().unwrap_or_default().iter().enumerate();
        let parameter = |(number, written): (usize, &Value)| {
            let default = written.as_map().and_then(|map| map.iter().next()).map(|(_, default)| default.clone());
            let is_evaluated =
                default.as_ref().is_some_and(|default| Template::compile(default, self.dialect).has_expressions());
            let at = self.place(&format!("input[{number}]"));
            Some(Parameter { name: name_of(written)?, default, is_evaluated, at })
        };
        list.filter_map(parameter).collect()
    }

    fn outline_task(&self, name: &Arc<str>, task: &TaskSpec, shape: &Shape) -> Task {
        let text = |value: &Value| value.as_str().map(Arc::from);
        Task {
            name: name.clone(),
            at: self.place(&format!("tasks.{name}")),
            // A question is asked by an action that nobody writes.
            action: if task.native.approve.is_null() { text(&task.action) } else { Some(Arc::from(ASK)) },
            items: task.with.as_ref().and_then(|with| text(&with.items)),
            join: task.is_join().then(|| plain(&task.join)),
            is_split: shape.is_split(name) && !shape.in_cycle(name),
            is_cyclic: shape.in_cycle(name),
            is_start: shape.starts.contains(&&**name),
            is_retried: task.retry.is_some() || task.next.iter().any(|next| next.to.iter().any(|to| &**to == "retry")),
            next: task.next.iter().map(outline_transition).collect(),
        }
    }
}

/// The name that an entry of `input`, `output` or `publish` is about.
fn name_of(written: &Value) -> Option<Arc<str>> {
    match written {
        Value::String(name) => Some(name.clone()),
        Value::Map(map) => map.iter().next().map(|(name, _)| name.clone()),
        _ => None,
    }
}

fn outline_transition(transition: &TransitionSpec) -> Transition {
    Transition {
        when: transition.when.as_str().filter(|when| !when.is_empty()).map(|when| Arc::from(when.trim())),
        publish: transition.publish.as_list().unwrap_or_default().iter().filter_map(name_of).collect(),
        to: transition.to.clone(),
    }
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned)
}

/// Tasks that reach each other, in the order written.
fn cycles(spec: &WorkflowSpec, shape: &Shape) -> Vec<Vec<Arc<str>>> {
    let mut ahead: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut behind: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in spec.tasks.keys().filter(|name| shape.in_cycle(name)) {
        for (to, _) in shape.next(name).iter().filter(|(to, _)| shape.in_cycle(to)) {
            ahead.entry(name).or_default().push(to);
            behind.entry(to).or_default().push(name);
        }
    }
    let mut told: HashSet<&str> = HashSet::new();
    let mut cycles = Vec::new();
    for name in spec.tasks.keys().filter(|name| shape.in_cycle(name)) {
        if told.contains(&**name) {
            continue;
        }
        let (after, before) = (reached(&ahead, name), reached(&behind, name));
        let together = |other: &&Arc<str>| after.contains(&***other) && before.contains(&***other);
        let cycle: Vec<&Arc<str>> = spec.tasks.keys().filter(together).collect();
        told.extend(cycle.iter().map(|name| &***name));
        cycles.push(cycle.into_iter().cloned().collect());
    }
    cycles
}

/// What one leads to, over however many others.
fn reached<'spec>(next: &HashMap<&'spec str, Vec<&'spec str>>, from: &str) -> HashSet<&'spec str> {
    let mut found = HashSet::new();
    let mut open = next.get(from).cloned().unwrap_or_default();
    while let Some(task) = open.pop() {
        if found.insert(task) {
            open.extend(next.get(task).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests;
