//! Everything that a run has left on the log, decoded once for all checkers.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use petrel_audit::MemoryRow;
use petrel_bus::sim::SimBus;
use petrel_bus::{Bus, Clock, OwnedRecord};
use petrel_schemas::{
    ActionRequest, AuditRecord, Class, DeadLetter, DecodeError, ENDS_TRIGGER, EventId, ExecutionChanged, GateDecided,
    OutputCaptured, RequestsRecord, ResultsRecord, RuleMatched, Task, TriggerEvent, WorkflowOrder, decode,
};
use serde_json::Value;

use crate::checks::executions::is_final;
use crate::pack::{self, ALERTS, CLUSTER, Facts, POOL};
use crate::process::{Process, Role};
use crate::supervisor::Effect;
use crate::world::World;

/// A record that somebody sent in.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Topic, partition and offset.
    pub at: (String, u32, i64),
    /// The event, if it is one that can be used.
    pub event: Option<(String, Facts)>,
    /// When it was sent, in true milliseconds since the epoch.
    pub sent_ms: i64,
}

/// What is on the log, and what happened to the world.
#[derive(Debug, Default)]
pub struct History {
    /// When it was looked at, by the clock of who owns each partition, in milliseconds since the epoch.
    pub owners_ms: BTreeMap<u32, i64>,
    /// In which partition each execution is.
    pub partitions: BTreeMap<String, u32>,
    /// Records of the bound topic and of `petrel.triggers`.
    pub sent: Vec<Sent>,
    /// Requests, in the order of their partitions.
    pub requests: Vec<ActionRequest>,
    /// When an event led to a request for the first time, in true milliseconds since the epoch.
    pub decided_ms: BTreeMap<String, i64>,
    /// Until when nothing had happened that holds up rules, in true milliseconds since the epoch.
    pub rules_unharmed_ms: i64,
    /// Rows about matches.
    pub matches: Vec<RuleMatched>,
    /// Rows about status changes, of each execution in the order in which they were written.
    pub changes: BTreeMap<String, Vec<ExecutionChanged>>,
    /// Rows about decisions of gates, each with when it was written, in true milliseconds since the epoch.
    pub decisions: Vec<(i64, GateDecided)>,
    /// What gates remembered and forgot, in the order of their partitions: when, the key, whether it was there.
    pub gate_state: Vec<(i64, Vec<u8>, bool)>,
    /// Rows about what attempts wrote, by execution.
    pub outputs: BTreeMap<String, Vec<OutputCaptured>>,
    /// Tasks that owners gave out.
    pub tasks: Vec<Task>,
    /// Tasks that workers did not claim because they were switched off.
    pub switched_off: usize,
    /// What workers started.
    pub effects: Vec<Effect>,
    /// Until when nothing had happened to each process, in true milliseconds since the epoch.
    pub unharmed_ms: BTreeMap<String, i64>,
    /// Where the row stands that tells that an execution has ended: those of a family stand in one partition.
    pub ended_at: BTreeMap<String, i64>,
    /// What people asked of workflows, in the order of their partitions.
    pub orders: Vec<WorkflowOrder>,
    /// Executions that somebody wanted to end.
    pub canceled: BTreeSet<String>,
    /// What owners remember, by its key.
    pub remembered: BTreeSet<Vec<u8>>,
    /// When rows about status changes were written, by execution and number: true time, unlike that in them.
    pub written_ms: BTreeMap<(String, i64), i64>,
    /// Records of the audit trail and dead letters: topic, partition, offset.
    pub audited: Vec<(String, u32, i64)>,
    /// Rows that the sinks have written.
    pub rows: Vec<MemoryRow>,
    /// Whether the sinks began anew: then rows are written again, and are one for whoever asks.
    pub rows_again: bool,
    /// Dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Events that executions have ended, by their ids.
    pub ends: Vec<String>,
    /// Scheduled instants of the timer, in milliseconds since the epoch.
    pub ticks: Vec<i64>,
    /// Records that this release cannot read.
    pub unreadable: Vec<String>,
}

