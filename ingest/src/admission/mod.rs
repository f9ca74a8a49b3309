//! `POST /v1/events/{trigger}`, all but HTTP: what comes from outside becomes records of
//! `petrel.triggers`, or is refused with a reason.
//!
//! # Ids
//!
//! A client that may send an event again names it (`Event-Id`); otherwise the caller gives a fresh id.
//! The same id goes to the same partition as long as its payload has the same key, and leads to one
//! execution within `request_dedup_ms`. A batch has one id too, its own or a fresh one: its events are
//! `<id>-<index>`, counted from 0, blank lines left out. So a batch that is sent again as it was is the
//! same events.
//!
//! # Batches
//!
//! A batch is a JSON array of payloads, or one payload a line (`application/x-ndjson`). It is taken
//! whole or refused whole, with what is wrong with each element.

use std::sync::Arc;

use petrel_bus::Output;
use petrel_catalog::{TriggerDef, TriggerSource, Triggers};
use petrel_schemas::{EventId, TriggerEvent};

use crate::event;
use crate::json::{self, JSON_DEPTH_CEILING, JsonError, SplitError};
use crate::metrics::Metrics;
use crate::refusal::{BatchRefusal, Domain, ItemRefusal, Refusal, Violation};

/// The triggers in force.
pub type Head = Arc<dyn Fn() -> Arc<Triggers> + Send + Sync>;

/// Limits of what is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionOptions {
    /// Largest payload of an event, in bytes.
    pub event_bytes_max: usize,
    /// Most events of a batch.
    pub batch_events_max: usize,
    /// Largest batch, in bytes.
    pub batch_bytes_max: usize,
    /// Deepest nesting of a payload; at most 126.
    pub json_depth_max: usize,
    /// Most violations of a schema that are told of one payload.
    pub violations_max: usize,
    /// Most elements of a batch that are told of.
    pub batch_refusals_max: usize,
    /// Longest key that a trigger's `key:` may yield, in bytes.
    pub key_bytes_max: usize,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        Self {
            event_bytes_max: 1 << 20,
            batch_events_max: 1_000,
            batch_bytes_max: 8 << 20,
            json_depth_max: JSON_DEPTH_CEILING,
            violations_max: 20,
            batch_refusals_max: 100,
            key_bytes_max: 1_024,
        }
    }
}

/// One event as a client sends it.
#[derive(Debug, Clone, Copy)]
pub struct EventCall<'a> {
    /// Reference of the trigger, from the path.
    pub trigger: &'a str,
    /// The client's `Event-Id`.
    pub event_id: Option<&'a str>,
    /// The id if the client gave none: unique, such as a UUIDv7.
    pub fresh_id: &'a str,
    /// The payload.
    pub body: &'a [u8],
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// How a batch's body is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFormat {
    /// A JSON array of payloads.
    Array,
    /// A payload a line.
    Lines,
}

/// An event that was admitted, to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedEvent {
    /// Its id.
    pub event_id: EventId,
    /// The record.
    pub output: Output,
}

/// Admits events.
pub struct Admission {
    head: Head,
    triggers: Arc<str>,
    options: AdmissionOptions,
    metrics: Metrics,
}

impl Admission {
    /// `triggers` is the full name of the topic `petrel.triggers`.
    pub fn new(head: Head, triggers: Arc<str>, options: AdmissionOptions, metrics: Metrics) -> Self {
        Self { head, triggers, options, metrics }
    }

    /// The limits; whoever reads bodies stops at `event_bytes_max` and `batch_bytes_max`.
    pub fn options(&self) -> &AdmissionOptions {
        &self.options
    }

    /// Admits one event.
    ///
    /// # Errors
    /// Why not; nothing is to be written then.
    pub fn event(&self, call: EventCall<'_>) -> Result<AdmittedEvent, Refusal> {
        let admitted = self.admit_event(call).inspect_err(|refusal| self.metrics.refused(refusal.code))?;
        self.metrics.events.with_label_values(&[event::SOURCE_HTTP]).inc();
        Ok(admitted)
    }

