//! When a driver commits.

use std::time::Duration;

use petrel_bus::Driver;
use petrel_conformance_tests::{BusUnderTest, CountStage, SimUnderTest, World};

/// Ticks until the driver has its partitions, and until nothing is open.
fn settle(driver: &mut Driver<'_, CountStage>) {
    for _ in 0..5 {
        driver.tick().unwrap();
    }
}

#[test]
fn positions_over_what_led_to_nothing_are_committed_with_the_next_output_or_after_a_while() {
    let under = SimUnderTest::fresh().unwrap();
    let mut world = World::new(&under, "commits", 1);
    world.options.commit_interval_ms = 100;
    world.options.quiet_commit_interval_ms = 1_000;
    let mut stage = world.stage();
    stage.ignores_numbers = true;
    let mut driver = world.driver(&mut stage, "a");
    settle(&mut driver);
    let mut commits_within = |ms: u64, value: &str| {
        world.publish("in", &[("a", value)]);
        let began_ms = under.clock().now_ms();
        let mut commits = 0;
        while under.clock().now_ms() < began_ms + ms.cast_signed() {
            commits += usize::from(driver.tick().unwrap().committed);
            under.clock().sleep(Duration::from_millis(10));
        }
        commits
    };
    assert_eq!(commits_within(800, "1"), 0, "nobody waits for it");
    assert_eq!(commits_within(50, "an output"), 1, "with what somebody waits for");
    assert_eq!(commits_within(800, "2"), 0, "a while begins with the first that is open");
    assert_eq!(commits_within(400, "3"), 1, "after a while");
    assert_eq!(world.output_count(), 1);
}

#[test]
fn a_transaction_that_holds_much_is_committed_at_once() {
    for (transaction_bytes_max, is_committed) in [(5_000, true), (1_000_000, false)] {
        let under = SimUnderTest::fresh().unwrap();
        let mut world = World::new(&under, "commits", 2);
        world.options.commit_interval_ms = 1_000_000;
        world.options.idle_commit_ms = 1_000_000;
        world.options.transaction_bytes_max = transaction_bytes_max;
        let mut stage = world.stage();
        let mut driver = world.driver(&mut stage, "a");
        settle(&mut driver);
        world.publish("in", &[("a", "large 3000"), ("b", "large 3000")]);
        let tick = driver.tick().unwrap();
        assert_eq!((tick.records, tick.committed), (2, is_committed));
    }
}
