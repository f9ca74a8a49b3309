//! Groups whose offsets the log has forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{DriverError, InputTopic, Output, Position, StageStats, Start, TopicPartition};

use crate::harness::BusUnderTest;
use crate::properties::atomicity::{assigned, session};
use crate::properties::pressure::different_partitions;
use crate::stage::CountStage;
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

/// A topic that was deleted and made anew is read from its start, wherever the position on the old one was kept,
/// and also where reading was to begin at an offset of the old one. From then on its own positions count.
pub fn a_topic_that_was_made_anew_is_read_from_its_start<B: BusUnderTest>(under: &B) {
    for (name, has_changelog) in [("anew", true), ("anew-stateless", false)] {
        let mut world = World::new(under, name, 2);
        let group = world.session_options("a").group;
        publish(&world, "in", "before");
        world.topics.inputs[0].start = Start::Offsets(under.bus().end_offsets(&world.topic("in")).unwrap());
        let mut all = 0;
        // More than stood before them, so that the old positions lie in the middle of the new topic.
        for (round, times) in [("old", 1), ("new", 3), ("next", 1)] {
            (0..times).for_each(|_| publish(&world, "in", round));
            all += times * RECORDS;
            let mut stage = stage(&world, has_changelog);
            let mut driver = world.driver(&mut stage, "a");
            world.run_until(round, &mut [&mut driver], || world.output_count() >= all).unwrap();
            driver.finish().unwrap();
            match round {
                "old" => {
                    under.delete_topic(&world.topic("in"), &group);
                    world.ensure(&[("in", 2, false)]);
                }
                _ => under.forget_offsets(&group),
            }
            world.restart();
        }
        let outputs = world.outputs();
        let sources: BTreeSet<String> = outputs.iter().map(|output| source_and_round(output)).collect();
        assert_eq!((outputs.len(), sources.len()), (all, all), "one output per record: {outputs:?}");
        assert!(outputs.iter().all(|output| !output.contains(" before ")), "{outputs:?}");
    }
}

/// The same while its group reads it: the log may hand out what stands in the new topic from where the group was in the
/// old one, or tell that the offset is out of range, and neither is the group's offset there.
pub fn a_topic_that_is_made_anew_while_it_is_read_is_read_from_its_start<B: BusUnderTest>(under: &B) {
    // How much more there is in the new topic: the old offset is in the middle of it, or behind its end.
    for (name, times, has_changelog) in [("middle", 3, true), ("middle-stateless", 3, false), ("end", 0, true)] {
        let mut world = World::new(under, name, 2);
        let is_found_in_time = times > 0;
        world.options.position_interval_ms = if is_found_in_time { 200 } else { 3_600_000 };
        let group = world.session_options("a").group;
        publish(&world, "in", "old");
        let mut count_stage = stage(&world, has_changelog);
        let mut driver = world.driver(&mut count_stage, "a");
        world.run_until("old", &mut [&mut driver], || world.output_count() == RECORDS).unwrap();
        under.delete_topic(&world.topic("in"), &group);
        world.ensure(&[("in", 2, false)]);
        (0..times).for_each(|_| publish(&world, "in", "new"));
        if !is_found_in_time {
            world.publish("in", &[("k0", "new 0")]);
        }
        under.clock().sleep(Duration::from_millis(if is_found_in_time { 201 } else { 0 }));
        let all = world.outputs().len() + (times * RECORDS).max(1);
        let failed = world.run_until("the end of the session", &mut [&mut driver], || false);
        assert!(matches!(&failed, Err(DriverError::Rebuild(why)) if why.contains("made anew")), "{failed:?}");
        drop(driver);
        let mut driver = world.driver(&mut count_stage, "a");
        world.run_until("new", &mut [&mut driver], || world.output_count() >= all).unwrap();
        driver.finish().unwrap();
        let outputs = world.outputs();
        let sources: BTreeSet<String> = outputs.iter().map(|output| source_and_round(output)).collect();
        assert_eq!((outputs.len(), sources.len()), (all, all), "one output per record: {outputs:?}");
    }
}

