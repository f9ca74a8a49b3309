//! A stage that panics.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use petrel_bus::{Driver, DriverError, RECORD_PANICS_MAX, StageStats};

use crate::harness::BusUnderTest;
use crate::stage::{CountStage, Settings};
use crate::world::World;

/// Ticks until the condition holds, going on after panics; how many there were. After each of them nobody is told
/// that all is well.
fn run_through_panics<B: BusUnderTest>(
    world: &World<'_, B>,
    driver: &mut Driver<'_, CountStage>,
    stats: &StageStats,
    mut condition: impl FnMut(u32) -> bool,
) -> u32 {
    let (mut panics, deadline) = (0, Instant::now() + world.under.patience());
    while !condition(panics) {
        assert!(Instant::now() < deadline, "waited in vain");
        match driver.tick() {
            Ok(tick) if tick.records == 0 && !tick.committed => world.under.clock().sleep(Duration::from_millis(1)),
            Ok(_) => {}
            Err(DriverError::Panicked(said)) => {
                panics += 1;
                assert!(said.starts_with("as told") && said.contains("stage.rs:"), "{said}");
                assert!(!stats.ready.load(Ordering::Relaxed), "ready after a panic");
                assert_eq!(stats.problems(), [format!("the stage panicked: {said}")]);
            }
            Err(other) => panic!("{other}"),
        }
    }
    panics
}

/// A record that kills the stage three times is a dead letter; what stands before and behind it, and in other
/// partitions, goes on, once.
pub fn a_record_that_kills_the_stage_is_given_up_and_the_others_go_on<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "panics", 1);
    let records = [("a", "1"), ("b", "2"), ("a", "panic"), ("b", "3"), ("c", "panic"), ("a", "4"), ("d", "panic-not")];
    world.publish("in", &records);
    let (mut stage, stats) = (world.stage(), Arc::<StageStats>::default());
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    let panics = run_through_panics(&world, &mut driver, &stats, |_| world.output_count() == records.len());
    // The panic of all together counts as one of the first record's.
    assert!((2 * RECORD_PANICS_MAX..2 * RECORD_PANICS_MAX + 2).contains(&panics), "{panics} panics");
    assert_eq!(stats.panics.load(Ordering::Relaxed), u64::from(panics));
    assert!(stats.ready.load(Ordering::Relaxed), "a stage that commits is well");
    assert_eq!(stats.problems(), [""; 0]);
    driver.finish().unwrap();
    // Every driver begins with one, for what may have been left open before it.
    assert_eq!(stage.told.iter().filter(|told| **told == "aborted").count(), 1 + panics as usize);
    let outputs = world.outputs();
    let letters: Vec<&String> = outputs.iter().filter(|output| output.contains("stage_panicked")).collect();
    assert_eq!(letters.len(), 2, "{outputs:?}");
    assert!(letters.iter().all(|letter| letter.contains("as told") && letter.contains("stage.rs:")), "{letters:?}");
    let state: Vec<_> = world.state().into_iter().filter(|(key, _)| !key.starts_with(['~', '#'])).collect();
    let expected = [("a", "2"), ("b", "2"), ("d", "1")].map(|(key, count)| (key.to_owned(), count.to_owned()));
    assert_eq!(state, expected, "nothing of a step that panicked is kept");

    // It is passed: nobody meets it again.
    world.publish("in", &[("e", "5")]);
    let (mut next, stats) = (world.stage(), Arc::<StageStats>::default());
    let mut driver = world.driver_with_stats(&mut next, "b", stats.clone());
    let panics = run_through_panics(&world, &mut driver, &stats, |_| world.output_count() == records.len() + 1);
    assert_eq!(panics, 0);
    driver.finish().unwrap();
}

/// A driver that follows another in the same thread knows what the other knew.
pub fn panics_of_a_record_are_counted_over_sessions<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "remembered", 1);
    world.publish("in", &[("a", "panic")]);
    let (mut stage, mut suspects, mut panics) = (world.stage(), Default::default(), 0);
    while world.output_count() == 0 {
        assert!(panics <= RECORD_PANICS_MAX, "it is never given up");
        let stats = Arc::<StageStats>::default();
        let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
        driver.remember(suspects);
        panics += run_through_panics(&world, &mut driver, &stats, |panics| panics > 0 || world.output_count() > 0);
        suspects = driver.suspects();
        driver.finish().unwrap();
    }
    assert_eq!(panics, RECORD_PANICS_MAX);
}

/// There is no record to give up where a timer kills the stage: it is tried until it goes well, and not lost.
pub fn a_timer_that_kills_the_stage_is_not_lost<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "timers", 1);
    world.settings.set(Settings { closed: true, ..Settings::default() });
    world.publish("in", &[("panic", "timer 0"), ("a", "1")]);
    let (mut stage, stats) = (world.stage(), Arc::<StageStats>::default());
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    run_through_panics(&world, &mut driver, &stats, |panics| panics == 5);
    assert!(!stats.ready.load(Ordering::Relaxed));
    world.settings.set(Settings::default());
    let is_fired = || world.outputs().contains(&"fired panic".to_owned());
    run_through_panics(&world, &mut driver, &stats, |_| world.output_count() == 3 && is_fired());
    assert!(stats.ready.load(Ordering::Relaxed));
    driver.finish().unwrap();
    world.check_exactly_once(&["in"]);
}
