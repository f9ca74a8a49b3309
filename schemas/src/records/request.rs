//! Records: action requests and what answers them.

use serde::{Deserialize, Serialize};

use crate::codec::stored;
use crate::ids::ExecutionId;

/// A request to run an action, on `petrel.requests`; its id is the execution's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRequest {
    /// Id of the execution asked for (`ExecutionId`).
    pub execution_id: String,
    /// Id of the outermost execution; equals `execution_id` except below a workflow. The record's key.
    pub root_execution_id: String,
    /// Event that caused it; none for a manual run.
    pub event_id: Option<String>,
    /// Timestamp of the event's record, in milliseconds since the epoch.
    pub event_at_ms: Option<i64>,
    /// Trigger of that event.
    pub trigger: Option<String>,
    /// Rule that matched; none for a manual run.
    pub rule: Option<String>,
    /// Index of the action in the rule, from 0.
    pub action_index: i32,
    /// How often the event had been driven again, from 0.
    pub redrive: i32,
    /// Reference of the action, `pack.name`.
    pub action: String,
    /// Rendered parameters, a JSON object.
    pub parameters: String,
    /// Catalog revision that decided, and in which the action is resolved.
    pub revision: String,
    /// Version of the key-value store that the decision saw.
    pub kv_version: i64,
    /// When it was decided, in milliseconds since the epoch.
    pub requested_at_ms: i64,
    /// `rule`, or the user of a manual run.
    pub requested_by: String,
    /// That of its event; 0 for a manual run.
    pub cause_depth: i32,
    /// Class that is asked for; none takes that of the action.
    pub class: Option<String>,
}

stored!(ActionRequest, "ActionRequest");

impl ActionRequest {
    /// What somebody asks for by hand: an action of a revision with these parameters, a JSON object, at that time in
    /// milliseconds since the epoch. Of no class of its own, and with the first version of the key-value store.
    pub fn by_hand(id: &ExecutionId, action: &str, parameters: String, revision: &str, by: &str, at_ms: i64) -> Self {
        Self {
            execution_id: id.to_string(),
            root_execution_id: id.to_string(),
            event_id: None,
            event_at_ms: None,
            trigger: None,
            rule: None,
            action_index: 0,
            redrive: 0,
            action: action.to_owned(),
            parameters,
            revision: revision.to_owned(),
            kv_version: 0,
            requested_at_ms: at_ms,
            requested_by: by.to_owned(),
            cause_depth: 0,
            class: None,
        }
    }
}

/// Somebody's wish to cancel an execution, on `petrel.requests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Execution to cancel.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Who asked.
    pub requested_by: String,
    /// When, in milliseconds since the epoch.
    pub requested_at_ms: i64,
}

stored!(CancelRequest, "CancelRequest");

impl CancelRequest {
    /// Somebody's wish to cancel that execution, at that time in milliseconds since the epoch.
    pub fn of(id: &ExecutionId, by: &str, at_ms: i64) -> Self {
        Self {
            execution_id: id.to_string(),
            root_execution_id: id.root().to_string(),
            requested_by: by.to_owned(),
            requested_at_ms: at_ms,
        }
    }
}

/// What somebody asks of a workflow, on `petrel.requests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowOrder {
    /// Execution of the workflow.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// `pause`, `resume`, `rerun`, `decide` or `answer`.
    pub order: String,
    /// Who asked.
    pub requested_by: String,
    /// When, in milliseconds since the epoch.
    pub requested_at_ms: i64,
    /// What else there is to say, a JSON object.
    pub data: String,
}

stored!(WorkflowOrder, "WorkflowOrder");
