//! What the tasks of a workflow come to: a page of it, or all of it as it comes, until the workflow is over.
//!
//! It is read from the audit trail, which has each change of a task once, from the beginning; only the live view tells at
//! once that a workflow runs.

use std::fmt;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use petrel_execution::Status;
use petrel_schemas::ExecutionId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::executions::{parse, unknown};
use super::stream::{self, Following, Seat};
use super::workflows::is_task;
use super::{ApiError, App, Core};
use crate::live::LiveExecution;
use crate::world::rfc3339;

/// Most changes of tasks in one answer, and in memory for one reader.
const PAGE_MAX: usize = 1_000;
/// How often the audit trail is asked for a reader.
const LOOK: Duration = Duration::from_millis(500);
/// Readers for whom the audit trail is asked at the same time; with more of them each hears of it a little later.
const ASKED_AT_ONCE: usize = 4;

/// Those who may ask now.
static ASKING: Semaphore = Semaphore::const_new(ASKED_AT_ONCE);

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TasksQuery {
    after: Option<String>,
    wait_ms: Option<u64>,
}

/// Where the log tells of a change: the offset of its record, and its number within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    offset: i64,
    row: i64,
}

impl Place {
    /// Before all of them.
    const START: Self = Self { offset: -1, row: 0 };

    /// Reads `offset.row`.
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0);
        let (offset, row) = text.split_once('.')?;
        Some(Self { offset: number(offset)?, row: number(row)? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.row)
    }
}

/// Changes behind a place, in their order.
#[derive(Debug, Default, PartialEq)]
struct Page {
    moves: Vec<Value>,
    last: Option<Place>,
    /// Whether there are more behind them.
    has_more: bool,
}

/// How a workflow stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    status: String,
    /// Whether the audit trail has all that its tasks have come to.
    is_told: bool,
}

/// `GET /v1/executions/{id}/tasks`.
pub async fn tasks(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<TasksQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let place = |text| {
        Place::parse(text).ok_or_else(|| {
            ApiError::bad_request("malformed_place", format!("{text:?} is no place in the log, such as 1042.0"))
        })
    };
    let after = stream::resumed(&headers).or(query.after.as_deref()).map(place).transpose()?;
    if core.live.get(id.as_str()).and_then(|live| live.state).is_some_and(|state| is_task(&state)) {
        let message = format!("{id} is no workflow, and has no tasks; …/executions/{id}/output is what it writes");
        return Err(ApiError::new(StatusCode::CONFLICT, "not_possible", message));
    }
    let seat = Seat::take(core.config.api.output_readers_max)?;
    let told = standing(core, &id).await?.ok_or_else(|| unknown(&id))?;
    let reader = Reader { app: app.clone(), id, told, after };
    if stream::is_wanted(&headers) {
        return Ok(stream::events(reader, seat));
    }
    Ok(Json(reader.answer(stream::wait(query.wait_ms)).await?).into_response())
}

/// By the live view where that says that it runs; else by the audit trail, which is a little behind.
async fn standing(core: &Core, id: &ExecutionId) -> Result<Option<Standing>, ApiError> {
    let live = core.live.get(id.as_str());
    let told = match &live {
        Some(live) if !live.is_over() => None,
        _ => core.sql()?.standing(id.as_str()).await?,
    };
    Ok(together(live.as_ref(), told))
}

/// What the live view and the audit trail (status, and the number of the change that led to it) say together.
fn together(live: Option<&LiveExecution>, told: Option<(String, i64)>) -> Option<Standing> {
    let is_final = |status: &str| Status::parse(status).is_some_and(Status::is_final);
    let Some(live) = live else {
        return told.map(|(status, _)| Standing { is_told: is_final(&status), status });
    };
    // One that runs again has ended before, which is not what is waited for.
    let is_told = live
        .ended
        .as_ref()
        .is_some_and(|ended| told.is_some_and(|(status, change)| is_final(&status) && change >= ended.sequence));
    Some(Standing { status: live.status().to_owned(), is_told })
}

/// Who reads what the tasks of a workflow come to.
struct Reader {
    app: App,
    id: ExecutionId,
    /// What was known of the workflow last.
    told: Standing,
    after: Option<Place>,
}

impl Reader {
    /// What is behind the place that is known, and whether nothing more comes.
    async fn look(&mut self) -> Result<(Page, bool), ApiError> {
        // It is never closed.
        let _asking = ASKING.acquire().await;
        let core = self.app.core()?;
        // First how it stands: what its tasks came to is written before its end is.
        if let Some(standing) = standing(core, &self.id).await? {
            self.told = standing;
        }
        let Place { offset, row } = self.after.unwrap_or(Place::START);
        let page = page(core.sql()?.moves(self.id.as_str(), (offset, row), PAGE_MAX + 1).await?, PAGE_MAX);
        self.after = page.last.or(self.after);
        let is_over = self.told.is_told && !page.has_more;
        Ok((page, is_over))
    }

