//! A log in a directory, records for it, and looks at it.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]
#![allow(dead_code)] // Each test binary uses a part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock, Output, OwnedRecord, PublishError, TopicSpec};
use petrel_bus_local::{LocalBus, LocalOptions};

/// Time that a test moves.
pub struct TestClock(pub AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

pub fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicI64::new(1_000_000)))
}

pub fn open(options: LocalOptions) -> Result<LocalBus, BusError> {
    LocalBus::open(options, clock())
}

pub fn publish(bus: &LocalBus, topic: &str, records: &[(&str, Option<&str>)]) -> Result<(), PublishError> {
    let topic: Arc<str> = topic.into();
    let output = |(key, value): &(&str, Option<&str>)| Output {
        value: value.map(|v| v.as_bytes().to_vec()),
        ..Output::keyed(&topic, *key, Vec::new())
    };
    bus.publisher("p").unwrap().publish(records.iter().map(output).collect()).wait().map(drop)
}

pub fn records(bus: &LocalBus, topic: &str) -> Vec<(u32, OwnedRecord)> {
    let mut tail = bus.tail(topic).unwrap();
    let mut records = Vec::new();
    while !tail.caught_up() {
        tail.next(Duration::ZERO, &mut |p, r| records.push((p, r.to_owned()))).unwrap();
    }
    records
}

/// Looks again whenever the log changed, at least every 5 ms.
pub fn wait_until(bus: &LocalBus, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    publish(bus, "wait", &[("k", None)]).unwrap();
    let mut tail = bus.tail("wait").unwrap();
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited in vain for: {what}");
        tail.next(Duration::from_millis(5), &mut |_, _| {}).unwrap();
    }
}

pub fn compacted(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.into(),
        partitions: 1,
        compacted: true,
        retention_ms: None,
        delete_retention_ms: Some(86_400_000),
    }
}
