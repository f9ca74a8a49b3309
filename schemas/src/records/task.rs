//! Records: work for workers.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// One attempt at an execution, on the topic of tasks of its pool and class; whoever commits its claim runs it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Latest start: a worker that gets to it later, by its own clock, declines it. Milliseconds since the epoch.
    pub start_by_ms: i64,
    /// How often workers declined the task before: each time, the next one lets it stand for longer.
    pub declines: i32,
}

stored!(Task, "Task");

/// What an owner wants of whoever has an attempt, on `petrel.orders.<pool>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Execution; the record's key.
    pub execution_id: String,
    /// Its root execution.
    pub root_execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// Token of that attempt.
    pub token: i64,
    /// The only worker that it is for; none if it is for whoever has the attempt.
    pub worker: Option<String>,
    /// `grant` (an `at_most_once` action may start) or `cancel` (it must not run, or run on).
    pub order: String,
    /// Until when a worker may still claim the attempt's task, in milliseconds since the epoch: for so long the order
    /// is worth remembering.
    pub start_by_ms: i64,
}

stored!(Order, "Order");
