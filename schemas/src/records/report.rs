//! Records: what workers report.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A worker took an attempt, on `petrel.results`, committed with the task's offset before the action starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Execution.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Attempt that was claimed.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
    /// Instance id of the worker.
    pub worker: String,
    /// The worker's pool: where it reads its owner's answer.
    pub pool: String,
    /// When, by the worker's clock, in milliseconds since the epoch.
    pub claimed_at_ms: i64,
}

stored!(Claim, "Claim");

/// A worker still runs an attempt; extends the lease from its receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Execution.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
    /// Instance id of the worker.
    pub worker: String,
    /// The worker's pool: where it reads its owner's answer.
    pub pool: String,
    /// Whether it has not begun, for its owner has not granted it yet.
    pub awaits_grant: bool,
    /// When it was sent, by the worker's clock, in milliseconds since the epoch.
    pub sent_at_ms: i64,
}

stored!(Heartbeat, "Heartbeat");

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Execution.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
    /// Instance id of the worker.
    pub worker: String,
    /// `succeeded`, `failed`, `timeout`, `canceled` or `abandoned`.
    pub status: String,
    /// Exit code of the command; none where it was killed or never started.
    pub return_code: Option<i32>,
    /// Stable code of what went wrong; none for a success.
    pub code: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// Structured result of the action, a JSON value.
    pub result: Option<String>,
    /// What its action takes of the result, a JSON object of name and value.
    pub extracted: Option<String>,
    /// The result, where it is too large to stand here: a JSON object with `store`, `sha256`, `bytes` and
    /// `media_type`.
    pub result_object: Option<String>,
    /// Whether the same action may well succeed if it is tried again.
    pub retriable: bool,
    /// Captured standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Captured standard error, invalid UTF-8 replaced.
    pub stderr: String,
    /// Whether standard output was longer than the limit.
    pub stdout_truncated: bool,
    /// Whether standard error was longer than the limit.
    pub stderr_truncated: bool,
    /// The end of standard output, where its middle was left out.
    pub stdout_tail: String,
    /// The end of standard error, where its middle was left out.
    pub stderr_tail: String,
    /// Bytes of standard output between the beginning and the end that were left out.
    pub stdout_omitted_bytes: i64,
    /// The same of standard error.
    pub stderr_omitted_bytes: i64,
    /// When the command started, by the worker's clock.
    pub started_at_ms: Option<i64>,
    /// When it ended, by the worker's clock.
    pub ended_at_ms: i64,
    /// Events that it injects, each a JSON object with `trigger` and `payload`, a JSON text; their numbers are their
    /// places here.
    pub events: Vec<String>,
    /// How long the server that it asked wants to be left alone, in milliseconds.
    pub retry_after_ms: Option<i64>,
}

stored!(TaskResult, "TaskResult");

/// A worker does not take a task, on `petrel.results`; committed with the task's offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declined {
    /// Execution.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
    /// Instance id of the worker.
    pub worker: String,
    /// `full`, `late`, `shutting_down` or `not_following`.
    pub reason: String,
    /// When, by the worker's clock, in milliseconds since the epoch.
    pub declined_at_ms: i64,
}

stored!(Declined, "Declined");

/// A worker that shuts down gives a claimed attempt back, on `petrel.results`. Nothing of it runs any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandedOver {
    /// Execution.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
    /// Instance id of the worker.
    pub worker: String,
    /// Whether the action had been started.
    pub begun: bool,
    /// Whether its worker lacked what the attempt takes; else it shuts down, or was not let start it.
    pub lacks: bool,
    /// Captured standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Captured standard error, invalid UTF-8 replaced.
    pub stderr: String,
    /// Whether standard output was longer than the limit.
    pub stdout_truncated: bool,
    /// Whether standard error was longer than the limit.
    pub stderr_truncated: bool,
    /// The end of standard output, where its middle was left out.
    pub stdout_tail: String,
    /// The end of standard error, where its middle was left out.
    pub stderr_tail: String,
    /// Bytes of standard output between the beginning and the end that were left out.
    pub stdout_omitted_bytes: i64,
    /// The same of standard error.
    pub stderr_omitted_bytes: i64,
    /// When, by the worker's clock, in milliseconds since the epoch.
    pub handed_over_at_ms: i64,
}

stored!(HandedOver, "HandedOver");
