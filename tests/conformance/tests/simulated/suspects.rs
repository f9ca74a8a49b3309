//! What is told to a partition one of whose timers kills the stage.

use std::cell::Cell;
use std::sync::Arc;

use petrel_bus::{DriverError, StageStats};
use petrel_conformance_tests::{Settings, SimUnderTest, World};

/// How long after the records both timers are due, in milliseconds.
const DUE_MS: i64 = 5_000;
/// Ticks until everything has happened, and many more.
const TICKS_MAX: u32 = 2_000;

/// The outputs of a partition with a timer that kills the stage and a silence that is due at the same time, if these
/// keys are told to it once the stage has panicked; and how often it did.
fn outputs(told: &[&str]) -> (Vec<String>, u32) {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "suspects", 1);
    let told = told.iter().map(|key| (0, (*key).to_owned())).collect();
    let deadly = Settings { closed: true, ..Settings::default() };
    world.settings.set(deadly.clone());
    let due = |kind: &str| format!("{kind} {DUE_MS}");
    world.publish("in", &[("panic", &due("timer")), ("a", &due("silence"))]);
    let (mut stage, stats) = (world.stage(), Arc::<StageStats>::default());
    let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
    world.run_until("both timers", &mut [&mut driver], || world.output_count() == 2).unwrap();
    under.clock.advance(DUE_MS);
    let (panics, told) = (Cell::new(0), Cell::new(Some(Settings { told, ..deadly })));
    for _ in 0..TICKS_MAX {
        match driver.tick() {
            Ok(_) => {}
            Err(DriverError::Panicked(_)) => {
                panics.set(panics.get() + 1);
                told.take().into_iter().for_each(|told| world.settings.set(told));
            }
            Err(other) => panic!("{other}"),
        }
        under.clock.advance(1);
    }
    assert_eq!(stats.problems(), [""; 0], "what kills it has been moved back");
    driver.finish().unwrap();
    let of_timers = |text: &String| ["fired ", "told "].iter().any(|start| text.starts_with(start));
    (world.outputs().into_iter().filter(of_timers).collect(), panics.get())
}

#[test]
fn a_silence_beside_a_timer_that_kills_the_stage_is_none_while_something_is_told() {
    let (heard, panics) = outputs(&["a"]);
    assert_eq!(heard, ["told a"]);
    assert!(panics > 1, "the silence waited for the other timer: {panics}");
    assert_eq!(outputs(&[]).0, ["fired a"], "nobody said anything");
}
