//! Sensors: programs of Petrel's own that look at something and publish what they see.
//!
//! One thread runs them all. Which ones run follows the catalog: a trigger with `source: {sensor: …}`
//! is sampled as long as the revision in force has it.

mod deliver;
pub mod host;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Clock, Life, Publisher, Service, ServiceThread, StopSignal};
use petrel_catalog::{TriggerSource, Triggers};
use petrel_schemas::TriggerEvent;

use crate::admission::Head;
use crate::event;
use crate::metrics::Metrics;
use deliver::Deliver;
use host::HostProbe;

/// How often the thread looks at the catalog and whether it shall stop, in milliseconds.
const LOOK_MS: i64 = 50;
/// Longest part of an event's id that comes from the instance's name, in bytes.
const INSTANCE_BYTES_MAX: usize = 64;

/// What sensors are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorOptions {
    /// Name of this process, stable over restarts; part of the events' ids.
    pub instance: String,
    /// First pause after a failed attempt to publish, in milliseconds; it doubles.
    pub backoff_ms_min: i64,
    /// Longest pause, in milliseconds.
    pub backoff_ms_max: i64,
    /// How long one sample is tried to be published before it is given up, in milliseconds.
    pub publish_ms_max: i64,
}

impl SensorOptions {
    /// The defaults, for a process of that name.
    pub fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), backoff_ms_min: 200, backoff_ms_max: 10_000, publish_ms_max: 60_000 }
    }
}

/// All sensors of a process.
pub struct Sensors {
    head: Head,
    triggers: Arc<str>,
    deliver: Deliver,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    id_prefix: String,
    /// Events made so far; the last part of an id.
    events: u64,
    /// None where the machine cannot be read.
    probe: Option<HostProbe>,
    running: BTreeMap<String, Running>,
    /// Those that `running` follows.
    known: Arc<Triggers>,
}

/// A trigger that is being sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    every_ms: i64,
    due_ms: i64,
    samples: u64,
}

impl Sensors {
    /// `triggers` is the full name of the topic `petrel.triggers`. Nothing runs yet.
    pub fn new(
        options: SensorOptions,
        head: Head,
        triggers: Arc<str>,
        publisher: Arc<dyn Publisher>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let probe = HostProbe::new()
            .inspect_err(|error| tracing::error!(%error, "this machine cannot be read, the host sensor stays silent"))
            .ok();
        // An id is made once for a sample, and a restart begins with another number: a retry is the same
        // event, and no two samples share one.
        let id_prefix = format!("host-{}-{}", id_part(&options.instance), clock.now_ms());
        Self {
            head,
            triggers,
            deliver: Deliver::new(options, publisher, clock.clone(), metrics.clone()),
            clock,
            metrics,
            id_prefix,
            events: 0,
            probe,
            running: BTreeMap::new(),
            known: Arc::default(),
        }
    }

    /// Runs until `stop` is set; blocks the thread. What is being published then is given up.
    pub fn run(&mut self, stop: &StopSignal) {
        while !stop.is_set() {
            self.follow_catalog();
            let now_ms = self.clock.now_ms();
            match self.next_due(now_ms) {
                Some((trigger, _)) => self.sample(&trigger, stop),
                None => self.pause(now_ms),
            }
        }
    }

