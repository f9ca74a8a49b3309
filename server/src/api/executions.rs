//! Executions: list, get, cancel; running an action by hand; pausing and resuming dispatch.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use petrel_bus::{Output, To};
use petrel_schemas::{ActionRequest, CancelRequest, ExecutionId, ExecutionState, KvEntry, encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ApiError, App, body, user};
use crate::world::{DISPATCH_KEY, rfc3339};

/// Most executions of one answer.
const LIST_MAX: usize = 1_000;
/// Largest body of these requests, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Filters of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    rule: Option<String>,
    limit: Option<usize>,
}

/// Body of a manual run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// Body of a pause or resume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DispatchBody {
    reason: Option<String>,
}

/// `GET /v1/executions`: the latest first, from the live view.
pub async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let limit = query.limit.unwrap_or(20).min(LIST_MAX);
    let passes = |e: &ExecutionState| {
        query.status.as_ref().is_none_or(|s| *s == e.status)
            && query.rule.as_ref().is_none_or(|r| e.rule.as_ref() == Some(r))
    };
    let found = core.live.list(limit, passes);
    Ok(Json(json!({ "executions": found.iter().map(shown).collect::<Vec<_>>() })))
}

/// `GET /v1/executions/{id}`: from the live view, else from the audit trail; with its output.
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let mut execution = match core.live.get(id.as_str()) {
        Some(state) => shown(&state),
        None => core.sql()?.history(id.as_str()).await?.ok_or_else(|| unknown(&id))?,
    };
    // The audit trail is a little behind, or down: the execution is shown all the same.
    if let Ok(output) = core.sql()?.output(id.as_str()).await
        && let Value::Object(into) = &mut execution
    {
        into.extend(output);
    }
    Ok(Json(execution))
}

/// `POST /v1/executions/{id}/cancel`.
pub async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let root = match core.live.get(id.as_str()) {
        Some(state) => state.root_execution_id,
        None => return Err(unknown(&id)),
    };
    let request = CancelRequest {
        execution_id: id.to_string(),
        root_execution_id: root.clone(),
        requested_by: user(),
        requested_at_ms: core.clock.now_ms(),
    };
    core.publisher.publish(vec![Output::keyed(&core.topics.results(), root, encode(&request))]).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "execution_id": id.as_str() }))))
}

/// `POST /v1/actions/{action}/run`: a manual run is a request like any other, and audited like any other.
pub async fn run(
    State(app): State<App>,
    Path(action): Path<String>,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let bytes = body::bytes(request, BODY_BYTES_MAX, core.request_timeout()).await?;
    let RunBody { parameters } = body::json(&bytes)?;
    let (revision, kv_version) = core.world.check_action(&action, &Value::Object(parameters.clone()))?;
    let id = ExecutionId::of_manual(&uuid::Uuid::now_v7().to_string());
    let request = ActionRequest {
        execution_id: id.to_string(),
        root_execution_id: id.to_string(),
        event_id: None,
        event_at_ms: None,
        trigger: None,
        rule: None,
        action_index: 0,
        redrive: 0,
        action,
        parameters: Value::Object(parameters).to_string(),
        revision,
        kv_version,
        requested_at_ms: core.clock.now_ms(),
        requested_by: user(),
    };
    core.publisher.publish(vec![Output::keyed(&core.topics.requests(), id.as_str(), encode(&request))]).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "execution_id": id.as_str() }))))
}

/// `POST /v1/dispatch/pause`.
pub async fn pause(State(app): State<App>, request: Body) -> Result<Json<Value>, ApiError> {
    dispatch(&app, request, true).await
}

/// `POST /v1/dispatch/resume`.
pub async fn resume(State(app): State<App>, request: Body) -> Result<Json<Value>, ApiError> {
    dispatch(&app, request, false).await
}

async fn dispatch(app: &App, request: Body, paused: bool) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let bytes = body::bytes(request, BODY_BYTES_MAX, core.request_timeout()).await?;
    let DispatchBody { reason } = body::json(&bytes)?;
    let value = json!({ "paused": paused, "reason": reason });
    let entry = KvEntry { value: value.to_string(), updated_at_ms: core.clock.now_ms(), updated_by: user() };
    let record = Output {
        topic: core.topics.kv(),
        to: To::Partition(0),
        key: Some(DISPATCH_KEY.into()),
        value: Some(encode(&entry)),
        timestamp_ms: None,
    };
    core.publisher.publish(vec![record]).await?;
    core.world.wait_for_dispatch(paused, &core.stages).await?;
    Ok(Json(value))
}

fn parse(id: &str) -> Result<ExecutionId, ApiError> {
    ExecutionId::parse(id).map_err(|e| ApiError::bad_request("malformed_id", format!("{id:?}: {e}")))
}

fn unknown(id: &ExecutionId) -> ApiError {
    ApiError::not_found("unknown_execution", format!("there is no execution {id} (a new one appears within a moment)"))
}

/// An execution as the API shows it.
pub(super) fn shown(e: &ExecutionState) -> Value {
    json!({
        "execution_id": e.execution_id,
        "status": e.status,
        "action": e.action,
        "parameters": serde_json::from_str::<Value>(&e.parameters).unwrap_or(Value::Null),
        "rule": e.rule,
        "trigger": e.trigger,
        "event_id": e.event_id,
        "revision": e.revision,
        "requested_by": e.requested_by,
        "requested_at": rfc3339(e.requested_at_ms),
        "started_at": e.started_at_ms.map(rfc3339),
        "ended_at": e.ended_at_ms.map(rfc3339),
        "attempt": e.attempt,
        "worker": e.worker,
        "return_code": e.return_code,
        "error": e.error,
    })
}
