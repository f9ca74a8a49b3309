//! Records: events on their way to the rules.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// The trigger whose events are the ends of executions. Only owners emit them.
pub const ENDS_TRIGGER: &str = "core.execution";

/// One event of a trigger, as ingest writes it to `petrel.triggers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerEvent {
    /// Id of the event (`EventId`).
    pub event_id: String,
    /// Reference of the trigger, `pack.name`.
    pub trigger: String,
    /// When it happened, in milliseconds since the epoch; `now` in a criterion is the record's timestamp instead.
    pub occurred_at_ms: i64,
    /// The payload, JSON text.
    pub payload: String,
    /// What emitted it: `http`, `timer`, `sensor/<name>`, `action/<pack.name>`, or `executions` for the end of one.
    pub source: String,
    /// How many executions stand in the chain that caused it; 0 for what came from outside.
    pub cause_depth: i32,
}

stored!(TriggerEvent, "TriggerEvent");
