//! Variables that nobody has assigned where they are used.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{Finding, TASK_SCHEMA, finding};
use crate::definition::Shape;
use crate::expression::{Map, Template, Value};
use crate::limits::INSPECTION_STEPS_MAX;
use crate::spec::{COMMANDS, TaskSpec, TransitionSpec, WorkflowSpec, parameters};

/// The names of variables that are assigned.
type Names = BTreeSet<Arc<str>>;

pub(super) fn inspect(spec: &WorkflowSpec, known: &[&str]) -> Vec<Finding> {
    let mut walk = Walk { spec, findings: Vec::new() };
    let mut names: Names = known.iter().map(|name| Arc::from(*name)).collect();
    walk.property("input", &spec.input, "", "", &mut names, true);
    walk.property("vars", &spec.vars, "", "", &mut names, true);
    walk.property("timeout", &spec.native.timeout, "", "", &mut names, false);
    walk.tasks(&mut names);
    walk.finally(&names);
    walk.on_freeze(&names);
    walk.property("output", &spec.output, "", "", &mut names, true);
    walk.findings
}

struct Walk<'spec> {
    spec: &'spec WorkflowSpec,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    /// One property; `assigns` if what it names is assigned behind it.
    fn property(&mut self, name: &str, value: &Value, path: &str, schema: &str, names: &mut Names, assigns: bool) {
        if !value.is_true() {
            return;
        }
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let schema =
            if schema.is_empty() { format!("properties.{name}") } else { format!("{schema}.properties.{name}") };
        let inline = value.as_str().map(parameters).unwrap_or_default();
        let inline: Vec<Value> =
            inline.into_iter().map(|parameter| Value::Map([parameter].into_iter().collect())).collect();
        let list = if inline.is_empty() { value.as_list() } else { Some(&inline[..]) };
        match list {
            Some(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.value(item, &format!("{path}[{at}]"), &schema, names);
                    if assigns {
                        assign(item, names);
                    }
                }
            }
            None => {
                self.value(value, &path, &schema, names);
                if assigns {
                    assign(value, names);
                }
            }
        }
    }

    fn value(&mut self, value: &Value, path: &str, schema: &str, names: &Names) {
        for variable in Template::compile(value, self.spec.dialect).variables() {
            let name = &*variable.name;
            let mut report = |message: String| {
                let found = finding(self.spec, message, path.to_owned(), schema.to_owned());
                let language = Some(variable.language);
                self.findings.push(Finding { language, expression: Some(variable.text.clone()), ..found });
            };
            if name.starts_with("__") {
                report(format!(
                    "Variable \"{name}\" that is prefixed with double underscores is considered a private variable and \
                     cannot be referenced."
                ));
            }
            if !names.contains(name) {
                report(format!("Variable \"{name}\" is referenced before assignment."));
            }
        }
    }

    fn task(&mut self, task: &TaskSpec, path: &str, names: &mut Names) {
        self.property("delay", &task.delay, path, TASK_SCHEMA, names, false);
        if let Some(with) = &task.with {
            let (path, schema) = (format!("{path}.with"), format!("{TASK_SCHEMA}.properties.with"));
            self.property("items", &with.items, &path, &schema, names, false);
            self.property("concurrency", &with.concurrency, &path, &schema, names, false);
        }
        self.property("timeout", &task.native.timeout, path, TASK_SCHEMA, names, false);
        self.property("undo", &task.native.undo, path, TASK_SCHEMA, names, false);
        for (name, map) in [("approve", &task.native.approve), ("map", &task.native.map)] {
            let schema = format!("{TASK_SCHEMA}.properties.{name}");
            for (key, value) in map.as_map().into_iter().flat_map(Map::iter) {
                self.value(value, &format!("{path}.{name}.{key}"), &schema, names);
            }
        }
        self.property("action", &task.action, path, TASK_SCHEMA, names, false);
        self.property("input", &task.input, path, TASK_SCHEMA, names, false);
    }

    /// What runs at the end sees all variables, as far as they have come to be, and how the workflow stands.
    fn finally(&mut self, names: &Names) {
        let mut names = names.clone();
        names.insert(Arc::from("workflow"));
        let spec = self.spec;
        for (number, entry) in spec.native.finally.as_list().unwrap_or_default().iter().enumerate() {
            match entry.as_str().and_then(|name| Some((name, spec.tasks.get(name)?))) {
                Some((name, task)) => self.task(task, &format!("tasks.{name}"), &mut names),
                None => self.value(entry, &format!("finally[{number}]"), "properties.finally", &names),
            }
        }
    }

    /// What calls people sees the variables that were gathered, and what the workflow waits for.
    fn on_freeze(&mut self, names: &Names) {
        let mut names = names.clone();
        names.insert(Arc::from("frozen"));
        let spec = self.spec;
        for (key, value) in spec.native.on_freeze.as_map().into_iter().flat_map(Map::iter) {
            self.value(value, &format!("on_freeze.{key}"), "properties.on_freeze", &names);
        }
    }

    /// The names that are assigned behind a transition.
    fn transition(&mut self, transition: &TransitionSpec, path: &str, names: &Names) -> Names {
        let mut names = names.clone();
        let schema = format!("{TASK_SCHEMA}.properties.next.items");
        self.property("when", &transition.when, path, &schema, &mut names, false);
        self.property("publish", &transition.publish, path, &schema, &mut names, true);
        self.property("do", &transition.to_raw, path, &schema, &mut names, false);
        names
    }

    /// Walks the tasks from the first ones on, each with what is assigned on the way to it.
    fn tasks(&mut self, names: &mut Names) {
        let shape = Shape::of(self.spec);
        let mut queue: VecDeque<(Arc<str>, Names)> =
            shape.starts.iter().map(|task| (Arc::from(*task), names.clone())).collect();
        let mut walked = HashSet::new();
        let mut last: HashMap<Arc<str>, Names> = HashMap::new();
        let mut joined: HashMap<Arc<str>, Names> = HashMap::new();
        let mut steps = 0;
        let nothing = TaskSpec::default();
        while let Some((name, mut here)) = queue.pop_front() {
            steps += 1;
            if steps > INSPECTION_STEPS_MAX {
                let message = format!(
                    "There are more ways through the tasks than the limit INSPECTION_STEPS_MAX of \
                     {INSPECTION_STEPS_MAX}: join what is split."
                );
                self.findings.push(finding(self.spec, message, "tasks".to_owned(), "properties.tasks".to_owned()));
                return;
            }
            walked.insert(name.clone());
            if here.is_empty() {
                here = joined.get(&name).cloned().unwrap_or_default();
            }
            let task = self.spec.tasks.get(&name).filter(|_| !COMMANDS.contains(&&*name)).unwrap_or(&nothing);
            let path = format!("tasks.{name}");
            self.task(task, &path, &mut here);
            names.extend(here.iter().cloned());
            for (number, transition) in task.next.iter().enumerate() {
                let behind = self.transition(transition, &format!("{path}.next[{number}]"), &here);
                for to in &transition.to {
                    let defined = self.spec.tasks.get(to);
                    if walked.contains(to) || (defined.is_none() && !COMMANDS.contains(&&**to)) {
                        continue;
                    }
                    if defined.is_some_and(|task| task.join.is_true()) {
                        joined.entry(to.clone()).or_default().extend(behind.iter().cloned());
                        queue.push_back((to.clone(), Names::new()));
                    } else if last.get(to) != Some(&behind) {
                        last.insert(to.clone(), behind.clone());
                        queue.push_back((to.clone(), behind.clone()));
                    }
                }
            }
        }
    }
}

/// Adds the names that a value assigns: the keys of a map, or the text of a parameter without a default.
fn assign(value: &Value, names: &mut Names) {
    match value {
        Value::String(name) => {
            names.insert(name.clone());
        }
        Value::Map(map) => names.extend(map.iter().map(|(name, _)| name.clone())),
        _ => {}
    }
}
