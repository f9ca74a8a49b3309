//! Topics and offsets.

use std::time::Duration;

use petrel_bus::{BusError, TopicSpec};

use crate::harness::BusUnderTest;
use crate::world::World;

/// What exists must be what the configuration says; the error names the difference.
pub fn existing_topics_must_match<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "match", 2);
    let bus = under.bus();
    assert_eq!(bus.partitions(&world.topic("in")).unwrap(), Some(2));
    assert_eq!(bus.partitions(&world.topic("nowhere")).unwrap(), None);
    let spec = |partitions, compacted, retention_ms, delete_retention_ms| TopicSpec {
        name: world.topic("own"),
        partitions,
        compacted,
        retention_ms,
        delete_retention_ms,
    };
    let same = spec(2, false, Some(7_200_000), None);
    bus.ensure_topics(std::slice::from_ref(&same)).unwrap();
    bus.ensure_topics(&[same]).unwrap();
    let different = [
        spec(3, false, Some(7_200_000), None),
        spec(2, true, None, Some(7_200_000)),
        spec(2, false, Some(1_000_000), None),
    ];
    for wanted in different {
        let refused = bus.ensure_topics(&[wanted]);
        let Err(BusError::TopicDiffers { topic, .. }) = &refused else { panic!("{refused:?}") };
        assert_eq!(*topic, *world.topic("own"));
    }
    let state =
        |delete_retention_ms| TopicSpec { name: world.topic("kept"), ..spec(2, true, None, Some(delete_retention_ms)) };
    bus.ensure_topics(&[state(7_200_000)]).unwrap();
    bus.ensure_topics(&[state(7_200_000)]).unwrap();
    let refused = bus.ensure_topics(&[state(1_000_000)]);
    let Err(BusError::TopicDiffers { found, wanted, .. }) = &refused else { panic!("{refused:?}") };
    assert!(found.starts_with("7200000") && wanted.starts_with("1000000"), "{refused:?}");
    let id = bus.cluster_id().unwrap();
    drop(bus);
    under.restart();
    assert_eq!(under.bus().cluster_id().unwrap(), id, "the log keeps its name");
}

/// Offsets by time are those of the first record that is not older.
pub fn offsets_by_time<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "times", 1);
    let topic = world.topic("in");
    let before_ms = under.clock().now_ms();
    world.publish("in", &[("a", "1")]);
    under.clock().sleep(Duration::from_millis(20));
    let between_ms = under.clock().now_ms();
    under.clock().sleep(Duration::from_millis(20));
    world.publish("in", &[("a", "2")]);
    let bus = under.bus();
    let begin = bus.beginning_offsets(&topic).unwrap();
    let second = world.records("in")[1].1.offset;
    assert_eq!(begin, [0]);
    assert_eq!(bus.offsets_at(&topic, before_ms - 1_000).unwrap(), [0]);
    // The marker that ended the first transaction may be younger than that, and has an offset.
    let between = bus.offsets_at(&topic, between_ms).unwrap();
    assert!((1..=second).contains(&between[0]), "{between:?}, the second record is at {second}");
    // The end may still move: a transaction's marker comes a moment later.
    petrel_testkit::wait_until("what is younger than all records is the end", under.patience(), || {
        let (later, end) = (bus.offsets_at(&topic, under.clock().now_ms() + 60_000), bus.end_offsets(&topic).unwrap());
        end[0] > second && later.unwrap() == end
    });
}
