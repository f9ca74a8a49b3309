//! From the parts of a text to a workflow that can be run.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{
    AskTask, Call, CallOuts, Command, Definition, Entry, Finally, Join, MapLimits, NativeTask, NativeWorkflow, OnError,
    Retry, Rollback, Shape, Task, TaskIndex, Transition, With,
};
use crate::expression::{Dialect, Template, Value};
use crate::inspect::{Finding, inspect};
use crate::spec::{SpecError, TaskSpec, TransitionSpec, WorkflowSpec};

/// How often `do: retry` tries again.
const RETRY_COMMAND_COUNT: u32 = 3;

/// Functions whose value changes while a task is offered.
const STATUS_FUNCTIONS: [&str; 6] = ["task_status", "succeeded", "failed", "completed", "timed_out", "task("];

impl Definition {
    /// Compiles a workflow that may have other faults than those of its schema and tasks that are not there, as
    /// Orquesta runs such: a mistake in an expression is an error once it is evaluated.
    ///
    /// # Errors
    /// The findings without which it cannot be run.
    pub fn compile(spec: &WorkflowSpec) -> Result<Definition, Vec<Finding>> {
        let inspection = inspect(spec, &[]);
        let prevents = |finding: &&Finding| finding.message.ends_with("is not defined.");
        let mut findings = inspection.syntax;
        findings.extend(inspection.semantics.iter().filter(prevents).cloned());
        if findings.is_empty() { Ok(Compiler::new(spec).compile()) } else { Err(findings) }
    }

    /// Reads and compiles a workflow.
    ///
    /// # Errors
    /// The first fault that keeps it from being run.
    pub fn read(text: &str, dialect: Dialect) -> Result<Definition, SpecError> {
        let spec = WorkflowSpec::read(text, dialect)?;
        Definition::compile(&spec).map_err(|findings| {
            let first = &findings[0];
            SpecError { at: first.at, message: format!("{}: {}", first.spec_path, first.message) }
        })
    }
}

struct Compiler<'spec> {
    spec: &'spec WorkflowSpec,
    shape: Shape<'spec>,
    names: HashMap<Arc<str>, TaskIndex>,
    inbound: HashMap<&'spec str, BTreeSet<&'spec str>>,
    sorted: Vec<&'spec str>,
    /// What was compiled, by its text: tasks of large workflows have much in common, and share it.
    templates: RefCell<HashMap<String, Template>>,
    /// The names of variables, likewise.
    variables: RefCell<HashSet<Arc<str>>>,
}

impl<'spec> Compiler<'spec> {
    fn new(spec: &'spec WorkflowSpec) -> Self {
        let shape = Shape::of(spec);
        let mut reached: Vec<&str> = shape.starts.clone();
        let mut known: BTreeSet<&str> = reached.iter().copied().collect();
        let mut inbound: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        let mut at = 0;
        while at < reached.len() {
            for (to, _) in shape.next(reached[at]) {
                if *to == "retry" {
                    continue;
                }
                inbound.entry(to).or_default().insert(reached[at]);
                if known.insert(to) {
                    reached.push(to);
                }
            }
            at += 1;
        }
        let sorted: Vec<&str> = known.into_iter().collect();
        let number = |(index, name): (usize, &&str)| (Arc::from(*name), TaskIndex::try_from(index).unwrap_or_default());
        let names = sorted.iter().enumerate().map(number).collect();
        let (templates, variables) = (RefCell::default(), RefCell::default());
        Compiler { spec, shape, names, inbound, sorted, templates, variables }
    }

