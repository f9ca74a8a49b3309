//! Groups whose offsets the log has forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{DriverError, InputTopic, StageStats, Start};

use crate::harness::BusUnderTest;
use crate::properties::atomicity::{assigned, session};
use crate::world::World;

const RECORDS: usize = 12;

fn publish<B: BusUnderTest>(world: &World<'_, B>, topic: &str, round: &str) {
    let records: Vec<(String, String)> =
        (0..RECORDS).map(|i| (format!("k{}", i % 5), format!("{round} {i}"))).collect();
    world.publish(topic, &records.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>());
}

/// Nothing is decided twice: the positions stand in the changelog, those of a follower too.
pub fn a_group_that_the_log_forgot_goes_on_by_its_changelog<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "forgotten", 2);
    world.ensure(&[("more", 2, false)]);
    let with = Some(world.topic("in"));
    world.topics.inputs.push(InputTopic { name: world.topic("more"), start: Start::Beginning, with });
    for round in 1..=3 {
        publish(&world, "in", "one");
        publish(&world, "more", "other");
        let mut stage = world.stage();
        let mut driver = world.driver(&mut stage, "a");
        let done = || world.output_count() >= 2 * RECORDS * round;
        world.run_until("all outputs", &mut [&mut driver], done).unwrap();
        driver.finish().unwrap();
        under.forget_offsets(&world.session_options("a").group);
        world.restart();
    }
    world.check_exactly_once(&["in", "more"]);
}

/// The same of a stage that keeps no state: its positions stand on a topic of their own.
pub fn a_group_that_the_log_forgot_goes_on_without_a_changelog<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "stateless", 2);
    for round in 1..=3 {
        publish(&world, "in", "one");
        let mut stage = world.stage().without_changelog();
        let mut driver = world.driver(&mut stage, "a");
        let done = || world.output_count() >= RECORDS * round;
        world.run_until("all outputs", &mut [&mut driver], done).unwrap();
        driver.finish().unwrap();
        under.forget_offsets(&world.session_options("a").group);
        world.restart();
    }
    let outputs = world.outputs();
    let sources: BTreeSet<&str> = outputs.iter().filter_map(|output| output.split(' ').next()).collect();
    assert_eq!((outputs.len(), sources.len()), (3 * RECORDS, 3 * RECORDS), "one output per record: {outputs:?}");
}

/// A position is no input that moves a position.
pub fn a_stage_that_reads_its_own_changelog_comes_to_rest<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "own", 1);
    world.topics.changelog = world.topic("in");
    let stats = Arc::new(StageStats::default());
    let mut stage = world.stage();
    stage.ignores_numbers = true;
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    world.publish("in", &[("a", "x")]);
    world.run_until("the output", &mut [&mut driver], || world.output_count() == 1).unwrap();
    let mut quiet = 0;
    petrel_testkit::wait_until("nothing more happens", under.patience(), || {
        let tick = driver.tick().unwrap();
        quiet = if tick.records == 0 && !tick.committed { quiet + 1 } else { 0 };
        under.clock().sleep(Duration::from_millis(1));
        quiet > 50
    });
    driver.finish().unwrap();
    under.forget_offsets(&world.session_options("a").group);
    world.restart();
    world.publish("in", &[("b", "y")]);
    let mut stage = world.stage();
    stage.ignores_numbers = true;
    let mut driver = world.driver(&mut stage, "a");
    world
        .run_until("the other output", &mut [&mut driver], || {
            world.outputs().iter().any(|output| output.ends_with(" y"))
        })
        .unwrap();
    driver.finish().unwrap();
    assert_eq!(world.outputs().len(), 2, "{:?}", world.outputs());
}

/// A state of which nobody knows what led to it is not added to, until somebody has said where to go on.
pub fn a_state_that_says_no_position_halts<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "adrift", 1);
    world.publish("state", &[("a", "1")]);
    world.publish("in", &[("a", "1"), ("a", "2")]);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    let halted = world.run_until("it halts", &mut [&mut driver], || false);
    let Err(DriverError::Halt(why)) = halted else { panic!("{halted:?}") };
    let group = world.session_options("a").group;
    for part in [&*group, &format!("{}/0", world.topic("in")), &world.topic("state")] {
        assert!(why.contains(part), "{part} is not in {why:?}");
    }
    drop(driver);
    // What the sentence says: the group gets an offset.
    let (bus, input) = (under.bus(), world.topic("in"));
    let mut operator = session(&bus, &world.session_options("a"), &input);
    let positions = assigned(&mut *operator, under);
    operator.commit(&[petrel_bus::Position { offset: 1, ..positions[0].clone() }]).unwrap();
    operator.close();
    drop(operator);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the second record", &mut [&mut driver], || world.output_count() == 1).unwrap();
    driver.finish().unwrap();
    assert_eq!(world.outputs(), [format!("{input}/0/1 2 0 2")], "counted on from the state");
}
