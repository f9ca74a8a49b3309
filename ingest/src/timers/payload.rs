//! The event that a timer fires.

use std::sync::Arc;

use petrel_bus::Output;
use petrel_schemas::{EventId, TriggerEvent};

use crate::event;

/// The record of one firing. All of it follows from the timer and the instant, so that a firing that
/// is decided again is the same event, byte for byte.
pub(super) fn tick(triggers: &Arc<str>, timer: &str, scheduled_ms: i64) -> Output {
    let scheduled_at = jiff::Timestamp::from_millisecond(scheduled_ms).map(|t| t.to_string());
    let payload = serde_json::json!({
        // Out of range is ruled out where a grid is made.
        "scheduled_at": scheduled_at.unwrap_or_default(),
        "scheduled_ms": scheduled_ms,
        "timer": timer,
    });
    let id = EventId::of_timer(timer, scheduled_ms);
    let event = TriggerEvent {
        event_id: id.as_str().to_owned(),
        trigger: timer.to_owned(),
        occurred_at_ms: scheduled_ms,
        payload: payload.to_string(),
        source: event::SOURCE_TIMER.to_owned(),
        cause_depth: 0,
    };
    event::output(triggers, None, &event)
}
