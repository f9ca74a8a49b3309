//! Questions that are not open any more.

use petrel_execution::Status;
use petrel_schemas::ExecutionId;
use serde_json::{Value, json};

use crate::live::LiveExecution;
use crate::world::rfc3339;

/// The action that asks.
const ASK: &str = "core.ask";
/// What the end of a question that was answered says, with who did behind it.
const ANSWERED_BY: &str = "answered by ";

/// What became of a question, by what the live view and the audit trail know of its execution; none if it was no question.
pub fn shown(id: &ExecutionId, live: Option<&LiveExecution>, row: Option<&Value>) -> Option<Value> {
    let state = live.and_then(|live| live.state.as_ref());
    let of_row = |name: &str| row.map(|row| as_json(&row[name])).unwrap_or_default();
    let result = of_row("result");
    let action = state.map(|state| state.action.clone()).or_else(|| of_row("action").as_str().map(str::to_owned))?;
    if action != ASK && result.get("response").is_none() {
        return None;
    }
    let parameters: Value = match state {
        Some(state) => serde_json::from_str(&state.parameters).unwrap_or_default(),
        None => of_row("parameters"),
    };
    let status = live.map(LiveExecution::status).or_else(|| row?["status"].as_str())?;
    let ended = live.and_then(|live| live.ended.as_ref());
    let note = of_row("error");
    Some(json!({
        "inquiry_id": id,
        "kind": "question",
        "status": match Status::parse(status) {
            Some(Status::Succeeded) => "answered",
            Some(Status::Timeout) => "expired",
            Some(Status::Canceled) => "withdrawn",
            _ => "failed",
        },
        "question": parameters["question"],
        "schema": parameters["schema"],
        "route": parameters["route"],
        "tag": parameters["tag"],
        "ended_at": ended.map_or_else(|| of_row("ended_at"), |ended| rfc3339(ended.ended_at_ms).into()),
        "answer": result["response"],
        "answered_by": note.as_str().and_then(|note| note.strip_prefix(ANSWERED_BY)),
        "error": note,
    }))
}

/// Why a question that is closed takes no answer: code, and for people.
pub fn refusal(id: &ExecutionId, closed: &Value) -> (&'static str, String) {
    let at = closed["ended_at"].as_str().map(|at| format!(" at {at}")).unwrap_or_default();
    match closed["status"].as_str() {
        Some("answered") => {
            let by = closed["answered_by"].as_str();
            let by =
                by.map_or_else(|| "; the audit trail tells in a moment by whom".to_owned(), |by| format!(" by {by}"));
            ("already_answered", format!("{id} was answered{at}{by}"))
        }
        Some("expired") => ("not_open", format!("{id} expired{at}: nobody had answered in time")),
        Some("withdrawn") => {
            ("not_open", format!("{id} was withdrawn{at}: it was canceled, or its workflow waits for it no more"))
        }
        _ => ("not_open", format!("{id} has failed{at}, and takes no answer")),
    }
}

/// The audit trail has texts where it has JSON.
fn as_json(value: &Value) -> Value {
    let read = |text: &str| serde_json::from_str(text).ok().filter(|value: &Value| value.is_object());
    value.as_str().and_then(read).unwrap_or_else(|| value.clone())
}