impl History {
    /// Looks at a run.
    pub fn read(world: &World) -> Self {
        let mut history = Self { effects: world.supervisors.effects(), ..Self::default() };
        history.read_events(&world.bus);
        history.read_executions(&world.bus);
        history.rows = world.tables.rows();
        history.rows_again = world.sinks_forgotten.get();
        for topic in [pack::topics().audit(), pack::topics().dead_letters()] {
            let at = |(partition, record): (u32, Arc<OwnedRecord>)| (topic.to_string(), partition, record.offset);
            history.audited.extend(world.bus.stored_records(&topic).into_iter().map(at));
        }
        let until_ms = |process: &Rc<Process>| process.harmed_ms.get().min(world.all_harmed_ms.get());
        let processes = world.processes.borrow();
        let owners = processes.iter().filter(|process| process.role == Role::Owner);
        let rules = processes.iter().filter(|process| process.role == Role::Rules);
        history.rules_unharmed_ms = rules.map(until_ms).chain([world.held_back_ms.get()]).min().unwrap_or(i64::MIN);
        for process in owners {
            let owned = process.body.borrow().as_ref().map_or_else(Vec::new, |body| body.owns());
            history.owners_ms.extend(owned.into_iter().map(|partition| (partition, process.clock.now_ms())));
        }
        history.unharmed_ms = processes.iter().map(|p| (p.name.clone(), until_ms(p))).collect();
        history
    }

    fn read_events(&mut self, bus: &SimBus) {
        for (partition, record) in bus.stored_records(ALERTS) {
            let event = alert(&record).map(|facts| {
                let id = EventId::of_record(CLUSTER, ALERTS, partition, record.offset, record.timestamp_ms);
                (id.as_str().to_owned(), facts)
            });
            self.sent.push(Sent {
                at: (ALERTS.to_owned(), partition, record.offset),
                event,
                sent_ms: record.timestamp_ms,
            });
        }
        let name = pack::topics().triggers();
        for (partition, record) in bus.stored_records(&name) {
            let event = decode::<TriggerEvent>(record.value.as_deref().unwrap_or_default()).ok();
            if let Some(event) = event.as_ref().filter(|e| e.trigger == pack::TIMER) {
                self.ticks.push(event.occurred_at_ms);
            }
            if let Some(event) = event.as_ref().filter(|e| e.trigger == ENDS_TRIGGER) {
                self.ends.push(event.event_id.clone());
            }
            let event = event.filter(|e| e.trigger != pack::UNKNOWN_TRIGGER);
            let event = event.map(|e| (e.event_id, Facts { trigger: e.trigger, used_pct: 0.0 }));
            self.sent.push(Sent {
                at: (name.to_string(), partition, record.offset),
                event,
                sent_ms: record.timestamp_ms,
            });
        }
        self.ticks.sort_unstable();
    }