/// A member that had not heard of the new topic may have committed its offset on the old one there.
pub fn an_offset_of_an_earlier_topic_is_not_the_groups<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "outlived", 2);
    let (group, input) = (world.session_options("a").group, world.topic("in"));
    publish(&world, "in", "old");
    let mut count_stage = world.stage();
    let mut driver = world.driver(&mut count_stage, "a");
    world.run_until("old", &mut [&mut driver], || world.output_count() == RECORDS).unwrap();
    driver.finish().unwrap();
    let bus = under.bus();
    let mut reader = session(&bus, &world.session_options("a"), &input);
    let old = assigned(&mut *reader, under);
    reader.close();
    drop(reader);
    under.delete_topic(&input, &group);
    world.ensure(&[("in", 2, false)]);
    (0..3).for_each(|_| publish(&world, "in", "new"));
    let mut member = session(&bus, &world.session_options("a"), &input);
    assigned(&mut *member, under);
    member.commit(&old).unwrap();
    member.close();
    drop(member);
    let mut count_stage = world.stage();
    let mut driver = world.driver(&mut count_stage, "a");
    world.run_until("new", &mut [&mut driver], || world.output_count() >= 4 * RECORDS).unwrap();
    driver.finish().unwrap();
    let outputs = world.outputs();
    let sources: BTreeSet<String> = outputs.iter().map(|output| source_and_round(output)).collect();
    assert_eq!((outputs.len(), sources.len()), (4 * RECORDS, 4 * RECORDS), "one output per record: {outputs:?}");
}

fn stage<B: BusUnderTest>(world: &World<'_, B>, has_changelog: bool) -> CountStage {
    if has_changelog { world.stage() } else { world.stage().without_changelog() }
}

/// Topic, partition and offset, and which of the topics of that name it was.
fn source_and_round(output: &str) -> String {
    let words: Vec<&str> = output.split(' ').collect();
    format!("{} {}", words[0], words[3])
}

/// Records that were removed before they were read are not passed over in silence: their partition stands still
/// until somebody has said where to go on, and nothing is committed there meanwhile. The other goes on.
pub fn a_kept_position_before_the_beginning_halts_that_partition_alone<B: BusUnderTest>(under: &B) {
    for (name, has_changelog) in [("below", true), ("below-stateless", false)] {
        let world = World::new(under, name, 2);
        let (group, input) = (world.session_options("a").group, world.topic("in"));
        let (lost, fine) = different_partitions();
        world.publish("in", &[(&lost, "1"), (&fine, "2")]);
        let mut count_stage = stage(&world, has_changelog);
        let mut driver = world.driver(&mut count_stage, "a");
        world.run_until("the first", &mut [&mut driver], || world.output_count() == 2).unwrap();
        driver.finish().unwrap();
        under.forget_offsets(&group);
        world.publish("in", &[(&lost, "3"), (&lost, "4")]);
        let end = under.bus().end_offsets(&input).unwrap()[0];
        assert!(under.drop_before(&input, 0, end) > 1);
        // A second member meets the same: the first has committed nothing there.
        for (member, expected) in [("a", 3), ("b", 4)] {
            world.publish("in", &[(&fine, "5")]);
            let stats = Arc::new(StageStats::default());
            let mut count_stage = stage(&world, has_changelog);
            let mut driver = world.driver_with_stats(&mut count_stage, member, stats.clone());
            let is_told = || !stats.problems().is_empty() && world.output_count() == expected;
            world.run_until("a problem and progress", &mut [&mut driver], is_told).unwrap();
            let problems = stats.problems();
            assert_eq!(problems.len(), 1, "{problems:?}");
            for part in [&*format!("{input}/0: "), &*group, "out of range", "--reset-offsets"] {
                assert!(problems[0].contains(part), "{part} is not in {problems:?}");
            }
            driver.finish().unwrap();
        }
        set_offset(&world, &TopicPartition { topic: input, partition: 0 }, end);
        world.publish("in", &[(&lost, "6")]);
        let mut count_stage = stage(&world, has_changelog);
        let mut driver = world.driver(&mut count_stage, "a");
        let is_read = || world.outputs().iter().any(|output| output.ends_with(" 6"));
        world.run_until("what comes after", &mut [&mut driver], is_read).unwrap();
        driver.finish().unwrap();
    }
}