    fn compile(self) -> Definition {
        let named = |value: &Value| -> Vec<(Arc<str>, Template)> {
            let entries = value.as_list().unwrap_or_default().iter().filter_map(Value::as_map);
            entries
                .filter_map(|map| map.iter().next())
                .map(|(name, value)| (name.clone(), self.template(value)))
                .collect()
        };
        let parameter = |value: &Value| match value {
            Value::String(name) => Some((name.clone(), None)),
            Value::Map(map) => map.iter().next().map(|(name, value)| (name.clone(), Some(self.template(value)))),
            _ => None,
        };
        Definition {
            tasks: self.sorted.iter().map(|name| self.task(name)).collect(),
            starts: self.shape.starts.iter().map(|name| self.names[*name]).collect(),
            input: self.spec.input.as_list().unwrap_or_default().iter().filter_map(parameter).collect(),
            vars: named(&self.spec.vars),
            output: named(&self.spec.output),
            native: (self.spec.dialect == Dialect::Native).then(|| self.native()),
            names: self.names,
        }
    }

    fn template(&self, value: &Value) -> Template {
        let compile = || Template::compile(value, self.spec.dialect);
        match serde_json::to_string(value) {
            Ok(text) => self.templates.borrow_mut().entry(text).or_insert_with(compile).clone(),
            Err(_) => compile(),
        }
    }

    fn variable(&self, name: &Arc<str>) -> Arc<str> {
        let mut variables = self.variables.borrow_mut();
        if let Some(known) = variables.get(name) {
            return known.clone();
        }
        variables.insert(name.clone());
        name.clone()
    }

    fn optional(&self, value: &Value) -> Option<Template> {
        value.is_true().then(|| self.template(value))
    }

    fn task(&self, name: &'spec str) -> Task {
        let nothing = TaskSpec::default();
        let command = Command::of(name);
        let spec = self.spec.tasks.get(name).filter(|_| command.is_none()).unwrap_or(&nothing);
        let next = self.transitions(name);
        let joins: BTreeSet<TaskIndex> = next
            .iter()
            .map(|transition| transition.to)
            .filter(|to| self.spec.tasks.get(self.sorted[*to as usize]).is_some_and(TaskSpec::is_join))
            .collect();
        Task {
            name: self.names.get_key_value(name).map_or_else(|| Arc::from(name), |(name, _)| name.clone()),
            command,
            join: self.join(name, spec),
            split: self.shape.is_split(name) && !self.shape.in_cycle(name),
            joins: joins.into_iter().collect(),
            next,
            entries: spec.next.iter().map(|entry| self.entry(entry)).collect(),
            action: self.template(&spec.action),
            input: self.template(&spec.input),
            with: match &spec.with {
                Some(with) => Some(Box::new(self.with(&with.items, &with.concurrency))),
                None => self.map(&spec.native.map).map(Box::new),
            },
            delay: self.optional(&spec.delay),
            retry: self.retry(name, spec).map(Box::new),
            reads_statuses: reads_statuses(spec),
            native: self.native_task(spec),
        }
    }

    fn native(&self) -> NativeWorkflow {
        let native = &self.spec.native;
        NativeWorkflow {
            timeout: self.optional(&native.timeout),
            on_error: OnError::of(&native.on_error).unwrap_or_default(),
            rollback: Rollback::of(&native.rollback),
            has_undo: self.spec.tasks.values().any(|task| !task.native.undo.is_null()),
            finally: Finally::of(self.spec),
            on_freeze: CallOuts::of(&native.on_freeze, self.spec.dialect),
        }
    }

    fn native_task(&self, spec: &TaskSpec) -> NativeTask {
        let native = &spec.native;
        NativeTask {
            timeout: self.optional(&native.timeout),
            on_error: OnError::of(&native.on_error),
            undo: (!native.undo.is_null()).then(|| Box::new(Call::of(&native.undo, self.spec.dialect))),
            ask: (!native.approve.is_null()).then(|| Box::new(AskTask::of(&native.approve, self.spec.dialect))),
        }
    }

    /// The transitions of a task, each (target, entry) once, sorted by target.
    fn transitions(&self, name: &str) -> Vec<Transition> {
        let mut transitions: Vec<Transition> = Vec::new();
        for (to, entry) in self.shape.next(name).iter().filter(|(to, _)| *to != "retry") {
            let index = self.names[*to];
            if transitions.iter().rev().take_while(|one| one.to == index).any(|one| one.entry == *entry) {
                continue;
            }
            let key = transitions.iter().rev().take_while(|one| one.to == index).count();
            let id = format!("{to}__t{key}").into();
            transitions.push(Transition { to: index, id, step: format!("{name}__t{key}").into(), entry: *entry });
        }
        transitions
    }

