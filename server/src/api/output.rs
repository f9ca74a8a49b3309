//! What an execution writes: a page of it, or all of it as it comes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use petrel_schemas::OutputChunk;
use serde::Deserialize;
use serde_json::{Value, json};

use super::executions::{parse, unknown};
use super::stream::{self, Following, Seat};
use super::{ApiError, App, Core};
use crate::output::{Page, Place};
use crate::world::rfc3339;

/// Most bytes of output in one answer, and in memory for one reader.
const PAGE_BYTES_MAX: usize = 256 << 10;
/// How often it is looked whether an execution is over.
const LOOK: Duration = Duration::from_millis(200);
/// How long behind the end of an execution its last output is waited for, in milliseconds.
const SETTLE_MS: i64 = 2_000;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputQuery {
    after: Option<String>,
    stream: Option<String>,
    wait_ms: Option<u64>,
}

/// How an execution stands.
#[derive(Debug, Clone)]
struct Standing {
    status: String,
    return_code: Value,
    attempt: Option<i32>,
    /// When it ended, in milliseconds since the epoch, where that is known; 0 where it was long ago.
    ended_at_ms: Option<i64>,
}

/// `GET /v1/executions/{id}/output`.
pub async fn output(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OutputQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    if let Some(stream) = query.stream.as_deref().filter(|stream| !matches!(*stream, "stdout" | "stderr")) {
        return Err(ApiError::bad_request("malformed_stream", format!("{stream:?} is neither stdout nor stderr")));
    }
    let after = stream::resumed(&headers).or(query.after.as_deref());
    let place = |text| {
        Place::parse(text).ok_or_else(|| {
            ApiError::bad_request("malformed_place", format!("{text:?} is no place in an output, such as 1.17"))
        })
    };
    let after = after.map(place).transpose()?;
    let told = standing(core, id.as_str()).await;
    let known = core.output.page(id.as_str(), None, None, 0).latest.is_some();
    if told.is_none() && !known {
        return Err(unknown(&id));
    }
    let reader = Reader { app: app.clone(), id: id.to_string(), stream: query.stream, told, after };
    let seat = Seat::take(core.config.api.output_readers_max)?;
    if stream::is_wanted(&headers) {
        return Ok(stream::events(reader, seat));
    }
    Ok(Json(reader.answer(stream::wait(query.wait_ms)).await?).into_response())
}

/// From the live view, else from the audit trail.
async fn standing(core: &Core, id: &str) -> Option<Standing> {
    if let Some(standing) = live_standing(core, id) {
        return Some(standing);
    }
    let told = core.sql().ok()?.history(id).await.ok()??;
    Some(Standing {
        status: told["status"].as_str().unwrap_or_default().to_owned(),
        return_code: told["return_code"].clone(),
        attempt: told["attempt"].as_i64().and_then(|attempt| i32::try_from(attempt).ok()),
        ended_at_ms: (!told["ended_at"].is_null()).then_some(0),
    })
}

fn live_standing(core: &Core, id: &str) -> Option<Standing> {
    let live = core.live.get(id)?;
    Some(Standing {
        status: live.status().to_owned(),
        return_code: json!(live.ended.as_ref().and_then(|ended| ended.return_code)),
        attempt: live.state.as_ref().map(|state| state.attempt),
        ended_at_ms: live.is_over().then(|| live.ended.as_ref().map_or(0, |ended| ended.ended_at_ms)),
    })
}

/// Who reads what an execution writes.
struct Reader {
    app: App,
    id: String,
    stream: Option<String>,
    /// What was known of the execution last.
    told: Option<Standing>,
    after: Option<Place>,
}

impl Reader {
    /// What is behind the place that is known, and whether nothing more comes.
    fn look(&mut self) -> Result<(Page, bool), ApiError> {
        let core = self.app.core()?;
        // First how it stands: what is told before the end is there then.
        if let Some(standing) = live_standing(core, &self.id) {
            self.told = Some(standing);
        }
        let page = core.output.page(&self.id, self.after, self.stream.as_deref(), PAGE_BYTES_MAX);
        let is_over = !page.has_more
            && self.told.as_ref().is_some_and(|told| {
                let is_all = page.latest.is_some_and(|(attempt, is_last)| is_last && told.attempt == Some(attempt));
                let is_settled = |ended_at_ms: i64| core.clock.now_ms() >= ended_at_ms.saturating_add(SETTLE_MS);
                told.ended_at_ms.is_some_and(|ended_at_ms| is_all || is_settled(ended_at_ms))
            });
        if let Some(last) = page.chunks.last() {
            self.after = Some(place(last));
        }
        Ok((page, is_over))
    }

