//! The broker is killed and comes back.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::{Duration, Instant};

use petrel_bus::{Bus, PublishError};
use petrel_testkit::{KafkaBroker, kafka_or_skip};

use crate::support::{Member, PATIENCE, bus_with, committed, fill, input, numbered, options, output, topic, unique};

/// Longest time that any call may take while there is no broker.
const BOUND: Duration = Duration::from_secs(30);

#[test]
fn nothing_hangs_without_a_broker_and_nothing_is_lost_or_doubled_when_it_comes_back() {
    if !kafka_or_skip() {
        return;
    }
    let mut broker = KafkaBroker::start().unwrap();
    let bus = bus_with(&broker.bootstrap(), |o| {
        (o.transaction_timeout_ms, o.commit_timeout_ms, o.publish_timeout_ms) = (3_000, 4_000, 4_000);
        (o.request_timeout_ms, o.session_timeout_ms) = (2_000, 6_000);
    });
    let (from, to, group) = (topic(&bus, "in", 1), topic(&bus, "out", 1), unique("group"));
    fill(&bus, &from, 0, "r", 10);
    let publisher = bus.publisher("p").unwrap();
    publisher.publish(vec![output(&to, 0, "first")]).wait().unwrap();
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    member.until_records(10);
    for value in member.values() {
        member.session.send(output(&to, 0, &value), 0).unwrap();
    }
    broker.kill9();
    let within = |what: &str, began: Instant| assert!(began.elapsed() < BOUND, "{what}: {:?}", began.elapsed());
    let began = Instant::now();
    let refused = publisher.publish(vec![output(&to, 0, "maybe")]).wait().unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable(_) | PublishError::OutcomeUnknown(_)), "{refused}");
    within("publish", began);
    let (positions, began) = (member.positions(), Instant::now());
    member.session.commit(&positions).unwrap_err();
    within("commit", began);
    let began = Instant::now();
    drop(member);
    within("drop", began);
    let began = Instant::now();
    bus.session(&options(&group, "a")).map(drop).unwrap_err();
    within("session", began);
    broker.start_again().unwrap();
    let began = Instant::now();
    let mut member = loop {
        match bus.session(&options(&group, "a")) {
            Ok(session) => break Member::of(session, &[input(&from)]),
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    };
    member.until_records(10);
    for value in member.values() {
        member.session.send(output(&to, 0, &value), 0).unwrap();
    }
    let positions = member.positions();
    member.session.commit(&positions).unwrap();
    while let Err(error) = publisher.publish(vec![output(&to, 0, "last")]).wait() {
        assert!(began.elapsed() < PATIENCE, "{error}");
    }
    let mut found = committed(&bus, &to).remove(&0).unwrap();
    if matches!(refused, PublishError::OutcomeUnknown(_)) {
        found.retain(|value| value != "maybe");
    }
    let wanted = [vec!["first".to_owned()], numbered("r", 10), vec!["last".to_owned()]].concat();
    assert_eq!(found, wanted);
}
