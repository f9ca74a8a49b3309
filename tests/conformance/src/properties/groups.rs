//! Membership: sharing, taking over, fencing.

use std::time::Duration;

use petrel_bus::{Output, Position, SessionError, StageStats};

use crate::harness::BusUnderTest;
use crate::properties::atomicity::{assigned, fetched, session};
use crate::stage::{Settings, from_beginning};
use crate::world::World;

fn records(round: &str) -> Vec<(String, String)> {
    (0..24).map(|i| (format!("k{}", i % 9), format!("{round} {i}"))).collect()
}

fn publish<B: BusUnderTest>(world: &World<'_, B>, round: &str) {
    let records = records(round);
    world.publish("in", &records.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>());
}

/// A second member takes half of the partitions over, with their state, and gives them back.
pub fn two_members_share_and_take_over<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "share", 4);
    let (mut one, mut two) = (world.stage(), world.stage());
    let mut first = world.driver(&mut one, "a");
    publish(&world, "alone");
    world.run_until("the first outputs", &mut [&mut first], || world.output_count() == 24).unwrap();
    let mut second = world.driver(&mut two, "b");
    publish(&world, "shared");
    let mut shared = false;
    while !(shared && world.output_count() == 48) {
        world.run_until("one more turn", &mut [&mut first, &mut second], once()).unwrap();
        shared = first.partitions().len() == 2 && second.partitions().len() == 2;
    }
    let both = [first.partitions(), second.partitions()].concat();
    assert_eq!(both.len(), 4, "no partition has two members");
    second.finish().unwrap();
    publish(&world, "alone again");
    while !(first.partitions().len() == 4 && world.output_count() == 72) {
        world.run_until("one more turn", &mut [&mut first], once()).unwrap();
    }
    first.finish().unwrap();
    world.check_exactly_once(&["in"]);
}

/// Holds at the second look, that is, after one turn.
fn once() -> impl FnMut() -> bool {
    let mut looks = 0;
    move || {
        looks += 1;
        looks > 1
    }
}

/// A member whose place was taken cannot commit, and nothing of it is seen.
pub fn a_zombie_is_fenced<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "zombie", 1);
    world.publish("in", &[("a", "1")]);
    let (bus, input, output) = (under.bus(), world.topic("in"), world.topic("out"));
    let mut zombie = session(&bus, &world.session_options("a"), &input);
    let positions = assigned(&mut *zombie, under);
    fetched(&mut *zombie, under);
    zombie.send(Output::keyed(&output, "a", b"zombie".to_vec()), 0).unwrap();
    let mut heir = session(&bus, &world.session_options("a"), &input);
    // The heir has its place once it has initialised its transactions, before it is assigned anything.
    let committed = zombie.commit(&[Position { at: positions[0].at.clone(), offset: 1, metadata: None }]);
    assert!(matches!(committed, Err(SessionError::Rebuild(_) | SessionError::Abort(_))), "{committed:?}");
    drop(zombie);
    let positions = assigned(&mut *heir, under);
    assert_eq!(positions[0].offset, 0, "nothing of the zombie was committed");
    fetched(&mut *heir, under);
    heir.send(Output::keyed(&output, "a", b"heir".to_vec()), 0).unwrap();
    heir.commit(&[Position { at: positions[0].at.clone(), offset: 1, metadata: None }]).unwrap();
    heir.close();
    assert_eq!(world.outputs(), ["heir"]);
}

/// Who gets which partition of a topic that was missing is nothing to who had missed it.
pub fn a_topic_that_appears_is_missing_nowhere<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "missing", 2);
    world.options.position_interval_ms = 100;
    let later = world.topic("later");
    world.settings.set(Settings { more: vec![from_beginning(&later)], ..Settings::default() });
    let (mut one, mut two) = (world.stage(), world.stage());
    let stats: [std::sync::Arc<StageStats>; 2] = Default::default();
    let mut first = world.driver_with_stats(&mut one, "a", stats[0].clone());
    let mut second = world.driver_with_stats(&mut two, "b", stats[1].clone());
    let are_told = || stats.iter().all(|stats| stats.problems().iter().any(|problem| problem.contains(&*later)));
    world.run_until("a problem that names it", &mut [&mut first, &mut second], are_told).unwrap();
    // Of one partition: only one of them gets any of it.
    world.ensure(&[("later", 1, false)]);
    world.publish("later", &[("b", "2")]);
    world.run_until("the new input", &mut [&mut first, &mut second], || world.output_count() == 1).unwrap();
    let are_well = || stats.iter().all(|stats| stats.problems().is_empty());
    world.run_until("the problems are gone", &mut [&mut first, &mut second], are_well).unwrap();
    first.finish().unwrap();
    second.finish().unwrap();
}

/// A missing topic halts nothing else, and is read once it is there.
pub fn a_topic_that_appears_later_is_read<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "later", 2);
    let later = world.topic("later");
    world.settings.set(Settings { more: vec![from_beginning(&later)], ..Settings::default() });
    world.publish("in", &[("a", "1")]);
    let stats = std::sync::Arc::new(StageStats::default());
    let mut stage = world.stage();
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    world.run_until("the other input", &mut [&mut driver], || world.output_count() == 1).unwrap();
    world.run_until("a problem that names it", &mut [&mut driver], || !stats.problems().is_empty()).unwrap();
    assert!(stats.problems()[0].contains(&*later), "{:?}", stats.problems());
    world.ensure(&[("later", 2, false)]);
    world.publish("later", &[("b", "2")]);
    world.run_until("the new input", &mut [&mut driver], || world.output_count() == 2).unwrap();
    assert_eq!(stats.problems(), Vec::<String>::new(), "the problem is gone");
    driver.finish().unwrap();
    under.clock().sleep(Duration::ZERO);
    world.check_exactly_once(&["in", "later"]);
}
