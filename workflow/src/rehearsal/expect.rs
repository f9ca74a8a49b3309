//! What a workflow did against what is expected of it.

use serde_json::Value as Json;

use super::compare::short;
use super::play::{Called, Played};
use super::scenario::{Expect, ExpectedCall, ExpectedError};

impl Expect {
    /// Where what was played is not as expected: a line each, and then the path that was taken. None if nothing differs.
    pub fn differences(&self, played: &Played) -> Vec<String> {
        let mut lines = Vec::new();
        if self.status != played.status {
            lines.push(format!("status: expected {}, found {}", self.status, played.status));
        }
        if let Some(output) = self.output.as_ref().filter(|output| !same(output, &played.output)) {
            lines.push(format!("output: expected {}, found {}", short(output), short(&played.output)));
        }
        if let Some(path) = self.path.as_ref().filter(|path| **path != played.path) {
            lines.push(format!("path: expected {}", path.join(" → ")));
        }
        if let Some(calls) = &self.calls {
            compare_calls(calls, &played.calls, &mut lines);
        }
        if let Some(errors) = &self.errors {
            compare_errors(errors, &played.errors, &mut lines);
        }
        if let Some(takes_ms) = self.takes_ms.filter(|takes_ms| *takes_ms != played.took_ms) {
            lines.push(format!("takes: expected {takes_ms} ms, found {} ms", played.took_ms));
        }
        if played.undecided > 0 {
            lines.push(format!("decisions: nobody was asked for the last {} of them", played.undecided));
        }
        if lines.is_empty() {
            return lines;
        }
        lines.push(format!("it went {}", played.path.join(" → ")));
        if self.errors.is_none() {
            lines.extend(told(&played.errors).map(|(task, message)| match task {
                Some(task) => format!("error of {task}: {message}"),
                None => format!("error: {message}"),
            }));
        }
        lines
    }
}

fn compare_calls(expected: &[ExpectedCall], found: &[Called], lines: &mut Vec<String>) {
    for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
        let which = format!("call {}", number + 1);
        let is_item = expected.item.is_none() || expected.item == found.item;
        if expected.task != found.task || !is_item {
            let name = |task: &str, item: Option<usize>| item.map_or(task.to_owned(), |item| format!("{task}[{item}]"));
            let (wanted, got) = (name(&expected.task, expected.item), name(&found.task, found.item));
            lines.push(format!("{which}: expected one of {wanted}, found one of {got}"));
            continue;
        }
        if let Some(action) = expected.action.as_ref().filter(|action| **action != found.action) {
            lines.push(format!("{which}, of {}: expected {action}, found {}", found.task, found.action));
        }
        for (name, value) in &expected.input {
            let given = found.input.get(name);
            if !given.is_some_and(|given| same(value, given)) {
                let given = given.map_or("nothing".to_owned(), short);
                lines.push(format!(
                    "{which}, of {}, input {name}: expected {}, found {given}",
                    found.task,
                    short(value)
                ));
            }
        }
    }
    if expected.len() != found.len() {
        let names: Vec<&str> = found.iter().map(|call| call.task.as_str()).collect();
        lines.push(format!("calls: expected {}, found {} ({})", expected.len(), found.len(), names.join(", ")));
    }
}

/// The errors as the task that each is about, and what it says.
fn told(errors: &Json) -> impl Iterator<Item = (Option<&str>, &str)> {
    let errors = errors.as_array().into_iter().flatten();
    errors.map(|error| (error["task_id"].as_str(), error["message"].as_str().unwrap_or_default()))
}

fn compare_errors(expected: &[ExpectedError], errors: &Json, lines: &mut Vec<String>) {
    let found: Vec<_> = told(errors).collect();
    let is_as_expected = expected.len() == found.len()
        && expected.iter().zip(&found).all(|(expected, (task, message))| {
            let is_task = expected.task.is_none() || expected.task.as_deref() == *task;
            is_task && message.contains(&expected.message)
        });
    if is_as_expected {
        return;
    }
    let name = |task: Option<&str>, message: &str| task.map_or(message.to_owned(), |task| format!("{task}: {message}"));
    let list = |lines: Vec<String>| if lines.is_empty() { "none".to_owned() } else { lines.join("; ") };
    let wanted = expected.iter().map(|one| name(one.task.as_deref(), &one.message)).collect();
    let got = found.iter().map(|(task, message)| name(*task, message)).collect();
    lines.push(format!("errors: expected {}, found {}", list(wanted), list(got)));
}

/// Equality of JSON values in which `95` and `95.0` are the same number.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x == y || (x.as_f64() == y.as_f64() && (x.is_f64() || y.is_f64())),
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
