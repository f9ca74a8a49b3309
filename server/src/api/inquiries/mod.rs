//! Inquiries: questions that wait for an answer, and frozen workflows that wait for a decision.

mod closed;
mod open;

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use petrel_execution::workflow::{AnswerSchema, Asked};
use petrel_schemas::ExecutionId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::{JoinError, spawn_blocking};

use super::executions::{parse, unknown};
use super::{ApiError, App, Core, body, workflows};
use crate::live::{LiveExecution, Waiting, Wanted};
pub(super) use open::waits_for;

/// Most inquiries of one answer.
const LIST_MAX: usize = 1_000;
/// Largest answer to a question, in bytes: with its schema it has room in a result that stands in the log.
const ANSWER_BYTES_MAX: usize = 32 << 10;
/// Most executions that failed and are shown with a frozen workflow.
const FAILED_MAX: usize = 100;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A question.
    Question,
    /// A frozen workflow.
    Freeze,
}

/// Which come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Those that wait for longest.
    #[default]
    Oldest,
    /// Those that wait since lately.
    Latest,
}

/// Filters of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    kind: Option<Kind>,
    route: Option<String>,
    tag: Option<String>,
    /// Id of a workflow's execution, itself or above; or the reference of a workflow.
    workflow: Option<String>,
    #[serde(default)]
    order: Order,
    limit: Option<usize>,
}

/// Body of an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    answer: Value,
}

/// `GET /v1/inquiries`: what waits for a person.
pub async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let (waiting, complete) = core.live.all_waiting(|waiting| query.is_of_kind(waiting));
    let entries = waiting.iter().map(|waiting| (waiting.since_ms, open::entry(waiting, asker(core, waiting).as_ref())));
    Ok(Json(json!({ "inquiries": query.select(entries.collect()), "complete": complete })))
}

/// `GET /v1/inquiries/{id}`: all that a person needs; also of a question that is closed, as far as that is known.
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let Some(waiting) = core.live.waiting(id.as_str()) else { return closed(core, &id).await.map(Json) };
    let mut shown = open::whole(&waiting, asker(core, &waiting).as_ref());
    if waiting.wanted == Wanted::Decision {
        shown["executions"] = failed(core, &id, &shown).await;
    }
    Ok(Json(shown))
}

/// `POST /v1/inquiries/{id}/answer`.
pub async fn answer(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let bytes = body::bytes(request, ANSWER_BYTES_MAX, core.request_timeout()).await?;
    let AnswerBody { answer } = body::json_unquoted(&bytes, "{\"answer\": …}")?;
    let conflict = |code, message: String| Err(ApiError::new(StatusCode::CONFLICT, code, message));
    match core.live.waiting(id.as_str()) {
        Some(waiting) if waiting.wanted == Wanted::Answer => {
            check(&waiting, answer.clone()).await?;
            workflows::publish(core, &id, &Asked::Answer(answer)).await?;
            let told = json!({ "inquiry_id": id, "status": "open", "message": "answer requested" });
            Ok((StatusCode::ACCEPTED, Json(told)))
        }
        Some(_) => {
            let message =
                format!("{id} is no question: it is frozen, and waits for a decision (…/executions/{id}/decide)");
            conflict("not_possible", message)
        }
        None => {
            let (code, message) = closed::refusal(&id, &closed(core, &id).await?);
            conflict(code, message)
        }
    }
}

