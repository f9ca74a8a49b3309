//! How what waits for a person is shown.

use petrel_execution::Status;
use petrel_execution::workflow::UNTIL_KEY;
use petrel_schemas::ExecutionState;
use serde_json::{Map, Value, json};

use crate::api::workflows::{frozen_tasks, shown_task};
use crate::live::{LiveExecution, Waiting, Wanted, frozen, wanted};
use crate::world::rfc3339;

const MINUTE_MS: i64 = 60_000;
/// Most tasks that are named in a line.
const NAMED_MAX: usize = 5;

/// An inquiry in a list. `asker` is the execution above it.
pub fn entry(waiting: &Waiting, asker: Option<&LiveExecution>) -> Value {
    match waiting.wanted {
        Wanted::Answer => question(waiting, asker),
        Wanted::Decision => freeze(waiting),
    }
}

/// An inquiry with all that a person needs.
pub fn whole(waiting: &Waiting, asker: Option<&LiveExecution>) -> Value {
    let state = &waiting.state;
    let mut shown = entry(waiting, asker);
    shown["rule"] = json!(state.rule);
    shown["event_id"] = json!(state.event_id);
    shown["requested_by"] = json!(state.requested_by);
    match waiting.wanted {
        Wanted::Answer => {
            let mut parameters = parameters(waiting);
            for name in ["schema", "users", "roles"] {
                shown[name] = parameters.remove(name).unwrap_or_default();
            }
        }
        Wanted::Decision => {
            let frozen = frozen(state).unwrap_or_default();
            shown["parameters"] = Value::Object(parameters(waiting));
            shown["decisions"] = decisions(&frozen);
            shown["frozen"] = frozen;
        }
    }
    shown
}

/// What an execution waits for, if that is a person.
pub fn waits_for(state: &ExecutionState) -> Option<String> {
    match wanted(state) {
        Some(Wanted::Answer) => Some(match text(&read(state)) {
            Some(question) => format!("an answer: {question}"),
            None => "an answer".to_owned(),
        }),
        Some(Wanted::Decision) => Some(format!("a decision about {}", failed(&frozen(state)?))),
        None if state.status == Status::Pending.as_str() => Some("an answer to what it asks".to_owned()),
        None => None,
    }
}

/// The parameters of its execution.
pub fn parameters(waiting: &Waiting) -> Map<String, Value> {
    read(&waiting.state)
}

fn read(state: &ExecutionState) -> Map<String, Value> {
    serde_json::from_str(&state.parameters).unwrap_or_default()
}

fn text(parameters: &Map<String, Value>) -> Option<&str> {
    parameters.get("question").and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn question(waiting: &Waiting, asker: Option<&LiveExecution>) -> Value {
    let Waiting { state, since_ms, .. } = waiting;
    let parameters = parameters(waiting);
    let minutes = parameters.get("ttl").and_then(Value::as_i64).filter(|minutes| *minutes > 0);
    let by_ttl = || minutes.map(|minutes| rfc3339(since_ms.saturating_add(minutes.saturating_mul(MINUTE_MS))));
    // Whoever asks may wait for a time of its own.
    let until = parameters.get(UNTIL_KEY).and_then(Value::as_str).map(str::to_owned).or_else(by_ttl);
    let workflow = state.parent_execution_id.as_ref().map(|id| {
        let action = asker.and_then(|asker| asker.state.as_ref()).map(|state| &state.action);
        json!({ "execution_id": id, "action": action, "task": state.task })
    });
    json!({
        "inquiry_id": state.execution_id,
        "kind": "question",
        "status": "open",
        "question": text(&parameters),
        "since": rfc3339(*since_ms),
        "until": until,
        "route": parameters.get("route"),
        "tag": parameters.get("tag"),
        "workflow": workflow,
    })
}

fn freeze(waiting: &Waiting) -> Value {
    let Waiting { state, since_ms, .. } = waiting;
    let frozen = frozen(state).unwrap_or_default();
    json!({
        "inquiry_id": state.execution_id,
        "kind": "freeze",
        "status": "open",
        "question": asked(&frozen),
        "since": rfc3339(*since_ms),
        "until": null,
        "route": null,
        "tag": null,
        "workflow": { "execution_id": state.execution_id, "action": state.action, "task": state.task },
    })
}

/// The tasks that failed in a frozen workflow, for people.
fn failed(frozen: &Value) -> String {
    let mut tasks: Vec<String> = frozen_tasks(frozen).map(|(task, route)| shown_task(task, route)).collect();
    let more = tasks.len().saturating_sub(NAMED_MAX);
    tasks.truncate(NAMED_MAX);
    match (tasks.is_empty(), more) {
        (true, _) => "what failed".to_owned(),
        (false, 0) => tasks.join(", "),
        (false, more) => format!("{} and {more} more", tasks.join(", ")),
    }
}

/// What is asked about a frozen workflow.
pub(super) fn asked(frozen: &Value) -> String {
    format!("What becomes of {}?", failed(frozen))
}

/// What can be decided about a frozen workflow, each as the body of a decision.
pub(super) fn decisions(frozen: &Value) -> Value {
    let of_tasks = frozen_tasks(frozen).flat_map(|(task, route)| {
        ["retry", "skip"].map(|decision| json!({ "decision": decision, "task": task, "route": route }))
    });
    let of_all = ["resume", "rollback"].map(|decision| json!({ "decision": decision }));
    of_tasks.chain(of_all).collect()
}

/// Whether an inquiry belongs to a workflow: by the id of its execution, itself or above, or by its reference.
pub fn is_of(entry: &Value, workflow: &str) -> bool {
    let id = entry["inquiry_id"].as_str().unwrap_or_default();
    let is_below = id.strip_prefix(workflow).is_some_and(|below| below.is_empty() || below.starts_with('.'));
    is_below || entry["workflow"]["action"] == workflow
}

/// Whether it is a child that ended badly, and ran for one of these tasks or an item of it.
pub fn is_failed_child(e: &LiveExecution, parent: &str, tasks: &[&str]) -> bool {
    let is_child = e.id.rsplit_once('.').is_some_and(|(above, _)| above == parent);
    let label = e.state.as_ref().and_then(|state| state.task.as_deref()).unwrap_or_default();
    let task = label.split_once('[').map_or(label, |(task, _)| task);
    is_child && e.is_over() && e.status() != Status::Succeeded.as_str() && tasks.contains(&task)
}

/// An execution that failed; `told` is what the audit trail knows of it.
pub fn failed_child(e: &LiveExecution, told: Option<&Value>) -> Value {
    json!({
        "execution_id": e.id,
        "task": e.state.as_ref().and_then(|state| state.task.as_deref()),
        "status": e.status(),
        "code": e.ended.as_ref().and_then(|ended| ended.code.as_deref()),
        "error": told.map(|told| &told["error"]),
    })
}
