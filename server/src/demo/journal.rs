//! What the stand-ins of a demo got, in its order: it is told while it happens, and can be looked at afterwards.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::narrator::Narrator;

/// Everything that was asked of the stand-ins.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    narrator: Arc<Narrator>,
    entries: Mutex<Vec<Entry>>,
}

/// One request that a stand-in got.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Which of them.
    pub service: &'static str,
    /// What was wanted of it, in a few words.
    pub what: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What was answered.
    pub status: u16,
    /// The request's body; null where it had none.
    pub body: Value,
}

impl Journal {
    /// An empty one.
    pub fn new(narrator: Arc<Narrator>) -> Self {
        Self(Arc::new(Inner { narrator, entries: Mutex::default() }))
    }

    /// Who says what happens.
    pub fn narrator(&self) -> &Arc<Narrator> {
        &self.0.narrator
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.0.narrator.now_ms()
    }

    /// Says and keeps what a stand-in got; `remark` stands behind what is said.
    pub fn note(&self, service: &'static str, what: &str, status: u16, body: Value, remark: &str) {
        self.0.narrator.say(&format!("{service}: {what} -> {status}{remark}"));
        self.keep(service, what, status, body);
    }

    /// Keeps it without a word: whoever looks again and again is no news.
    pub fn keep(&self, service: &'static str, what: &str, status: u16, body: Value) {
        let entry = Entry { service, what: what.to_owned(), at_ms: self.now_ms(), status, body };
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Notes a request and answers it.
    pub fn answer(&self, service: &'static str, what: &str, answer: (StatusCode, Value), body: Value) -> Response {
        let (status, value) = answer;
        self.note(service, what, status.as_u16(), body, "");
        reply(status, value)
    }

    /// Keeps a request that only looks, and answers it. One that is refused is told.
    pub fn look(&self, service: &'static str, what: &str, answer: (StatusCode, Value)) -> Response {
        let (status, value) = answer;
        match status.is_success() {
            true => self.keep(service, what, status.as_u16(), Value::Null),
            false => self.note(service, what, status.as_u16(), Value::Null, ""),
        }
        reply(status, value)
    }

    /// All of it so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often one of them took what it was asked for, of what begins so.
    pub fn taken(&self, service: &str, what: &str) -> usize {
        let is_taken = |entry: &&Entry| entry.service == service && entry.what.starts_with(what) && entry.status < 400;
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(is_taken).count()
    }

    /// A line of JSON for each request.
    pub fn lines(&self) -> String {
        let line = |entry: &Entry| {
            let Entry { service, what, at_ms, status, body } = entry;
            format!("{}\n", json!({ "service": service, "what": what, "at_ms": at_ms, "status": status, "body": body }))
        };
        self.entries().iter().map(line).collect()
    }
}

/// An answer without a body where there is no value.
fn reply(status: StatusCode, value: Value) -> Response {
    match value {
        Value::Null => status.into_response(),
        value => (status, Json(value)).into_response(),
    }
}

/// Whether a request says who asks.
pub fn has(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).is_some_and(|given| given.as_bytes() == value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_counted_and_what_was_refused_is_not() {
        let journal = Journal::new(Arc::new(Narrator::new()));
        journal.keep("Nova", "evacuate vm-1", 200, Value::Null);
        journal.keep("Nova", "evacuate vm-1", 409, Value::Null);
        journal.keep("Nova", "state of vm-1", 200, Value::Null);
        journal.keep("Keystone", "evacuate vm-1", 200, Value::Null);
        assert_eq!((journal.taken("Nova", "evacuate vm-1"), journal.taken("Nova", "")), (1, 2));
        assert_eq!(journal.lines().lines().count(), 4);
    }
}
