//! A stage on a local log whose disk fills up: it says so, pauses, and goes on once there is space.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, DriverOptions, InputTopic, Output, PublishError, SessionOptions, Start, TopicSpec, spawn_stage};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_conformance_tests::{CountStage, SharedSettings, Topics, WallClock};
use petrel_testkit::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_stage_pauses_while_the_disk_is_full_and_goes_on() {
    let dir = tempfile::TempDir::new().unwrap();
    let bus = LocalBus::open(LocalOptions::new(dir.path()), Arc::new(WallClock)).unwrap();
    let spec = |name: &str, compacted| TopicSpec {
        name: name.into(),
        partitions: 2,
        compacted,
        retention_ms: None,
        delete_retention_ms: None,
    };
    bus.ensure_topics(&[spec("in", false), spec("out", false), spec("state", true)]).unwrap();
    let topics = Topics {
        inputs: vec![InputTopic { name: "in".into(), start: Start::Beginning, with: None }],
        output: "out".into(),
        changelog: "state".into(),
    };
    let options = SessionOptions { group: "g".into(), member: "m".into(), transactional: true };
    let stage = spawn_stage(
        Arc::new(bus.clone()),
        CountStage::new("count", topics),
        options,
        DriverOptions::default(),
        SharedSettings::new(),
        Arc::new(WallClock),
    );
    let publisher = bus.publisher("p").unwrap();
    let publish = |key: &str| publisher.publish(vec![Output::keyed(&"in".into(), key, b"v".to_vec())]).wait();
    let outputs = || bus.end_offsets("out").unwrap().iter().sum::<i64>();
    publish("a").unwrap();
    wait_until("the first output", PATIENCE, || outputs() == 1);
    // Input that comes in while there is space for it and not for what follows from it cannot be staged
    // from outside; the stage meets the full disk when it begins on the partitions anew.
    bus.set_disk_free_bytes_min(u64::MAX / 2);
    assert!(matches!(publish("b"), Err(PublishError::Unavailable(_))));
    bus.set_disk_free_bytes_min(0);
    for i in 0..200 {
        let receipt = publisher.publish(vec![Output::keyed(&"in".into(), format!("k{i}"), b"v".to_vec())]);
        if i == 100 {
            bus.set_disk_free_bytes_min(u64::MAX / 2);
        }
        // Some of these are refused; those that are not must come out at the other end.
        let _ = receipt.wait();
    }
    let inputs = || bus.end_offsets("in").unwrap().iter().sum::<i64>();
    let written = inputs();
    assert!(written < 200, "{written} were written although the disk was full");
    bus.set_disk_free_bytes_min(0);
    wait_until("everything that was written comes out", PATIENCE, || outputs() == inputs());
    publish("last").unwrap();
    wait_until("and what comes later", PATIENCE, || outputs() == written + 1);
    wait_until("and all is well", PATIENCE, || stage.stats().problems().is_empty());
    stage.join();
}