    /// Admits a batch, whole. An empty one is fine and yields nothing.
    ///
    /// # Errors
    /// Why not, with the elements concerned; nothing is to be written then.
    pub fn batch(&self, call: EventCall<'_>, format: BatchFormat) -> Result<Vec<AdmittedEvent>, BatchRefusal> {
        let admitted = self.admit_batch(call, format).inspect_err(|refused| {
            self.metrics.refused(refused.refusal.code);
            refused.items.iter().for_each(|item| self.metrics.refused(item.refusal.code));
        })?;
        self.metrics.events.with_label_values(&[event::SOURCE_HTTP]).inc_by(admitted.len() as u64);
        Ok(admitted)
    }

    fn admit_event(&self, call: EventCall<'_>) -> Result<AdmittedEvent, Refusal> {
        let triggers = (self.head)();
        let trigger = http_trigger(&triggers, call.trigger)?;
        let id = parse_id(call.event_id.unwrap_or(call.fresh_id))?;
        self.one(trigger, id, call.body, call.now_ms)
    }

    fn admit_batch(&self, call: EventCall<'_>, format: BatchFormat) -> Result<Vec<AdmittedEvent>, BatchRefusal> {
        let triggers = (self.head)();
        let trigger = http_trigger(&triggers, call.trigger)?;
        let id = parse_id(call.event_id.unwrap_or(call.fresh_id))?;
        let (mut admitted, mut refused, mut refusals) = (Vec::new(), Vec::new(), 0);
        for (index, body) in self.split(call.body, format)?.into_iter().enumerate() {
            let one = parse_id(&format!("{id}-{index}")).and_then(|id| self.one(trigger, id, body, call.now_ms));
            match one {
                Ok(event) => admitted.push(event),
                Err(refusal) => {
                    refusals += 1;
                    if refused.len() < self.options.batch_refusals_max {
                        refused.push(ItemRefusal { index, refusal });
                    }
                }
            }
        }
        if refusals == 0 {
            return Ok(admitted);
        }
        let message = format!("{refusals} of {} events are refused, so none is taken", refusals + admitted.len());
        // What is wrong with all of them is wrong with the batch; otherwise it is in need of correction.
        let domain = refused.first().map_or(Domain::BadRequest, |item| item.refusal.domain);
        let same = refused.iter().all(|item| item.refusal.domain == domain);
        let domain = if same { domain } else { Domain::BadRequest };
        Err(BatchRefusal { refusal: Refusal::new(domain, "batch_refused", message), items: refused })
    }

