//! Writing from outside of a stage.

use petrel_bus::{Output, PublishError, SoleWriteError, TopicPartition};

use crate::harness::BusUnderTest;
use crate::world::{World, text};

/// A call with one record that cannot be written writes none of the others.
pub fn a_call_is_written_whole_or_not_at_all<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "whole", 2);
    let publisher = under.bus().publisher("suite").unwrap();
    let topic = world.topic("in");
    let fine = |i: usize| Output::keyed(&topic, format!("k{i}"), b"fine".to_vec());
    let bad: [Output; 2] = [
        Output::keyed(&topic, "k", vec![b'x'; 64 * 1024 * 1024]),
        Output::keyed(&"not a topic/name".into(), "k", b"v".to_vec()),
    ];
    for bad in bad {
        let refused = publisher.publish(vec![fine(0), fine(1), bad, fine(2)]).wait();
        assert!(matches!(refused, Err(PublishError::TooLarge { .. } | PublishError::UnknownTopic(_))), "{refused:?}");
    }
    publisher.publish((0..50).map(fine).collect()).wait().unwrap();
    assert_eq!(publisher.publish(Vec::new()).wait(), Ok(Vec::new()));
    assert_eq!(world.records("in").len(), 50);
}

/// A receipt names partition and offset of each record, in the order given.
pub fn receipts_say_where<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "receipts", 3);
    let publisher = under.bus().publisher("suite").unwrap();
    let topic = world.topic("in");
    let mut claimed = Vec::new();
    // Several calls wait at once, as those of several callers do.
    let calls: Vec<Vec<String>> = (0..5).map(|c| (0..7).map(|i| format!("{c}-{i}")).collect()).collect();
    let publish = |names: &Vec<String>| {
        publisher.publish(names.iter().map(|n| Output::keyed(&topic, &**n, n.clone().into_bytes())).collect())
    };
    let receipts: Vec<_> = calls.iter().map(publish).collect();
    for (names, receipt) in calls.iter().zip(receipts) {
        claimed.extend(names.iter().cloned().zip(receipt.wait().unwrap()));
    }
    let records = world.records("in");
    assert_eq!(records.len(), 35);
    for (name, (TopicPartition { partition, .. }, offset)) in claimed {
        let found = records.iter().find(|(_, r)| text(r.value.as_deref()) == name).unwrap();
        assert_eq!(found.0, partition, "{name}");
        assert!(offset.is_none_or(|offset| offset == found.1.offset), "{name}");
    }
}

/// Of the sole writers of one name only the latest writes, and what an earlier one wrote is there when the next
/// one is opened.
pub fn only_the_latest_sole_writer_writes<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "sole", 1);
    let bus = under.bus();
    let (name, another) = (world.topic("writer"), world.topic("another"));
    let record = |value: &str| vec![Output::keyed(&world.topic("in"), "k", value.as_bytes().to_vec())];
    bus.sole_writer(&name).unwrap().write(record("1")).unwrap();
    let (old, other) = (bus.sole_writer(&name).unwrap(), bus.sole_writer(&another).unwrap());
    let new = bus.sole_writer(&name).unwrap();
    assert_eq!(old.write(record("old")), Err(SoleWriteError::Superseded));
    new.write(record("2")).unwrap();
    other.write(record("3")).unwrap();
    let seen: Vec<String> = world.records("in").iter().map(|(_, r)| text(r.value.as_deref())).collect();
    assert_eq!(seen, ["1", "2", "3"]);
}
