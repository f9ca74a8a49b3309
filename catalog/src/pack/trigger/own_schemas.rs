//! What the events look like that Petrel makes itself.

use serde_json::{Value, json};

use super::TriggerSource;

/// Schema of the events that Petrel makes itself.
pub(super) fn of(source: &TriggerSource) -> Option<Value> {
    match source {
        TriggerSource::Http | TriggerSource::Kafka(_) => None,
        TriggerSource::Interval { .. } => Some(json!({
            "type": "object",
            "required": ["scheduled_at", "scheduled_ms", "timer"],
            "properties": {
                "scheduled_at": { "type": "string" },
                "scheduled_ms": { "type": "integer" },
                "timer": { "type": "string" },
            },
        })),
        TriggerSource::Executions => Some(ends_schema()),
        TriggerSource::Sensor { .. } => Some(json!({
            "type": "object",
            "required": ["host", "sample", "load1", "process_count"],
            "properties": {
                "host": { "type": "string" },
                "sample": { "type": "integer" },
                "load1": { "type": "number" },
                "load5": { "type": "number" },
                "load15": { "type": "number" },
                "cpu_count": { "type": "integer" },
                "memory_total_bytes": { "type": "integer" },
                "memory_used_pct": { "type": "number" },
                "disk_mount": { "type": "string" },
                "disk_used_pct": { "type": "number" },
                "process_count": { "type": "integer" },
                "uptime_s": { "type": "integer" },
            },
        })),
    }
}

/// Schema of the ends of executions. What an execution has not is null.
fn ends_schema() -> Value {
    let text = json!({ "type": "string" });
    let text_or_null = json!({ "type": ["string", "null"] });
    let whole = json!({ "type": "integer" });
    let whole_or_null = json!({ "type": ["integer", "null"] });
    json!({
        "type": "object",
        "required": ["execution_id", "action", "status"],
        "properties": {
            "execution_id": text,
            "root_execution_id": text,
            "parent_execution_id": text_or_null,
            "action": text,
            "parameters": {},
            "rule": text_or_null,
            "trigger": text_or_null,
            "event_id": text_or_null,
            "requested_by": text,
            "revision": text,
            "status": { "enum": ["succeeded", "failed", "timeout", "canceled", "abandoned"] },
            "code": text_or_null,
            "error": text_or_null,
            "return_code": whole_or_null,
            "result": {},
            "extracted": {},
            "attempt": whole,
            "worker": text_or_null,
            "cause_depth": whole,
            "requested_at_ms": whole,
            "started_at_ms": whole_or_null,
            "ended_at_ms": whole,
        },
    })
}
