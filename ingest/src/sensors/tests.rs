use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use petrel_bus::{Acknowledge, Clock, Output, PublishError, Publisher, Receipt, StopSignal, receipt};
use petrel_catalog::Triggers;
use petrel_schemas::{EventId, TriggerEvent, decode};
use prometheus::Registry;

use super::{SensorOptions, Sensors};
use crate::admission::tests::revision;
use crate::metrics::Metrics;

const T0: i64 = 1_700_000_000_000;

/// Virtual time that ends the run at an instant.
struct Until {
    now_ms: AtomicI64,
    end_ms: i64,
    stop: StopSignal,
}

impl Clock for Until {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn sleep(&self, time: Duration) {
        let step = time.as_millis() as i64;
        assert!(step > 0, "a loop that does not wait");
        if self.now_ms.fetch_add(step, Ordering::Relaxed) + step >= self.end_ms {
            self.stop.set();
        }
    }
}

/// Answers as told, then with success; keeps what it was given. An answer of `None` never comes.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Option<PublishError>>>,
    given: Mutex<Vec<Output>>,
    silent: Mutex<Vec<Acknowledge>>,
}

impl Publisher for Script {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        self.given.lock().unwrap().extend(outputs);
        let (acknowledge, receipt) = receipt();
        match self.answers.lock().unwrap().pop_front() {
            None => drop(acknowledge.send(Ok(Vec::new()))),
            Some(Some(error)) => drop(acknowledge.send(Err(error))),
            Some(None) => self.silent.lock().unwrap().push(acknowledge),
        }
        receipt
    }
}

struct Ran {
    events: Vec<(Option<String>, TriggerEvent)>,
    metrics: Metrics,
    ended_ms: i64,
}

type HeadAt = fn(i64) -> Option<&'static str>;

/// Runs the sensors for some virtual time; `head` says which trigger files are in force when.
fn run(for_ms: i64, answers: Vec<Option<PublishError>>, head: HeadAt) -> Ran {
    let stop = StopSignal::default();
    let clock = Arc::new(Until { now_ms: AtomicI64::new(T0), end_ms: T0 + for_ms, stop: stop.clone() });
    let publisher = Arc::new(Script { answers: Mutex::new(answers.into()), ..Script::default() });
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let seen = clock.clone();
    let head = move || head(seen.now_ms() - T0).map(compiled).unwrap_or_default();
    let (options, topic) = (SensorOptions::new("node 1"), "petrel.triggers".into());
    Sensors::new(options, Arc::new(head), topic, publisher.clone(), clock.clone(), metrics.clone()).run(&stop);
    let given = std::mem::take(&mut *publisher.given.lock().unwrap());
    let event = |output: Output| {
        assert_eq!(&*output.topic, "petrel.triggers");
        (output.key.map(|k| String::from_utf8(k).unwrap()), decode(output.value.as_ref().unwrap()).unwrap())
    };
    Ran { events: given.into_iter().map(event).collect(), metrics, ended_ms: clock.now_ms() - T0 }
}

fn compiled(every: &'static str) -> Arc<Triggers> {
    let one = format!("name: load\nsource: {{ sensor: host, every: {every} }}\n");
    let two = "name: slow\nsource: { sensor: host, every: 1m }\n";
    let pack = "name: demo\nversion: 1.0.0\ndescription: d\n";
    let other = "name: other\n";
    let mut files = vec![("pack.yaml", pack), ("triggers/load.yaml", one.as_str()), ("triggers/other.yaml", other)];
    if every == "10s" {
        files.push(("triggers/slow.yaml", two));
    }
    revision(&files).compiled().all_triggers().clone()
}

fn of(ran: &Ran, trigger: &str) -> Vec<i64> {
    ran.events.iter().filter(|(_, e)| e.trigger == trigger).map(|(_, e)| e.occurred_at_ms - T0).collect()
}

fn ids(ran: &Ran) -> Vec<&str> {
    ran.events.iter().map(|(_, e)| e.event_id.as_str()).collect()
}

