//! What the driver does where the log fails at an awkward moment; only the simulated log fails to order.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::sim::{CommitFault, ProcessClock};
use petrel_bus::{Clock, Driver, DriverError, Output};
use petrel_conformance_tests::{BusUnderTest, CountStage, Settings, SimUnderTest, World};

/// A world whose drivers commit only when told to, by a rebalance or a change of inputs.
fn lazy(under: &SimUnderTest) -> World<'_, SimUnderTest> {
    let mut world = World::new(under, "faults", 2);
    world.options.commit_interval_ms = 1_000_000;
    world.options.idle_commit_ms = 1_000_000;
    world
}

/// Ticks until the driver has its partitions, and until nothing is open.
fn settle(driver: &mut Driver<'_, CountStage>) {
    for _ in 0..5 {
        driver.tick().unwrap();
    }
}

#[test]
fn an_abort_while_giving_up_partitions_gives_them_up_all_the_same() {
    let under = SimUnderTest::fresh().unwrap();
    let world = lazy(&under);
    let (mut one, mut two) = (world.stage(), world.stage());
    let mut first = world.driver(&mut one, "a");
    settle(&mut first);
    world.publish("in", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    assert_eq!(first.tick().unwrap().records, 4, "taken, not committed");
    let mut second = world.driver(&mut two, "b");
    second.tick().unwrap();
    under.bus.fail_commits([CommitFault::Abort]);
    world
        .run_until("both have partitions and all is done", &mut [&mut first, &mut second], || world.output_count() == 4)
        .unwrap();
    assert_eq!((first.partitions().len(), second.partitions().len()), (1, 1));
    world.check_exactly_once(&["in"]);
    drop((first, second));
    assert!(one.told.contains(&"aborted"), "the fault was met");
}

#[test]
fn a_change_of_the_globals_outlives_an_abort() {
    for records in [0, 3] {
        let under = SimUnderTest::fresh().unwrap();
        let mut world = lazy(&under);
        world.options.commit_interval_ms = 10;
        let mut stage = world.stage();
        let mut driver = world.driver(&mut stage, "a");
        settle(&mut driver);
        let keys: Vec<String> = (0..records).map(|i| format!("k{i}")).collect();
        world.publish("in", &keys.iter().map(|k| (&**k, "v")).collect::<Vec<_>>());
        world.settings.set(Settings { label: 1, ..Settings::default() });
        under.bus.fail_commits([CommitFault::Abort, CommitFault::Abort]);
        let told = || world.outputs().iter().filter(|o| *o == "globals 1").count();
        world.run_until("both partitions are told", &mut [&mut driver], || told() == 2).unwrap();
        world.run_until("outputs", &mut [&mut driver], || world.output_count() == 2 + records).unwrap();
        settle(&mut driver);
        assert_eq!(told(), 2, "once each");
        drop(driver);
        // Every driver begins with one, for what may have been left open before it.
        assert_eq!(stage.told.iter().filter(|t| **t == "aborted").count(), 1 + 2);
    }
}

#[test]
fn new_inputs_are_read_although_the_commit_before_them_was_aborted() {
    let under = SimUnderTest::fresh().unwrap();
    let world = lazy(&under);
    world.ensure(&[("more", 2, false)]);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    settle(&mut driver);
    world.publish("in", &[("a", "1"), ("b", "2")]);
    world.publish("more", &[("a", "3"), ("c", "4")]);
    assert_eq!(driver.tick().unwrap().records, 2);
    let start = petrel_bus::Start::Beginning;
    let more = vec![petrel_bus::InputTopic { name: world.topic("more"), start, with: None }];
    world.settings.set(Settings { more, ..Settings::default() });
    under.bus.fail_commits([CommitFault::Abort]);
    world.run_until("all four", &mut [&mut driver], || world.output_count() == 4).unwrap();
    world.check_exactly_once(&["in", "more"]);
}

#[test]
fn a_member_that_was_silent_for_too_long_loses_its_partitions_and_nothing_else() {
    let under = SimUnderTest::fresh().unwrap();
    let world = lazy(&under);
    let (mut one, mut two) = (world.stage(), world.stage());
    let mut silent = world.driver(&mut one, "a");
    settle(&mut silent);
    // So much is not kept back until the commit.
    world.publish("in", &[("a", "large 70000"), ("b", "large 70000"), ("c", "3")]);
    assert_eq!(silent.tick().unwrap().records, 3, "taken, not committed");
    let mut heir = world.driver(&mut two, "b");
    for _ in 0..12 {
        under.clock.advance(1_000);
        heir.tick().unwrap();
    }
    assert_eq!(heir.partitions(), [0, 1]);
    // What the silent member has open stands before them, until the broker finds it too old.
    assert_eq!(world.output_count(), 0);
    world.run_until("the heir's outputs", &mut [&mut heir], || world.output_count() == 3).unwrap();
    // It comes back, is told that it is fenced, and gets its share anew.
    let fenced = silent.tick();
    assert!(matches!(fenced, Err(DriverError::Rebuild(_))), "{fenced:?}");
    drop(silent);
    let mut silent = world.driver(&mut one, "a");
    while silent.partitions().len() != 1 || heir.partitions().len() != 1 {
        silent.tick().unwrap();
        heir.tick().unwrap();
    }
    world.publish("in", &[("a", "4"), ("b", "5"), ("c", "6")]);
    world.run_until("all", &mut [&mut silent, &mut heir], || world.output_count() == 6).unwrap();
    world.check_exactly_once(&["in"]);
}

#[test]
fn a_commit_in_doubt_is_waited_for_before_the_state_is_restored() {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "doubt", 2);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    settle(&mut driver);
    world.publish("in", &[("a", "1"), ("a", "2")]);
    under.bus.fail_commits([CommitFault::InDoubt]);
    let failed = world.run_until("the fault", &mut [&mut driver], || false);
    assert!(matches!(failed, Err(DriverError::Rebuild(_))), "{failed:?}");
    drop(driver);
    assert_eq!(world.output_count(), 0, "decided, not visible");
    let mut driver = world.driver(&mut stage, "a");
    world.publish("in", &[("a", "3")]);
    world.run_until("three outputs", &mut [&mut driver], || world.output_count() == 3).unwrap();
    world.check_exactly_once(&["in"]);
}

