//! Topics: creating, comparing, asking for offsets.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::collections::HashMap;
use std::time::Instant;

use petrel_bus::{Bus, BusError, TopicSpec};
use petrel_testkit::{poll_until, shared_kafka, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::support::{PATIENCE, bus, bus_with, fill, topic, unique};

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
    let kept = TopicSpec {
        name: unique("kept"),
        partitions: 3,
        compacted: true,
        retention_ms: None,
        delete_retention_ms: Some(7_200_000),
    };
    let (name, retention_ms) = (unique("log"), Some(3_600_000));
    let log = TopicSpec { name, partitions: 2, compacted: false, retention_ms, delete_retention_ms: None };
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
        (TopicSpec { delete_retention_ms: Some(1), ..kept.clone() }, "delete.retention.ms", "7200000", "1"),
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
fn every_setting_that_a_topic_is_created_with_is_compared() {
    let Some(address) = shared_kafka() else { return };
    let (one, larger) = (bus(address), bus_with(address, |o| o.record_bytes_max = 2_000_000));
    let (name, delete_retention_ms) = (unique("state"), Some(7_200_000));
    let spec = TopicSpec { name, partitions: 1, compacted: true, retention_ms: None, delete_retention_ms };
    one.ensure_topics(std::slice::from_ref(&spec)).unwrap();
    let refused = larger.ensure_topics(std::slice::from_ref(&spec));
    let Err(BusError::TopicDiffers { setting, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(*setting, "max.message.bytes", "a record that this process may write would be refused");
    for (setting, other) in [
        ("delete.retention.ms", "1000"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.9"),
        ("cleanup.policy", "delete"),
    ] {
        let before = alter(address, &spec.name, setting, other);
        // A broker hears of a change a moment after the controller has taken it.
        let refused = poll_until(PATIENCE, || one.ensure_topics(std::slice::from_ref(&spec)).err());
        let Some(BusError::TopicDiffers { setting: named, found, .. }) = &refused else { panic!("{refused:?}") };
        assert_eq!((*named, &**found), (setting, other));
        alter(address, &spec.name, setting, &before);
        wait_until("it is as it was", PATIENCE, || one.ensure_topics(std::slice::from_ref(&spec)).is_ok());
    }
    // A topic that takes more than this process writes is fine.
    alter(address, &spec.name, "max.message.bytes", "5000000");
    one.ensure_topics(std::slice::from_ref(&spec)).unwrap();
    larger.ensure_topics(std::slice::from_ref(&spec)).unwrap();
}

/// Changes one setting of a topic and keeps the others; returns what it was.
fn alter(address: &str, topic: &str, setting: &str, value: &str) -> String {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let resource = ResourceSpecifier::Topic(topic);
    let described = futures_executor::block_on(admin.describe_configs(&[resource], &AdminOptions::new())).unwrap();
    let config = described.into_iter().next().unwrap().unwrap();
    let set = config.entries.iter().filter(|e| e.source == ConfigSource::DynamicTopic);
    let mut all: HashMap<&str, &str> =
        set.map(|entry| (&*entry.name, entry.value.as_deref().unwrap_or_default())).collect();
    let before = all.insert(setting, value).unwrap_or_default().to_owned();
    let specifier = ResourceSpecifier::Topic(topic);
    let change = all.iter().fold(AlterConfig::new(specifier), |change, (name, value)| change.set(name, value));
    let altered = futures_executor::block_on(admin.alter_configs(&[change], &AdminOptions::new())).unwrap();
    altered.into_iter().for_each(|answer| drop(answer.unwrap()));
    before
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

#[test]
fn a_topic_that_was_made_anew_is_another_one() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (name, other) = (topic(&bus, "anew", 1), topic(&bus, "other", 1));
    let asked = || bus.incarnations(&[name.clone(), other.clone(), unique("none")]).unwrap();
    let first = asked();
    assert_eq!(first.keys().collect::<Vec<_>>(), [&name, &other]);
    assert_ne!(first[&name], first[&other]);
    assert_eq!(asked(), first, "it stays the same");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let deleted = futures_executor::block_on(admin.delete_topics(&[&*name], &AdminOptions::new())).unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    wait_until("it is gone", PATIENCE, || asked().len() == 1);
    let (partitions, compacted) = (1, false);
    let spec = TopicSpec { name: name.clone(), partitions, compacted, retention_ms: None, delete_retention_ms: None };
    wait_until("it is there again", PATIENCE, || bus.ensure_topics(std::slice::from_ref(&spec)).is_ok());
    wait_until("it is known again", PATIENCE, || asked().len() == 2);
    let second = asked();
    assert_ne!(second[&name], first[&name]);
    assert_eq!(second[&other], first[&other]);
}
