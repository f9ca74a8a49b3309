//! Executions: list, get, cancel; running an action by hand; pausing and resuming dispatch.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use petrel_bus::{Output, To};
use petrel_execution::Status;
use petrel_schemas::{ActionRequest, CancelRequest, Class, ExecutionId, KvEntry, encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ApiError, App, body, descendants, results, user, workers, workflows};
use crate::live::{LiveExecution, frozen};
use crate::world::{DISPATCH_KEY, rfc3339};

/// Most executions of one answer.
const LIST_MAX: usize = 1_000;
/// Largest body of these requests, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Filters of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    rule: Option<String>,
    limit: Option<usize>,
}

/// Shape of the body of a manual run.
const RUN_BODY: &str = "{\"parameters\": {…}, \"class\": \"urgent\"}";

/// Body of a manual run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Its class; none takes that of the action.
    class: Option<String>,
    /// Names of those that the caller takes to be sealed: one that would be shown is refused.
    #[serde(default)]
    sealed: Vec<String>,
    /// Parameters whose values are the results of other executions: name and id.
    #[serde(default)]
    results: BTreeMap<String, String>,
}

/// Body of a pause or resume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DispatchBody {
    reason: Option<String>,
}

/// `GET /v1/executions`: the latest first, from the live view. Of those that were over before the view saw them, the
/// audit trail knows the rest.
pub async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let limit = query.limit.unwrap_or(20).min(LIST_MAX);
    let passes = |e: &LiveExecution| {
        query.status.as_ref().is_none_or(|s| s == e.status())
            && query.rule.as_ref().is_none_or(|r| e.state.as_ref().is_none_or(|s| s.rule.as_ref() == Some(r)))
    };
    // Which rule a bare one is of is not known before the audit trail has told.
    let candidates_max = if query.rule.is_some() { LIST_MAX } else { limit };
    let found = core.live.list(candidates_max, passes);
    let bare: Vec<&str> = found.iter().filter(|e| e.state.is_none()).map(|e| e.id.as_str()).collect();
    // The audit trail is a little behind, or down: they are shown all the same.
    let told = match bare.is_empty() {
        true => HashMap::new(),
        false => core.sql()?.histories(&bare).await.unwrap_or_else(|error| {
            tracing::warn!(?error, "the audit trail does not tell of executions");
            HashMap::new()
        }),
    };
    let shown = found.iter().map(|e| filled(shown(e), told.get(&e.id)));
    let is_wanted = |e: &Value| query.rule.as_ref().is_none_or(|r| e["rule"].as_str() == Some(r));
    Ok(Json(json!({ "executions": shown.filter(is_wanted).take(limit).collect::<Vec<_>>() })))
}

/// `GET /v1/executions/{id}`: from the live view, else from the audit trail; with its output.
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let live = core.live.get(id.as_str());
    let scheduled_at_ms = live.as_ref().and_then(|live| live.state.as_ref()?.scheduled_at_ms);
    let mut execution = match live {
        Some(live) if !live.is_over() => shown(&live),
        // Why it ended so, and with which result, is told by the audit trail alone.
        Some(live) => filled(shown(&live), core.sql()?.history(id.as_str()).await.ok().flatten().as_ref()),
        None => core.sql()?.history(id.as_str()).await?.ok_or_else(|| unknown(&id))?,
    };
    if execution["status"] == Status::Scheduled.as_str()
        && let Some(pool) = execution["pool"].as_str()
        && scheduled_at_ms.is_some_and(|at_ms| core.clock.now_ms() >= at_ms + workers::SOON_MS)
        && let Some(why) = workers::why_unclaimed(core, pool).await
    {
        execution["waits_for"] = format!("a worker: {why}").into();
    }
    let waiting = core.live.get(id.as_str()).filter(|live| !live.is_over()).and_then(|live| live.state);
    if let Some(waits_for) = waiting.as_ref().and_then(|state| workflows::waits_for(core, state)) {
        execution["waits_for"] = waits_for;
    }
    if let Some(frozen) = waiting.as_ref().and_then(frozen) {
        execution["frozen"] = frozen;
    }
    descendants::show(core, &id, &mut execution).await;
    // The audit trail is a little behind, or down: the execution is shown all the same.
    if let Ok(output) = core.sql()?.output(id.as_str()).await
        && let Value::Object(into) = &mut execution
    {
        into.extend(output);
    }
    Ok(Json(execution))
}

/// `POST /v1/executions/{id}/cancel`: reaches any execution that is not over, for its id says whose it is.
pub async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let root = id.root();
    let request = CancelRequest::of(&id, &user(), core.clock.now_ms());
    // In the partition of its request, and so behind it.
    core.publisher.publish(vec![Output::keyed(&core.topics.requests(), root.as_str(), encode(&request))]).await?;
    let known = core.live.get(id.as_str());
    let message = match &known {
        Some(live) if live.is_over() => "it is over already",
        Some(_) => "cancel requested",
        None => "cancel requested; this server does not know the execution, and it is canceled if it is not over",
    };
    let answer = json!({ "execution_id": id, "status": known.map(|e| e.status().to_owned()), "message": message });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// `POST /v1/actions/{action}/run`: a manual run is a request like any other, and audited like any other. The same