    fn read_executions(&mut self, bus: &SimBus) {
        let topics = pack::topics();
        for (at, record) in self.each_when(bus, &topics.requests(), RequestsRecord::decode) {
            match record {
                RequestsRecord::ActionRequest(request) => {
                    let event = request.event_id.clone().unwrap_or_default();
                    let first_ms = self.decided_ms.entry(event).or_insert(at.ms);
                    *first_ms = at.ms.min(*first_ms);
                    self.requests.push(request);
                }
                RequestsRecord::CancelRequest(cancel) => {
                    self.canceled.insert(cancel.execution_id);
                }
                RequestsRecord::WorkflowOrder(order) => self.orders.push(order),
                _ => {}
            }
        }
        for (partition, record) in bus.stored_records(&topics.requests()) {
            let root = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            self.partitions.insert(root, partition);
        }
        for (at, record) in self.each_when(bus, &topics.audit(), AuditRecord::decode) {
            match record {
                AuditRecord::RuleMatched(row) => self.matches.push(row),
                AuditRecord::ExecutionChanged(row) => {
                    self.written_ms.insert((row.execution_id.clone(), row.sequence), at.ms);
                    match is_final(&row.status) {
                        true => self.ended_at.insert(row.execution_id.clone(), at.offset),
                        // It may run again.
                        false => self.ended_at.remove(&row.execution_id),
                    };
                    self.changes.entry(row.execution_id.clone()).or_default().push(row);
                }
                AuditRecord::GateDecided(row) => self.decisions.push((at.ms, row)),
                AuditRecord::OutputCaptured(row) => {
                    self.outputs.entry(row.execution_id.clone()).or_default().push(row);
                }
                _ => {}
            }
        }
        for (_, record) in bus.stored_records(&topics.executions()) {
            let key = record.key.as_deref().unwrap_or_default();
            match record.value {
                Some(_) => self.remembered.insert(key.to_vec()),
                None => self.remembered.remove(key),
            };
        }
        for (_, record) in bus.stored_records(&topics.gate_state()) {
            let is_there = record.value.is_some();
            self.gate_state.push((record.timestamp_ms, record.key.clone().unwrap_or_default(), is_there));
        }
        let results = self.each(bus, &topics.results(), ResultsRecord::decode);
        let is_off =
            |record: &&ResultsRecord| matches!(record, ResultsRecord::Declined(r) if r.reason == "switched_off");
        self.switched_off = results.iter().filter(is_off).count();
        for class in Class::ALL {
            let tasks = self.each(bus, &topics.tasks(POOL, class), decode::<Task>);
            self.tasks.extend(tasks);
        }
        self.dead_letters = self.each(bus, &topics.dead_letters(), decode::<DeadLetter>);
    }

    /// When it was looked at, by the clock of who owns an execution: the end of time, if nobody does.
    pub fn owner_ms(&self, id: &str) -> i64 {
        let root = id.split('.').next().unwrap_or_default();
        self.partitions.get(root).and_then(|partition| self.owners_ms.get(partition)).copied().unwrap_or(i64::MAX)
    }

    /// How often each event was sent, and what it says.
    pub fn events(&self) -> BTreeMap<&str, (&Facts, usize)> {
        let mut events: BTreeMap<&str, (&Facts, usize)> = BTreeMap::new();
        for (id, facts) in self.sent.iter().filter_map(|s| s.event.as_ref()) {
            events.entry(id).or_insert((facts, 0)).1 += 1;
        }
        events
    }

    fn each<T>(&mut self, bus: &SimBus, topic: &str, read: impl Fn(&[u8]) -> Result<T, DecodeError>) -> Vec<T> {
        self.each_when(bus, topic, read).into_iter().map(|(_, one)| one).collect()
    }

    /// Each with where it stands.
    fn each_when<T>(
        &mut self,
        bus: &SimBus,
        topic: &str,
        read: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Vec<(At, T)> {
        if bus.partitions(topic).ok().flatten().is_none() {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (partition, record) in bus.stored_records(topic) {
            match read(record.value.as_deref().unwrap_or_default()) {
                Ok(one) => all.push((At { ms: record.timestamp_ms, offset: record.offset }, one)),
                Err(e) => self.unreadable.push(format!("{topic}/{partition} at {}: {e}", record.offset)),
            }
        }
        all
    }
}

/// Where a record stands.
struct At {
    /// When it was written, in true milliseconds since the epoch.
    ms: i64,
    /// Its offset.
    offset: i64,
}

fn alert(record: &OwnedRecord) -> Option<Facts> {
    let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).ok()?;
    value.get("host")?.as_str()?;
    let used_pct = value.get("used_pct")?.as_f64()?;
    Some(Facts { trigger: "sim.alert".to_owned(), used_pct })
}