/// A position that the partition has not reached is not waited for: what comes meanwhile would be passed over.
pub fn a_kept_position_beyond_the_end_halts_that_partition_alone<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "beyond", 2);
    let input = world.topic("in");
    let (lost, fine) = different_partitions();
    keep_in_state(&world, &input, 0, &1_000_i64.to_be_bytes());
    world.publish("in", &[(&lost, "1"), (&fine, "2")]);
    let (mut stage, stats) = (world.stage(), Arc::new(StageStats::default()));
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    let is_told = || !stats.problems().is_empty() && world.output_count() == 1;
    world.run_until("a problem and progress", &mut [&mut driver], is_told).unwrap();
    assert!(stats.problems()[0].starts_with(&format!("{input}/0: ")), "{:?}", stats.problems());
    assert!(stats.problems()[0].contains("1000, where it was, is out of range"), "{:?}", stats.problems());
    driver.finish().unwrap();
    assert_eq!(world.outputs(), [format!("{input}/1/0 1 0 2")]);
}

/// What a topic says and what the topic that follows it says are one thing: where one of them cannot be read, the other
/// one of that number is not either.
pub fn a_follower_that_cannot_be_begun_halts_its_leader_too<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "together", 2);
    world.ensure(&[("more", 2, false)]);
    let (input, more) = (world.topic("in"), world.topic("more"));
    world.topics.inputs.push(InputTopic { name: more.clone(), start: Start::Beginning, with: Some(input.clone()) });
    keep_in_state(&world, &more, 0, b"short");
    let (lost, fine) = different_partitions();
    world.publish("in", &[(&lost, "1"), (&fine, "2")]);
    world.publish("more", &[(&lost, "3"), (&fine, "4")]);
    let (mut stage, stats) = (world.stage(), Arc::new(StageStats::default()));
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    let is_told = || stats.problems().len() == 2 && world.output_count() == 2;
    world.run_until("problems and progress", &mut [&mut driver], is_told).unwrap();
    let problems = stats.problems();
    let of = |topic: &Arc<str>| problems.iter().find(|problem| problem.starts_with(&format!("{topic}/0: "))).unwrap();
    assert!(of(&more).contains("cannot be read"), "{problems:?}");
    assert!(of(&input).contains(&format!("together with {more}/0")) && of(&input).contains("cannot be read"));
    driver.finish().unwrap();
    assert!(world.outputs().iter().all(|output| output.contains("/1/")), "{:?}", world.outputs());
    set_offset(&world, &TopicPartition { topic: more.clone(), partition: 0 }, 0);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the rest", &mut [&mut driver], || world.output_count() == 4).unwrap();
    driver.finish().unwrap();
}

/// Writes what stands in a changelog in the place of the position on a topic.
fn keep_in_state<B: BusUnderTest>(world: &World<'_, B>, topic: &str, partition: u32, value: &[u8]) {
    let key = format!("~p/{topic}");
    let output = Output::to_partition(&world.topic("state"), partition, key, Some(value.to_vec()));
    world.under.bus().publisher("keeper").unwrap().publish(vec![output]).wait().unwrap();
}

