//! A stage that panics.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use petrel_bus::{Driver, DriverError, RECORD_PANICS_MAX, StageStats};

use crate::harness::BusUnderTest;
use crate::properties::pressure::different_partitions;
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

/// How much later a timer comes in these tests that kills the stage, in milliseconds.
const DELAY_MS: i64 = 300;

/// A world of two partitions whose stage panics at the timer of the key `panic`, and a key of that one's partition and
/// of the other.
fn world_with_a_poison_timer<'b, B: BusUnderTest>(under: &'b B, name: &str) -> (World<'b, B>, String, String) {
    let mut world = World::new(under, name, 2);
    world.options.poison_timer_delay_ms = DELAY_MS;
    // Between two tries of a record that sets the timer, another partition has its turn.
    world.options.fetch_records_max = 1;
    world.settings.set(Settings { closed: true, ..Settings::default() });
    let (zero, one) = different_partitions();
    let (same, other) = if petrel_bus::partition_of(b"panic", 2) == 0 { (zero, one) } else { (one, zero) };
    (world, same, other)
}

fn letters(outputs: &[String]) -> Vec<&String> {
    outputs.iter().filter(|output| output.contains("stage_panicked")).collect()
}

/// A timer that kills the stage undoes nothing else: records and other timers are committed while it does. The third
/// time it is moved back, with a dead letter, and is not lost: it comes again.
pub fn a_timer_that_kills_the_stage_is_moved_back_and_holds_up_nothing_else<B: BusUnderTest>(under: &B) {
    for kind in ["timer", "silence"] {
        let (world, same, other) = world_with_a_poison_timer(under, kind);
        let (timer, others) = (format!("{kind} 0"), [(&*other, "2"); 20]);
        world.publish("in", &[&[(&*same, "1"), ("panic", &timer)], &others[..]].concat());
        let (mut stage, stats) = (world.stage(), Arc::<StageStats>::default());
        let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
        // What the timer undoes the first time is committed before it is offered again, and again.
        let is_there = || world.outputs().iter().any(|output| output.ends_with(" 1"));
        let mut panics = run_through_panics(&world, &mut driver, &stats, |panics| panics > 0 && is_there());
        assert_eq!(letters(&world.outputs()).len(), 0, "the timer is still where it was");
        world.publish("in", &[(&other, &timer)]);
        let others = |outputs: &[String]| {
            let is_there = |end: &str| outputs.iter().any(|output| output.ends_with(end));
            is_there(" 1") && is_there(" 2") && is_there(&format!("fired {other}"))
        };
        panics += run_through_panics(&world, &mut driver, &stats, |_| others(&world.outputs()));
        panics += run_through_panics(&world, &mut driver, &stats, |_| !letters(&world.outputs()).is_empty());
        // One of them undid the record that had just set the timer: with its second try comes another one.
        assert!((RECORD_PANICS_MAX..=RECORD_PANICS_MAX + 2).contains(&panics), "{panics} panics");
        let outputs = world.outputs();
        let letter = letters(&outputs)[0];
        for part in ["the timer of the key \"panic\"", "as told", "stage.rs:", &*world.topic("state")] {
            assert!(letter.contains(part), "{part} is not in {letter}");
        }
        let is_well = || stats.ready.load(Ordering::Relaxed) && stats.problems().is_empty();
        run_through_panics(&world, &mut driver, &stats, |_| is_well());
        // It may have come again meanwhile, and been moved back once more.
        run_through_panics(&world, &mut driver, &stats, |_| stats.delayed_timers().len() == 1);
        let (delayed, partition) = (stats.delayed_timers(), petrel_bus::partition_of(b"panic", 2));
        assert_eq!((delayed[0].partition, &*delayed[0].key), (partition, "panic"));
        assert!(stats.timers_moved_back.load(Ordering::Relaxed) > 0);
        world.settings.set(Settings::default());
        let is_fired = || world.outputs().contains(&"fired panic".to_owned());
        run_through_panics(&world, &mut driver, &stats, |_| is_fired());
        run_through_panics(&world, &mut driver, &stats, |_| stats.delayed_timers().is_empty());
        assert!(is_well());
        driver.finish().unwrap();
        let outputs: Vec<String> =
            world.outputs().into_iter().filter(|output| !output.contains("stage_panicked")).collect();
        assert_eq!(outputs.len(), 23 + 2, "records and timers: {outputs:?}");
    }
}

/// A driver that follows another in the same thread knows what the other knew of a timer.
pub fn panics_of_a_timer_are_counted_over_sessions<B: BusUnderTest>(under: &B) {
    let (world, ..) = world_with_a_poison_timer(under, "remembered-timer");
    world.publish("in", &[("panic", "timer 0")]);
    let (mut stage, mut suspects, mut panics) = (world.stage(), Default::default(), 0);
    let is_given_up = || !letters(&world.outputs()).is_empty();
    while !is_given_up() {
        // The first undid the record that had just set the timer: with its second try comes another one.
        assert!(panics <= RECORD_PANICS_MAX + 1, "it is never moved back");
        let stats = Arc::<StageStats>::default();
        let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
        driver.remember(suspects);
        panics += run_through_panics(&world, &mut driver, &stats, |panics| panics > 0 || is_given_up());
        suspects = driver.suspects();
        driver.finish().unwrap();
    }
}

/// Not by who moved it alone, and not by who has given it up; until it is gone.
pub fn a_timer_that_was_moved_back_is_told_by_whoever_has_it<B: BusUnderTest>(under: &B) {
    let (mut world, ..) = world_with_a_poison_timer(under, "told-timer");
    // It does not come again while this test runs.
    world.options.poison_timer_delay_ms = 3_600_000;
    world.publish("in", &[("panic", "timer 0")]);
    let (mut stage, stats) = (world.stage(), Arc::<StageStats>::default());
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    run_through_panics(&world, &mut driver, &stats, |_| !stats.delayed_timers().is_empty());
    let (delayed, partition) = (stats.delayed_timers(), petrel_bus::partition_of(b"panic", 2));
    assert_eq!((delayed.len(), delayed[0].partition, &*delayed[0].key), (1, partition, "panic"));
    driver.finish().unwrap();
    assert_eq!(stats.delayed_timers(), [], "it is somebody else's");

    let (mut heir, stats) = (world.stage(), Arc::<StageStats>::default());
    let mut driver = world.driver_with_stats(&mut heir, "b", stats.clone());
    run_through_panics(&world, &mut driver, &stats, |_| driver_has(&stats, 2));
    assert_eq!(stats.delayed_timers(), delayed);
    let is_noted = || world.state().contains_key("~m/panic");
    assert!(is_noted() && stats.timers_moved_back.load(Ordering::Relaxed) == 0, "it was moved once");
    // A stage that sets it to another instant has no such timer any more.
    world.publish("in", &[("panic", "timer 1800000")]);
    run_through_panics(&world, &mut driver, &stats, |_| stats.delayed_timers().is_empty());
    assert!(!is_noted(), "{:?}", world.state());
    driver.finish().unwrap();
}

/// Whether a driver has so many partitions, restored.
fn driver_has(stats: &StageStats, partitions: u64) -> bool {
    stats.assigned.load(Ordering::Relaxed) == partitions
}
