//! Expressions that do not parse.

use super::{Finding, TASK_SCHEMA, finding};
use crate::expression::{Map, Template, Value};
use crate::spec::{TaskSpec, WorkflowSpec};

pub(super) fn inspect(spec: &WorkflowSpec) -> Vec<Finding> {
    let mut walk = Walk { spec, findings: Vec::new() };
    for (name, value) in [("vars", &spec.vars), ("input", &spec.input), ("output", &spec.output)] {
        walk.check(value, name.to_owned(), format!("properties.{name}"));
    }
    walk.check(&spec.native.finally, "finally".to_owned(), "properties.finally".to_owned());
    walk.check(&spec.native.on_freeze, "on_freeze".to_owned(), "properties.on_freeze".to_owned());
    walk.check(&spec.native.timeout, "timeout".to_owned(), "properties.timeout".to_owned());
    for (name, task) in &spec.tasks {
        walk.task(task, &format!("tasks.{name}"));
    }
    walk.findings
}

struct Walk<'spec> {
    spec: &'spec WorkflowSpec,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn task(&mut self, task: &TaskSpec, path: &str) {
        let own = [("delay", &task.delay), ("action", &task.action), ("input", &task.input)];
        self.all(&own, path, TASK_SCHEMA);
        self.all(&[("timeout", &task.native.timeout)], path, TASK_SCHEMA);
        self.all(&[("undo", &task.native.undo)], path, TASK_SCHEMA);
        for (name, map) in [("approve", &task.native.approve), ("map", &task.native.map)] {
            for (key, value) in map.as_map().into_iter().flat_map(Map::iter) {
                self.check(value, format!("{path}.{name}.{key}"), format!("{TASK_SCHEMA}.properties.{name}"));
            }
        }
        if let Some(with) = &task.with {
            let with = [("items", &with.items), ("concurrency", &with.concurrency)];
            self.all(&with, &format!("{path}.with"), &format!("{TASK_SCHEMA}.properties.with"));
        }
        if let Some(retry) = &task.retry {
            let retry = [("when", &retry.when), ("count", &retry.count), ("delay", &retry.delay)];
            self.all(&retry, &format!("{path}.retry"), &format!("{TASK_SCHEMA}.properties.retry"));
        }
        for (number, transition) in task.next.iter().enumerate() {
            let entry = [("when", &transition.when), ("publish", &transition.publish), ("do", &transition.to_raw)];
            self.all(&entry, &format!("{path}.next[{number}]"), &format!("{TASK_SCHEMA}.properties.next.items"));
        }
    }

    fn all(&mut self, values: &[(&str, &Value)], path: &str, schema_path: &str) {
        for (name, value) in values {
            self.check(value, format!("{path}.{name}"), format!("{schema_path}.properties.{name}"));
        }
    }

    fn check(&mut self, value: &Value, path: String, schema_path: String) {
        if value.is_null() {
            return;
        }
        for problem in Template::compile(value, self.spec.dialect).problems() {
            let found = finding(self.spec, problem.message, path.clone(), schema_path.clone());
            self.findings.push(Finding { language: problem.language, expression: Some(problem.expression), ..found });
        }
    }
}