/// Commits an offset of the group, as an operator does while it has no members.
fn set_offset<B: BusUnderTest>(world: &World<'_, B>, at: &TopicPartition, offset: i64) {
    let bus = world.under.bus();
    let mut operator = session(&bus, &world.session_options("a"), &at.topic);
    assigned(&mut *operator, world.under);
    operator.commit(&[Position { at: at.clone(), offset, metadata: None }]).unwrap();
    operator.close();
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

/// A state of which nobody knows what led to it is not added to, by any topic or timer, until somebody has said where
/// to go on. The other partitions go on, whoever has them.
pub fn a_state_that_says_no_position_halts_that_partition_alone<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "adrift", 2);
    world.ensure(&[("more", 2, false)]);
    let (input, more) = (world.topic("in"), world.topic("more"));
    world.topics.inputs.push(InputTopic { name: more.clone(), start: Start::Beginning, with: Some(input.clone()) });
    let (lost, fine) = different_partitions();
    // A follower's offset that the group still has is of no use without the leader's.
    set_offset(&world, &TopicPartition { topic: more.clone(), partition: 0 }, 0);
    world.publish("state", &[(&lost, "1")]);
    let due = [&[1][..], &0_i64.to_be_bytes()].concat();
    let timer = Output::to_partition(&world.topic("state"), 0, "~t/timer", Some(due));
    under.bus().publisher("suite").unwrap().publish(vec![timer]).wait().unwrap();
    world.publish("in", &[(&lost, "1"), (&lost, "2"), (&fine, "3")]);
    world.publish("more", &[(&lost, "4")]);

    let (mut stage, stats) = (world.stage(), Arc::new(StageStats::default()));
    let mut driver = world.driver_with_stats(&mut stage, "b", stats.clone());
    let is_told = || stats.problems().len() == 2 && world.output_count() == 1;
    world.run_until("problems and progress", &mut [&mut driver], is_told).unwrap();
    let (problems, group) = (stats.problems(), world.session_options("b").group);
    for part in [&*format!("{input}/0: "), &*format!("{more}/0: ")] {
        assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part} is not in {problems:?}");
    }
    for part in [&*group, &format!("on {input}/0"), &world.topic("state"), "--reset-offsets"] {
        assert!(problems.iter().all(|problem| problem.contains(part)), "{part} is not in {problems:?}");
    }

    // Whoever gets the partition meets the same, and whoever gives it up has nothing to tell any more.
    let (mut heir, heirs_stats) = (world.stage(), Arc::new(StageStats::default()));
    let mut heir = world.driver_with_stats(&mut heir, "a", heirs_stats.clone());
    let is_moved = || (stats.problems().len(), heirs_stats.problems().len()) == (0, 2);
    world.run_until("the partition moves", &mut [&mut driver, &mut heir], is_moved).unwrap();
    world.publish("in", &[(&fine, "5")]);
    world.run_until("the other goes on", &mut [&mut driver, &mut heir], || world.output_count() == 2).unwrap();
    driver.finish().unwrap();
    heir.finish().unwrap();
    let mut expected = vec![format!("{input}/1/0 1 0 3")];
    assert!(world.outputs().contains(&expected[0]) && world.outputs().len() == 2, "{:?}", world.outputs());

    // What the sentence says: the group gets an offset.
    set_offset(&world, &TopicPartition { topic: input.clone(), partition: 0 }, 1);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the rest", &mut [&mut driver], || world.output_count() == 5).unwrap();
    driver.finish().unwrap();
    expected.push("fired timer".into());
    let outputs = world.outputs();
    assert!(expected.iter().all(|output| outputs.contains(output)), "{outputs:?}");
    let of_lost = |output: &&String| output.contains("/0/");
    let mut counts: Vec<&str> = outputs.iter().filter(of_lost).filter_map(|output| output.split(' ').nth(1)).collect();
    counts.sort_unstable();
    assert_eq!(counts, ["2", "3"], "counted on from the state: {outputs:?}");
}

/// A position that this release cannot read is no reason to begin anew, and none for the other partitions to wait.
pub fn a_position_that_cannot_be_read_halts_that_partition_alone<B: BusUnderTest>(under: &B) {
    for (name, has_changelog) in [("unreadable", true), ("unreadable-stateless", false)] {
        let world = World::new(under, name, 2);
        let (input, group) = (world.topic("in"), world.session_options("a").group);
        match has_changelog {
            true => keep_in_state(&world, &input, 0, b"short"),
            false => {
                let place = petrel_bus::partition_of(group.as_bytes(), 2);
                let key = format!("{group}/{input}/0");
                let output = Output::to_partition(&world.topic("positions"), place, key, Some(b"short".to_vec()));
                under.bus().publisher("keeper").unwrap().publish(vec![output]).wait().unwrap();
            }
        }
        let (lost, fine) = different_partitions();
        world.publish("in", &[(&lost, "1"), (&fine, "2")]);
        let (mut count_stage, stats) = (stage(&world, has_changelog), Arc::new(StageStats::default()));
        let mut driver = world.driver_with_stats(&mut count_stage, "a", stats.clone());
        let is_told = || !stats.problems().is_empty() && world.output_count() == 1;
        world.run_until("a problem and progress", &mut [&mut driver], is_told).unwrap();
        let problems = stats.problems();
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("{input}/0: ")), "{problems:?}");
        assert!(problems[0].contains("cannot be read") && problems[0].contains("--reset-offsets"), "{problems:?}");
        driver.finish().unwrap();
        assert_eq!(world.outputs(), [format!("{input}/1/0 1 0 2")]);
        set_offset(&world, &TopicPartition { topic: input, partition: 0 }, 0);
        let mut count_stage = stage(&world, has_changelog);
        let mut driver = world.driver(&mut count_stage, "a");
        world.run_until("the record", &mut [&mut driver], || world.output_count() == 2).unwrap();
        driver.finish().unwrap();
    }
}
