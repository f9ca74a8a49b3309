//! Topics whose partitions follow those of another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use petrel_bus::{Driver, DriverError, InputTopic, StageStats, Start};

use crate::harness::BusUnderTest;
use crate::stage::CountStage;
use crate::world::World;

const PARTITIONS: u32 = 4;

fn world<B: BusUnderTest>(under: &B, followers: u32) -> World<'_, B> {
    let mut world = World::new(under, "follow", PARTITIONS);
    world.ensure(&[("answers", followers, false)]);
    let with = Some(world.topic("in"));
    // The follower first: what it follows may stand behind it.
    world.topics.inputs.insert(0, InputTopic { name: world.topic("answers"), start: Start::Beginning, with });
    world
}

type Up = (Driver<'static, CountStage>, Arc<StageStats>);

fn join<B: BusUnderTest>(world: &World<'_, B>, member: &str) -> Up {
    let stats = Arc::new(StageStats::default());
    // A stage lives as long as its process; a test leaks a few.
    let stage = Box::leak(Box::new(world.stage()));
    (world.driver_with_stats(stage, member, stats.clone()), stats)
}

/// Ticks all members until the condition holds.
fn run<B: BusUnderTest>(world: &World<'_, B>, what: &str, up: &mut [Up], condition: impl FnMut() -> bool) {
    let mut drivers: Vec<_> = up.iter_mut().map(|(driver, _)| driver).collect();
    world.run_until(what, &mut drivers, condition).unwrap();
}

/// Members join, leave in order, die and come back while both topics are full; records of both change
/// the same state, and each counts once.
pub fn followers_go_with_their_leader<B: BusUnderTest>(under: &B) {
    let world = world(under, PARTITIONS);
    let (mut up, mut wanted) = (vec![join(&world, "a")], 0);
    for round in 0..8 {
        for topic in ["in", "answers"] {
            let records: Vec<(String, String)> =
                (0..60).map(|i| (format!("k{}", i % 23), format!("{round} {i}"))).collect();
            world.publish(topic, &records.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>());
            wanted += 60;
        }
        match round {
            1 => up.push(join(&world, "b")),
            3 => up.push(join(&world, "c")),
            4 => up.remove(1).0.finish().unwrap(),
            5 => up.push(join(&world, "b")),
            // Dies with whatever it has open.
            6 => drop(up.remove(0)),
            7 => up.push(join(&world, "a")),
            _ => {}
        }
        run(&world, "everything is taken", &mut up, || world.output_count() >= wanted);
        let (mut turns, mut numbers) = (0, Vec::new());
        while numbers.len() != PARTITIONS as usize {
            run(&world, "one more turn", &mut up, || {
                turns += 1;
                turns % 2 == 0
            });
            under.clock().sleep(Duration::from_millis(1));
            assert!(turns < 100_000, "no agreement on partitions: {numbers:?}");
            numbers = up.iter().flat_map(|(driver, _)| driver.partitions()).collect();
            numbers.sort_unstable();
        }
        assert_eq!(numbers, (0..PARTITIONS).collect::<Vec<_>>(), "every number has one member");
        for (driver, stats) in &up {
            let (both, numbers) = (stats.assigned.load(Ordering::Relaxed), driver.partitions());
            assert_eq!(both, 2 * numbers.len() as u64, "both topics of {numbers:?}");
        }
    }
    for (driver, _) in up {
        match driver.finish() {
            // That another one has just left may refuse its last commit: what was in it is done again by an heir.
            Ok(()) | Err(DriverError::Rebuild(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(world.records("out").len(), wanted);
    world.check_exactly_once(&["in", "answers"]);
}

/// State that is shared is only whole with all its topics: another number of partitions is refused, and
/// both topics are named.
pub fn a_follower_whose_partitions_differ_is_refused<B: BusUnderTest>(under: &B) {
    let world = world(under, PARTITIONS - 1);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    let refused = world.run_until("a refusal", &mut [&mut driver], || false);
    let Err(DriverError::Halt(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains(&*world.topic("in")) && why.contains(&*world.topic("answers")), "{why}");
}
