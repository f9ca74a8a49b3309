//! What waits for a person, for people: the question, or what failed in a frozen workflow and the commands that decide.

use serde_json::{Value, json};

use crate::cli::terminal::harmless;

/// Longest value of a variable that is shown, in characters.
const VALUE_MAX: usize = 200;
/// Most numbers of items that are shown of one kind.
const ITEMS_MAX: usize = 10;

/// An inquiry as a row of a list.
pub fn row(inquiry: &Value) -> Value {
    let mut row = inquiry.clone();
    row["task"] = inquiry["workflow"]["task"].clone();
    let workflow = &inquiry["workflow"]["action"];
    row["workflow"] = if workflow.is_null() { inquiry["workflow"]["execution_id"].clone() } else { workflow.clone() };
    if let Some(question) = inquiry["question"].as_str() {
        row["question"] = json!(harmless(&question.replace('\n', " ")));
    }
    row
}

/// An inquiry with all that is known of it.
pub fn lines(inquiry: &Value) -> Vec<String> {
    let mut lines = head(inquiry);
    let id = text(inquiry, "inquiry_id");
    match text(inquiry, "kind") {
        "freeze" => {
            lines.push(String::new());
            lines.extend(frozen(id, &inquiry["frozen"], inquiry["executions"].as_array().unwrap_or(&Vec::new())));
        }
        _ => {
            if !inquiry["schema"].is_null() {
                let schema = serde_json::to_string_pretty(&inquiry["schema"]).unwrap_or_default();
                lines.push("schema of the answer".to_owned());
                lines.extend(harmless(&schema).lines().map(|line| format!("  {line}")));
            }
            if text(inquiry, "status") == "open" {
                lines.extend([String::new(), format!("answer it by: petrel inquiry answer {id}")]);
            }
        }
    }
    lines
}

/// What is asked, since when, and of what.
pub fn head(inquiry: &Value) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |name: &str, value: &Value| {
        let shown = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::Array(items) if items.is_empty() => return,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("{name:<12} {}", harmless(&shown)));
    };
    for name in ["question", "inquiry_id", "kind", "status", "since", "until", "route", "tag", "users", "roles"] {
        add(name, &inquiry[name]);
    }
    add("workflow", &inquiry["workflow"]["action"]);
    add("execution", &inquiry["workflow"]["execution_id"]);
    add("task", &inquiry["workflow"]["task"]);
    for name in ["rule", "event_id", "requested_by", "answer", "answered_by", "ended_at"] {
        add(name, &inquiry[name]);
    }
    lines
}

/// What failed in a frozen workflow, what it has gathered, and the commands that decide. `executions` are those that
/// failed, as far as they are known.
pub fn frozen(id: &str, frozen: &Value, executions: &[Value]) -> Vec<String> {
    let mut lines = vec!["failed".to_owned()];
    let tasks: Vec<Task<'_>> = list(&frozen["tasks"]).map(Task::of).collect();
    for task in &tasks {
        let items = items(task.items);
        lines.push(format!("  {:<20} {:<10} {items}", task.shown(), task.status).trim_end().to_owned());
    }
    for execution in executions {
        let why = [text(execution, "code"), text(execution, "error")].into_iter().find(|text| !text.is_empty());
        let task = text(execution, "task");
        let line = format!("    {task:<18} {} {}", text(execution, "execution_id"), why.unwrap_or_default());
        lines.push(one_line(line.trim_end()));
    }
    section(&mut lines, "errors", list(&frozen["errors"]).map(error));
    let warnings = list(&frozen["warnings"]).filter_map(Value::as_str).map(str::to_owned);
    section(&mut lines, "warnings", warnings);
    let open = list(&frozen["open"]).map(|task| Task::of(task).shown());
    section(&mut lines, "not ended", open);
    let variables = frozen["variables"].as_object().into_iter().flatten();
    section(&mut lines, "gathered", variables.map(|(name, value)| format!("{name} = {value}")));
    let left_out = list(&frozen["left_out"]).filter_map(Value::as_str).map(str::to_owned);
    section(&mut lines, "too large to be kept here", left_out);
    lines.push("decide by one of".to_owned());
    for task in &tasks {
        let task = task.shown();
        lines.push(format!("  petrel workflow retry {id} --task {task}    (again; --input NAME=VALUE, --reset-items)"));
        lines.push(format!("  petrel workflow skip {id} --task {task}    (it is done; --result JSON)"));
    }
    lines.push(format!("  petrel workflow resume {id}    (go on without what failed; --set NAME=VALUE)"));
    lines.push(format!("  petrel workflow rollback {id}    (undo what was done, and fail)"));
    lines
}

/// A task of a frozen workflow.
struct Task<'v> {
    name: &'v str,
    route: u64,
    status: &'v str,
    items: &'v Value,
}

impl<'v> Task<'v> {
    fn of(task: &'v Value) -> Self {
        let route = task["route"].as_u64().unwrap_or_default();
        Self { name: text(task, "task"), route, status: text(task, "status"), items: &task["items"] }
    }

    fn shown(&self) -> String {
        if self.route == 0 { self.name.to_owned() } else { format!("{}~{}", self.name, self.route) }
    }
}

