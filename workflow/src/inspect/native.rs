//! What is wrong with the keys that native workflows have and Orquesta's do not.

use petrel_execution::workflow::AnswerSchema;

use super::{Finding, TASK_SCHEMA, finding};
use crate::expression::{Dialect, Map, Template, Value};
use crate::limits::{FINALLY_MAX, REMINDER_MS_MIN};
use crate::spec::{CONDITIONS, NativeTaskSpec, TaskSpec, WorkflowSpec, duration, map};

/// What a failure leads to.
const ON_ERROR: [&str; 2] = ["fail", "pause"];

/// The keys of a question.
const APPROVE: [&str; 6] = ["question", "schema", "expires", "default", "remind", "notify"];

/// The keys of what calls people when the workflow has frozen.
const ON_FREEZE: [&str; 2] = ["notify", "remind"];

/// Those that need to know who people are.
const NOT_YET: [&str; 3] = ["who", "two_persons", "not_requester"];

/// The keys of items that may fail.
const MAP: [&str; 5] = ["items", "as", "chunk", "concurrency", "failures_max"];

/// When a workflow that ends is undone.
const ROLLBACK: [&str; 3] = ["on_fail", "on_cancel", "never"];

pub(super) fn inspect(spec: &WorkflowSpec) -> Vec<Finding> {
    let mut walk = Walk { spec, findings: Vec::new() };
    walk.duration(&spec.native.timeout, "timeout", "properties.timeout");
    walk.one_of(&spec.native.rollback, &ROLLBACK, "rollback", "properties.rollback");
    walk.finally();
    walk.on_freeze();
    walk.one_of(&spec.native.on_error, &ON_ERROR, "on_error", "properties.on_error");
    for (name, task) in &spec.tasks {
        let path = format!("tasks.{name}");
        walk.on(&task.native, &path);
        walk.approve(task, &path);
        walk.undo(task, &path);
        walk.map(task, &path);
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

    /// A mapping that has no other keys than these.
    fn mapping<'value>(
        &mut self,
        value: &'value Value,
        known: &[&str],
        path: &str,
        schema: &str,
    ) -> Option<&'value Map> {
        let Value::Map(map) = value else {
            self.report(format!("{} is no mapping of {}", value.to_json(), known.join(", ")), path, schema);
            return None;
        };
        for (key, _) in map.iter().filter(|(key, _)| !known.contains(&&***key)) {
            self.report(format!("`{key}` is not one of {}", known.join(", ")), &format!("{path}.{key}"), schema);
        }
        Some(map)
    }

    /// `{action, input}`, with more keys that are judged elsewhere.
    fn call(&mut self, value: &Value, more: &[&str], path: &str, schema: &str) {
        let known: Vec<&str> = more.iter().copied().chain(["action", "input"]).collect();
        let Some(map) = self.mapping(value, &known, path, schema) else { return };
        if map.get("action").and_then(Value::as_str).is_none_or(str::is_empty) {
            self.report("`action` names the action that runs", path, schema);
        }
        let input = map.get("input").unwrap_or(&Value::Null);
        if !matches!(input, Value::Null | Value::Map(_)) && !has_expressions(input) {
            self.report("`input` is a mapping or an expression", &format!("{path}.input"), schema);
        }
    }

    fn undo(&mut self, task: &TaskSpec, path: &str) {
        if !task.native.undo.is_null() {
            self.call(&task.native.undo, &[], &format!("{path}.undo"), &of_task("undo"));
        }
    }

    fn map(&mut self, task: &TaskSpec, path: &str) {
        if task.native.map.is_null() {
            return;
        }
        let (path, schema) = (format!("{path}.map"), of_task("map"));
        if task.with.is_some() {
            self.report("`map` and `with` both name items: write one of them", &path, &schema);
        }
        if !task.action.is_true() && task.native.approve.is_null() {
            self.report("The action property is required for a task with map.", &path, &schema);
        }
        let Some(map) = self.mapping(&task.native.map, &MAP, &path, &schema) else { return };
        let written = |key: &str| map.get(key).cloned().unwrap_or_default();
        let items = written("items");
        if !matches!(items, Value::List(_)) && !has_expressions(&items) {
            self.report("`items` is a list, or an expression that gives one", &format!("{path}.items"), &schema);
        }
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|one| one.is_alphanumeric() || one == '_');
        if map.get("as").is_some_and(|name| !name.as_str().is_some_and(is_name)) {
            self.report("`as` is the name of an item, of letters, digits and _", &format!("{path}.as"), &schema);
        }
        let concurrency = written("concurrency");
        let many = concurrency.is_null() || concurrency.as_i64().is_some_and(|most| most > 0);
        if !many && !has_expressions(&concurrency) {
            let message = "`concurrency` is how many items run at the same time, from 1 on";
            self.report(message, &format!("{path}.concurrency"), &schema);
        }
        let limits = [
            ("chunk", map::chunk(&written("chunk")).err()),
            ("failures_max", map::failures_max(&written("failures_max"), 0).err()),
        ];
        for (key, mistake) in limits {
            if let Some(message) = mistake.filter(|_| !has_expressions(&written(key))) {
                self.report(message, &format!("{path}.{key}"), &schema);
            }
        }
    }

    fn finally(&mut self) {
        let (path, schema) = ("finally", "properties.finally");
        let spec = self.spec;
        let entries = match &spec.native.finally {
            Value::Null => return,
            Value::List(list) if list.items().len() > FINALLY_MAX => {
                let message = format!("{} entries, the limit FINALLY_MAX is {FINALLY_MAX}", list.items().len());
                return self.report(message, path, schema);
            }
            Value::List(list) => list.items(),
            other => {
                let message = format!("{} is no list of actions and names of tasks", other.to_json());
                return self.report(message, path, schema);
            }
        };
        for (number, entry) in entries.iter().enumerate() {
            let path = format!("{path}[{number}]");
            match entry {
                Value::String(name) => self.finally_task(name, &path, schema),
                other => self.call(other, &[], &path, schema),
            }
        }
    }

    /// A task that `finally` names: it is an action and nothing else, and nothing leads to it.
    fn finally_task(&mut self, name: &str, path: &str, schema: &str) {
        let spec = self.spec;
        let Some(task) = spec.tasks.get(name) else {
            return self.report(format!("The task \"{name}\" is not defined."), path, schema);
        };
        if !task.action.is_true() {
            self.report(format!("The task \"{name}\" has no action"), path, schema);
        }
        let native = &task.native;
        for (key, written) in [
            ("join", !task.join.is_null()),
            ("with", task.with.is_some()),
            ("retry", task.retry.is_some()),
            ("delay", !task.delay.is_null()),
            ("next", !task.next.is_empty()),
            ("timeout", !native.timeout.is_null()),
            ("on_error", !native.on_error.is_null()),
            ("approve", !native.approve.is_null()),
            ("undo", !native.undo.is_null()),
            ("map", !native.map.is_null()),
        ] {
            if written {
                let message = format!("`{key}` has no meaning for a task that `finally` names");
                self.report(message, &format!("tasks.{name}.{key}"), schema);
            }
        }
        let leading =
            spec.tasks.iter().find(|(_, task)| task.next.iter().any(|next| next.to.iter().any(|to| **to == *name)));
        if let Some((other, _)) = leading {
            self.report(
                format!("The task \"{name}\" is one that \"{other}\" leads to: it cannot run at the end as well"),
                path,
                schema,
            );
        }
    }

    fn approve(&mut self, task: &TaskSpec, path: &str) {
        let approve = &task.native.approve;
        if approve.is_null() {
            return;
        }
        for (key, written) in [
            ("action", !task.action.is_null()),
            ("input", !task.input.is_null()),
            ("with", task.with.is_some()),
            ("retry", task.retry.is_some()),
            ("timeout", !task.native.timeout.is_null()),
            ("undo", !task.native.undo.is_null()),
            ("map", !task.native.map.is_null()),
        ] {
            if written {
                let message = format!("`{key}` has no meaning for a task that asks a person with `approve`");
                self.report(message, &format!("{path}.{key}"), &of_task(key));
            }
        }
        let (path, schema) = (format!("{path}.approve"), of_task("approve"));
        let known: Vec<&str> = APPROVE.into_iter().chain(NOT_YET).collect();
        let Some(map) = self.mapping(approve, &known, &path, &schema) else { return };
        for key in NOT_YET.into_iter().filter(|key| map.get(key).is_some()) {
            let message = format!("`{key}` is not supported in this version: whoever may answer at all may answer");
            self.report(message, &format!("{path}.{key}"), &schema);
        }
        if map.get("question").and_then(Value::as_str).is_none_or(str::is_empty) {
            self.report("`question` is the text that people are asked", &path, &schema);
        }
        if let Some(of_answer) = map.get("schema").filter(|written| !has_expressions(written)) {
            self.schema_of_answer(of_answer, &format!("{path}.schema"), &schema);
        }
        let expires = map.get("expires").cloned().unwrap_or_default();
        self.duration(&expires, &format!("{path}.expires"), &schema);
        if expires.is_null() && map.get("default").is_some() {
            let message = "`default` is the answer when the question expires: say when with `expires`";
            self.report(message, &format!("{path}.default"), &schema);
        }
        self.call_outs(map, &path, &schema);
    }

    fn schema_of_answer(&mut self, written: &Value, path: &str, schema: &str) {
        if !matches!(written, Value::Map(_)) {
            self.report("`schema` is a JSON schema of the answer", path, schema);
        } else if let Err(why) = AnswerSchema::compile(&written.to_json()) {
            self.report(format!("`schema` is no schema of an answer: {why}"), path, schema);
        }
    }

    /// `notify` and `remind`.
    fn call_outs(&mut self, map: &Map, path: &str, schema: &str) {
        if let Some(notify) = map.get("notify") {
            self.call(notify, &[], &format!("{path}.notify"), schema);
        }
        if let Some(remind) = map.get("remind") {
            let path = format!("{path}.remind");
            self.call(remind, &["every"], &path, schema);
            self.reminders(remind.get("every").unwrap_or(&Value::Null), &path, schema);
        }
    }

    fn on_freeze(&mut self) {
        let (path, schema) = ("on_freeze", "properties.on_freeze");
        let spec = self.spec;
        if spec.native.on_freeze.is_null() {
            return;
        }
        let pauses = |on_error: &Value| on_error.as_str() == Some("pause");
        if !pauses(&spec.native.on_error) && !spec.tasks.values().any(|task| pauses(&task.native.on_error)) {
            let message = "nothing freezes this workflow: `on_freeze` goes with `on_error: pause`, of it or of a task";
            self.report(message, path, schema);
        }
        let Some(map) = self.mapping(&spec.native.on_freeze, &ON_FREEZE, path, schema) else { return };
        if map.is_empty() {
            self.report("`on_freeze` calls somebody with `notify`, `remind` or both", path, schema);
        }
        self.call_outs(map, path, schema);
    }

    fn reminders(&mut self, every: &Value, path: &str, schema: &str) {
        if every.is_null() {
            return self.report("`every` is the time between two reminders", path, schema);
        }
        let path = format!("{path}.every");
        self.duration(every, &path, schema);
        if duration::ms_of(every).is_ok_and(|ms| ms < REMINDER_MS_MIN) {
            let message =
                format!("{} is shorter than the limit REMINDER_MS_MIN of {REMINDER_MS_MIN} ms", every.to_json());
            self.report(message, &path, schema);
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
