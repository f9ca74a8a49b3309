//! Records: the audit trail.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// An event that was decided, on `petrel.audit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventAudited {
    /// Event.
    pub event_id: String,
    /// Trigger.
    pub trigger: String,
    /// Topic it was read from.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Timestamp of its record.
    pub event_at_ms: i64,
    /// Payload, JSON text.
    pub payload: String,
    /// How many rules matched.
    pub rules_matched: i32,
    /// Revision that decided.
    pub revision: String,
    /// Version of the key-value store that the decision saw.
    pub kv_version: i64,
}

stored!(EventAudited, "EventAudited");

/// A rule matched an event and asked for one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMatched {
    /// Event.
    pub event_id: String,
    /// Trigger.
    pub trigger: String,
    /// Rule.
    pub rule: String,
    /// Action asked for.
    pub action: String,
    /// Its index in the rule.
    pub action_index: i32,
    /// Id of the execution asked for.
    pub execution_id: String,
    /// Timestamp of the event's record.
    pub event_at_ms: i64,
    /// Revision that decided.
    pub revision: String,
    /// Version of the key-value store that the decision saw.
    pub kv_version: i64,
}

stored!(RuleMatched, "RuleMatched");

/// A criterion or a parameter ended in an error; rows are limited, counts are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriteriaFailed {
    /// Event.
    pub event_id: String,
    /// Trigger.
    pub trigger: String,
    /// Rule.
    pub rule: String,
    /// Stable code of the error.
    pub code: String,
    /// What went wrong, for people.
    pub detail: String,
    /// Timestamp of the event's record.
    pub event_at_ms: i64,
    /// Revision that decided.
    pub revision: String,
}

stored!(CriteriaFailed, "CriteriaFailed");

/// An execution took a new status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionChanged {
    /// Execution.
    pub execution_id: String,
    /// Its root execution.
    pub root_execution_id: String,
    /// Execution that started it; none for a root.
    pub parent_execution_id: Option<String>,
    /// Number of the change, from 1.
    pub sequence: i64,
    /// New status.
    pub status: String,
    /// Stable code of why it took this status, where there is a reason.
    pub code: Option<String>,
    /// When, by the owner's clock.
    pub changed_at_ms: i64,
    /// Event that caused it.
    pub event_id: Option<String>,
    /// Trigger of that event.
    pub trigger: Option<String>,
    /// Rule that matched.
    pub rule: Option<String>,
    /// Action.
    pub action: String,
    /// Parameters, a JSON object.
    pub parameters: String,
    /// Revision.
    pub revision: String,
    /// `rule`, or a user.
    pub requested_by: String,
    /// Attempt.
    pub attempt: i32,
    /// Worker of the attempt.
    pub worker: Option<String>,
    /// When it was requested.
    pub requested_at_ms: i64,
    /// When the attempt was claimed.
    pub started_at_ms: Option<i64>,
    /// When it reached a final status.
    pub ended_at_ms: Option<i64>,
    /// Exit code.
    pub return_code: Option<i32>,
    /// Structured result of the action, a JSON value.
    pub result: Option<String>,
    /// What its action takes of the result, a JSON object of name and value.
    pub extracted: Option<String>,
    /// The result, where it is too large to stand here: a JSON object with `store`, `sha256`, `bytes` and
    /// `media_type`.
    pub result_object: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// Of a child, the task of its parent's workflow that it runs for.
    pub task: Option<String>,
}

stored!(ExecutionChanged, "ExecutionChanged");

/// What an attempt wrote to one of its output streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputCaptured {
    /// Execution.
    pub execution_id: String,
    /// Attempt.
    pub attempt: i32,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The text, invalid UTF-8 replaced.
    pub content: String,
    /// Whether more was written than the limit allows.
    pub truncated: bool,
    /// The end of what was written, where the middle was left out.
    pub tail: String,
    /// Bytes between `content` and `tail` that were left out.
    pub omitted_bytes: i64,
    /// When the attempt ended, by the worker's clock.
    pub captured_at_ms: i64,
}

stored!(OutputCaptured, "OutputCaptured");

/// A revision of the catalog came into force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevisionApplied {
    /// Hash of the revision.
    pub revision: String,
    /// `name version` of its packs.
    pub packs: Vec<String>,
    /// When.
    pub applied_at_ms: i64,
    /// Who applied it.
    pub applied_by: String,
}

stored!(RevisionApplied, "RevisionApplied");

/// A secret was set, rotated, deleted or sealed anew. No value, and nothing of what was given to a single execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretChanged {
    /// The secret, `space.name`.
    pub name: String,
    /// Version of its value; of one that was deleted, the last one.
    pub version: i64,
    /// `set`, `rotated`, `deleted`, or `sealed_anew` under another master key.
    pub change: String,
    /// When, in milliseconds since the epoch.
    pub changed_at_ms: i64,
    /// Who changed it.
    pub changed_by: String,
}

stored!(SecretChanged, "SecretChanged");

/// Tasks of a workflow have come to other statuses, on `petrel.audit`: those of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowMoved {
    /// Execution of the workflow.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// The event that caused it, if one did.
    pub event_id: Option<String>,
    /// Its rule, if one asked for it.
    pub rule: Option<String>,
    /// The workflow's action.
    pub action: String,
    /// Revision that it runs on.
    pub revision: String,
    /// When, in milliseconds since the epoch.
    pub moved_at_ms: i64,
    /// Which tasks, in the order in which they moved.
    pub tasks: Vec<TaskMoved>,
}

stored!(WorkflowMoved, "WorkflowMoved");

/// A task that has come to another status, within [`WorkflowMoved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMoved {
    /// Its name.
    pub task: String,
    /// Its route's number.
    pub route: i32,
    /// Which of all runs of tasks of the workflow it is, from 0.
    pub run: i32,
    /// How many changes of this run came before.
    pub change: i32,
    /// What it has come to.
    pub status: String,
}

/// What a gate has decided, on `petrel.audit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateDecided {
    /// Which gate.
    pub gate: String,
    /// Its policy.
    pub policy: String,
    /// Whom it is about; none where it is about the gate itself.
    pub execution_id: Option<String>,
    /// Its root execution.
    pub root_execution_id: Option<String>,
    /// Which of the execution's acquisitions.
    pub acquisition: Option<String>,
    /// `granted`, `waits`, `refused`, `returned`, `left`, `shut`, `opened`, `closed`, `tripped` or `recovered`.
    pub decided: String,
    /// Why, or how it ended, or who opened, or until when.
    pub reason: Option<String>,
    /// When, in milliseconds since the epoch.
    pub decided_at_ms: i64,
}

stored!(GateDecided, "GateDecided");