/// How far a task with items came.
fn items(items: &Value) -> String {
    let numbers = |name: &str| -> Vec<String> { list(&items[name]).map(Value::to_string).collect() };
    let part = |name: &str, what: &str| {
        let numbers = numbers(name);
        let more = if numbers.len() > ITEMS_MAX { ", …" } else { "" };
        let first = numbers.iter().take(ITEMS_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        (!numbers.is_empty()).then(|| format!("{} {what} ({first}{more})", numbers.len()))
    };
    let done = numbers("done").len();
    let done = (!items.is_null()).then(|| format!("{done} done"));
    let parts = [done, part("failed", "failed"), part("not_begun", "not begun")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn error(error: &Value) -> String {
    let at = Some(text(error, "task_id")).filter(|task| !task.is_empty()).map(|task| format!("{task}: "));
    let result = Some(&error["result"]).filter(|result| !result.is_null()).map(|result| format!(" {result}"));
    format!("{}{}{}", at.unwrap_or_default(), text(error, "message"), result.unwrap_or_default())
}

/// Lines below a heading, if there are any.
fn section(lines: &mut Vec<String>, heading: &str, below: impl Iterator<Item = String>) {
    let mut below = below.map(|line| format!("  {}", one_line(&line))).peekable();
    if below.peek().is_some() {
        lines.push(heading.to_owned());
        lines.extend(below);
    }
}

/// A text on one line, cut.
fn one_line(text: &str) -> String {
    let text = harmless(&text.replace(['\n', '\r'], " "));
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_workflow_shows_what_failed_and_the_commands_that_decide() {
        let shown = json!({
            "tasks": [
                { "task": "evacuate", "route": 0, "status": "failed", "items": { "done": [0, 1], "failed": [2], "not_begun": [] } },
                { "task": "mail", "route": 2, "status": "timeout" },
            ],
            "open": [{ "task": "ask", "route": 0 }],
            "variables": { "host": "h-1", "text": "x".repeat(2 * VALUE_MAX) },
            "errors": [{ "type": "error", "message": "Execution failed.", "task_id": "evacuate", "result": { "stderr": "a\nb" } }],
            "warnings": ["Nobody is called about the freeze: it is no action"],
        });
        let failed = [json!({ "execution_id": "be.3", "task": "evacuate[2]", "code": null, "error": "no\nroom" })];
        let lines = frozen("be", &shown, &failed);
        for line in [
            "  evacuate             failed     2 done, 1 failed (2)",
            "    evacuate[2]        be.3 no room",
            "  mail~2               timeout",
            "  evacuate: Execution failed. {\"stderr\":\"a\\nb\"}",
            "  Nobody is called about the freeze: it is no action",
            "  ask",
            "  host = \"h-1\"",
        ] {
            assert!(lines.iter().any(|one| one == line), "{line}\n{}", lines.join("\n"));
        }
        let begin = |command: &str| lines.iter().any(|line| line.starts_with(&format!("  petrel workflow {command} ")));
        for command in [
            "retry be --task evacuate",
            "skip be --task evacuate",
            "retry be --task mail~2",
            "skip be --task mail~2",
            "resume be",
            "rollback be",
        ] {
            assert!(begin(command), "{command}\n{}", lines.join("\n"));
        }
        let cut = frozen("be", &json!({ "tasks": [], "left_out": ["variables"] }), &[]);
        assert!(cut.windows(2).any(|two| two == ["too large to be kept here", "  variables"]), "{cut:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= VALUE_MAX + 20), "{}", lines.join("\n"));
    }

    #[test]
    fn a_question_shows_its_schema_and_how_it_is_answered() {
        let question = json!({
            "inquiry_id": "be.3", "kind": "question", "status": "open", "question": "Go?\u{1b}[2J", "until": null,
            "users": [], "route": "", "schema": { "type": "boolean" },
            "workflow": { "execution_id": "be", "action": "flow.deploy", "task": "ask" },
        });
        let shown = lines(&question);
        assert_eq!(shown[0], "question     Go?\\u{1b}[2J");
        assert!(shown.contains(&"answer it by: petrel inquiry answer be.3".to_owned()), "{shown:?}");
        assert!(shown.contains(&"    \"type\": \"boolean\"".to_owned()), "{shown:?}");
        assert!(!shown.iter().any(|line| line.starts_with("users") || line.starts_with("until")), "{shown:?}");
        let row = row(&question);
        assert_eq!((&row["workflow"], &row["task"]), (&json!("flow.deploy"), &json!("ask")));
        let answered = json!({ "inquiry_id": "be.3", "kind": "question", "status": "answered", "answered_by": "kim" });
        let shown = lines(&answered);
        assert!(shown.contains(&"answered_by  kim".to_owned()) && !shown.concat().contains("petrel"), "{shown:?}");
    }

    #[test]
    fn many_items_are_counted_and_the_first_are_named() {
        let numbers: Vec<usize> = (0..ITEMS_MAX + 5).collect();
        let shown = items(&json!({ "done": [], "failed": numbers, "not_begun": [40] }));
        assert_eq!(shown, "0 done, 15 failed (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …), 1 not begun (40)");
        assert_eq!(items(&Value::Null), "");
    }
}