#[test]
fn every_trigger_is_sampled_on_its_interval() {
    let ran = run(61_000, vec![], |_| Some("10s"));
    assert_eq!(of(&ran, "demo.load"), [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    assert_eq!(of(&ran, "demo.slow"), [0, 60_000]);
    let (key, first) = &ran.events[0];
    assert_eq!(first.event_id, format!("host-node_1-{T0}-1"));
    assert_eq!((key.as_deref(), first.source.as_str()), (Some(first.event_id.as_str()), "sensor/host"));
    let mut unique = ids(&ran);
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ran.events.len());
    assert!(unique.iter().all(|id| EventId::parse(id).is_ok()));
    assert_eq!(ran.metrics.events.with_label_values(&["sensor/host"]).get(), 9);
}

#[test]
fn samples_are_what_the_catalog_says_of_them() {
    let ran = run(25_000, vec![], |_| Some("10s"));
    let revision = compiled("10s");
    for (n, (_, event)) in ran.events.iter().filter(|(_, e)| e.trigger == "demo.load").enumerate() {
        let payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        let trigger = revision.get("demo.load").unwrap();
        assert_eq!(trigger.check_payload(&payload), Ok(()));
        let known = trigger.schema.as_ref().unwrap()["properties"].as_object().unwrap();
        for field in payload.as_object().unwrap().keys() {
            assert!(known.contains_key(field), "{field} is not in the schema");
        }
        assert_eq!(payload["sample"], n + 1);
    }
}

#[test]
fn sensors_come_and_go_with_the_head() {
    let ran = run(60_000, vec![], |at| match at {
        ..5_000 => None,
        5_000..22_000 => Some("10s"),
        22_000..40_000 => Some("3s"),
        _ => None,
    });
    assert_eq!(of(&ran, "demo.slow"), [5_000]);
    assert_eq!(of(&ran, "demo.load"), [5_000, 15_000, 25_000, 28_000, 31_000, 34_000, 37_000]);
}

#[test]
fn a_retry_is_the_same_event() {
    let failures = vec![
        Some(PublishError::Unavailable("down".into())),
        Some(PublishError::OutcomeUnknown("?".into())),
        Some(PublishError::Overloaded),
    ];
    let ran = run(9_000, failures, |_| Some("3s"));
    let first = ran.events[0].1.clone();
    assert!(ran.events[..4].iter().all(|(_, event)| *event == first));
    // Pauses of 200, 400 and 800 ms, then on as before.
    assert_eq!(of(&ran, "demo.load"), [0, 0, 0, 0, 3_000, 6_000]);
    assert_eq!(ran.metrics.sensor_failures.with_label_values(&["host"]).get(), 3);
    assert_eq!(ran.metrics.sensor_dropped.with_label_values(&["host"]).get(), 0);
}

#[test]
fn a_sample_is_given_up_after_a_while() {
    let down = || Some(PublishError::Unavailable("down".into()));
    // 0.2 + 0.4 + … + 6.4 + 10 + 10 + 10 + 10 s: eleven attempts within a minute, then the next sample.
    let ran = run(80_000, (0..11).map(|_| down()).collect(), |_| Some("30s"));
    let first = ids(&ran)[0];
    assert_eq!(ids(&ran).iter().filter(|id| **id == first).count(), 11);
    assert_eq!(ran.metrics.sensor_dropped.with_label_values(&["host"]).get(), 1);
    assert_eq!(of(&ran, "demo.load")[11..], [52_600, 60_000], "at once, being overdue, then on the grid again");
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    let ran = run(4_000, vec![Some(PublishError::TooLarge { bytes: 2, limit_bytes: 1 })], |_| Some("3s"));
    assert_eq!(of(&ran, "demo.load"), [0, 3_000]);
    assert_eq!(ran.metrics.sensor_dropped.with_label_values(&["host"]).get(), 1);
}

#[test]
fn a_silent_log_does_not_hold_the_shutdown_up() {
    let ran = run(10_000, vec![None], |_| Some("3s"));
    assert_eq!(ran.events.len(), 1);
    assert!(ran.ended_ms < 10_100);
}
