//! Tails of topics that cannot be read any more.

use std::time::Duration;

use petrel_bus::{Bus, BusError};
use petrel_testkit::{poll_until, shared_kafka, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use crate::support::{PATIENCE, bus_with, fill, topic};

#[test]
fn a_tail_says_that_its_topic_is_gone_and_that_it_has_read_nothing_before_it_has() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus_with(address, |options| {
        // Otherwise a client asks once a minute whether a topic that it reads is still there, and takes half a minute
        // to believe that it is not.
        for property in ["topic.metadata.refresh.interval.ms", "topic.metadata.propagation.max.ms"] {
            options.properties.insert(property.into(), "500".into());
        }
    });
    let name = topic(&bus, "gone", 2);
    fill(&bus, &name, 1, "r", 3);
    let mut tail = bus.tail(&name).unwrap();
    assert!(!tail.is_reading(), "nobody has answered yet");
    let next = |tail: &mut dyn petrel_bus::Tail| tail.next(Duration::from_millis(100), &mut |_, _| {});
    wait_until("both partitions are read", PATIENCE, || next(&mut *tail).is_ok() && tail.is_reading());
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let deleted = futures_executor::block_on(admin.delete_topics(&[&*name], &AdminOptions::new())).unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let error = poll_until(PATIENCE, || next(&mut *tail).err());
    assert_eq!(error, Some(BusError::UnknownTopic(name.to_string())));
    assert_eq!(bus.tail(&name).err(), Some(BusError::UnknownTopic(name.to_string())));
}
