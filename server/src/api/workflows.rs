//! Workflows that run or have run: what people ask of them, and what they wait for.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use petrel_bus::Output;
use petrel_catalog::did_you_mean;
use petrel_execution::Status;
use petrel_execution::workflow::{Asked, Decision, RerunTask};
use petrel_schemas::{ExecutionId, ExecutionState, encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::executions::parse;
use super::{ApiError, App, Core, body, user};
use crate::live::{LiveExecution, frozen};

/// Largest body of what is asked of a workflow, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;

/// What an order is answered with.
type Asking = Result<(StatusCode, Json<Value>), ApiError>;

/// Body of a resume.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {
    /// Merged into the variables of what is to begin.
    #[serde(default)]
    variables: Map<String, Value>,
}

/// Body of a rerun.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RerunBody {
    /// Without any, those that failed.
    #[serde(default)]
    tasks: Vec<RerunTask>,
}

/// `POST /v1/executions/{id}/pause`: a workflow, and those below it.
pub async fn pause(State(app): State<App>, Path(id): Path<String>) -> Asking {
    order(app.core()?, &parse(&id)?, &Asked::Pause).await
}

/// `POST /v1/executions/{id}/resume`; with variables only one that is frozen.
pub async fn resume(State(app): State<App>, Path(id): Path<String>, request: Body) -> Asking {
    let (core, id) = (app.core()?, parse(&id)?);
    let ResumeBody { variables } = optional(core, request).await?;
    let asked = match variables.is_empty() {
        true => Asked::Resume,
        false => Asked::Decide(Decision::Resume { variables }),
    };
    order(core, &id, &asked).await
}

/// `POST /v1/executions/{id}/rerun`.
pub async fn rerun(State(app): State<App>, Path(id): Path<String>, request: Body) -> Asking {
    let (core, id) = (app.core()?, parse(&id)?);
    let RerunBody { tasks } = optional(core, request).await?;
    order(core, &id, &Asked::Rerun(tasks)).await
}

/// `POST /v1/executions/{id}/decide`: about a frozen workflow.
pub async fn decide(State(app): State<App>, Path(id): Path<String>, request: Body) -> Asking {
    let (core, id) = (app.core()?, parse(&id)?);
    let mut decision: Value = body::json(&read(core, request).await?)?;
    let known = core.live.get(id.as_str()).and_then(|live| live.state);
    if let Some(frozen) = known.as_ref().and_then(frozen) {
        find_route(&mut decision, &frozen);
    }
    let decision = serde_json::from_value(decision)
        .map_err(|e| ApiError::bad_request("malformed_decision", format!("the body is no decision: {e}")))?;
    order(core, &id, &Asked::Decide(decision)).await
}

/// Asks something of a workflow. What this server knows not to be possible is refused here; the owner decides.
async fn order(core: &Core, id: &ExecutionId, asked: &Asked) -> Asking {
    let known = core.live.get(id.as_str());
    if let Some(why) = refusal(id, known.as_ref(), asked) {
        return Err(ApiError::new(StatusCode::CONFLICT, "not_possible", why));
    }
    publish(core, id, asked).await?;
    let status = known.as_ref().map(LiveExecution::status);
    Ok((StatusCode::ACCEPTED, Json(json!({ "status": status, "message": format!("{} requested", asked.as_str()) }))))
}

/// Writes an order to where its owner reads.
pub(super) async fn publish(core: &Core, id: &ExecutionId, asked: &Asked) -> Result<(), ApiError> {
    let (root, record) = (id.root(), asked.order(id, &user(), core.clock.now_ms()));
    core.publisher.publish(vec![Output::keyed(&core.topics.requests(), root.as_str(), encode(&record))]).await?;
    Ok(())
}

/// Whether an execution runs on workers, and is so no workflow.
pub(super) fn is_task(state: &ExecutionState) -> bool {
    !state.delivery.is_empty() && !state.pool.is_empty()
}