/// `Idempotency-Key` for the same action is the same execution.
pub async fn run(
    State(app): State<App>,
    Path(action): Path<String>,
    headers: HeaderMap,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let id = match idempotency_key(&headers)? {
        Some(key) => ExecutionId::of_keyed(&action, key),
        None => ExecutionId::of_manual(&uuid::Uuid::now_v7().to_string()),
    };
    let bytes = body::bytes(request, BODY_BYTES_MAX, core.request_timeout()).await?;
    let RunBody { mut parameters, class, sealed, results: given } = body::json_unquoted(&bytes, RUN_BODY)?;
    let class = class.map(|class| parse_class(&class)).transpose()?;
    results::give(core, &mut parameters, &given).await?;
    let asked = core.world.action_in_force(&action)?;
    results::check_not_secret(&action, asked.plan.parameters.secrets(), &given)?;
    // From here on, secrets have only names.
    let given = core.door.take(&action, &asked.plan, Value::Object(parameters), &sealed).await?;
    let parameters = given.parameters.clone();
    let completed = asked.check(&action, &parameters)?;
    let known = core.live.get(id.as_str());
    check_same(known.as_ref(), &[&parameters, &completed])?;
    // What was given to one that is over is removed, and another value would be used by nobody.
    if known.is_none_or(|known| !known.is_over()) {
        core.door.keep(&id, &given, &user()).await?;
    }
    let (parameters, now_ms) = (parameters.to_string(), core.clock.now_ms());
    let request = ActionRequest {
        kv_version: asked.kv_version,
        class: class.map(|class| class.as_str().to_owned()),
        ..ActionRequest::by_hand(&id, &action, parameters, &asked.revision, &user(), now_ms)
    };
    core.publisher.publish(vec![Output::keyed(&core.topics.requests(), id.as_str(), encode(&request))]).await?;
    let mut answer = json!({ "execution_id": id.as_str() });
    if given.sealed().next().is_some() {
        answer["sealed"] = given.sealed().collect();
    }
    Ok((StatusCode::ACCEPTED, Json(answer)))
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
        headers: Vec::new(),
    };
    core.publisher.publish(vec![record]).await?;
    core.world.wait_for_stages(|globals| globals.is_paused() == paused, &core.stages).await?;
    Ok(Json(value))
}

/// Whether an execution that was asked for before with the same key is the one that is asked for now: its parameters
/// are those of the request, or those with their defaults. Only the live view is asked, so that nothing has to be
/// remembered for it: what that does not know is the first request's execution, whatever this one says.
fn check_same(known: Option<&LiveExecution>, parameters: &[&Value]) -> Result<(), ApiError> {
    let Some(state) = known.and_then(|known| known.state.as_ref()) else { return Ok(()) };
    match serde_json::from_str::<Value>(&state.parameters) {
        Ok(before) if !parameters.contains(&&before) => {
            let message = format!(
                "this idempotency key named execution {} of {}, which has other parameters; a new request takes a new key",
                state.execution_id, state.action
            );
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message))
        }
        _ => Ok(()),
    }
}

/// The caller's key, if there is one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let fits =
        |key: &&str| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    value.to_str().ok().filter(fits).map(Some).ok_or_else(|| {
        let message = format!("an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters");
        ApiError::bad_request("malformed_idempotency_key", message)
    })
}

pub(super) fn parse(id: &str) -> Result<ExecutionId, ApiError> {
    ExecutionId::parse(id).map_err(|e| ApiError::bad_request("malformed_id", format!("{id:?}: {e}")))
}

fn parse_class(class: &str) -> Result<Class, ApiError> {
    let unknown = || format!("{class:?} is no class: there are {}", Class::ALL.map(Class::as_str).join(", "));
    Class::parse(class).ok_or_else(|| ApiError::bad_request("unknown_class", unknown()))
}

pub(super) fn unknown(id: &ExecutionId) -> ApiError {
    ApiError::not_found("unknown_execution", format!("there is no execution {id} (a new one appears within a moment)"))
}

/// An execution as the API shows it.
pub(super) fn shown(e: &LiveExecution) -> Value {
    let (state, ended) = (e.state.as_ref(), e.ended.as_ref());
    let code = match ended {
        Some(ended) => ended.code.clone(),
        None => state.and_then(|s| s.code.clone()),
    };
    json!({
        "execution_id": e.id,
        "parent_execution_id": state.and_then(|s| s.parent_execution_id.clone()),
        "task": state.and_then(|s| s.task.clone()),
        "status": e.status(),
        "code": code,
        "action": state.map(|s| &s.action),
        "pool": state.map(|s| &s.pool).filter(|pool| !pool.is_empty()),
        "class": state.and_then(|s| s.class.clone()),
        "parameters": state.and_then(|s| serde_json::from_str::<Value>(&s.parameters).ok()),
        "rule": state.and_then(|s| s.rule.clone()),
        "trigger": state.and_then(|s| s.trigger.clone()),
        "event_id": state.and_then(|s| s.event_id.clone()),
        "revision": state.map(|s| &s.revision),
        "requested_by": state.map(|s| &s.requested_by),
        "requested_at": state.map(|s| rfc3339(s.requested_at_ms)),
        "started_at": state.and_then(|s| s.started_at_ms).map(rfc3339),
        "ended_at": ended.map(|e| rfc3339(e.ended_at_ms)),
        "attempt": state.map(|s| s.attempt),
        "lost_leases": state.map(|s| s.lost_leases),
        "hand_overs": state.map(|s| s.hand_overs),
        "worker": state.and_then(|s| s.worker.clone()),
        "return_code": ended.and_then(|e| e.return_code),
        // Of what is over, the audit trail has the text.
        "error": if ended.is_some() { None } else { state.and_then(|s| s.error.clone()) },
        "result": null,
        "extracted": null,
        "result_object": null,
    })
}

/// What the live view does not know is taken from the audit trail, once that has heard of the same status.
fn filled(mut shown: Value, told: Option<&Value>) -> Value {
    if let (Value::Object(into), Some(Value::Object(told))) = (&mut shown, told)
        && into.get("status") == told.get("status")
    {
        for (name, value) in into.iter_mut().filter(|(_, value)| value.is_null()) {
            *value = told.get(name).cloned().unwrap_or_default();
        }
    }
    shown
}
