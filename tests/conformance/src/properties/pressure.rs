//! Back-pressure.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::{DriverPoint, InputTopic, Output, SessionOptions, StageStats, TopicPartition};

use super::atomicity::{assigned, session};
use crate::harness::BusUnderTest;
use crate::stage::{Settings, from_beginning};
use crate::world::World;

/// A blocked partition keeps its records in order while others go on; nothing is lost when it is freed,
/// nor when the member crashes before.
pub fn blocked_records_wait_in_order<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "blocked", 2);
    world.settings.set(Settings { closed: true, ..Settings::default() });
    // "a" and "b" are in different partitions of two.
    let (a, b) = different_partitions();
    let stats = Arc::new(StageStats::default());
    let mut stage = world.stage();
    let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
    world.publish("in", &[(&a, "1"), (&a, "wait"), (&a, "2"), (&b, "3")]);
    world.run_until("what is not blocked", &mut [&mut driver], || world.output_count() == 2).unwrap();
    world.run_until("the reason", &mut [&mut driver], || !stats.blocked().is_empty()).unwrap();
    assert_eq!(stats.blocked()[0].reason, "the gate is closed");
    world.publish("in", &[(&a, "4"), (&b, "5"), (&a, "6")]);
    world.run_until("the free partition", &mut [&mut driver], || world.output_count() == 3).unwrap();
    drop(driver);
    let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
    world.publish("in", &[(&b, "7")]);
    world.run_until("the free partition", &mut [&mut driver], || world.output_count() == 4).unwrap();
    world.settings.set(Settings::default());
    world.run_until("everything", &mut [&mut driver], || world.output_count() == 8).unwrap();
    assert_eq!(stats.blocked(), []);
    world.publish("in", &[(&a, "8"), (&b, "9")]);
    world.run_until("reading goes on", &mut [&mut driver], || world.output_count() == 10).unwrap();
    driver.finish().unwrap();
    world.check_exactly_once(&["in"]);
}

/// What is told beside the log while a turn is under way is taken in the next one, and no silence meanwhile.
pub fn what_is_told_in_the_middle_of_a_turn_is_no_silence<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "told", 1);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "m");
    let told = Settings { told: vec![(0, "a".to_owned())], ..Settings::default() };
    world.publish("in", &[("z", "1")]);
    world.run_until("the partition is read", &mut [&mut driver], || world.output_count() == 1).unwrap();
    let (clock, settings) = (world.under.clock(), world.settings.clone());
    // Where the record is taken at once, the timer is due at this instant.
    let (due_ms, mut is_told) = (clock.now_ms() + 5_000, false);
    world.publish("in", &[("a", "silence 5000")]);
    world.run_until("the timer is set", &mut [&mut driver], || world.output_count() == 2).unwrap();
    driver.crash_when(move |point| {
        // What is told comes just before the timer would fire.
        if point == DriverPoint::Stepped && clock.now_ms() >= due_ms && !is_told {
            settings.set(told.clone());
            is_told = true;
        }
        false
    });
    let is_told = || world.outputs().contains(&"told a".to_owned());
    world.run_until("what is told", &mut [&mut driver], is_told).unwrap();
    world.publish("in", &[("b", "silence 20")]);
    world.run_until("another silence", &mut [&mut driver], || world.outputs().contains(&"fired b".to_owned())).unwrap();
    driver.finish().unwrap();
    assert_eq!(world.outputs().len(), 5, "{:?}", world.outputs());
}

/// What blocks one topic's partition holds up no other topic's of the same number.
pub fn a_blocked_topic_holds_up_no_other<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "apart", 1);
    world.ensure(&[("more", 1, false)]);
    let with = Some(world.topic("in"));
    world.topics.inputs.push(InputTopic { with, ..from_beginning(&world.topic("more")) });
    world.settings.set(Settings { closed: true, ..Settings::default() });
    let stats = Arc::new(StageStats::default());
    let mut stage = world.stage();
    for (done, blocks, other) in [(0, "in", "more"), (3, "more", "in")] {
        let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
        world.publish(blocks, &[("a", "wait"), ("a", "1")]);
        world.run_until("what blocks", &mut [&mut driver], || stats.blocked().len() == 1).unwrap();
        assert_eq!(stats.blocked()[0].at.topic, world.topic(blocks));
        world.publish(other, &[("a", "2")]);
        world.run_until("the other topic", &mut [&mut driver], || world.output_count() == done + 1).unwrap();
        drop(driver);
        world.settings.set(Settings::default());
        let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
        world.run_until("what was blocked", &mut [&mut driver], || world.output_count() == done + 3).unwrap();
        driver.finish().unwrap();
        world.settings.set(Settings { closed: true, ..Settings::default() });
    }
    world.check_exactly_once(&["in", "more"]);
}

