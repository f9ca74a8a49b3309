//! Workflows that run: what they have started, and what people ask of them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use petrel_bus::Output;
use petrel_execution::workflow::Asked;
use petrel_schemas::{ExecutionId, ExecutionState, WorkflowOrder, encode};
use serde_json::{Value, json};

use super::executions::parse;
use super::{ApiError, App, Core, user};
use crate::live::LiveExecution;
use crate::world::rfc3339;

/// Most descendants that are shown with an execution.
const DESCENDANTS_MAX: usize = 500;

/// `POST /v1/executions/{id}/pause`: a workflow, and those below it.
pub async fn pause(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Value>), ApiError> {
    order(&app, &id, &Asked::Pause).await
}

/// `POST /v1/executions/{id}/resume`.
pub async fn resume(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Value>), ApiError> {
    order(&app, &id, &Asked::Resume).await
}

/// Asks something of a workflow. What this server knows to be none, or to be over, is refused here; the owner decides.
async fn order(app: &App, id: &str, asked: &Asked) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let id = parse(id)?;
    let known = core.live.get(id.as_str());
    let what = asked.as_str();
    let refused =
        |why: &str| ApiError::new(StatusCode::CONFLICT, "not_possible", format!("{id} {why}, and cannot {what}"));
    if let Some(live) = &known {
        if live.is_over() {
            return Err(refused("is over"));
        }
        let is_task = |state: &ExecutionState| !state.delivery.is_empty() && !state.pool.is_empty();
        if live.state.as_ref().is_some_and(is_task) {
            return Err(refused("is no workflow"));
        }
    }
    let root = id.root();
    let record = WorkflowOrder {
        execution_id: id.to_string(),
        root_execution_id: root.to_string(),
        order: what.to_owned(),
        requested_by: user(),
        requested_at_ms: core.clock.now_ms(),
        data: asked.data(),
    };
    core.publisher.publish(vec![Output::keyed(&core.topics.requests(), root.as_str(), encode(&record))]).await?;
    let status = known.as_ref().map(LiveExecution::status);
    Ok((StatusCode::ACCEPTED, Json(json!({ "status": status, "message": format!("{what} requested") }))))
}

/// Adds what an execution has started, if anything, in the order in which it was.
pub(super) fn show_descendants(core: &Core, id: &ExecutionId, execution: &mut Value) {
    let (descendants, count) = core.live.descendants(id.as_str(), DESCENDANTS_MAX);
    if count > 0 {
        execution["descendants"] = descendants.iter().map(|e| descendant(core, e)).collect();
        execution["descendants_count"] = count.into();
    }
}

/// What a workflow has started, as it is shown with the workflow: where it stands, and what it waits for.
fn descendant(core: &Core, e: &LiveExecution) -> Value {
    let state = e.state.as_ref();
    let waiting = state.filter(|_| !e.is_over());
    let at_gate = waiting.and_then(|state| super::gates::waits_for(core, state));
    let waits_for = at_gate.or_else(|| waiting.and_then(super::switches::waits_for).map(Value::from));
    json!({
        "execution_id": e.id,
        "task": state.and_then(|s| s.task.clone()),
        "action": state.map(|s| &s.action),
        "status": e.status(),
        "code": e.ended.as_ref().map_or_else(|| state.and_then(|s| s.code.clone()), |ended| ended.code.clone()),
        "attempt": state.map(|s| s.attempt),
        "worker": state.and_then(|s| s.worker.clone()),
        "requested_at": state.map(|s| rfc3339(s.requested_at_ms)),
        "ended_at": e.ended.as_ref().map(|ended| rfc3339(ended.ended_at_ms)),
        "waits_for": waits_for,
    })
}
