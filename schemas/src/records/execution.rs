//! Records: the owners' state.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// Everything an owner knows of an execution that is not over, on `petrel.executions`: a full snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionState {
    /// Id of the execution; the record's key.
    pub execution_id: String,
    /// Its root execution.
    pub root_execution_id: String,
    /// Execution that started it; none for a root.
    pub parent_execution_id: Option<String>,
    /// Children that it has started and that have not ended.
    pub children_open: i32,
    /// Number of the change, from 1.
    pub sequence: i64,
    /// Status, named as in StackStorm.
    pub status: String,
    /// Stable code of why it has this status, where there is a reason: why it is delayed, what became of the last
    /// attempt.
    pub code: Option<String>,
    /// Event that caused it.
    pub event_id: Option<String>,
    /// Timestamp of that event's record.
    pub event_at_ms: Option<i64>,
    /// Trigger of that event.
    pub trigger: Option<String>,
    /// Rule that matched.
    pub rule: Option<String>,
    /// Index of the action in the rule.
    pub action_index: i32,
    /// Reference of the action.
    pub action: String,
    /// Parameters, a JSON object.
    pub parameters: String,
    /// Catalog revision that it belongs to.
    pub revision: String,
    /// `rule`, or a user.
    pub requested_by: String,
    /// Worker pool of the action.
    pub pool: String,
    /// `at_least_once` or `at_most_once`.
    pub delivery: String,
    /// Longest run of the action, in milliseconds.
    pub timeout_ms: i64,
    /// How often what ends badly is tried again, by its action; 0 for never.
    pub retries_max: i32,
    /// How an attempt must have ended to be tried again: `failure`, `timeout`, `lost_worker`.
    pub retry_on: Vec<String>,
    /// The first pause before another attempt, in milliseconds.
    pub retry_delay_ms: i64,
    /// How the other pauses follow: `constant` or `exponential`; empty where nothing is tried again.
    pub retry_back_off: String,
    /// Longest pause, in milliseconds.
    pub retry_delay_ms_max: i64,
    /// By how much of itself a pause may be shorter, in hundredths.
    pub retry_jitter_percent: i32,
    /// Longest time from the first dispatch to the beginning of another attempt, in milliseconds.
    pub retry_total_ms_max: Option<i64>,
    /// Expression over how an attempt ended; where it is true, another one follows.
    pub retry_when: Option<String>,
    /// Whether a pause is at least as long as the server of an attempt asked for.
    pub retry_heeds_server: bool,
    /// How long after its request it ends whatever it does, in milliseconds.
    pub deadline_ms: Option<i64>,
    /// In which times its attempts may begin, each a JSON object; all of them hold.
    pub windows: Vec<String>,
    /// Its class at the gates of its policies: `urgent`, `normal` or `bulk`; empty where it has none to pass.
    pub gate_class: String,
    /// The gates that it has to pass, in the order in which it does.
    pub gates: Vec<String>,
    /// Names of its acquisitions of the first so many of them.
    pub gates_acquired: Vec<String>,
    /// Whether the last of those is not answered yet.
    pub gates_awaits: bool,
    /// How often it was asked for again.
    pub gates_asked_again: i32,
    /// How often it was turned away for the order of gates.
    pub gates_turned_away: i32,
    /// The gates that it passes with its ancestors' permits.
    pub gates_inherited: Vec<String>,
    /// Whether anything has run, or may have, since it has passed its gates.
    pub gates_begun: bool,
    /// Current attempt, 0 before the first.
    pub attempt: i32,
    /// Current fencing token, 0 before the first.
    pub token: i64,
    /// Attempts whose worker was lost.
    pub lost_leases: i32,
    /// Attempts that failed and were repeated by a policy.
    pub failures: i32,
    /// Attempts that a worker gave back.
    pub hand_overs: i32,
    /// Attempts, up to the last one and one after the other, that were given back before they began.
    pub not_begun: i32,
    /// Partition of the pool's topic that holds the current task.
    pub task_partition: Option<i32>,
    /// Latest start of the current task, in milliseconds since the epoch.
    pub start_by_ms: Option<i64>,
    /// How often workers declined the current task.
    pub declines: i32,
    /// How many workers, the last ones and one after the other, declined it because they are too small for it.
    pub too_small: i32,
    /// Worker that claimed the current attempt.
    pub worker: Option<String>,
    /// When it was requested.
    pub requested_at_ms: i64,
    /// When the first task was dispatched.
    pub scheduled_at_ms: Option<i64>,
    /// When the current attempt was claimed.
    pub started_at_ms: Option<i64>,
    /// When its delay ends by itself, or when a declined task is sent elsewhere, in milliseconds since the epoch.
    pub delayed_until_ms: Option<i64>,
    /// Who asked for its cancel.
    pub canceled_by: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// That of the event that caused it; 0 for a manual run.
    pub cause_depth: i32,
    /// Class that it was asked for with; that of its action once it is resolved.
    pub class: Option<String>,
    /// Of a child, the task of its parent's workflow that it runs for.
    pub task: Option<String>,
    /// Of a workflow that rests because something failed, what a person needs to decide with, a JSON object.
    pub frozen: Option<String>,
    /// Of one that is resuming, whether it had ended.
    pub runs_again: bool,
    /// When a workflow that had ended was asked last to run again, in milliseconds since the epoch.
    pub rerun_at_ms: Option<i64>,
}

stored!(ExecutionState, "ExecutionState");

/// What an owner remembers of an execution that is over, on `petrel.executions`, until its id may be forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionEnded {
    /// Id of the execution; the record's key.
    pub execution_id: String,
    /// Its root execution.
    pub root_execution_id: String,
    /// Number of its last change.
    pub sequence: i64,
    /// Final status.
    pub status: String,
    /// Stable code of why it did not succeed.
    pub code: Option<String>,
    /// Exit code of the last attempt.
    pub return_code: Option<i32>,
    /// When it ended, in milliseconds since the epoch.
    pub ended_at_ms: i64,
    /// Whether it was a workflow, of which pieces are stored.
    pub conducted: bool,
}

stored!(ExecutionEnded, "ExecutionEnded");

/// A part of what an owner remembers of a workflow, on `petrel.executions`, beside the execution itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowPiece {
    /// Id of the execution; the record's key is that, `/w/` and the piece's key.
    pub execution_id: String,
    /// The piece's key; of a further record that has a part of it, that key, `/+` and the part's number.
    pub key: String,
    /// JSON; where it is too large for one record, as much of it as there is room for.
    pub value: String,
    /// How many further records have the rest of the piece; 0 in those records.
    pub parts: i32,
}

stored!(WorkflowPiece, "WorkflowPiece");

/// Small parts of what an owner remembers of a workflow that changed together, on `petrel.executions`. Of a part that
/// several pages have, the one with the highest sequence counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowPage {
    /// Id of the execution; the record's key is that, `/w/~` and the page's number.
    pub execution_id: String,
    /// How many pages of this workflow were begun before this one.
    pub sequence: i64,
    /// The parts, by key.
    pub pieces: Vec<PagedPiece>,
}

stored!(WorkflowPage, "WorkflowPage");

/// A part in a [`WorkflowPage`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PagedPiece {
    /// The piece's key.
    pub key: String,
    /// JSON; none says that there is none any more.
    pub value: Option<String>,
}
