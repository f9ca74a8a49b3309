//! A topic is deleted and made anew while a member reads it.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::{Duration, Instant};

use petrel_bus::{Bus, SessionError, TopicSpec};
use petrel_testkit::{shared_kafka, wait_until};

use crate::support::{Member, PATIENCE, at, bus, delete, fill, input, numbered, options, topic, unique};

/// The client goes on at the old offset in the new topic, where there is something, too. It does not ask meanwhile, and
/// so does not meet the new topic while that ends before the old offset.
#[test]
fn a_member_hears_that_its_topic_is_another_one_before_it_commits_a_record_of_it() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, group) = (topic(&bus, "anew", 1), unique("group"));
    let id = || bus.incarnations(std::slice::from_ref(&from)).unwrap().remove(&from);
    fill(&bus, &from, 0, "old", 10);
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    member.until_records(10);
    let positions = member.positions();
    member.session.commit(&positions).unwrap();
    let (old, at) = (id().unwrap(), at(&from, 0));
    member.session.pause(&at).unwrap();
    delete(address, &from);
    let spec = TopicSpec {
        name: from.clone(),
        partitions: 1,
        compacted: false,
        retention_ms: None,
        delete_retention_ms: None,
    };
    wait_until("the topic is made anew", PATIENCE, || {
        bus.ensure_topics(std::slice::from_ref(&spec)).is_ok() && id().is_some_and(|id| id != old)
    });
    fill(&bus, &from, 0, "new", 30);
    member.session.resume(&at).unwrap();
    let began = Instant::now();
    let why = loop {
        match member.turn() {
            // What was handed out with an error is not committed.
            Ok(()) => assert_eq!(member.values(), numbered("old", 10), "read on in the new topic"),
            Err(SessionError::Rebuild(why)) => break why,
            Err(error) => panic!("{error}"),
        }
        assert!(began.elapsed() < PATIENCE, "nothing is told: {:?}", member.events);
    };
    assert!(why.contains("made anew") && why.contains(&*from), "{why}");
    assert!(began.elapsed() < Duration::from_secs(20), "told after {:?}", began.elapsed());
    drop(member);
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    member.until_records(30);
    assert_eq!(member.values(), numbered("new", 30));
}
