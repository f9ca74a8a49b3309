//! Transactions, positions and their metadata, catching up.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use petrel_bus::{Bus, GroupEvent, InputTopic, Position, SessionError, Start};
use petrel_testkit::shared_kafka;

use crate::support::{Member, at, bus, committed, fill, input, numbered, options, output, position, topic, unique};

#[test]
fn outputs_and_positions_are_committed_together() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, to, group) = (topic(&bus, "in", 1), topic(&bus, "out", 1), unique("group"));
    fill(&bus, &from, 0, "r", 10);
    let mut first = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    first.until_records(10);
    for value in first.values() {
        first.session.send(output(&to, 0, &value), 0).unwrap();
    }
    let positions = first.positions();
    first.session.commit(&positions).unwrap();
    assert_eq!(committed(&bus, &to)[&0], numbered("r", 10));
    // Sent, but never committed: the next member neither sees it nor goes on behind it.
    fill(&bus, &from, 0, "s", 5);
    first.until_records(15);
    first.session.send(output(&to, 0, "never"), 0).unwrap();
    drop(first);
    let mut second = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    second.until_records(5);
    assert_eq!(second.begun[0].offset, positions[0].offset);
    assert_eq!(second.values(), numbered("s", 5));
    assert_eq!(committed(&bus, &to)[&0], numbered("r", 10));
}

#[test]
fn abort_rewinds_and_nothing_of_the_transaction_is_seen() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, to, group) = (topic(&bus, "in", 2), topic(&bus, "out", 1), unique("group"));
    fill(&bus, &from, 0, "a", 500);
    fill(&bus, &from, 1, "b", 500);
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    for round in 0..4 {
        member.until_records(1000);
        for value in member.values() {
            member.session.send(output(&to, 0, &value), 0).unwrap();
        }
        if round < 3 {
            let rewind = [position(&at(&from, 0), 0), position(&at(&from, 1), 0)];
            member.session.abort(&rewind).unwrap();
            assert!(!member.session.caught_up(&at(&from, 0)));
            member.records.clear();
        }
    }
    let positions = member.positions();
    member.session.commit(&positions).unwrap();
    let mut found = committed(&bus, &to).remove(&0).unwrap();
    found.sort();
    let mut wanted = [numbered("a", 500), numbered("b", 500)].concat();
    wanted.sort();
    assert_eq!(found, wanted);
    // Nothing is open: an abort goes without a transaction too.
    member.session.abort(&[position(&at(&from, 0), 400)]).unwrap();
    member.records.clear();
    member.until_records(100);
    assert_eq!(member.records[0].1.offset, 400);
}

#[test]
fn paused_partitions_lose_nothing_and_stay_paused_over_an_abort() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, group) = (topic(&bus, "in", 2), unique("group"));
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    member.until_assigned(2);
    for _ in 0..2 {
        member.session.pause(&at(&from, 0)).unwrap();
    }
    fill(&bus, &from, 0, "a", 20);
    fill(&bus, &from, 1, "b", 20);
    member.until_records(20);
    assert_eq!(member.values(), numbered("b", 20));
    member.session.abort(&[position(&at(&from, 0), 0), position(&at(&from, 1), 10)]).unwrap();
    member.records.clear();
    member.until_records(10);
    assert_eq!(member.values(), numbered("b", 20)[10..]);
    member.session.resume(&at(&from, 0)).unwrap();
    member.until_records(30);
    assert_eq!(member.values()[10..], numbered("a", 20));
}

#[test]
fn a_partition_that_was_given_up_while_paused_is_read_when_it_comes_back() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, group) = (topic(&bus, "in", 4), unique("group"));
    let mut a = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    a.until_assigned(4);
    for partition in 0..4 {
        a.session.pause(&at(&from, partition)).unwrap();
    }
    let mut b = Member::join(&bus, &options(&group, "b"), &[input(&from)]);
    b.until("the partitions are shared", |b| {
        a.turn().unwrap();
        a.next.len() == 2 && b.next.len() == 2
    });
    drop(b);
    a.begun.clear();
    a.until("what was given up comes back", |a| a.next.len() == 4 && a.begun.len() == 2);
    (0..4).for_each(|partition| fill(&bus, &from, partition, "r", 5));
    // What was kept over the rebalance is still paused.
    a.until_records(10);
}

