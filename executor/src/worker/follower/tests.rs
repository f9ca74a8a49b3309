//! Orders over the simulated log.

mod faults;

use std::time::Duration;

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{Output, Publisher, TopicSpec};
use petrel_execution::worker::Stop;
use petrel_schemas::{Task, encode};

use super::*;

/// Nobody waits that long unless something is lost.
const LIMIT: Duration = Duration::from_secs(30);
const NOW_MS: i64 = 1_700_000_000_000;

struct Rig {
    bus: SimBus,
    topic: Arc<str>,
    attempts: Arc<Attempts>,
    follower: Follower,
}

impl Rig {
    fn new() -> Self {
        let clock = SimClock::at(NOW_MS);
        let bus = SimBus::new(clock.clone(), SimOptions::default());
        Self::over(bus.clone(), Arc::new(bus), clock)
    }

    /// What is followed is the log `bus`, as `followed` tells it.
    fn over(bus: SimBus, followed: Arc<dyn Bus>, clock: Arc<SimClock>) -> Self {
        let topic: Arc<str> = "petrel.orders.default".into();
        let (partitions, compacted) = (2, false);
        let spec =
            TopicSpec { name: topic.clone(), partitions, compacted, retention_ms: None, delete_retention_ms: None };
        bus.ensure_topics(&[spec]).unwrap();
        let attempts = Arc::new(Attempts::new("w1".into()));
        let follower = Follower::start(followed, topic.clone(), attempts.clone(), clock).unwrap();
        Self { bus, topic, attempts, follower }
    }

    fn publish(&self, partition: u32, value: Vec<u8>) {
        self.bus.publish(vec![Output::to_partition(&self.topic, partition, "key", Some(value))]).wait().unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let is = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, is).await.unwrap_or_else(|_| panic!("never {what}"));
    }

    /// An attempt that this worker holds is told to stop.
    async fn cancels(&self, partition: u32, execution: &str) {
        let held = self.attempts.hold(&task(execution), 0);
        self.publish(partition, encode(&Order { execution_id: execution.to_owned(), ..cancel() }));
        self.until("canceled", |_| held.borrow().stop() == Some(Stop::Canceled)).await;
    }
}

fn task(execution: &str) -> Task {
    Task {
        execution_id: execution.to_owned(),
        root_execution_id: execution.to_owned(),
        event_id: None,
        event_at_ms: None,
        rule: None,
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 5,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 1_000,
        lease_ms: 1_000,
        dispatched_at_ms: NOW_MS,
        start_by_ms: NOW_MS + 1_000,
        declines: 0,
    }
}

fn cancel() -> Order {
    Order {
        execution_id: String::new(),
        root_execution_id: String::new(),
        attempt: 1,
        token: 5,
        worker: None,
        order: "cancel".to_owned(),
        start_by_ms: NOW_MS + 1_000,
    }
}

#[tokio::test]
async fn an_order_of_a_newer_release_keeps_a_worker_from_claiming_and_others_from_being_missed() {
    let rig = Rig::new();
    rig.until("following", |rig| rig.attempts.is_following()).await;
    rig.cancels(0, "a").await;
    // What nobody can read is nobody's order.
    rig.publish(0, b"rubbish".to_vec());
    rig.cancels(0, "b").await;
    assert!(rig.attempts.is_following() && rig.follower.troubles().now().is_empty());

    rig.publish(1, b"\xC3\x01newer-release".to_vec());
    rig.until("waiting", |rig| !rig.attempts.is_following()).await;
    let told = rig.follower.troubles().now();
    assert!(
        told.len() == 1 && told[0].why.starts_with("petrel.orders.default/1 has an order at offset 0: "),
        "{told:?}"
    );
    assert!(told[0].why.contains("newer release"), "{told:?}");
    rig.publish(1, b"\xC3\x01newer-release".to_vec());
    // What is held already stops when it is told to, on every partition.
    rig.cancels(0, "c").await;
    rig.cancels(1, "d").await;
    assert!(!rig.attempts.is_following(), "it cannot know that it missed nothing");
    assert_eq!(rig.follower.troubles().now(), told, "the first one is what it waits at");
}
