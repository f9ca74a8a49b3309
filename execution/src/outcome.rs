//! How an attempt ended.

use petrel_schemas::{ObjectRef, TaskResult};
use serde_json::{Map, Value};

use crate::family::Wrote;
use crate::inject::Injected;
use crate::status::Status;
use crate::subject::Note;

/// What an attempt wrote to one of its streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// The bytes, up to the limit; of what was over it, the beginning.
    pub bytes: Vec<u8>,
    /// Whether there were more.
    pub truncated: bool,
    /// The end of what was over the limit, where it is known.
    pub end: Option<StreamEnd>,
}

/// The end of a stream whose middle was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamEnd {
    /// What stood before it, for whoever masks it: the end of a secret is known only by its beginning. It is never told.
    pub lead: Vec<u8>,
    /// The last bytes.
    pub bytes: Vec<u8>,
    /// Bytes between the beginning and these that were left out, the lead among them.
    pub omitted_bytes: u64,
}

impl Stream {
    /// All that was written.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self { bytes, truncated: false, end: None }
    }

    /// How many of its bytes were kept.
    pub fn kept_bytes(&self) -> usize {
        self.bytes.len() + self.end.as_ref().map_or(0, |end| end.bytes.len())
    }
}

/// How an attempt ended, as its worker tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// A final status; `abandoned` where nothing is known.
    pub status: Status,
    /// Why, where it did not succeed.
    pub note: Note,
    /// Exit code, where there is one.
    pub return_code: Option<i32>,
    /// Structured result.
    pub result: Option<Value>,
    /// What its action takes of the result, by name.
    pub extracted: Option<Map<String, Value>>,
    /// Where the result is instead, if it is too large to be told.
    pub result_object: Option<ObjectRef>,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// Whether the same action may well succeed if it is tried again.
    pub retriable: bool,
    /// Events that its owner emits if it succeeded, in the transaction that ends the execution.
    pub events: Vec<Injected>,
    /// How long the server that it asked wants to be left alone, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Outcome {
    /// It ended with a status and a reason, and there is nothing else to tell.
    pub fn bare(status: Status, note: Note, retriable: bool) -> Self {
        Self {
            status,
            note,
            return_code: None,
            result: None,
            extracted: None,
            result_object: None,
            stdout: Stream::default(),
            stderr: Stream::default(),
            retriable,
            events: Vec::new(),
            retry_after_ms: None,
        }
    }

    /// It succeeded with this result.
    pub fn succeeded(result: Value) -> Self {
        Self { result: Some(result), ..Self::bare(Status::Succeeded, Note::NONE, false) }
    }
}

/// What an owner needs of an attempt's result beside its streams.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) status: Status,
    pub(crate) note: Note,
    pub(crate) return_code: Option<i32>,
    pub(crate) result: Option<String>,
    pub(crate) extracted: Option<String>,
    pub(crate) result_object: Option<String>,
    pub(crate) worker: String,
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) events: Vec<String>,
    /// Whether another attempt may end better.
    pub(crate) retriable: bool,
    /// How long a server wants to be left alone, in milliseconds.
    pub(crate) retry_after_ms: Option<i64>,
    /// What a child wrote, for its parent.
    pub(crate) stdout: Wrote,
    pub(crate) stderr: Wrote,
}

impl Said {
    /// Nothing for a status that an attempt cannot end with.
    pub(crate) fn of(result: &TaskResult) -> Option<Self> {
        // Nobody else has a parent that asks for it.
        let is_child = result.execution_id.contains('.');
        let wrote = |text: &str, cut: bool| if is_child { Wrote::new(text, cut) } else { Wrote::default() };
        Some(Self {
            stdout: wrote(&result.stdout, result.stdout_truncated),
            stderr: wrote(&result.stderr, result.stderr_truncated),
            status: Status::parse(&result.status).filter(|s| s.is_final())?,
            note: Note::of(result.code.clone(), result.error.clone()),
            return_code: result.return_code,
            result: result.result.clone(),
            extracted: result.extracted.clone(),
            result_object: result.result_object.clone(),
            worker: result.worker.clone(),
            started_at_ms: result.started_at_ms,
            events: result.events.clone(),
            retriable: result.retriable,
            retry_after_ms: result.retry_after_ms,
        })
    }
}
