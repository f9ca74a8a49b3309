//! Writing from outside of a stage, and following.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::{Duration, Instant};

use petrel_bus::{Bus, Output, PublishError};
use petrel_testkit::{free_port, poll_until, shared_kafka};

use crate::support::{
    PATIENCE, add_partitions, bus, bus_with, committed, delete, drain, fill, numbered, output, topic, unique,
};

#[test]
fn calls_are_committed_together_and_each_is_told_where_its_records_are() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let to = topic(&bus, "out", 2);
    let publisher = bus.publisher(&unique("p")).unwrap();
    let calls: Vec<_> = (0..500)
        .map(|n| publisher.publish(vec![output(&to, 0, &format!("a{n}")), output(&to, 1, &format!("b{n}"))]))
        .collect();
    let mut last = [-1, -1];
    for call in calls {
        let written = call.wait().unwrap();
        assert_eq!(written.len(), 2);
        for (place, offset) in written {
            let last = &mut last[place.partition as usize];
            assert!(offset.unwrap() > *last, "{place:?} {offset:?}");
            *last = offset.unwrap();
        }
    }
    // Markers of transactions take offsets too: there are far fewer than calls.
    let ends = bus.end_offsets(&to).unwrap();
    assert!(ends.iter().all(|end| (500..750).contains(end)), "{ends:?}");
    let found = committed(&bus, &to);
    assert_eq!((&found[&0], &found[&1]), (&numbered("a", 500), &numbered("b", 500)));
}

#[test]
fn what_cannot_be_written_is_refused_and_spoils_nothing() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus_with(address, |o| o.publish_calls_max = 50);
    let (to, none) = (topic(&bus, "out", 1), unique("none"));
    let publisher = bus.publisher(&unique("p")).unwrap();
    let large = Output::keyed(&to, "k", vec![b'x'; 1_000_000]);
    let largest = Output::keyed(&to, "k", vec![b'x'; 999_999]);
    let good = publisher.publish(vec![output(&to, 0, "first")]);
    let answers = [
        publisher.publish(vec![output(&to, 0, "never"), large]),
        publisher.publish(vec![output(&to, 0, "never"), output(&none, 0, "x")]),
        publisher.publish(vec![output(&to, 7, "never")]),
        publisher.publish(Vec::new()),
    ];
    let answers = answers.map(petrel_bus::Receipt::wait);
    assert_eq!(answers[0], Err(PublishError::TooLarge { bytes: 1_000_001, limit_bytes: 1_000_000 }));
    assert_eq!(answers[1], Err(PublishError::UnknownTopic(none.to_string())));
    assert_eq!(answers[2], Err(PublishError::UnknownTopic(format!("{to}, partition 7"))));
    assert_eq!(answers[3], Ok(Vec::new()));
    good.wait().unwrap();
    publisher.publish(vec![largest]).wait().unwrap();
    let found = committed(&bus, &to).remove(&0).unwrap();
    assert_eq!((found.len(), found[0].as_str(), found[1].len()), (2, "first", 999_999));
    // More than the queue takes: some are refused at once, the others are written.
    let calls: Vec<_> = (0..5_000).map(|n| publisher.publish(vec![output(&to, 0, &n.to_string())])).collect();
    let answers: Vec<_> = calls.into_iter().map(petrel_bus::Receipt::wait).collect();
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(answers.iter().all(|answer| answer.is_ok() || *answer == Err(PublishError::Overloaded)));
    assert!(written >= 50 && written < answers.len(), "{written}");
    assert_eq!(committed(&bus, &to)[&0].len(), 2 + written);
    drop(publisher);
}