/// Why something cannot be asked of an execution, as far as this server knows it.
fn refusal(id: &ExecutionId, known: Option<&LiveExecution>, asked: &Asked) -> Option<String> {
    let what = asked.as_str();
    let root = id.root();
    if matches!(asked, Asked::Rerun(_)) && root != *id {
        return Some(format!("{id} belongs to {root}, which can run again as a whole: petrel workflow rerun {root}"));
    }
    let live = known?;
    let state = live.state.as_ref();
    match asked {
        _ if state.is_some_and(is_task) => Some(format!("{id} is no workflow, and cannot {what}")),
        Asked::Rerun(_) if !live.is_over() => {
            let instead = match state.and_then(frozen) {
                Some(_) => format!("it is frozen: petrel inquiry show {id} says what can be decided"),
                None => "only what is over runs again".to_owned(),
            };
            Some(format!("{id} is {}, and cannot rerun: {instead}", live.status()))
        }
        Asked::Rerun(_) => None,
        _ if live.is_over() => Some(format!("{id} is over, and cannot {what}")),
        Asked::Decide(decision) => {
            let frozen = state.and_then(frozen);
            undecidable(live.status(), frozen.as_ref(), decision).map(|why| format!("{id} {why}"))
        }
        _ => None,
    }
}

/// Why nobody can decide so about what is not over.
fn undecidable(status: &str, frozen: Option<&Value>, decision: &Decision) -> Option<String> {
    let Some(frozen) = frozen else {
        let hint = match Status::parse(status) {
            Some(Status::Paused) => "paused and not frozen: petrel workflow resume lets it go on as it is".to_owned(),
            // Of one that freezes, the workflow alone knows what has failed.
            Some(Status::Pausing) if is_about_one_task(decision) => return None,
            Some(Status::Pausing) => "pausing: it goes on, or is rolled back, once what runs has ended".to_owned(),
            _ => format!("{status} and not frozen, so that there is nothing to decide"),
        };
        return Some(format!("is {hint}"));
    };
    let (task, route) = match decision {
        Decision::Skip { task, route, .. } | Decision::Retry { task, route, .. } => (task, *route),
        Decision::Resume { .. } | Decision::Rollback => return None,
    };
    // Where there was no room for them, only the workflow knows.
    if frozen["tasks"].is_null() {
        return None;
    }
    let failed: Vec<String> = frozen_tasks(frozen).map(|(name, route)| shown_task(name, route)).collect();
    let wanted = shown_task(task, u64::from(route));
    if failed.contains(&wanted) {
        return None;
    }
    let hint = did_you_mean(&wanted, failed.iter().map(String::as_str));
    Some(format!("waits for decisions about {}, and for none about {wanted}{hint}", failed.join(", ")))
}

fn is_about_one_task(decision: &Decision) -> bool {
    matches!(decision, Decision::Skip { .. } | Decision::Retry { .. })
}

/// The tasks that failed in a frozen workflow, with their routes.
pub(super) fn frozen_tasks(frozen: &Value) -> impl Iterator<Item = (&str, u64)> {
    let tasks = frozen["tasks"].as_array().into_iter().flatten();
    tasks.filter_map(|task| Some((task["task"].as_str()?, task["route"].as_u64().unwrap_or_default())))
}

/// A task as people write it: with its route where that is not the first.
pub(super) fn shown_task(task: &str, route: u64) -> String {
    if route == 0 { task.to_owned() } else { format!("{task}~{route}") }
}

/// A task that failed on one route alone is meant by its name.
fn find_route(decision: &mut Value, frozen: &Value) {
    let task = decision["task"].as_str().filter(|_| decision.get("route").is_none());
    let routes: Vec<u64> =
        frozen_tasks(frozen).filter(|(name, _)| Some(*name) == task).map(|(_, route)| route).collect();
    if let [route] = routes[..] {
        decision["route"] = route.into();
    }
}

async fn read(core: &Core, request: Body) -> Result<Vec<u8>, ApiError> {
    body::bytes(request, BODY_BYTES_MAX, core.request_timeout()).await
}

/// A body that may be left out.
async fn optional<T: DeserializeOwned + Default>(core: &Core, request: Body) -> Result<T, ApiError> {
    let bytes = read(core, request).await?;
    if bytes.is_empty() { Ok(T::default()) } else { body::json(&bytes) }
}

/// What an execution that is not over waits for: a gate, as an object; else, as a sentence, what its owner knows, or a person.
pub(super) fn waits_for(core: &Core, state: &ExecutionState) -> Option<Value> {
    let by_owner = || super::switches::waits_for(state).or_else(|| super::inquiries::waits_for(state)).map(Value::from);
    super::gates::waits_for(core, state).or_else(by_owner)
}

#[cfg(test)]
mod tests;