#[test]
fn a_log_that_cannot_be_reached_is_come_back_to() {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "away", 2);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    settle(&mut driver);
    world.publish("in", &[("a", "1")]);
    under.bus.set_reachable(false);
    assert!(under.bus().session(&world.session_options("b")).is_err());
    let failed = world.run_until("a failure", &mut [&mut driver], || false);
    assert!(matches!(failed, Err(DriverError::Rebuild(_))), "{failed:?}");
    drop(driver);
    under.bus.set_reachable(true);
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the output", &mut [&mut driver], || world.output_count() == 1).unwrap();
    under.clock().sleep(Duration::from_millis(1));
    world.check_exactly_once(&["in"]);
}

#[test]
fn a_silence_that_was_set_by_a_clock_that_was_ahead_ends_in_time() {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "ahead", 2);
    let clock = ProcessClock::new(under.clock.clone());
    clock.set_machine(3_600_000);
    clock.start();
    let (mut stage, mut heir) = (world.stage(), world.stage());
    let session = || under.bus().session(&world.session_options("a")).unwrap();
    let (settings, options) = (world.settings.clone(), world.options.clone());
    let mut ahead = Driver::new(&mut stage, session(), settings, clock, options, Arc::default());
    world.publish("in", &[("a", "silence 30000")]);
    world.run_until("the output", &mut [&mut ahead], || world.output_count() == 1).unwrap();
    ahead.finish().unwrap();
    let began_ms = under.clock.now_ms();
    let mut right = world.driver(&mut heir, "a");
    while world.output_count() < 2 {
        right.tick().unwrap();
        under.clock.advance(100);
        assert!(under.clock.now_ms() - began_ms < 61_000, "its longest silence is a minute, not an hour");
    }
    assert!(under.clock.now_ms() - began_ms >= 60_000, "nor is it shorter");
}

/// However many silences are overdue, and for however long: waiting for what may still be heard is free.
#[test]
fn overdue_silences_write_nothing_while_the_input_is_held_back() {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "overdue", 1);
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.publish("in", &keys.iter().map(|key| (&**key, "silence 1000")).collect::<Vec<_>>());
    world.run_until("the outputs", &mut [&mut driver], || world.output_count() == 100).unwrap();
    settle(&mut driver);
    under.bus.leave_open("dead", vec![Output::keyed(&world.topic("in"), "k0", b"never".to_vec())]).unwrap();
    let changelog = || under.bus.records(&world.topic("state")).len();
    let before = changelog();
    under.clock.advance(1_001);
    for _ in 0..100 {
        assert!(!driver.tick().unwrap().committed, "there is nothing to commit");
        under.clock.advance(50);
    }
    assert_eq!((changelog(), world.output_count()), (before, 100));
    // The broker ends the transaction: now it is known that nothing was said.
    world
        .run_until("all timers", &mut [&mut driver], || {
            under.clock.advance(50);
            world.output_count() == 200
        })
        .unwrap();
}

/// What a timer's panic undid in a partition that somebody else has now makes nobody commit at once for ever.
#[test]
fn a_member_is_not_careful_about_what_it_does_not_have_any_more() {
    let under = SimUnderTest::fresh().unwrap();
    let mut world = lazy(&under);
    world.settings.set(Settings { closed: true, ..Settings::default() });
    let poison = petrel_bus::partition_of(b"panic", 2);
    let mut other = (0..).map(|n| format!("k{n}")).filter(|key| petrel_bus::partition_of(key.as_bytes(), 2) != poison);
    let (mut stage, mut heir) = (world.stage(), world.stage());
    let mut driver = world.driver(&mut stage, "b");
    settle(&mut driver);
    world.publish("in", &[("panic", "timer 0")]);
    let failed = world.run_until("a panic", &mut [&mut driver], || false);
    assert!(matches!(failed, Err(DriverError::Panicked(_))), "{failed:?}");
    let suspects = driver.suspects();
    driver.finish().unwrap();
    // The heir has the partition of the timer, which does not kill it. Members have their share in order of their names.
    let name = if poison == 0 { "a" } else { "c" };
    world.options.commit_interval_ms = 20;
    world.options.idle_commit_ms = 2;
    world.settings.set(Settings::default());
    let mut heir = world.driver(&mut heir, name);
    world.run_until("the timer", &mut [&mut heir], || world.output_count() == 2).unwrap();
    world.options.commit_interval_ms = 1_000_000;
    world.options.idle_commit_ms = 1_000_000;
    let mut driver = world.driver(&mut stage, "b");
    driver.remember(suspects);
    while driver.partitions().len() != 1 || heir.partitions().len() != 1 {
        heir.tick().unwrap();
        driver.tick().unwrap();
    }
    assert_eq!(heir.partitions(), [poison], "else this test shows nothing");
    world.publish("in", &[(&other.next().unwrap(), "1")]);
    let tick = driver.tick().unwrap();
    assert_eq!((tick.records, tick.committed), (1, false), "taken, not committed");
}