/// Checks an answer by the schema of its question.
async fn check(waiting: &Waiting, answer: Value) -> Result<(), ApiError> {
    let Some(schema) = open::parameters(waiting).get("schema").filter(|schema| !schema.is_null()).cloned() else {
        return Ok(());
    };
    // Whoever wrote the schema may have made it slow.
    let work = move || AnswerSchema::compile(&schema).map(|schema| schema.mistakes(&answer));
    let failed = |e: JoinError| ApiError::unavailable("internal", format!("the answer could not be checked: {e}"));
    match spawn_blocking(work).await.map_err(failed)? {
        Ok(mistakes) if mistakes.is_empty() => Ok(()),
        Ok(mistakes) => {
            let message = "the answer does not fit the schema of the question";
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_answer", message).with_details(mistakes))
        }
        Err(why) => {
            let message = format!("no answer can be checked by the schema of this question: {why}; it can be canceled");
            Err(ApiError::new(StatusCode::CONFLICT, "unusable_schema", message))
        }
    }
}

/// Whoever asks the question, or has started the workflow.
fn asker(core: &Core, waiting: &Waiting) -> Option<LiveExecution> {
    core.live.get(waiting.state.parent_execution_id.as_ref()?)
}

/// A question that is not open any more.
async fn closed(core: &Core, id: &ExecutionId) -> Result<Value, ApiError> {
    let live = core.live.get(id.as_str());
    if let Some(live) = live.as_ref().filter(|live| !live.is_over()) {
        return Err(asks_nothing(id, live.status()));
    }
    // The audit trail is a little behind, or down: what this server knows is told all the same.
    let row = match live.is_some() {
        true => core.sql()?.history(id.as_str()).await.unwrap_or_default(),
        false => core.sql()?.history(id.as_str()).await?,
    };
    let status = live.as_ref().map(LiveExecution::status).or_else(|| row.as_ref()?["status"].as_str());
    let status = status.ok_or_else(|| unknown(id))?.to_owned();
    closed::shown(id, live.as_ref(), row.as_ref()).ok_or_else(|| asks_nothing(id, &status))
}

fn asks_nothing(id: &ExecutionId, status: &str) -> ApiError {
    ApiError::not_found("unknown_inquiry", format!("{id} is {status}, and asks nothing of anybody"))
}

/// The executions of the tasks that failed in a frozen workflow, the latest first, with why, as far as that is known.
async fn failed(core: &Core, id: &ExecutionId, shown: &Value) -> Value {
    let tasks: Vec<&str> = workflows::frozen_tasks(&shown["frozen"]).map(|(task, _)| task).collect();
    let found = core.live.list(FAILED_MAX, |e| open::is_failed_child(e, id.as_str(), &tasks));
    let ids: Vec<&str> = found.iter().map(|e| e.id.as_str()).collect();
    let told = match core.sql() {
        Ok(sql) if !ids.is_empty() => sql.histories(&ids).await.unwrap_or_default(),
        _ => HashMap::new(),
    };
    found.iter().map(|e| open::failed_child(e, told.get(&e.id))).collect()
}

impl ListQuery {
    fn is_of_kind(&self, waiting: &Waiting) -> bool {
        self.kind.is_none_or(|kind| (kind == Kind::Question) == (waiting.wanted == Wanted::Answer))
    }

    /// Those that are asked for, in the order that is, of entries with since when they wait.
    fn select(&self, entries: Vec<(i64, Value)>) -> Vec<Value> {
        let is = |wanted: &Option<String>, entry: &Value, name: &str| {
            wanted.as_ref().is_none_or(|wanted| entry[name].as_str() == Some(wanted))
        };
        let is_wanted = |entry: &Value| {
            is(&self.route, entry, "route")
                && is(&self.tag, entry, "tag")
                && self.workflow.as_ref().is_none_or(|workflow| open::is_of(entry, workflow))
        };
        let mut wanted: Vec<(i64, Value)> = entries.into_iter().filter(|(_, entry)| is_wanted(entry)).collect();
        // Those of the same instant stay in the order of their ids.
        wanted.sort_by_key(|(since_ms, _)| if self.order == Order::Oldest { *since_ms } else { -*since_ms });
        wanted.into_iter().map(|(_, entry)| entry).take(self.limit.unwrap_or(100).min(LIST_MAX)).collect()
    }
}

#[cfg(test)]
mod tests;
