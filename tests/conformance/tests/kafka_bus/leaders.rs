//! One of several brokers is killed, and with it goes the only copy of some partitions.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{Bus, Output, PublishError};
use petrel_testkit::{KafkaCluster, kafka_or_skip, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::support::{PATIENCE, bus_with, committed, output, unique};

/// Longest time of a call that nothing but the coordinator's move to another broker holds up: a dead one is given up
/// after nine seconds.
const BOUND: Duration = Duration::from_secs(25);

/// Creates a topic with one copy of each of three partitions; the numbers of the brokers that lead them.
fn topic_without_copies(address: &str) -> (Arc<str>, Vec<i32>) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let name = unique("single");
    let topic = NewTopic::new(&name, 3, TopicReplication::Fixed(1)).set("min.insync.replicas", "1");
    let created = futures_executor::block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    created.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    let mut leaders = Vec::new();
    wait_until("every partition has a leader", PATIENCE, || {
        let metadata = admin.inner().fetch_metadata(Some(&name), PATIENCE).unwrap();
        leaders = metadata.topics()[0].partitions().iter().map(|partition| partition.leader()).collect();
        leaders.len() == 3 && leaders.iter().all(|leader| *leader > 0)
    });
    (name, leaders)
}

#[test]
fn a_dead_broker_holds_up_only_what_is_written_to_it() {
    if !kafka_or_skip() {
        return;
    }
    let mut cluster = KafkaCluster::start(3).unwrap();
    let address = cluster.bootstrap();
    let (to, leaders) = topic_without_copies(&address);
    let dead = leaders[0];
    assert!(leaders[1..].iter().all(|leader| *leader != dead), "{leaders:?}");
    // Brokers that have only started may take nothing for a while.
    let early = bus_with(&address, |options| options.publish_timeout_ms = 5_000);
    for partition in 0..3 {
        wait_until("every partition takes records", PATIENCE, || {
            let publisher = early.publisher(&unique("early")).unwrap();
            publisher.publish(vec![output(&to, partition, "early")]).wait().is_ok()
        });
    }
    let bus = bus_with(&address, |options| options.publish_timeout_ms = 60_000);
    let publisher = bus.publisher(&unique("p")).unwrap();
    let both = |first: u32, second: u32, text: &str| vec![output(&to, first, text), output(&to, second, text)];
    let within = |outputs: Vec<Output>| {
        let (began, what) = (Instant::now(), format!("{outputs:?}"));
        let answer = publisher.publish(outputs).wait();
        assert!(answer.is_ok() && began.elapsed() < BOUND, "{answer:?} after {:?}: {what}", began.elapsed());
    };
    within(both(1, 2, "first"));
    within(vec![output(&to, 0, "first")]);
    cluster.kill9(usize::try_from(dead - 1).unwrap());
    // Nobody has noticed: this one's transaction begins, and cannot be ended while the broker is away.
    let began = Instant::now();
    let hanging = publisher.publish(both(0, 1, "hanging"));
    let mut rounds = 0;
    while rounds < 3 || began.elapsed() < BOUND {
        within(both(2, 2, "meanwhile"));
        within(vec![output(&to, 2, "meanwhile")]);
        rounds += 1;
    }
    let hanging = hanging.wait();
    assert!(matches!(hanging, Err(PublishError::Unavailable(_))), "{hanging:?}");
    // Now it is known that nobody leads it.
    let waiting = publisher.publish(both(0, 1, "waiting"));
    within(both(2, 2, "last"));
    cluster.start_again(usize::try_from(dead - 1).unwrap()).unwrap();
    waiting.wait().unwrap();
    let mut found = committed(&bus, &to);
    // One that timed out may have been written all the same.
    found.values_mut().for_each(|values| values.retain(|value| value != "early"));
    assert_eq!(
        (&found[&0], &found[&1]),
        (&vec!["first".into(), "waiting".into()], &vec!["first".into(), "waiting".into()])
    );
    assert_eq!(found[&2].len(), 1 + 3 * rounds + 2);
}
