//! Where reading begins.

use petrel_bus::{InputTopic, Position, SessionOptions, Start};

use crate::harness::BusUnderTest;
use crate::properties::atomicity::{assigned, session};
use crate::world::World;

/// A group that never committed begins at the beginning or at given offsets, and commits that at once;
/// afterwards its own offsets count.
pub fn reading_begins_where_it_should<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "starts", 2);
    let keys: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    world.publish("in", &keys.iter().map(|k| (&**k, "old")).collect::<Vec<_>>());
    let ends = under.bus().end_offsets(&world.topic("in")).unwrap();
    let old_of_1 = world.records("in").iter().filter(|(partition, _)| *partition == 1).count();
    // Partition 1 is behind the offsets given: it begins at its beginning.
    world.topics.inputs =
        vec![InputTopic { name: world.topic("in"), start: Start::Offsets(vec![ends[0]]), with: None }];
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("partition 1", &mut [&mut driver], || world.output_count() == old_of_1).unwrap();
    driver.finish().unwrap();
    world.publish("in", &keys.iter().map(|k| (&**k, "new")).collect::<Vec<_>>());
    world.topics.inputs = vec![InputTopic { name: world.topic("in"), start: Start::Beginning, with: None }];
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the new ones", &mut [&mut driver], || world.output_count() == old_of_1 + 10).unwrap();
    driver.finish().unwrap();
    let old = world.outputs().iter().filter(|o| o.ends_with("old")).count();
    assert_eq!(old, old_of_1, "committed offsets win over a start");
}

/// A start does not move while nothing else is committed: whoever begins there has committed it before it
/// reads.
pub fn a_start_is_committed_before_anything_is_read<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "firm", 1);
    world.publish("in", &[("a", "old"), ("b", "old")]);
    let second = world.records("in")[1].1.offset;
    let input = |start| vec![InputTopic { name: world.topic("in"), start, with: None }];
    let (now, beginning) = (input(Start::Offsets(vec![second])), input(Start::Beginning));
    world.topics.inputs = now;
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    petrel_testkit::wait_until("the partition is assigned", under.patience(), || {
        driver.tick().unwrap();
        under.clock().sleep(std::time::Duration::from_millis(1));
        !driver.partitions().is_empty()
    });
    drop(driver);
    world.topics.inputs = beginning;
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.publish("in", &[("c", "new")]);
    world
        .run_until("the new record", &mut [&mut driver], || world.outputs().iter().any(|o| o.ends_with("new")))
        .unwrap();
    driver.finish().unwrap();
    let values: Vec<String> = world.outputs().iter().filter_map(|o| Some(o.rsplit(' ').next()?.to_owned())).collect();
    assert_eq!(values, ["old", "new"], "the second record and the third");
}

/// A session without transactions finds the text that it committed beside its offset.
pub fn metadata_comes_back<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "metadata", 1);
    world.publish("in", &[("a", "1"), ("a", "2")]);
    let options = SessionOptions { transactional: false, ..world.session_options("sink") };
    let (bus, input) = (under.bus(), world.topic("in"));
    for (round, metadata) in [Some("0-1"), Some(""), Some("with a longer text")].into_iter().enumerate() {
        let mut session = session(&bus, &options, &input);
        let positions = assigned(&mut *session, under);
        assert_eq!(positions[0].offset, round.min(1) as i64);
        let at = positions[0].at.clone();
        session.commit(&[Position { at, offset: 1, metadata: metadata.map(str::to_owned) }]).unwrap();
        session.close();
        drop(session);
        let mut session = super::atomicity::session(&bus, &options, &input);
        let found = assigned(&mut *session, under)[0].metadata.clone();
        assert_eq!(found.as_deref().unwrap_or_default(), metadata.unwrap_or_default());
        session.close();
    }
}
