//! How an attempt ended.

use petrel_schemas::TaskResult;
use serde_json::Value;

use crate::inject::Injected;
use crate::status::Status;
use crate::subject::Note;

/// What an attempt wrote to one of its streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// The bytes, up to the limit.
    pub bytes: Vec<u8>,
    /// Whether there were more.
    pub truncated: bool,
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
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// Whether the same action may well succeed if it is tried again.
    pub retriable: bool,
    /// Events that its owner emits if it succeeded, in the transaction that ends the execution.
    pub events: Vec<Injected>,
}

impl Outcome {
    /// It ended with a status and a reason, and there is nothing else to tell.
    pub fn bare(status: Status, note: Note, retriable: bool) -> Self {
        Self {
            status,
            note,
            return_code: None,
            result: None,
            stdout: Stream::default(),
            stderr: Stream::default(),
            retriable,
            events: Vec::new(),
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
    pub(crate) worker: String,
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) events: Vec<String>,
    /// Whether another attempt may end better.
    pub(crate) retriable: bool,
}

impl Said {
    /// Nothing for a status that an attempt cannot end with.
    pub(crate) fn of(result: &TaskResult) -> Option<Self> {
        Some(Self {
            status: Status::parse(&result.status).filter(|s| s.is_final())?,
            note: Note::of(result.code.clone(), result.error.clone()),
            return_code: result.return_code,
            result: result.result.clone(),
            worker: result.worker.clone(),
            started_at_ms: result.started_at_ms,
            events: result.events.clone(),
            retriable: result.retriable,
        })
    }
}
