//! An event as a record of `petrel.triggers`.

use std::sync::Arc;

use petrel_bus::Output;
use petrel_schemas::{TriggerEvent, encode};

/// `source` of events that came over HTTP.
pub const SOURCE_HTTP: &str = "http";
/// `source` of timers' events.
pub const SOURCE_TIMER: &str = "timer";
/// `source` of the `host` sensor's events.
pub const SOURCE_HOST: &str = "sensor/host";

/// The record: keyed by what the trigger's `key:` gave, else by the event's id, so that an event that
/// is sent again goes to the same partition. The time of the record is the time of writing: a timer's
/// past instant, say, must not make it fall under retention at once.
pub fn output(triggers: &Arc<str>, key: Option<&str>, event: &TriggerEvent) -> Output {
    Output::keyed(triggers, key.unwrap_or(&event.event_id), encode(event))
}
