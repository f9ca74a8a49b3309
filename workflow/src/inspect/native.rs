//! What is wrong with the keys that native workflows have and Orquesta's do not.

use super::{Finding, TASK_SCHEMA, finding};
use crate::expression::{Dialect, Template, Value};
use crate::spec::{CONDITIONS, NativeTaskSpec, WorkflowSpec, duration};

/// What a failure leads to.
const ON_ERROR: [&str; 2] = ["fail", "pause"];

pub(super) fn inspect(spec: &WorkflowSpec) -> Vec<Finding> {
    let mut walk = Walk { spec, findings: Vec::new() };
    walk.duration(&spec.native.timeout, "timeout", "properties.timeout");
    walk.one_of(&spec.native.on_error, &ON_ERROR, "on_error", "properties.on_error");
    for (name, task) in &spec.tasks {
        let path = format!("tasks.{name}");
        walk.on(&task.native, &path);
        walk.one_of(&task.native.on_error, &ON_ERROR, &format!("{path}.on_error"), &of_task("on_error"));
        walk.duration(&task.native.timeout, &format!("{path}.timeout"), &of_task("timeout"));
    }
    walk.findings
}

/// The schema's part that a key of a task is of.
fn of_task(key: &str) -> String {
    format!("{TASK_SCHEMA}.properties.{key}")
}

fn has_expressions(value: &Value) -> bool {
    Template::compile(value, Dialect::Native).has_expressions()
}

struct Walk<'spec> {
    spec: &'spec WorkflowSpec,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn report(&mut self, message: impl Into<String>, path: &str, schema_path: &str) {
        self.findings.push(finding(self.spec, message.into(), path.to_owned(), schema_path.to_owned()));
    }

    /// A length of time, or an expression that gives one.
    fn duration(&mut self, value: &Value, path: &str, schema_path: &str) {
        if value.is_null() || has_expressions(value) {
            return;
        }
        if let Err(message) = duration::ms_of(value) {
            self.report(message, path, schema_path);
        }
    }

    /// One of several words.
    fn one_of(&mut self, value: &Value, words: &[&str], path: &str, schema_path: &str) {
        let known = value.as_str().is_some_and(|word| words.contains(&word));
        if !value.is_null() && !known {
            self.report(format!("{} is not one of {}", value.to_json(), words.join(", ")), path, schema_path);
        }
    }

    /// The short forms of conditions.
    fn on(&mut self, task: &NativeTaskSpec, path: &str) {
        for on in &task.on {
            let path = format!("{path}.next[{}].{}", on.entry, on.key);
            let schema_path = format!("{}.items.properties.on", of_task("next"));
            if on.with_when {
                self.report("`on` and `when` are both conditions: write one of them", &path, &schema_path);
            }
            let none = Value::text("null");
            let value = if on.value.is_null() { &none } else { &on.value };
            self.one_of(value, &CONDITIONS.map(|(name, _)| name), &path, &schema_path);
        }
    }
}