    /// Waits for changes, or for the end.
    async fn next(&mut self) -> Result<(Page, bool), ApiError> {
        loop {
            let (page, is_over) = self.look().await?;
            if is_over || !page.moves.is_empty() || self.is_stopping() {
                return Ok((page, is_over));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One page. Where there is nothing, it is looked again until it is time to answer.
    async fn answer(mut self, wait: Duration) -> Result<Value, ApiError> {
        let (mut page, mut is_over) = self.look().await?;
        if page.moves.is_empty()
            && !is_over
            && let Ok(next) = tokio::time::timeout(wait, self.next()).await
        {
            (page, is_over) = next?;
        }
        Ok(json!({
            "execution_id": self.id,
            "tasks": page.moves,
            "next": self.after.map(|after| after.to_string()),
            "has_more": page.has_more,
            "is_over": is_over,
            "status": self.told.status,
        }))
    }
}

impl Following for Reader {
    async fn events(&mut self) -> Result<(String, bool), ApiError> {
        let (page, is_over) = self.next().await?;
        let moves = page.moves.iter().map(|moved| {
            let id = moved["id"].as_str().unwrap_or_default();
            stream::event("task", id, moved)
        });
        let end = is_over.then(|| stream::end(&json!({ "is_over": true, "status": self.told.status })));
        Ok((moves.chain(end).collect(), is_over))
    }

    fn is_stopping(&self) -> bool {
        self.app.core().is_ok_and(|core| core.stop.is_set())
    }
}

/// At most so many of these rows of the audit trail.
fn page(mut rows: Vec<Value>, most: usize) -> Page {
    let has_more = rows.len() > most;
    rows.truncate(most);
    let last = rows.last().and_then(place);
    Page { moves: rows.iter().map(shown).collect(), last, has_more }
}

fn place(row: &Value) -> Option<Place> {
    Some(Place { offset: number(&row["log_offset"])?, row: number(&row["log_row"])? })
}

/// A task that has come to another status, as it is shown.
fn shown(row: &Value) -> Value {
    json!({
        "id": place(row).map(|place| place.to_string()),
        "task": row["task"],
        "route": row["route"],
        "run": row["run"],
        "change": row["change"],
        "status": row["status"],
        "moved_at": number(&row["moved_at_ms"]).map(rfc3339),
    })
}

/// ClickHouse may quote numbers of 64 bits.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use petrel_schemas::ExecutionEnded;

    use super::*;
    use crate::live::testkit::{ended, live, state};

    fn row(offset: i64, row: i64, task: &str, status: &str) -> Value {
        json!({
            "task": task, "route": 0, "run": 3, "change": 1, "status": status, "moved_at_ms": 1_500,
            "log_offset": offset.to_string(), "log_row": row,
        })
    }

    #[test]
    fn a_page_goes_on_behind_the_last_change_that_it_shows() {
        let rows = vec![row(7, 0, "ask", "running"), row(7, 1, "look", "running"), row(9, 0, "look", "succeeded")];
        let whole = page(rows.clone(), 3);
        assert_eq!((whole.moves.len(), whole.last, whole.has_more), (3, Place::parse("9.0"), false));
        assert_eq!(
            whole.moves[1],
            json!({
                "id": "7.1", "task": "look", "route": 0, "run": 3, "change": 1, "status": "running",
                "moved_at": "1970-01-01T00:00:01.5Z",
            })
        );
        let cut = page(rows, 2);
        assert_eq!((cut.moves.len(), cut.last, cut.has_more), (2, Place::parse("7.1"), true));
        assert_eq!(page(Vec::new(), 2), Page::default());
    }

    #[test]
    fn places_are_texts_in_the_order_of_the_log() {
        for text in ["0.0", "9223372036854775807.65535"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        for nothing in ["", "1", ".", "1.", "a.1", "1.2.3", "-1.0"] {
            assert_eq!(Place::parse(nothing), None, "{nothing}");
        }
        assert!(Place::START < Place { offset: 0, row: 0 } && Place::parse("9.7") < Place::parse("10.0"));
    }

    #[test]
    fn a_workflow_is_over_once_the_audit_trail_has_its_last_end() {
        let standing = |status: &str, is_told| Some(Standing { status: status.to_owned(), is_told });
        let told = |status: &str, change| Some((status.to_owned(), change));
        // Only the audit trail knows it.
        assert_eq!(together(None, told("failed", 5)), standing("failed", true));
        assert_eq!(together(None, told("running", 4)), standing("running", false));
        assert_eq!(together(None, None), None);
        // It runs, whatever its row says.
        assert_eq!(together(Some(&live(state(1, "running"))), told("failed", 5)), standing("running", false));
        let mut over = ended(state(1, "running"), "succeeded");
        over.ended = over.ended.map(|ended| ExecutionEnded { sequence: 9, ..ended });
        assert_eq!(together(Some(&over), None), standing("succeeded", false));
        assert_eq!(
            together(Some(&over), told("failed", 5)),
            standing("succeeded", false),
            "the end before it ran again"
        );
        assert_eq!(together(Some(&over), told("succeeded", 9)), standing("succeeded", true));
    }
}
