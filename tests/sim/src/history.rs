//! Everything that a run has left on the log, decoded once for all checkers.

use std::collections::BTreeMap;

use petrel_bus::sim::SimBus;
use petrel_bus::{Bus, OwnedRecord};
use petrel_schemas::{ActionRequest, AuditRecord, DeadLetter, EventId, RequestsRecord, TriggerEvent, decode};
use serde_json::Value;

use crate::pack::{self, ALERTS, CLUSTER, Facts};

/// A record that somebody sent in.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Topic, partition and offset.
    pub at: (String, u32, i64),
    /// The event, if it is one that can be used.
    pub event: Option<(String, Facts)>,
}

/// What is on the log.
#[derive(Debug, Default)]
pub struct History {
    /// Records of the bound topic and of `petrel.triggers`.
    pub sent: Vec<Sent>,
    /// Requests, in the order of their partitions.
    pub requests: Vec<ActionRequest>,
    /// First requests of each execution, as what is behind the rules took them.
    pub accepted: Vec<ActionRequest>,
    /// The audit trail.
    pub audit: Vec<AuditRecord>,
    /// Dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Scheduled instants of the timer, in milliseconds since the epoch.
    pub ticks: Vec<i64>,
    /// Records that this release cannot read, by topic.
    pub unreadable: Vec<String>,
}

impl History {
    /// Reads a log.
    pub fn read(bus: &SimBus) -> Self {
        let topics = pack::topics();
        let mut history = Self::default();
        for (partition, record) in bus.records(ALERTS) {
            let event = alert(&record).map(|facts| {
                let id = EventId::of_record(CLUSTER, ALERTS, partition, record.offset, record.timestamp_ms);
                (id.as_str().to_owned(), facts)
            });
            history.sent.push(Sent { at: (ALERTS.to_owned(), partition, record.offset), event });
        }
        let name = topics.triggers();
        for (partition, record) in bus.records(&name) {
            let event = decode::<TriggerEvent>(record.value.as_deref().unwrap_or_default()).ok();
            if let Some(event) = event.as_ref().filter(|e| e.trigger == pack::TIMER) {
                history.ticks.push(event.occurred_at_ms);
            }
            let event = event.map(|e| (e.event_id, Facts { trigger: e.trigger, used_pct: 0.0 }));
            history.sent.push(Sent { at: (name.to_string(), partition, record.offset), event });
        }
        let requests = each(bus, &topics.requests(), RequestsRecord::decode, &mut history.unreadable);
        history.requests = requests.into_iter().filter_map(request).collect();
        let accepted = each(bus, crate::ACCEPTED, RequestsRecord::decode, &mut history.unreadable);
        history.accepted = accepted.into_iter().filter_map(request).collect();
        history.audit = each(bus, &topics.audit(), AuditRecord::decode, &mut history.unreadable);
        history.dead_letters = each(bus, &topics.dead_letters(), decode::<DeadLetter>, &mut history.unreadable);
        history.ticks.sort_unstable();
        history
    }

    /// How often each event was sent, and what it says.
    pub fn events(&self) -> BTreeMap<&str, (&Facts, usize)> {
        let mut events: BTreeMap<&str, (&Facts, usize)> = BTreeMap::new();
        for (id, facts) in self.sent.iter().filter_map(|s| s.event.as_ref()) {
            events.entry(id).or_insert((facts, 0)).1 += 1;
        }
        events
    }
}

fn request(record: RequestsRecord) -> Option<ActionRequest> {
    let RequestsRecord::ActionRequest(request) = record;
    Some(request)
}

fn alert(record: &OwnedRecord) -> Option<Facts> {
    let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).ok()?;
    value.get("host")?.as_str()?;
    let used_pct = value.get("used_pct")?.as_f64()?;
    Some(Facts { trigger: "sim.alert".to_owned(), used_pct })
}

fn each<T, E: std::fmt::Display>(
    bus: &SimBus,
    topic: &str,
    read: impl Fn(&[u8]) -> Result<T, E>,
    unreadable: &mut Vec<String>,
) -> Vec<T> {
    if bus.partitions(topic).ok().flatten().is_none() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (partition, record) in bus.records(topic) {
        match read(record.value.as_deref().unwrap_or_default()) {
            Ok(one) => all.push(one),
            Err(e) => unreadable.push(format!("{topic}/{partition} at {}: {e}", record.offset)),
        }
    }
    all
}
