//! Rights that are taken away while a session reads.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::Instant;

use petrel_bus::{GroupEvent, Halts};
use petrel_testkit::{KafkaBroker, kafka_or_skip};

use crate::support::{Member, PATIENCE, at, bus, fill, input, options, topic, unique};

/// How often what is halted is asked for here, in milliseconds: more than two waits of a fetch, for one that goes on when
/// it is asked for is in vain.
const INTERVAL_MS: i64 = 5_000;

/// librdkafka tells an end once, and an error once: without being asked it would say nothing until a record comes.
#[test]
fn a_partition_that_has_nothing_new_is_read_again_once_the_right_is_given_back() {
    if !kafka_or_skip() {
        return;
    }
    let broker = KafkaBroker::start_with_rights().unwrap();
    let bus = bus(&broker.bootstrap());
    let (from, group) = (topic(&bus, "in", 1), unique("group"));
    let place = at(&from, 0);
    fill(&bus, &from, 0, "r", 5);
    let mut member = Member::join(&bus, &options(&group, "a"), &[input(&from)]);
    member.until_records(5);
    member.until("the end", |m| m.session.caught_up(&place));
    broker.deny_reading(&from, true).unwrap();
    let halted = |event: &GroupEvent| matches!(event, GroupEvent::Halted(halted, _) if *halted == place);
    member.until("halted", |m| m.events.iter().any(halted));
    assert!(!member.session.caught_up(&place));
    let mut halts = Halts::default();
    halts.halted(&place, &*member.session, 0);

    member.events.clear();
    member.session.read_again(&place).unwrap();
    member.until("still halted", |m| m.events.iter().any(halted));
    assert_eq!(halts.read_again(&*member.session), []);

    broker.deny_reading(&from, false).unwrap();
    let began = Instant::now();
    while halts.read_again(&*member.session).is_empty() {
        member.turn().unwrap();
        halts.ask_again(&mut *member.session, began.elapsed().as_millis() as i64, INTERVAL_MS).unwrap();
        assert!(began.elapsed() < PATIENCE, "{:?}", member.events);
    }
    assert_eq!((member.records.len(), member.session.position(&place)), (5, 6), "nothing comes twice");
    fill(&bus, &from, 0, "s", 5);
    member.until_records(10);
}
