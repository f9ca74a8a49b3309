//! Records: events on their way to the rules.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

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
    /// What emitted it: `http`, `timer`, `sensor/<name>`.
    pub source: String,
}

stored!(TriggerEvent, "TriggerEvent");
