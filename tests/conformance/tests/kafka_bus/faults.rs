//! Members that die, hang and come back.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::Instant;

use petrel_bus::{Bus, GroupEvent, SessionError};
use petrel_testkit::shared_kafka;

use crate::support::{
    Member, PATIENCE, at, bus, bus_with, committed, fill, follower, input, numbered, options, output, topic, unique,
};

#[test]
fn a_second_process_with_the_same_member_fences_the_first() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, to, group) = (topic(&bus, "in", 1), topic(&bus, "out", 1), unique("group"));
    fill(&bus, &from, 0, "r", 10);
    let mut first = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    first.until_records(10);
    first.session.send(output(&to, 0, "zombie"), 0).unwrap();
    let second = bus.session(&options(&group, "a")).unwrap();
    let positions = first.positions();
    let error = first.session.commit(&positions).unwrap_err();
    assert!(matches!(error, SessionError::Rebuild(_)), "{error}");
    drop(first);
    drop(second);
    assert!(committed(&bus, &to).is_empty());
}

#[test]
fn a_member_that_was_expelled_commits_nothing() {
    expelled(|hung| {
        let positions = hung.positions();
        let error = hung.session.commit(&positions).unwrap_err();
        assert!(matches!(error, SessionError::Rebuild(_) | SessionError::Abort(_)), "{error}");
    });
}

#[test]
fn a_member_that_was_expelled_is_told_so_when_it_looks() {
    expelled(|hung| {
        // If the rebalance was announced before it was expelled it is asked for its partitions, and
        // the commit that it answers with is refused; else it is told that they are lost.
        let began = Instant::now();
        loop {
            match hung.turn() {
                Err(SessionError::Rebuild(_) | SessionError::Abort(_)) => break,
                Err(error) => panic!("{error}"),
                Ok(()) if hung.events.iter().any(|event| matches!(event, GroupEvent::Lost(_))) => break,
                Ok(()) => assert!(began.elapsed() < PATIENCE, "{:?}", hung.events),
            }
        }
    });
}

/// A member hangs with an open transaction, another one takes over, and the first goes on.
fn expelled(go_on: impl Fn(&mut Member)) {
    let Some(address) = shared_kafka() else { return };
    // A member that does not fetch for this long is taken for dead.
    let bus = bus_with(address, |o| (o.session_timeout_ms, o.max_poll_interval_ms) = (6_000, 6_000));
    let (leader, follows) = (topic(&bus, "in", 1), topic(&bus, "follows", 1));
    let (to, group) = (topic(&bus, "out", 1), unique("group"));
    let inputs = [input(&leader), follower(&follows, &leader)];
    fill(&bus, &leader, 0, "r", 5);
    fill(&bus, &follows, 0, "s", 5);
    let mut hung = Member::join(&bus, &options(&group, "a"), &inputs);
    hung.until_records(10);
    let mut heir = Member::join(&bus, &options(&group, "b"), &inputs);
    heir.until_records(10);
    heir.session.send(output(&to, 0, "heir"), 0).unwrap();
    let positions = heir.positions();
    assert_eq!(positions.len(), 2, "both topics'");
    heir.session.commit(&positions).unwrap();
    hung.session.send(output(&to, 0, "hung"), 0).unwrap();
    go_on(&mut hung);
    drop(hung);
    assert_eq!(committed(&bus, &to)[&0], ["heir"]);
    drop(heir);
    let mut next = Member::join(&bus, &options(&group, "c"), &inputs);
    next.until_assigned(2);
    assert_eq!(next.positions(), positions, "of both topics, what the heir committed");
}

#[test]
fn partitions_move_with_the_state_that_was_committed_last() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, state, group) = (topic(&bus, "in", 4), topic(&bus, "state", 4), unique("group"));
    let mut first = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    first.changelog = Some(state.clone());
    first.until_assigned(4);
    assert!(first.restored.values().all(Vec::is_empty));
    (0..4).for_each(|partition| fill(&bus, &from, partition, "r", 3));
    first.until_records(12);
    for (place, record) in first.records.clone() {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        first.session.send(output(&state, place.partition, &value), place.partition).unwrap();
    }
    // The commit happens when the partitions are asked for.
    let mut second = Member::join(&bus, &options(&group, "b"), &[input(&from)]);
    second.changelog = Some(state.clone());
    let began = Instant::now();
    while first.next.len() != 2 || second.next.len() != 2 {
        first.turn().unwrap();
        second.turn().unwrap();
        assert!(began.elapsed() < PATIENCE, "{:?} {:?}", first.events, second.events);
    }
    let wanted: Vec<(String, String)> = numbered("r", 3).into_iter().map(|v| (v.clone(), v)).collect();
    for (place, offset) in &second.next {
        assert_eq!(second.restored[&place.partition], wanted);
        // Three records and the marker of their transaction.
        assert!(*offset >= 3, "{place:?} began at {offset}");
    }
    assert!(second.records.is_empty());
    // A process that dies: its partitions move on.
    drop(second);
    first.until_assigned(4);
    assert_eq!(first.records.len(), 12);
}

#[test]
fn restoring_waits_for_a_transaction_that_a_dead_owner_left_open() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus_with(address, |o| o.transaction_timeout_ms = 2_000);
    let (from, state, group) = (topic(&bus, "in", 1), topic(&bus, "state", 1), unique("group"));
    fill(&bus, &from, 0, "r", 3);
    let mut owner = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    owner.until_records(3);
    owner.session.send(output(&state, 0, "kept"), 0).unwrap();
    let positions = owner.positions();
    owner.session.commit(&positions).unwrap();
    owner.session.send(output(&state, 0, "left"), 0).unwrap();
    let began = Instant::now();
    // A record, the marker of its transaction, and the record that is left.
    let open = 3;
    while bus.end_offsets(&state).unwrap()[0] < open {
        assert!(began.elapsed() < PATIENCE);
    }
    drop(owner);
    assert_eq!(bus.end_offsets(&state).unwrap()[0], open);
    let mut heir = Member::join(&bus, &options(&group, "b"), &[input(&from)]);
    heir.changelog = Some(state.clone());
    heir.until_assigned(1);
    assert_eq!(heir.restored[&0], [("kept".to_owned(), "kept".to_owned())]);
    assert_eq!(heir.next[&at(&from, 0)], positions[0].offset);
    assert!(bus.end_offsets(&state).unwrap()[0] > open, "the abort marker came first");
}

#[test]
fn many_restores_see_every_commit_that_came_before() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, state, group) = (topic(&bus, "in", 1), topic(&bus, "state", 1), unique("group"));
    // Each owner commits and is gone at once: markers of its commit may still be on their way.
    for round in 0..8 {
        let mut owner = Member::join(&bus, &options(&group, &format!("m{}", round % 2)), &[input(&from)]);
        owner.changelog = Some(state.clone());
        owner.until_assigned(1);
        let seen: Vec<String> = owner.restored[&0].iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(seen, numbered("k", round), "round {round}");
        owner.session.send(output(&state, 0, &format!("k{round}")), 0).unwrap();
        let positions = owner.positions();
        owner.session.commit(&positions).unwrap();
    }
}
