//! Topics: creating, comparing, asking for offsets.

use std::time::Instant;

use petrel_bus::{Bus, BusError, TopicSpec};
use petrel_testkit::shared_kafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::support::{PATIENCE, bus, fill, topic, unique};

/// Removes the records before an offset, as retention does.
pub fn delete_records(address: &str, topic: &str, partition: i32, before: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
    let deleted = futures_executor::block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    deleted.elements().iter().for_each(|element| element.error().unwrap());
}

#[test]
fn topics_are_created_once_and_refused_if_they_differ() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let kept = TopicSpec { name: unique("kept"), partitions: 3, compacted: true, retention_ms: None };
    let log = TopicSpec { name: unique("log"), partitions: 2, compacted: false, retention_ms: Some(3_600_000) };
    for _ in 0..2 {
        bus.ensure_topics(&[kept.clone(), log.clone()]).unwrap();
    }
    assert_eq!(bus.partitions(&kept.name), Ok(Some(3)));
    assert_eq!(bus.partitions(&unique("none")), Ok(None));
    assert_eq!(bus.partitions("not a topic's name"), Ok(None));
    let differing = [
        (TopicSpec { partitions: 4, ..kept.clone() }, "partitions", "3", "4"),
        (TopicSpec { compacted: true, retention_ms: None, ..log.clone() }, "cleanup.policy", "delete", "compact"),
        (TopicSpec { retention_ms: None, ..log.clone() }, "retention.ms", "3600000", "-1"),
    ];
    for (spec, setting, found, wanted) in differing {
        let (found, wanted) = (found.to_owned(), wanted.to_owned());
        let error = BusError::TopicDiffers { topic: spec.name.to_string(), setting, found, wanted };
        assert_eq!(bus.ensure_topics(&[spec]), Err(error));
    }
    assert!(!bus.cluster_id().unwrap().is_empty());
    assert_eq!(bus.cluster_id(), crate::support::bus(address).cluster_id());
}

#[test]
fn offsets_are_told_by_partition() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let name = topic(&bus, "offsets", 2);
    assert_eq!(bus.end_offsets(&name), Ok(vec![0, 0]));
    fill(&bus, &name, 1, "r", 10);
    // Ten records, and the marker of their transaction, which comes a moment later.
    let began = Instant::now();
    while bus.end_offsets(&name) != Ok(vec![0, 11]) {
        assert!(began.elapsed() < PATIENCE, "{:?}", bus.end_offsets(&name));
    }
    assert_eq!(bus.beginning_offsets(&name), Ok(vec![0, 0]));
    assert_eq!(bus.offsets_at(&name, 0), Ok(vec![0, 0]));
    assert_eq!(bus.offsets_at(&name, i64::MAX / 2), Ok(vec![0, 11]));
    delete_records(address, &name, 1, 4);
    assert_eq!(bus.beginning_offsets(&name), Ok(vec![0, 4]));
    let none = unique("none");
    assert_eq!(bus.end_offsets(&none), Err(BusError::UnknownTopic(none.to_string())));
}