    fn join(&self, name: &str, spec: &TaskSpec) -> Option<Join> {
        let inbound = self.inbound.get(name).map_or(0, BTreeSet::len);
        match &spec.join {
            Value::Null => None,
            Value::String(_) => Some(Join { needed: inbound, inbound, told: true }),
            count => {
                let needed = count.as_i64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
                Some(Join { needed: needed.max(1), inbound, told: needed > 0 })
            }
        }
    }

    fn entry(&self, entry: &TransitionSpec) -> Entry {
        let published = entry.publish.as_list().unwrap_or_default().iter().filter_map(Value::as_map);
        let published = published.filter_map(|map| map.iter().next());
        Entry {
            when: self.optional(&entry.when),
            publish: published.map(|(name, value)| (self.variable(name), self.template(value))).collect(),
        }
    }

    fn with(&self, items: &Value, concurrency: &Value) -> With {
        let written = items.as_str().unwrap_or_default();
        // Orquesta takes the first ` in ` for that of the names, be it one within the expression.
        let is_expression = self.spec.dialect == Dialect::Native
            && ["<%", "{{", "${"].iter().any(|opening| written.trim_start().starts_with(opening));
        let (names, text) = match written.split_once(" in ").filter(|_| !is_expression) {
            Some((names, text)) => {
                let names = names.replace(' ', "");
                (Some(names.split(',').map(Arc::from).collect()), text.trim())
            }
            None => (None, written.trim()),
        };
        With {
            text: Arc::from(text),
            items: self.template(&Value::text(text)),
            names,
            concurrency: (!concurrency.is_null()).then(|| self.template(concurrency)),
            map: None,
        }
    }

    /// The items of a task with `map`.
    fn map(&self, map: &Value) -> Option<With> {
        let Value::Map(_) = map else { return None };
        let field = |name| map.get(name).cloned().unwrap_or_default();
        let (items, concurrency) = (field("items"), field("concurrency"));
        Some(With {
            text: Arc::from(items.as_str().unwrap_or("map.items")),
            items: self.template(&items),
            names: map.get("as").and_then(Value::as_str).map(|name| vec![Arc::from(name)]),
            concurrency: (!concurrency.is_null()).then(|| self.template(&concurrency)),
            map: Some(MapLimits {
                chunk: self.template(&field("chunk")),
                failures_max: self.template(&field("failures_max")),
            }),
        })
    }

    /// The last transition to `retry` replaces what the task says of retries.
    fn retry(&self, name: &str, spec: &TaskSpec) -> Option<Retry> {
        let command = self.shape.next(name).iter().rev().find(|(to, _)| *to == "retry");
        if let Some((_, entry)) = command {
            let when = &spec.next[*entry].when;
            let always = Value::text("<% completed() %>");
            return Some(Retry {
                when: Some(self.template(if when.is_true() { when } else { &always })),
                count: self.template(&Value::Number(RETRY_COMMAND_COUNT.into())),
                delay: None,
            });
        }
        spec.retry.as_ref().map(|retry| Retry {
            when: (!retry.when.is_null()).then(|| self.template(&retry.when)),
            count: self.template(&retry.count),
            delay: (!retry.delay.is_null()).then(|| self.template(&retry.delay)),
        })
    }
}

fn reads_statuses(spec: &TaskSpec) -> bool {
    let with = spec.with.iter().flat_map(|with| [&with.items, &with.concurrency]);
    let mut values = [&spec.action, &spec.input, &spec.delay, &spec.native.map].into_iter().chain(with);
    values.any(|value| {
        let text = value.to_json().to_string();
        STATUS_FUNCTIONS.iter().any(|function| text.contains(function))
    })
}
