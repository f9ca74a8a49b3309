//! The keys that native workflows have and Orquesta's do not.
//!
//! They are taken out of what the schema of Orquesta's workflows judges; `inspect::native` judges them.

use std::sync::Arc;

use crate::expression::{Map, Value};

/// The keys of a workflow.
const WORKFLOW: [&str; 5] = ["timeout", "on_error", "rollback", "finally", "on_freeze"];

/// The keys of a task.
const TASK: [&str; 5] = ["timeout", "on_error", "approve", "undo", "map"];

/// The keys that native workflows add to the part at a path: the whole, a task, or an entry of `next`.
pub(crate) fn keys_at(path: &str) -> &'static [&'static str] {
    let part = path.strip_prefix("tasks.");
    match part {
        None if path.is_empty() => &WORKFLOW,
        Some(task) if !task.contains('.') => &TASK,
        Some(entry) if entry.ends_with(']') && entry.contains(".next[") => &["on"],
        _ => &[],
    }
}

/// What `on` stands for in an entry of `next`.
pub(crate) const CONDITIONS: [(&str, &str); 4] = [
    ("succeeded", "<% succeeded() %>"),
    ("failed", "<% failed() %>"),
    ("timeout", "<% timed_out() %>"),
    ("completed", "<% completed() %>"),
];

/// The native keys of a workflow; what is not written is null.
#[derive(Debug, Clone, Default)]
pub(crate) struct NativeSpec {
    pub(crate) timeout: Value,
    pub(crate) on_error: Value,
    pub(crate) rollback: Value,
    pub(crate) finally: Value,
    pub(crate) on_freeze: Value,
}

/// The native keys of a task; what is not written is null.
#[derive(Debug, Clone, Default)]
pub(crate) struct NativeTaskSpec {
    pub(crate) timeout: Value,
    pub(crate) on_error: Value,
    pub(crate) approve: Value,
    pub(crate) undo: Value,
    pub(crate) map: Value,
    /// The entries of `next` that have the short form of a condition.
    pub(crate) on: Vec<OnSpec>,
}

/// `on: failed` in an entry of `next`.
#[derive(Debug, Clone)]
pub(crate) struct OnSpec {
    /// The number of the entry.
    pub(crate) entry: usize,
    /// The key as YAML 1.1 reads it: `on` in quotes is a text, without them it is true.
    pub(crate) key: &'static str,
    pub(crate) value: Value,
    /// Whether the entry has a condition of its own, too.
    pub(crate) with_when: bool,
}

fn field(map: &Map, name: &str) -> Value {
    map.get(name).cloned().unwrap_or_default()
}

fn without(map: &Map, keys: &[&str]) -> Map {
    map.iter().filter(|(key, _)| !keys.contains(&&***key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A workflow without its native keys, and those.
pub(super) fn of_workflow(written: &Map) -> (Map, NativeSpec) {
    let native = NativeSpec {
        timeout: field(written, "timeout"),
        on_error: field(written, "on_error"),
        rollback: field(written, "rollback"),
        finally: field(written, "finally"),
        on_freeze: field(written, "on_freeze"),
    };
    (without(written, &WORKFLOW), native)
}

/// A task without its native keys, and those. The short form of a condition is written out.
pub(super) fn of_task(written: &Map) -> (Map, NativeTaskSpec) {
    let mut native = NativeTaskSpec {
        timeout: field(written, "timeout"),
        on_error: field(written, "on_error"),
        approve: field(written, "approve"),
        undo: field(written, "undo"),
        map: field(written, "map"),
        on: Vec::new(),
    };
    let plain = without(written, &TASK);
    let Some(entries) = plain.get("next").and_then(Value::as_list) else { return (plain, native) };
    let entries: Vec<Value> =
        entries.iter().enumerate().map(|(number, entry)| entry_written_out(number, entry, &mut native.on)).collect();
    let next = Value::List(entries.into_iter().collect());
    let replaced = plain.iter().map(|(key, value)| {
        let value = if &**key == "next" { next.clone() } else { value.clone() };
        (key.clone(), value)
    });
    (replaced.collect(), native)
}

fn entry_written_out(number: usize, entry: &Value, on: &mut Vec<OnSpec>) -> Value {
    let Value::Map(map) = entry else { return entry.clone() };
    let Some((key, value)) = ["on", "True"].into_iter().find_map(|key| Some((key, map.get(key)?))) else {
        return entry.clone();
    };
    let with_when = map.get("when").is_some();
    on.push(OnSpec { entry: number, key, value: value.clone(), with_when });
    let mut written = without(map, &["on", "True"]);
    let condition = CONDITIONS.iter().find(|(name, _)| value.as_str() == Some(name));
    if let Some((_, condition)) = condition.filter(|_| !with_when) {
        let when = (Arc::from("when"), Value::text(*condition));
        written = written.iter().map(|(key, value)| (key.clone(), value.clone())).chain([when]).collect();
    }
    Value::Map(written)
}
