//! What the driver does with a cache of its state: how much a restart reads, and what becomes of a cache
//! that fails or does not fit its changelog.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::sim::{ProcessClock, SimBus, SimClock, SimOptions};
use petrel_bus::{
    Bus, Change, Clock, Driver, DriverError, DriverOptions, DriverPoint, MemoryStores, Output, StageStats, StateStores,
    StoreName, Timer, TimerKind, partition_of,
};
use petrel_conformance_tests::{CountStage, SimUnderTest, World};

fn world(under: &SimUnderTest) -> World<'_, SimUnderTest> {
    let mut world = World::new(under, "stores", 2);
    world.options.commit_interval_ms = 1;
    world
}

fn publish(world: &World<'_, SimUnderTest>, records: usize) {
    let keys: Vec<String> = (0..records).map(|n| format!("k{}", n % 7)).collect();
    world.publish("in", &keys.iter().map(|key| (&**key, "v")).collect::<Vec<_>>());
}

/// Runs a member until there are so many outputs, starting anew as a supervised thread does; how often it
/// had to, and how many changelog records it has read.
fn run(world: &World<'_, SimUnderTest>, stage: &mut CountStage, outputs: usize) -> (usize, u64) {
    let stats: Arc<StageStats> = Arc::default();
    for rebuilds in 0..20 {
        let mut driver = world.driver_with_stats(stage, "a", stats.clone());
        match world.run_until("outputs", &mut [&mut driver], || world.output_count() >= outputs) {
            Ok(()) => {
                // All is committed: a cache that fails now is one that the next member starts without.
                let rebuilds = rebuilds + usize::from(driver.finish().is_err());
                return (rebuilds, stats.restored.load(Ordering::Relaxed));
            }
            Err(DriverError::Rebuild(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it never gets there");
}

#[test]
fn a_restart_reads_nothing_that_its_cache_has() {
    let under = SimUnderTest::with_stores().unwrap();
    let world = world(&under);
    publish(&world, 50);
    assert_eq!(run(&world, &mut world.stage(), 50), (0, 0));
    publish(&world, 10);
    assert_eq!(run(&world, &mut world.stage(), 60), (0, 0), "it left in order and knew where its changelog ended");
    under.stores.as_ref().unwrap().lose();
    publish(&world, 10);
    let (rebuilds, restored) = run(&world, &mut world.stage(), 70);
    assert!(rebuilds == 0 && restored >= 7, "{restored} records restored");
    world.check_exactly_once(&["in"]);
}

#[test]
fn a_crash_between_commit_and_apply_is_made_good_by_the_next_restore() {
    let under = SimUnderTest::with_stores().unwrap();
    let world = world(&under);
    publish(&world, 20);
    run(&world, &mut world.stage(), 20);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    driver.crash_when(|point| point == DriverPoint::AfterCommit);
    publish(&world, 20);
    let crashed = world.run_until("a crash", &mut [&mut driver], || false);
    assert_eq!(crashed, Err(DriverError::Crashed(DriverPoint::AfterCommit)));
    drop(driver);
    publish(&world, 20);
    let (rebuilds, restored) = run(&world, &mut world.stage(), 60);
    assert!(rebuilds == 0 && restored > 0 && restored < 20, "only what was committed last: {restored}");
    world.check_exactly_once(&["in"]);
}

/// All outputs of a history in which the cache fails after so many calls, and how often the member had to
/// start anew.
fn outputs(fail_after: Option<u64>) -> (Vec<String>, usize) {
    let under = SimUnderTest::with_stores().unwrap();
    let world = world(&under);
    publish(&world, 10);
    run(&world, &mut world.stage(), 10);
    if let Some(calls) = fail_after {
        under.stores.as_ref().unwrap().fail_after(calls);
    }
    world.publish("in", &[("k1", "timer 5"), ("k2", "silence 5"), ("k3", "v")]);
    publish(&world, 10);
    let (rebuilds, _) = run(&world, &mut world.stage(), 10 + 3 + 10 + 2);
    let mut outputs = world.outputs();
    outputs.sort();
    (outputs, rebuilds)
}

#[test]
fn whenever_a_cache_fails_it_is_discarded_and_nothing_is_lost_or_doubled() {
    let (undisturbed, rebuilds) = outputs(None);
    assert_eq!((undisturbed.len(), rebuilds), (25, 0));
    let mut met = 0;
    for calls in 0..120 {
        let (outputs, rebuilds) = outputs(Some(calls));
        assert_eq!(outputs, undisturbed, "after {calls} calls");
        met += rebuilds;
    }
    assert!(met > 20, "{met} failures were met");
}

#[test]
fn what_an_heir_has_written_is_not_taken_for_one_s_own() {
    for point in [DriverPoint::BeforeCommit, DriverPoint::AfterCommit, DriverPoint::Applied] {
        // A hook lives for ever; so does what it runs.
        let under: &'static SimUnderTest = Box::leak(Box::new(SimUnderTest::with_stores().unwrap()));
        let mut world = world(under);
        world.options.position_interval_ms = 0;
        let world: &'static World<'_, SimUnderTest> = Box::leak(Box::new(world));
        publish(world, 20);
        run(world, &mut world.stage(), 20);
        let mut stage = world.stage();
        let mut zombie = world.driver(&mut stage, "a");
        let mut stood = false;
        zombie.crash_when(move |at| {
            if at == point && !std::mem::replace(&mut stood, true) {
                // It stands still here, and another member, with a disk of its own, goes on.
                under.clock.advance(60_000);
                publish(world, 20);
                let mut stage = world.stage();
                let mut heir = world.driver_over(None, &mut stage, "b", Arc::default());
                world.run_until("the heir's outputs", &mut [&mut heir], || world.output_count() >= 60).unwrap();
                heir.finish().unwrap();
            }
            false
        });
        publish(world, 20);
        while zombie.tick().is_ok_and(|tick| tick.records > 0 || tick.committed || world.output_count() < 60) {}
        drop(zombie);
        publish(world, 20);
        run(world, &mut world.stage(), 80);
        world.check_exactly_once(&["in"]);
    }
}

/// Puts a timer into a cache that no changelog knows, and returns whether it has fired after more work.
fn meddle(world: &World<'_, SimUnderTest>, stores: &MemoryStores, between: impl FnOnce()) -> bool {
    publish(world, 30);
    run(world, &mut world.stage(), 30);
    for partition in 0..2 {
        let (stage, changelog) = ("count".into(), world.topics.changelog.clone());
        let now_ms = world.under.clock.now_ms();
        let mut store = stores.open(&StoreName { stage, changelog, partition }, now_ms).unwrap();
        assert!(store.position().is_some());
        let timer = Timer { kind: TimerKind::Time, due_ms: 0 };
        store.apply(&[Change::Timer(b"meddled", Some(timer))], None).unwrap();
    }
    between();
    let before = world.output_count();
    publish(world, 7);
    run(world, &mut world.stage(), before + 7);
    world.outputs().iter().any(|output| output == "fired meddled")
}

#[test]
fn a_cache_that_its_changelog_does_not_go_on_from_is_thrown_away() {
    for is_cut in [false, true] {
        let under = SimUnderTest::with_stores().unwrap();
        let world = world(&under);
        let fired = meddle(&world, under.stores.as_ref().unwrap(), || {
            if !is_cut {
                return;
            }
            // Another member goes on, and then the log loses what this cache does not have.
            for outputs in [60, 90] {
                let mut stage = world.stage();
                let mut driver = world.driver_over(None, &mut stage, "b", Arc::default());
                publish(&world, 30);
                world.run_until("outputs", &mut [&mut driver], || world.output_count() >= outputs).unwrap();
                driver.finish().unwrap();
            }
            let changelog = &world.topics.changelog;
            under.bus.compact(changelog);
            for partition in 0..2 {
                let left = under.bus.records(changelog).into_iter().filter(|(at, _)| *at == partition);
                let first = left.map(|(_, record)| record.offset).min().unwrap();
                under.bus.drop_before(changelog, partition, first);
            }
        });
        assert_eq!(fired, !is_cut, "what is in a cache that fits is believed, else nothing of it");
    }
}

/// How long tombstones stay below, in milliseconds: shorter than the records of the input do.
const TOMBSTONES_MS: i64 = 60_000;

/// What a key counts up to for a member whose cache was dated by a clock that far ahead, and from whose changelog
/// the key's tombstone has gone since.
fn counted_after_a_wrong_clock(ahead_ms: i64) -> String {
    let clock = SimClock::at(1_700_000_000_000);
    let options = SimOptions { delete_retention_ms: TOMBSTONES_MS, ..SimOptions::default() };
    let under = SimUnderTest { bus: SimBus::new(clock.clone(), options), clock, stores: None };
    let world = world(&under);
    let stores = Arc::new(MemoryStores::with_age_ms_max(TOMBSTONES_MS / 2));
    let member = |stage: &mut CountStage, clock: Arc<dyn Clock>, outputs: usize| {
        let session = under.bus.session(&world.session_options("a")).unwrap();
        let options = DriverOptions { stores: Some(stores.clone()), ..world.options.clone() };
        let mut driver = Driver::new(stage, session, world.settings.clone(), clock, options, Arc::default());
        world.run_until("outputs", &mut [&mut driver], || world.output_count() >= outputs).unwrap();
        driver.finish().unwrap();
    };
    world.publish("in", &[("k", "v"), ("k", "v")]);
    let wrong = ProcessClock::new(under.clock.clone());
    wrong.set_machine(ahead_ms);
    wrong.start();
    member(&mut world.stage(), wrong, 2);
    // Somebody else has the partition, and forgets the key; nothing of it is left in the changelog.
    let changelog = world.topics.changelog.clone();
    let partition = partition_of(b"k", 2);
    let tombstone = Output::to_partition(&changelog, partition, "k", None);
    under.bus.publisher("other").unwrap().publish(vec![tombstone]).wait().unwrap();
    for _ in 0..2 {
        under.bus.compact(&changelog);
        under.clock.advance(TOMBSTONES_MS + 1);
    }
    under.bus.compact(&changelog);
    world.publish("in", &[("k", "last")]);
    member(&mut world.stage(), under.clock.clone(), 3);
    let last = world.outputs().into_iter().find(|output| output.ends_with("last")).unwrap();
    last.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_cache_that_a_wrong_clock_has_dated_is_not_believed() {
    assert_eq!(counted_after_a_wrong_clock(0), "1", "it is too old");
    // By its date it is from tomorrow.
    assert_eq!(counted_after_a_wrong_clock(24 * 3_600_000), "1");
}