#[test]
fn positions_carry_text_in_a_session_without_transactions() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, group) = (topic(&bus, "in", 2), unique("group"));
    fill(&bus, &from, 1, "r", 10);
    let mut plain = options(&group, "a");
    plain.transactional = false;
    let mut first = Member::join(&bus, &plain, &[input(&from)]);
    first.until_records(10);
    let text = "range 3-9 \u{fc}nd mehr";
    let noted = Position { at: at(&from, 1), offset: 3, metadata: Some(text.into()) };
    first.session.commit(std::slice::from_ref(&noted)).unwrap();
    let refused = first.session.send(output(&from, 0, "x"), 0).unwrap_err();
    assert!(matches!(refused, SessionError::Halt(_)), "{refused}");
    first.session.close();
    drop(first);
    let mut second = Member::join(&bus, &plain, &[input(&from)]);
    second.until_records(7);
    let begun = second.begun.iter().find(|p| p.at.partition == 1).unwrap();
    assert_eq!(begun, &noted);
}

#[test]
fn a_start_is_resolved_once_and_committed() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, group) = (topic(&bus, "in", 3), unique("group"));
    (0..3).for_each(|partition| fill(&bus, &from, partition, "r", 10));
    // The third partition is behind the last offset that is named: it begins at its beginning.
    let begin = |start: Vec<i64>| {
        let inputs = [InputTopic { name: from.clone(), start: Start::Offsets(start), with: None }];
        let mut member = Member::join(&bus, &options(&group, "a"), &inputs);
        member.until_assigned(3);
        let mut offsets: Vec<i64> = member.begun.iter().map(|p| p.offset).collect();
        offsets.sort_unstable();
        offsets
    };
    assert_eq!(begin(vec![4, 7]), [0, 4, 7]);
    assert_eq!(begin(vec![9, 9, 9]), [0, 4, 7], "nothing but the start was ever committed");
}

#[test]
fn catching_up_is_told_for_each_topic_and_so_is_a_topic_that_is_missing() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (one, two, none, group) = (topic(&bus, "one", 1), topic(&bus, "two", 1), unique("none"), unique("group"));
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&one), input(&two), input(&none)]);
    member.until("both are empty", |m| m.session.caught_up(&at(&one, 0)) && m.session.caught_up(&at(&two, 0)));
    let missing = |event: &GroupEvent| matches!(event, GroupEvent::Missing(topic, _) if *topic == none);
    assert!(member.events.iter().any(missing), "{:?}", member.events);
    // Reading on one topic is paused: what comes to the other must not make it look read.
    member.session.pause(&at(&one, 0)).unwrap();
    member.session.abort(&[position(&at(&one, 0), 0)]).unwrap();
    fill(&bus, &two, 0, "r", 10);
    member.until_records(10);
    member.until("the other is read", |m| m.session.caught_up(&at(&two, 0)));
    fill(&bus, &one, 0, "r", 10);
    member.session.resume(&at(&one, 0)).unwrap();
    member.until_records(20);
    assert!(member.session.lag().is_some());
    member.until("all is read", |m| m.session.caught_up(&at(&one, 0)) && m.session.caught_up(&at(&two, 0)));
    let began = std::time::Instant::now();
    while member.session.lag() != Some(0) {
        assert!(began.elapsed() < crate::support::PATIENCE);
        member.turn().unwrap();
    }
}

#[test]
fn a_topic_that_no_broker_describes_is_not_begun_and_holds_up_no_other() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, none, group) = (topic(&bus, "in", 1), unique("none"), unique("group"));
    fill(&bus, &from, 0, "a", 5);
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    member.until_records(5);
    let begun = member.session.begin(&[at(&none, 0), at(&from, 0)]).unwrap();
    let of = |topic| begun.iter().find(|begun| begun.position.at.topic == topic).unwrap();
    assert!(of(none.clone()).refused.is_some() && of(none).incarnation.is_none(), "{begun:?}");
    let known = of(from);
    assert_eq!((known.committed, known.position.offset, known.refused.as_ref()), (true, 0, None), "{begun:?}");
    assert!(known.incarnation.is_some());
}

#[test]
fn an_offset_out_of_range_halts_its_partition_and_no_other() {
    let Some(address) = shared_kafka() else { return };
    let bus = bus(address);
    let (from, group) = (topic(&bus, "in", 2), unique("group"));
    fill(&bus, &from, 0, "a", 20);
    fill(&bus, &from, 1, "b", 20);
    let mut first = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    first.until_records(40);
    first.session.commit(&[position(&at(&from, 0), 5), position(&at(&from, 1), 15)]).unwrap();
    drop(first);
    crate::admin::delete_records(address, &from, 0, 10);
    let mut second = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    let halted = |event: &GroupEvent| matches!(event, GroupEvent::Halted(place, _) if *place == at(&from, 0));
    second.until("halted", |m| m.records.len() == 5 && m.events.iter().any(halted));
    assert!(second.records.iter().all(|(place, _)| place.partition == 1));
    assert!(!second.session.caught_up(&at(&from, 0)));
    assert_eq!(bus.beginning_offsets(&from).unwrap(), [10, 0]);
}