/// A topic whose partitions come while another's of the same numbers are blocked, and freed at once:
/// nothing stays paused.
pub fn what_is_assigned_meanwhile_leaves_nothing_paused<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "meanwhile", 2);
    world.ensure(&[("other", 2, false)]);
    let (a, b) = different_partitions();
    let stats = Arc::new(StageStats::default());
    let mut stage = world.stage();
    let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
    world.settings.set(Settings { closed: true, ..Settings::default() });
    world.publish("in", &[(&a, "wait"), (&b, "wait")]);
    let assigned = |count| stats.assigned.load(Ordering::Relaxed) == count;
    world.run_until("both are blocked", &mut [&mut driver], || assigned(2) && stats.blocked().len() == 2).unwrap();
    let more = vec![from_beginning(&world.topic("other"))];
    world.settings.set(Settings { closed: true, more: more.clone(), ..Settings::default() });
    world.run_until("the other topic", &mut [&mut driver], || assigned(4)).unwrap();
    // Before the driver has looked at anything else.
    world.settings.set(Settings { more, ..Settings::default() });
    world.run_until("what was blocked", &mut [&mut driver], || world.output_count() == 2).unwrap();
    world.publish("in", &[(&a, "1"), (&b, "2")]);
    world.publish("other", &[(&a, "3"), (&b, "4")]);
    world.run_until("everything", &mut [&mut driver], || world.output_count() == 6).unwrap();
    driver.finish().unwrap();
    world.check_exactly_once(&["in", "other"]);
}

/// A silence timer waits until everything that was written before it was due is taken: what is blocked may
/// be what it waited for.
pub fn silence_is_not_taken_for_granted<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "silence", 1);
    world.settings.set(Settings { closed: true, ..Settings::default() });
    let stats = Arc::new(StageStats::default());
    let mut stage = world.stage();
    let mut driver = world.driver_with_stats(&mut stage, "m", stats.clone());
    world.publish("in", &[("a", "silence 20"), ("b", "wait"), ("a", "silence 1000000")]);
    world.run_until("what blocks", &mut [&mut driver], || !stats.blocked().is_empty()).unwrap();
    world.run_until("the first record's output", &mut [&mut driver], || world.output_count() == 1).unwrap();
    let clock = under.clock();
    let due_ms = clock.now_ms() + 40;
    world.run_until("the timer to be due", &mut [&mut driver], || clock.now_ms() > due_ms).unwrap();
    assert_eq!(world.output_count(), 1, "the record that moves the timer stands behind what blocks");
    world.settings.set(Settings::default());
    world.publish("in", &[("c", "silence 20")]);
    world.run_until("the other timer", &mut [&mut driver], || world.output_count() == 5).unwrap();
    let outputs = world.outputs();
    let fired: Vec<&String> = outputs.iter().filter(|text| text.starts_with("fired")).collect();
    assert_eq!(fired, ["fired c"]);
    driver.finish().unwrap();
}

/// Somebody's open transaction holds readers back while the record that was waited for stands behind it: a reader
/// has caught up then, with what it may see, and has heard nothing.
pub fn what_an_open_transaction_hides_is_no_silence<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "hidden", 1);
    world.ensure(&[("other", 1, false)]);
    let (bus, input, clock) = (under.bus(), world.topic("in"), under.clock());
    world.publish("in", &[("a", "silence 20")]);
    let writer = SessionOptions { group: world.topic("writers"), ..world.session_options("writer") };
    let mut writer = session(&bus, &writer, &world.topic("other"));
    let positions = assigned(&mut *writer, under);
    let at = [TopicPartition { topic: input.clone(), partition: 0 }];
    let before = writer.high_watermarks(&at).unwrap();
    writer.send(Output::keyed(&input, "b", b"1".to_vec()), 0).unwrap();
    petrel_testkit::wait_until("the open transaction is in the log", under.patience(), || {
        !under.holds_readers_back() || writer.high_watermarks(&at).unwrap() > before
    });
    world.publish("in", &[("a", "silence 1000000")]);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "m");
    world.run_until("what can be read", &mut [&mut driver], || world.output_count() >= 1).unwrap();
    let due_ms = clock.now_ms() + 40;
    world.run_until("the timer to be due", &mut [&mut driver], || clock.now_ms() > due_ms).unwrap();
    let fired = || world.outputs().into_iter().filter(|text| text.starts_with("fired")).collect::<Vec<_>>();
    assert_eq!(fired(), Vec::<String>::new(), "the record that moves the timer stands behind an open transaction");
    writer.commit(&positions).unwrap();
    world.publish("in", &[("c", "silence 20")]);
    world.run_until("the other timer", &mut [&mut driver], || world.output_count() == 5).unwrap();
    assert_eq!(fired(), ["fired c"]);
    driver.finish().unwrap();
}

/// Two keys that go to different partitions of two.
pub(super) fn different_partitions() -> (String, String) {
    let of = |partition| {
        let mut names = (0..).map(|i| format!("k{i}"));
        names.find(|k| petrel_bus::partition_of(k.as_bytes(), 2) == partition).unwrap_or_default()
    };
    (of(0), of(1))
}
