//! Gates: list, show, open and shut.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use petrel_bus::Output;
use petrel_execution::gate::{Breaker, Class, GateId, Head, Level};
use petrel_schemas::{ExecutionId, ExecutionState, GateOrder, encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App, Core, body, user};
use crate::world::rfc3339;

/// Most gates of one answer.
const LIST_MAX: usize = 1_000;
/// Most holders, and most waiters of each class, of one answer.
const SHOWN_MAX: usize = 100;
/// Most of those who are before an execution that are named.
const BEFORE_MAX: usize = 10;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// Filters of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    policy: Option<String>,
    limit: Option<usize>,
}

/// Body of an order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    reason: Option<String>,
}

/// `GET /v1/gates`: those that have something to remember.
pub async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Json<Value>, ApiError> {
    let limit = query.limit.unwrap_or(100).min(LIST_MAX);
    let view = &app.core()?.gates;
    let found = view.list(query.policy.as_deref(), limit);
    let gates: Vec<Value> = found.iter().map(|(gate, head)| shown(gate, head)).collect();
    Ok(Json(json!({ "gates": gates, "complete": view.knows_all_gates() })))
}

/// `GET /v1/gates/{gate}`: with who holds permits and who waits, the first first.
pub async fn get(State(app): State<App>, Path(gate): Path<String>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let gate = parse(&gate)?;
    // Where nothing is remembered, nothing is out and nobody waits.
    let mut answer = shown(&gate, &core.gates.head(&gate).unwrap_or_default());
    answer["holders"] = json!(core.gates.holders(&gate, SHOWN_MAX));
    let waiters =
        Class::ALL.map(|class| (class.as_str().to_owned(), json!(core.gates.waiters(&gate, class, SHOWN_MAX))));
    answer["waiters"] = Value::Object(waiters.into_iter().collect());
    answer["complete"] = json!(core.gates.knows_all_of(&gate));
    Ok(Json(answer))
}

/// `POST /v1/gates/{gate}/open`.
pub async fn open(app: State<App>, gate: Path<String>, request: Body) -> Result<(StatusCode, Json<Value>), ApiError> {
    order(app, gate, request, "open").await
}

/// `POST /v1/gates/{gate}/shut`.
pub async fn shut(app: State<App>, gate: Path<String>, request: Body) -> Result<(StatusCode, Json<Value>), ApiError> {
    order(app, gate, request, "shut").await
}

/// By way of an owner, which numbers it like all that gates are told.
async fn order(
    State(app): State<App>,
    Path(gate): Path<String>,
    request: Body,
    order: &str,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let gate = parse(&gate)?;
    is_known(core, &gate, order)?;
    let gate = gate.to_string();
    let bytes = body::bytes(request, 64 << 10, core.request_timeout()).await?;
    let OrderBody { reason } = body::json(&bytes)?;
    if reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
        let message = format!("a reason has at most {REASON_BYTES_MAX} bytes");
        return Err(ApiError::bad_request("malformed_reason", message));
    }
    let record = GateOrder {
        gate: gate.clone(),
        order: order.to_owned(),
        reason,
        requested_by: user(),
        requested_at_ms: core.clock.now_ms(),
    };
    core.publisher.publish(vec![Output::keyed(&core.topics.requests(), gate.as_bytes(), encode(&record))]).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "gate": gate, "order": order }))))
}

/// Refuses an order that would change nothing: one for a gate that no policy in force is for. What such a gate remembers
/// from before may be cleared.
fn is_known(core: &Core, gate: &GateId, order: &str) -> Result<(), ApiError> {
    let globals = core.world.globals();
    // Where nobody can tell, its process may.
    let has_policy = globals.head().policies.as_ref().is_none_or(|policies| policies.of(gate).is_some());
    if has_policy || (order == "open" && core.gates.head(gate).is_some()) {
        return Ok(());
    }
    let message = format!("no policy of the revision in force is for gate {gate}");
    Err(ApiError::not_found("unknown_gate", message))
}

/// What an execution waits for, if it is a gate: its place, and who is before it.
pub(super) fn waits_for(core: &Core, state: &ExecutionState) -> Option<Value> {
    if !state.gates_awaits {
        return None;
    }
    let text = state.gates.get(state.gates_acquired.len().checked_sub(1)?)?;
    let (gate, id) = (GateId::parse(text).ok()?, ExecutionId::parse(&state.execution_id).ok()?);
    // It may have been let pass a moment ago, its gate has not heard of it yet, or the view does not know all there.
    let place = core.gates.place(&gate, &id, BEFORE_MAX);
    let (class, number, before) = match place {
        Some(place) => (json!(place.class.as_str()), json!(place.number), json!(place.before)),
        None => (Value::Null, Value::Null, json!([])),
    };
    let why = core.gates.head(&gate).map(|head| condition(&head));
    Some(json!({ "gate": text, "class": class, "place": number, "before": before, "gate_is": why }))
}

fn parse(text: &str) -> Result<GateId, ApiError> {
    GateId::parse(text).map_err(|error| ApiError::bad_request("malformed_gate", error.to_string()))
}

fn shown(gate: &GateId, head: &Head) -> Value {
    let key = match &gate.level {
        Level::Key(key) => Some(key),
        Level::Total => None,
    };
    let wall = |at_ms: i64| rfc3339(head.clock.wall(at_ms));
    let breaker = match head.breaker {
        Breaker::Closed { failures, .. } => json!({ "state": "closed", "failures": failures }),
        Breaker::Open { until_ms } => json!({ "state": "open", "until": wall(until_ms) }),
        Breaker::HalfOpen { under_way, succeeded, .. } => {
            json!({ "state": "half_open", "probes_under_way": under_way, "probes_succeeded": succeeded })
        }
    };
    json!({
        "gate": gate.to_string(),
        "policy": gate.policy,
        "kind": gate.kind.as_str(),
        "key": key,
        "state": condition(head),
        "permits_out": head.permits,
        "waiting": head.waiters(),
        "waiting_by_class": { "urgent": head.waiting[0], "normal": head.waiting[1], "bulk": head.waiting[2] },
        "starts_in_window": head.hits,
        "closed_until": head.closed_until_ms.map(wall),
        "breaker": breaker,
    })
}

/// In a word, what keeps others out whatever the numbers are.
fn condition(head: &Head) -> &'static str {
    match head.breaker {
        _ if !head.awaits.is_empty() => "waits_for_revision",
        _ if head.paused => "shut",
        _ if head.closed_until_ms.is_some() => "closed",
        Breaker::Open { .. } => "breaker_open",
        Breaker::HalfOpen { .. } => "breaker_half_open",
        Breaker::Closed { .. } => "open",
    }
}