#[test]
fn a_partition_that_was_added_is_written_to() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let to = topic(&bus, "grows", 1);
    let publisher = bus.publisher(&unique("p")).unwrap();
    publisher.publish(vec![output(&to, 0, "a0")]).wait().unwrap();
    let none = Err(PublishError::UnknownTopic(format!("{to}, partition 1")));
    assert_eq!(publisher.publish(vec![output(&to, 1, "b0")]).wait(), none);
    add_partitions(address, &to, 2);
    // The broker hears of it a moment later, has a leader for it another one later, and the writer asks once a minute.
    let is_seen = || publisher.publish(vec![output(&to, 1, "b0")]).wait().ok();
    assert!(poll_until(3 * PATIENCE, is_seen).is_some(), "it is never seen");
    publisher.publish(vec![output(&to, 1, "b1")]).wait().unwrap();
    let found = committed(&bus, &to);
    assert_eq!((&found[&0], &found[&1]), (&numbered("a", 1), &numbered("b", 2)));
}

/// A call whose partition takes nothing does not delay the others, nor what a transaction after them writes.
#[test]
fn a_call_waits_for_no_other() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus_with(address, |o| o.publish_timeout_ms = 10_000);
    let (good, gone) = (topic(&bus, "good", 1), topic(&bus, "gone", 1));
    let publisher = bus.publisher(&unique("p")).unwrap();
    publisher.publish(vec![output(&gone, 0, "there")]).wait().unwrap();
    delete(address, &gone);
    let (answers, answered) = std::sync::mpsc::channel();
    let lost = publisher.publish(vec![output(&gone, 0, "never")]);
    std::thread::spawn(move || answers.send(lost.wait()));
    for n in 0..20 {
        publisher.publish(vec![output(&good, 0, &format!("a{n}"))]).wait().unwrap();
    }
    assert!(answered.try_recv().is_err(), "what was to be waited for was answered first");
    let error = answered.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Unavailable(_) | PublishError::OutcomeUnknown(_)), "{error}");
    publisher.publish(vec![output(&good, 0, "a20"), output(&good, 0, "a21")]).wait().unwrap();
    publisher.publish(vec![output(&good, 0, "a22")]).wait().unwrap();
    assert_eq!(committed(&bus, &good)[&0], numbered("a", 23));
}

#[test]
fn without_a_broker_everything_is_answered_in_time() {
    let address = format!("127.0.0.1:{}", free_port());
    let bus = bus_with(&address, |o| (o.request_timeout_ms, o.publish_timeout_ms) = (500, 2_000));
    let began = Instant::now();
    let error = bus.cluster_id().unwrap_err();
    assert!(matches!(error, petrel_bus::BusError::Unavailable(_)), "{error}");
    let session = bus.session(&crate::support::options(&"g".into(), "m"));
    assert!(matches!(session.err(), Some(petrel_bus::BusError::Unavailable(_))));
    let publisher = bus.publisher("p").unwrap();
    let calls: Vec<_> = (0..3).map(|_| publisher.publish(vec![output(&"t".into(), 0, "x")])).collect();
    for call in calls {
        let answer = call.wait();
        assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
    }
    drop(publisher);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_tail_follows_all_partitions_and_knows_when_it_has_caught_up() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let to = topic(&bus, "tail", 3);
    let none = unique("none");
    assert_eq!(bus.tail(&none).err(), Some(petrel_bus::BusError::UnknownTopic(none.to_string())));
    let empty = bus.tail(&to).unwrap();
    assert!(empty.caught_up());
    fill(&bus, &to, 0, "a", 100);
    fill(&bus, &to, 2, "c", 100);
    let mut tail = bus.tail(&to).unwrap();
    assert!(!tail.caught_up());
    let mut seen = Vec::new();
    drain(&mut *tail, &mut |partition, value| seen.push((partition, value)));
    seen.sort();
    let wanted = |partition: u32, prefix: &str| numbered(prefix, 100).into_iter().map(move |v| (partition, v));
    let mut all: Vec<(u32, String)> = wanted(0, "a").chain(wanted(2, "c")).collect();
    all.sort();
    assert_eq!(seen, all);
    fill(&bus, &to, 1, "later", 1);
    let (mut later, began) = (None, Instant::now());
    while later.is_none() {
        let mut each = |_, record: petrel_bus::Record<'_>| later = Some(crate::support::text(record.value));
        tail.next(Duration::from_millis(100), &mut each).unwrap();
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(later.as_deref(), Some("later0"));
    assert!(tail.caught_up());
}