    /// Runs on a thread of its own.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn spawn(self) -> std::io::Result<SensorsHandle> {
        let (clock, stop) = (self.clock.clone(), StopSignal::default());
        let thread = ServiceThread::start("sensors", clock, stop.clone(), Supervised { sensors: self, stop })?;
        Ok(SensorsHandle { thread })
    }

    /// Starts and stops sensors as the revision in force says.
    fn follow_catalog(&mut self) {
        let head = (self.head)();
        if head.revision() == self.known.revision() {
            return;
        }
        let now_ms = self.clock.now_ms();
        let mut running = BTreeMap::new();
        for trigger in head.iter() {
            let TriggerSource::Sensor { sensor, every_ms } = &trigger.source else { continue };
            if sensor != host::NAME {
                // The catalog refuses other names; one of a newer release is not this process's.
                tracing::warn!(trigger = %trigger.reference, %sensor, "unknown sensor");
                continue;
            }
            let fresh = Running { every_ms: *every_ms, due_ms: now_ms, samples: 0 };
            let next = match self.running.get(&trigger.reference) {
                None => fresh,
                Some(known) if known.every_ms == *every_ms => *known,
                Some(known) => Running { due_ms: now_ms + every_ms, samples: known.samples, ..fresh },
            };
            running.insert(trigger.reference.clone(), next);
        }
        tracing::info!(sensors = running.len(), "sensors follow the catalog");
        (self.running, self.known) = (running, head);
    }

    /// The trigger that is due, the most overdue first.
    fn next_due(&mut self, now_ms: i64) -> Option<(String, i64)> {
        for running in self.running.values_mut() {
            // A clock that was set back must not silence a sensor.
            running.due_ms = running.due_ms.min(now_ms + running.every_ms);
        }
        let due = self.running.iter().filter(|(_, running)| running.due_ms <= now_ms);
        due.map(|(trigger, running)| (trigger.clone(), running.due_ms)).min_by_key(|(_, due_ms)| *due_ms)
    }

    fn pause(&self, now_ms: i64) {
        let due_ms = self.running.values().map(|running| running.due_ms).min().unwrap_or(i64::MAX);
        let wait_ms = due_ms.saturating_sub(now_ms).clamp(1, LOOK_MS);
        self.clock.sleep(Duration::from_millis(wait_ms.unsigned_abs()));
    }

    fn sample(&mut self, trigger: &str, stop: &StopSignal) {
        let now_ms = self.clock.now_ms();
        let Some(running) = self.running.get_mut(trigger) else { return };
        // Samples that were missed are not made up for: they would all show the same moment.
        let next_ms = running.due_ms + running.every_ms;
        running.due_ms = if next_ms > now_ms { next_ms } else { now_ms + running.every_ms };
        running.samples += 1;
        let number = running.samples;
        let Some(event) = self.event(trigger, number, now_ms) else { return };
        let definition = self.known.get(trigger);
        let key = definition.zip(serde_json::from_str(&event.payload).ok()).and_then(|(t, p)| t.event_key(&p));
        let output = event::output(&self.triggers, key.as_deref(), &event);
        if self.deliver.publish(host::NAME, output, stop) {
            self.metrics.events.with_label_values(&[event::SOURCE_HOST]).inc();
        }
    }

    fn event(&mut self, trigger: &str, number: u64, now_ms: i64) -> Option<TriggerEvent> {
        let sample = self.probe.as_mut()?.sample(number);
        self.events += 1;
        let event_id = format!("{}-{}", self.id_prefix, self.events);
        // A struct of plain fields; should it not serialise, there is no event.
        let payload = serde_json::to_string(&sample).ok()?;
        let (trigger, source) = (trigger.to_owned(), event::SOURCE_HOST.to_owned());
        Some(TriggerEvent { event_id, trigger, occurred_at_ms: now_ms, payload, source, cause_depth: 0 })
    }
}

/// The sensors on their thread. A sample that panics is lost, as one that cannot be published.
struct Supervised {
    sensors: Sensors,
    stop: StopSignal,
}

impl Service for Supervised {
    fn live(&mut self, _: &Life<'_>) -> Result<(), String> {
        self.sensors.run(&self.stop);
        Ok(())
    }
}

/// A name as a part of an id, which is visible ASCII of limited length.
fn id_part(name: &str) -> String {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    name.chars().take(INSTANCE_BYTES_MAX).map(visible).collect()
}

/// The running sensors; they stop when it is dropped.
#[derive(Debug)]
pub struct SensorsHandle {
    thread: ServiceThread,
}

impl SensorsHandle {
    /// Asks them to stop; returns at once.
    pub fn stop(&self) {
        self.thread.stop();
    }
}

#[cfg(test)]
mod tests;
