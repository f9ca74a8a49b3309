//! A topic that follows another.

use petrel_bus::{Bus, GroupEvent, SessionError};
use petrel_testkit::shared_kafka;

use crate::support::{Member, bus, follower, input, options, topic, unique};

#[test]
fn only_what_moves_stops() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (leader, follows, group) = (topic(&bus, "requests", 4), topic(&bus, "results", 4), unique("group"));
    let inputs = [input(&leader), follower(&follows, &leader)];
    let mut first = Member::join(&bus, &options(&group, "a"), &inputs);
    first.until_assigned(8);
    let mut second = Member::join(&bus, &options(&group, "b"), &inputs);
    second.until("the partitions are shared", |second| {
        first.turn().unwrap();
        first.next.len() == 4 && second.next.len() == 4
    });
    let revoked: Vec<_> = first.events.iter().filter(|event| matches!(event, GroupEvent::Revoked(_))).collect();
    let [GroupEvent::Revoked(moved)] = &revoked[..] else { panic!("{:?}", first.events) };
    assert_eq!(moved.len(), 4, "two numbers of two topics: {moved:?}");
    let assigned = first.events.iter().filter(|e| matches!(e, GroupEvent::Assigned(all) if !all.is_empty())).count();
    assert_eq!(assigned, 1, "what stayed was not given out anew: {:?}", first.events);
    assert!(first.begun.len() == 8 && second.begun.len() == 4);
}

#[test]
fn a_follower_whose_partitions_differ_is_refused_by_both_names() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (leader, few, none) = (topic(&bus, "requests", 3), topic(&bus, "results", 2), unique("nowhere"));
    for (follows, found) in [(&few, "2"), (&none, "no topic")] {
        let mut session = bus.session(&options(&unique("group"), "a")).unwrap();
        let refused = session.subscribe(&[input(&leader), follower(follows, &leader)]);
        let Err(SessionError::Halt(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains(&*leader) && why.contains(&**follows) && why.contains(found), "{why}");
    }
}
