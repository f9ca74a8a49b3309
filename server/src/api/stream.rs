//! Answers that come in parts: to whoever follows something as server-sent events, or takes a large thing piece by piece.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use super::ApiError;

/// Longest wait for something new in one request, in milliseconds.
const WAIT_MS_MAX: u64 = 30_000;
/// A reader who takes nothing for so long is cut off; it may come again.
const STALLED: Duration = Duration::from_secs(30);
/// Between signs of life to a reader.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Parts of an answer that wait for a reader.
const PARTS_MAX: usize = 4;
/// What a browser, or a library, sends to be told as it comes.
const EVENT_STREAM: &str = "text/event-stream";

/// Readers of this process.
static READERS: AtomicUsize = AtomicUsize::new(0);

/// A reader is counted for as long as this is there.
pub(super) struct Seat(&'static AtomicUsize);

impl Seat {
    /// # Errors
    /// `too_many_readers` where so many are there already.
    pub(super) fn take(readers_max: usize) -> Result<Self, ApiError> {
        Self::among(&READERS, readers_max)
    }

    fn among(readers: &'static AtomicUsize, readers_max: usize) -> Result<Self, ApiError> {
        let more = |readers: usize| (readers < readers_max).then_some(readers + 1);
        match readers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more) {
            Ok(_) => Ok(Self(readers)),
            Err(_) => {
                let message = format!("{readers_max} readers follow executions already (api.output_readers_max)");
                Err(ApiError::unavailable("too_many_readers", message))
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What somebody follows until it is over.
pub(super) trait Following: Send + 'static {
    /// Waits for what comes next: it as events, and whether nothing more comes.
    fn events(&mut self) -> impl Future<Output = Result<(String, bool), ApiError>> + Send;

    /// Whether this process ends, which waits for what it answers.
    fn is_stopping(&self) -> bool;
}

/// Whether a request wants events.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains(EVENT_STREAM))
}

/// The id of the last event that whoever comes again has seen.
pub(super) fn resumed(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok())
}

/// How long a request waits for something new that asks to wait so many milliseconds.
pub(super) fn wait(wait_ms: Option<u64>) -> Duration {
    Duration::from_millis(wait_ms.unwrap_or(0).min(WAIT_MS_MAX))
}

/// One event. The JSON is on one line, so that nothing in it ends the event.
pub(super) fn event(name: &str, id: &str, data: &Value) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// The last event.
pub(super) fn end(data: &Value) -> String {
    format!("event: end\ndata: {data}\n\n")
}

/// All that comes, as events. What a reader does not take holds up nothing but itself.
pub(super) fn events(mut following: impl Following, seat: Seat) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(PARTS_MAX);
    tokio::spawn(async move {
        let _seat = seat;
        loop {
            // What is asked for is waited for, however long it takes: asked for anew each time, it might never come.
            let next = {
                let mut next = pin!(following.events());
                loop {
                    tokio::select! {
                        next = &mut next => break next,
                        () = sender.closed() => return,
                        () = tokio::time::sleep(SIGN_OF_LIFE) => {
                            if !is_taken(&sender, ": it runs on\n\n".into()).await {
                                return;
                            }
                        }
                    }
                }
            };
            let Ok((events, is_over)) = next else { return };
            if !is_taken(&sender, events.into()).await || is_over || following.is_stopping() {
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
    use axum::body::to_bytes;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off_and_one_that_is_slow_is_not() {
        let (sender, mut receiver) = mpsc::channel(PARTS_MAX);
        for _ in 0..PARTS_MAX {
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

    /// What comes, in order, with when it does.
    type Plan = Vec<(Instant, Result<(String, bool), ApiError>)>;

    struct Planned(Plan);

    impl Following for Planned {
        async fn events(&mut self) -> Result<(String, bool), ApiError> {
            tokio::time::sleep_until(self.0[0].0).await;
            self.0.remove(0).1
        }

        fn is_stopping(&self) -> bool {
            false
        }
    }

    async fn told(plan: Plan) -> String {
        static ALONE: AtomicUsize = AtomicUsize::new(0);
        let body = events(Planned(plan), Seat::among(&ALONE, usize::MAX).unwrap()).into_body();
        String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_told_until_its_end_with_signs_of_life_where_nothing_does() {
        let now = Instant::now();
        let (first, last) = (event("task", "1.0", &json!({ "a": "b\nc" })), end(&json!({ "is_over": true })));
        assert_eq!(first.lines().count(), 4, "no line end of what is told ends a line of the event");
        let all = vec![(now, Ok((first.clone(), false))), (now + SIGN_OF_LIFE * 3 / 2, Ok((last.clone(), true)))];
        assert_eq!(told(all).await, format!("{first}: it runs on\n\n{last}"));

        let failed = ApiError::unavailable("sql_unavailable", "away");
        let cut = vec![(now, Ok((first.clone(), false))), (now, Err(failed))];
        assert_eq!(told(cut).await, first, "whoever comes again hears why");
    }

    /// Looks for so long, and then it is over.
    struct Slow(Duration);

    impl Following for Slow {
        async fn events(&mut self) -> Result<(String, bool), ApiError> {
            tokio::time::sleep(self.0).await;
            Ok((end(&Value::Null), true))
        }

        fn is_stopping(&self) -> bool {
            false
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_a_sign_of_life_is_not_asked_for_anew() {
        static ALONE: AtomicUsize = AtomicUsize::new(0);
        let slow = Slow(SIGN_OF_LIFE * 5 / 2);
        let body = events(slow, Seat::among(&ALONE, 1).unwrap()).into_body();
        let told = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        assert_eq!(told, format!(": it runs on\n\n: it runs on\n\n{}", end(&Value::Null)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_goes_away_leaves_its_seat_at_once() {
        static ALONE: AtomicUsize = AtomicUsize::new(0);
        let response = events(Slow(Duration::from_secs(3_600)), Seat::among(&ALONE, 1).unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(Seat::among(&ALONE, 1).is_err());
        drop(response);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(Seat::among(&ALONE, 1).is_ok());
    }

    #[test]
    fn there_are_no_more_readers_than_may_be() {
        static READERS: AtomicUsize = AtomicUsize::new(0);
        let take = || Seat::among(&READERS, 2);
        let (first, second) = (take().unwrap(), take().unwrap());
        assert_eq!(take().err().map(|error| error.code), Some("too_many_readers"));
        drop(second);
        assert!(take().is_ok());
        drop(first);
    }
}
