//! Records: work for workers.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// One attempt at an execution, on `petrel.tasks.<pool>`; whoever commits its claim runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Execution that it is an attempt of; also the idempotency key that the action sees.
    pub execution_id: String,
    /// Key of everything reported back on `petrel.results`.
    pub root_execution_id: String,
    /// Event that caused the execution.
    pub event_id: Option<String>,
    /// Timestamp of that event's record, for the metric from event to action start.
    pub event_at_ms: Option<i64>,
    /// Rule that matched.
    pub rule: Option<String>,
    /// Reference of the action.
    pub action: String,
    /// Catalog revision in which the action is resolved.
    pub revision: String,
    /// Validated parameters with defaults filled in, a JSON object.
    pub parameters: String,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// Fencing token; grows with every attempt, and reports that carry an older one are dropped.
    pub token: i64,
    /// `at_least_once` or `at_most_once`.
    pub delivery: String,
    /// Longest run of the action, in milliseconds.
    pub timeout_ms: i64,
    /// Length of the lease, in milliseconds: a worker that is silent for longer has lost the task.
    pub lease_ms: i64,
    /// When the owner dispatched it, in milliseconds since the epoch.
    pub dispatched_at_ms: i64,
}

stored!(Task, "Task");

/// The owner's order to stop an attempt, on the same partition as its task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCancel {
    /// Execution to stop.
    pub execution_id: String,
    /// Its root execution.
    pub root_execution_id: String,
    /// Attempt to stop.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
}

stored!(TaskCancel, "TaskCancel");