    /// Waits for output, or for the end.
    async fn next(&mut self) -> Result<(Page, bool), ApiError> {
        let mut changes = self.app.core()?.output.changes();
        loop {
            let (page, is_over) = self.look()?;
            // A process that ends waits for what it answers.
            if is_over || !page.chunks.is_empty() || self.is_stopping() {
                return Ok((page, is_over));
            }
            // Whether it has changed or not, how the execution stands is looked at.
            let _ = tokio::time::timeout(LOOK, changes.changed()).await;
        }
    }

    /// One page.
    async fn answer(mut self, wait: Duration) -> Result<Value, ApiError> {
        let (page, is_over) = match tokio::time::timeout(wait, self.next()).await {
            Ok(next) => next?,
            Err(_) => self.look()?,
        };
        let mut answer = json!({
            "execution_id": self.id,
            "chunks": page.chunks.iter().map(|chunk| shown(chunk)).collect::<Vec<_>>(),
            "next": self.after.map(|after| after.to_string()),
            "has_more": page.has_more,
        });
        merge(&mut answer, self.ending(is_over, &page));
        Ok(answer)
    }

    /// How the execution stands, for whoever has read that far.
    fn ending(&self, is_over: bool, page: &Page) -> Value {
        json!({
            "is_over": is_over,
            "status": self.told.as_ref().map(|told| &told.status),
            "return_code": self.told.as_ref().map(|told| &told.return_code),
            // What is not kept any more, or was told by nobody, may stand in the audit trail.
            "is_kept": page.latest.is_some(),
        })
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn place(chunk: &OutputChunk) -> Place {
    Place { attempt: chunk.attempt, sequence: chunk.sequence }
}

/// A chunk; what is no text is in base64.
fn shown(chunk: &OutputChunk) -> Value {
    let mut shown = json!({
        "id": place(chunk).to_string(),
        "attempt": chunk.attempt,
        "sequence": chunk.sequence,
        "stream": chunk.stream,
        "offset": chunk.offset,
        "bytes": chunk.bytes.len(),
        "is_last": chunk.is_last,
        "told_at": rfc3339(chunk.told_at_ms),
    });
    match std::str::from_utf8(&chunk.bytes) {
        Ok(text) => shown["text"] = text.into(),
        Err(_) => shown["base64"] = STANDARD.encode(&chunk.bytes).into(),
    }
    shown
}

impl Following for Reader {
    async fn events(&mut self) -> Result<(String, bool), ApiError> {
        let (page, is_over) = self.next().await?;
        let chunks = page.chunks.iter().map(event_of);
        let end = is_over.then(|| stream::end(&self.ending(true, &page)));
        Ok((chunks.chain(end).collect(), is_over))
    }

    fn is_stopping(&self) -> bool {
        self.app.core().is_ok_and(|core| core.stop.is_set())
    }
}

fn event_of(chunk: &Arc<OutputChunk>) -> String {
    stream::event("output", &place(chunk).to_string(), &shown(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_in_base64() {
        let mut chunk = OutputChunk {
            execution_id: "e".to_owned(),
            attempt: 2,
            sequence: 7,
            stream: "stdout".to_owned(),
            offset: 3,
            bytes: b"a\nb".to_vec(),
            is_last: false,
            told_at_ms: 0,
        };
        let text = shown(&chunk);
        assert_eq!((&text["id"], &text["text"], &text["bytes"]), (&json!("2.7"), &json!("a\nb"), &json!(3)));
        let event = event_of(&Arc::new(chunk.clone()));
        assert!(event.starts_with("id: 2.7\nevent: output\ndata: {") && event.ends_with("}\n\n"), "{event}");
        assert_eq!(event.lines().count(), 4, "no line end of the output ends a line of the event");
        chunk.bytes = vec![0xFF];
        assert_eq!((&shown(&chunk)["base64"], shown(&chunk).get("text")), (&json!("/w=="), None));
    }
}