    fn split<'a>(&self, body: &'a [u8], format: BatchFormat) -> Result<Vec<&'a [u8]>, Refusal> {
        let bytes_max = self.options.batch_bytes_max;
        if body.len() > bytes_max {
            return Err(Refusal::too_large("batch_too_large", "the batch", body.len(), "batch_bytes_max", bytes_max));
        }
        let events_max = self.options.batch_events_max;
        let items = match format {
            BatchFormat::Array => json::split_array(body, events_max),
            BatchFormat::Lines => json::split_lines(body, events_max),
        };
        items.map_err(|error| match error {
            SplitError::NotAnArray => Refusal::new(Domain::BadRequest, "batch_malformed", error),
            SplitError::TooMany { .. } => {
                let message = format!("the batch has more than batch_events_max ({events_max}) events");
                Refusal::new(Domain::TooLarge, "batch_too_many_events", message)
            }
        })
    }

    fn one(&self, trigger: &TriggerDef, id: EventId, body: &[u8], now_ms: i64) -> Result<AdmittedEvent, Refusal> {
        let bytes_max = self.options.event_bytes_max;
        if body.len() > bytes_max {
            return Err(Refusal::too_large("event_too_large", "the event", body.len(), "event_bytes_max", bytes_max));
        }
        let payload = json::parse(body, self.options.json_depth_max).map_err(malformed)?;
        if !payload.is_object() {
            return Err(Refusal::new(Domain::BadRequest, "event_not_an_object", "an event is a JSON object"));
        }
        self.check_schema(trigger, &payload)?;
        let key = trigger.event_key(&payload);
        let (key_bytes, key_max) = (key.as_ref().map_or(0, String::len), self.options.key_bytes_max);
        if key_bytes > key_max {
            return Err(Refusal::too_large(
                "event_key_too_large",
                "the event's key",
                key_bytes,
                "key_bytes_max",
                key_max,
            ));
        }
        // The parser has found it to be UTF-8.
        let payload = String::from_utf8_lossy(body.trim_ascii()).into_owned();
        let event = TriggerEvent {
            event_id: id.as_str().to_owned(),
            trigger: trigger.reference.clone(),
            occurred_at_ms: now_ms,
            payload,
            source: event::SOURCE_HTTP.to_owned(),
            cause_depth: 0,
        };
        Ok(AdmittedEvent { event_id: id, output: event::output(&self.triggers, key.as_deref(), &event) })
    }

    fn check_schema(&self, trigger: &TriggerDef, payload: &serde_json::Value) -> Result<(), Refusal> {
        let violations = trigger.violations(payload, self.options.violations_max);
        if violations.is_empty() {
            return Ok(());
        }
        let violation =
            |(pointer, message): (String, String)| Violation { pointer: shorten(pointer), message: shorten(message) };
        let violations: Vec<Violation> = violations.into_iter().map(violation).collect();
        let message = format!("the event breaks the schema of {}: {}", trigger.reference, violations[0]);
        Err(Refusal { violations, ..Refusal::new(Domain::Unprocessable, "schema_violation", message) })
    }
}

/// Longest text of a violation, in bytes: keys and limits in it come from the event and the schema.
const VIOLATION_BYTES_MAX: usize = 512;

fn shorten(mut text: String) -> String {
    if text.len() > VIOLATION_BYTES_MAX {
        text.truncate(text.floor_char_boundary(VIOLATION_BYTES_MAX));
        text.push('…');
    }
    text
}

fn malformed(error: JsonError) -> Refusal {
    let code = match error {
        JsonError::Malformed(_) => "event_malformed",
        JsonError::TooDeep { .. } => "event_too_deep",
    };
    Refusal::new(Domain::BadRequest, code, format_args!("the event is {error}"))
}

fn parse_id(text: &str) -> Result<EventId, Refusal> {
    EventId::parse(text).map_err(|error| Refusal::new(Domain::BadRequest, "event_id_invalid", error))
}

/// The trigger, if HTTP may feed it.
fn http_trigger<'a>(triggers: &'a Triggers, reference: &str) -> Result<&'a TriggerDef, Refusal> {
    let unknown = || match triggers.why_incomplete() {
        None => {
            let message = format!("there is no trigger {:?} in the revision in force", shorten(reference.to_owned()));
            Refusal::new(Domain::NotFound, "trigger_unknown", message)
        }
        Some(why) => {
            let message = format!("not all triggers are known here, so {reference:?} may be one: {why}");
            Refusal::new(Domain::Unavailable, "triggers_incomplete", shorten(message))
        }
    };
    let trigger = triggers.get(reference).ok_or_else(unknown)?;
    let source = match &trigger.source {
        TriggerSource::Http => return Ok(trigger),
        TriggerSource::Kafka(kafka) => format!("the topic {}: send the event there", kafka.topic),
        TriggerSource::Interval { .. } => "a timer".to_owned(),
        TriggerSource::Executions => "the ends of executions".to_owned(),
        TriggerSource::Sensor { sensor, .. } => format!("the sensor {sensor}"),
    };
    let message = format!("the events of {reference} come from {source}");
    Err(Refusal::new(Domain::Conflict, "trigger_not_http", message))
}

#[cfg(test)]
pub(crate) mod tests;
