//! What an execution writes: a page of it, or all of it as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body::Frame;
use petrel_schemas::OutputChunk;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::executions::{parse, unknown};
use super::{ApiError, App, Core};
use crate::output::{Page, Place};
use crate::world::rfc3339;

/// Most bytes of output in one answer, and in memory for one reader.
const PAGE_BYTES_MAX: usize = 256 << 10;
/// Longest wait for output in one request, in milliseconds.
const WAIT_MS_MAX: u64 = 30_000;
/// How often it is looked whether an execution is over.
const LOOK: Duration = Duration::from_millis(200);
/// How long behind the end of an execution its last output is waited for, in milliseconds.
const SETTLE_MS: i64 = 2_000;
/// A reader who takes nothing for so long is cut off; it may come again.
const STALLED: Duration = Duration::from_secs(30);
/// Between signs of life to a reader.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Events that wait for a reader.
const EVENTS_MAX: usize = 4;
/// What a browser, or a library, sends to be told as it comes.
const EVENT_STREAM: &str = "text/event-stream";

/// Readers of this process.
static READERS: AtomicUsize = AtomicUsize::new(0);

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
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = match resumed.or(query.after.as_deref()) {
        None => None,
        Some(text) => Some(Place::parse(text).ok_or_else(|| {
            ApiError::bad_request("malformed_place", format!("{text:?} is no place in an output, such as 1.17"))
        })?),
    };
    let told = standing(core, id.as_str()).await;
    let known = core.output.page(id.as_str(), None, None, 0).latest.is_some();
    if told.is_none() && !known {
        return Err(unknown(&id));
    }
    let reader = Reader { app: app.clone(), id: id.to_string(), stream: query.stream, told, after };
    let wants = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let seat = Seat::take(core.config.api.output_readers_max)?;
    if wants.is_some_and(|accept| accept.contains(EVENT_STREAM)) {
        return Ok(events(reader, seat));
    }
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    Ok(Json(reader.answer(wait).await?).into_response())
}

/// A reader is counted for as long as this is there.
struct Seat;

impl Seat {
    fn take(readers_max: usize) -> Result<Self, ApiError> {
        let more = |readers: usize| (readers < readers_max).then_some(readers + 1);
        match READERS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more) {
            Ok(_) => Ok(Self),
            Err(_) => {
                let message = format!("{readers_max} readers follow executions already (api.output_readers_max)");
                Err(ApiError::unavailable("too_many_readers", message))
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Ordering::SeqCst);
    }
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

    fn is_stopping(&self) -> bool {
        self.app.core().is_ok_and(|core| core.stop.is_set())
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

/// All that comes, as events. What a reader does not take holds up nothing but itself.
fn events(mut reader: Reader, seat: Seat) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(EVENTS_MAX);
    tokio::spawn(async move {
        let _seat = seat;
        loop {
            let (event, is_over) = match tokio::time::timeout(SIGN_OF_LIFE, reader.next()).await {
                Err(_) => (": it runs on\n\n".to_owned(), false),
                Ok(Err(_)) => return,
                Ok(Ok((page, is_over))) => {
                    let mut events: String = page.chunks.iter().map(event_of).collect();
                    if is_over {
                        events += &format!("event: end\ndata: {}\n\n", reader.ending(true, &page));
                    }
                    (events, is_over)
                }
            };
            if !is_taken(&sender, event.into()).await || is_over || reader.is_stopping() {
                return;
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::new(Parts(receiver))).into_response()
}

/// Whether the reader has room for a part of its answer; one that is gone, or does not read, has none.
pub(super) async fn is_taken(sender: &mpsc::Sender<Bytes>, part: Bytes) -> bool {
    matches!(tokio::time::timeout(STALLED, sender.send(part)).await, Ok(Ok(())))
}

fn event_of(chunk: &Arc<OutputChunk>) -> String {
    format!("id: {}\nevent: output\ndata: {}\n\n", place(chunk), shown(chunk))
}

/// The body of an answer that comes in parts.
pub(super) struct Parts(pub(super) mpsc::Receiver<Bytes>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off_and_one_that_is_slow_is_not() {
        let (sender, mut receiver) = mpsc::channel(EVENTS_MAX);
        for _ in 0..EVENTS_MAX {
            assert!(is_taken(&sender, "event".into()).await);
        }
        assert!(!is_taken(&sender, "one too many".into()).await);
        let slow = async {
            tokio::time::sleep(STALLED / 2).await;
            receiver.recv().await
        };
        let (taken, received) = tokio::join!(is_taken(&sender, "late".into()), slow);
        assert!(taken && received.is_some());
        drop(receiver);
        assert!(!is_taken(&sender, "gone".into()).await);
    }

    #[test]
    fn there_are_no_more_readers_than_may_be() {
        let first = Seat::take(2).unwrap();
        let second = Seat::take(2).unwrap();
        assert_eq!(Seat::take(2).err().map(|error| error.code), Some("too_many_readers"));
        drop(second);
        assert!(Seat::take(2).is_ok());
        drop(first);
    }

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
