//! Traces: calls of a conductor, one after the other, each with what could be seen behind it.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use petrel_workflow::conductor::{ConductorError, Event, Level, LogEntry, NextTask, Rerun, Start, Status};
use petrel_workflow::expression::{Dialect, Map, Value as Data};
use petrel_workflow::rehearsal::Stage;
use petrel_workflow::rehearsal::compare::{difference, difference_of_sets, errors, message};
use petrel_workflow::{Definition, WorkflowSpec};
use serde_json::{Value, json};

/// What a call refuses, with the name of Orquesta's exception.
struct Refused {
    class: &'static str,
    message: String,
}

impl From<ConductorError> for Refused {
    fn from(error: ConductorError) -> Self {
        let message = match &error {
            ConductorError::Expression(error) => error.message.clone(),
            other => other.to_string(),
        };
        Refused { class: error.class(), message }
    }
}

fn status_of(value: &Value) -> Result<Status, Refused> {
    let name = value.as_str().unwrap_or("null");
    Status::of(name)
        .ok_or_else(|| Refused { class: "InvalidStatus", message: format!("Status \"{name}\" is not valid.") })
}

fn map(value: &Value) -> Map {
    Data::from(value.clone()).as_map().cloned().unwrap_or_default()
}

/// A workflow that begins; the inner error says why its text cannot be run.
pub(crate) fn start(row: &Value) -> Result<Result<Stage, String>> {
    let text = row["definition"].as_str().context("no definition")?;
    let spec = match WorkflowSpec::read_unversioned(text, Dialect::Orquesta) {
        Ok(spec) => spec,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let definition = match Definition::compile(&spec) {
        Ok(definition) => Arc::new(definition),
        Err(findings) => return Ok(Err(format!("{findings:?}"))),
    };
    let start = Start { inputs: map(&row["inputs"]), context: map(&row["context"]), ..Start::default() };
    Ok(Ok(Stage::set(definition, start)?))
}

fn log(stage: &Stage) -> Value {
    stage.conductor.log().map(|entry| serde_json::to_value(entry).unwrap_or_default()).collect()
}

/// Runs a trace, and says where it differs.
pub(crate) fn run(row: &Value) -> Result<Option<String>> {
    let mut host = match start(row)? {
        Ok(host) => host,
        Err(why) => return Ok(Some(format!("cannot be run: {why}"))),
    };
    let mut seen = Seen { errors: json!([]), log: json!([]), output: Value::Null };
    for (number, step) in row["steps"].as_array().context("no steps")?.iter().enumerate() {
        if let Some(problem) = run_step(&mut host, step, &mut seen)? {
            return Ok(Some(format!("step {number} ({} {}): {problem}", step["op"], step["task"])));
        }
    }
    Ok(end_difference(&row["end"], &host.end()).map(|problem| format!("end: {problem}")))
}

/// Where two ends differ.
pub(crate) fn end_difference(expected: &Value, got: &Value) -> Option<String> {
    for field in ["status", "output", "sequence", "task_statuses", "routes", "terminal_tasks"] {
        if let Some(problem) = difference(&expected[field], &got[field]) {
            return Some(format!("{field}: {problem}"));
        }
    }
    difference_of_sets(&errors(&expected["errors"]), &errors(&got["errors"]))
        .map(|problem| format!("errors: {problem}"))
}

/// What was seen last of what is only recorded when it has changed.
struct Seen {
    errors: Value,
    log: Value,
    output: Value,
}

fn run_step(host: &mut Stage, step: &Value, seen: &mut Seen) -> Result<Option<String>> {
    let called = call(host, step)?;
    let observed = &step["obs"];
    match (&called, step.get("exception")) {
        (Err(refused), Some(exception)) => {
            if exception["type"] != refused.class {
                return Ok(Some(format!("expected {exception} and got {}: {}", refused.class, refused.message)));
            }
            let expected = exception["message"].as_str().unwrap_or_default();
            if message(expected) != message(&refused.message) {
                return Ok(Some(format!("expected {exception} and got {}", refused.message)));
            }
        }
        (Err(refused), None) => return Ok(Some(format!("refused, {}: {}", refused.class, refused.message))),
        (Ok(_), Some(exception)) => return Ok(Some(format!("not refused, expected {exception}"))),
        (Ok(Some(tasks)), None) => {
            if let Some(problem) = difference(&step["tasks"], tasks) {
                return Ok(Some(format!("tasks: {problem}")));
            }
        }
        (Ok(None), None) => {}
    }
    if let Some(problem) = difference(&observed["status"], &host.conductor.status().name().into()) {
        return Ok(Some(format!("status: {problem}")));
    }
    if let Some(expected) = observed.get("task_status") {
        let route = step["route"].as_u64().unwrap_or_default();
        let status = host.conductor.task_status(step["task"].as_str().unwrap_or_default(), u32::try_from(route)?);
        let got = status.filter(|status| *status != Status::Unset).map_or(Value::Null, |status| status.name().into());
        if let Some(problem) = difference(expected, &got) {
            return Ok(Some(format!("task status: {problem}")));
        }
    }
    for (field, last) in [("errors", &mut seen.errors), ("log", &mut seen.log), ("output", &mut seen.output)] {
        if let Some(now) = observed.get(field) {
            *last = now.clone();
        }
    }
    let problem =
        difference_of_sets(&errors(&seen.errors), &errors(&host.errors())).map(|what| format!("errors: {what}"));
    let problem = problem.or_else(|| difference(&seen.log, &log(host)).map(|what| format!("log: {what}")));
    Ok(problem.or_else(|| difference(&seen.output, &host.output()).map(|what| format!("output: {what}"))))
}

/// One call; what it yields are the tasks to start, if that was asked.
fn call(host: &mut Stage, step: &Value) -> Result<Result<Option<Value>, Refused>> {
    let conductor = &mut host.conductor;
    let done = match step["op"].as_str().context("no op")? {
        "status" => status_of(&step["status"]).and_then(|status| Ok(conductor.request(status)?)),
        "event" => event_of(&step["event"]).and_then(|event| {
            let route = u32::try_from(step["route"].as_u64().unwrap_or_default()).unwrap_or(u32::MAX);
            conductor.update(step["task"].as_str().unwrap_or_default(), route, event)?;
            Ok(())
        }),
        "next_tasks" => return Ok(Ok(Some(conductor.next_tasks().iter().map(task_json).collect()))),
        "render_output" => {
            conductor.render_output();
            Ok(())
        }
        "rerun" => conductor.rerun(&reruns(&step["tasks"])).map_err(Refused::from),
        "persist" => {
            host.persist()?;
            Ok(())
        }
        "log" => log_entry(&step["entry"]).map(|entry| conductor.add_log_entry(entry)),
        other => bail!("unknown op {other}"),
    };
    Ok(done.map(|()| None))
}

fn event_of(event: &Value) -> Result<Event, Refused> {
    let status = status_of(&event["status"])?;
    let result = Data::from(event["result"].clone());
    if event["kind"] == "item" {
        let item = usize::try_from(event["item_id"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
        return Ok(Event::Item { item, status, result, accumulated: event["accumulated_result"].clone().into() });
    }
    Ok(Event::Action { status, result })
}

pub(crate) fn reruns(tasks: &Value) -> Vec<Rerun> {
    let rerun = |task: &Value| Rerun {
        task: task["task_id"].as_str().unwrap_or_default().to_owned(),
        route: u32::try_from(task["route"].as_u64().unwrap_or_default()).unwrap_or(u32::MAX),
        reset_items: task["reset_items"] == true,
    };
    tasks.as_array().into_iter().flatten().map(rerun).collect()
}

fn log_entry(entry: &Value) -> Result<LogEntry, Refused> {
    let level = match entry["type"].as_str().or(entry["entry_type"].as_str()).unwrap_or_default() {
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        other => {
            let message = format!("The log entry type \"{other}\" is not valid.");
            return Err(Refused { class: "WorkflowLogEntryError", message });
        }
    };
    let text = |field: &str| entry[field].as_str().map(Arc::from);
    let data = |field: &str| entry.get(field).filter(|value| !value.is_null()).map(|value| Data::from(value.clone()));
    Ok(LogEntry {
        level,
        message: entry["message"].as_str().unwrap_or_default().to_owned(),
        task_id: text("task_id"),
        route: entry["route"].as_u64().and_then(|route| u32::try_from(route).ok()),
        task_transition_id: text("task_transition_id"),
        result: data("result"),
        data: data("data"),
    })
}

fn task_json(task: &NextTask) -> Value {
    let actions: Vec<Value> = task
        .actions
        .iter()
        .map(|action| {
            let mut json = json!({"action": action.action.to_json(), "input": action.input.to_json()});
            if let Some(item) = action.item {
                json["item_id"] = item.into();
            }
            json
        })
        .collect();
    let mut json = json!({"id": *task.id, "route": task.route, "actions": actions, "ctx": task.variables().to_json()});
    if let Some(delay) = task.delay {
        json["delay"] = delay.into();
    }
    if let Some(count) = task.items_count {
        json["items_count"] = count.into();
        json["concurrency"] = task.concurrency.into();
    }
    json
}
