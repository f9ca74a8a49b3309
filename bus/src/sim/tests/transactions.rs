//! Transactions that are open, hang, end late or end twice.

use super::*;

/// Time-out and scan after the beginning of a transaction: 15 s, and then the next full 10 s.
const HANGS_MS: i64 = 20_000;

fn ends(log: &Log, topic: &str) -> (i64, i64) {
    let at = TopicPartition { topic: topic.into(), partition: 0 };
    let state = log.bus.shared.lock();
    let partition = state.partition(&at).unwrap();
    (partition.stable_end(), partition.end())
}

#[test]
fn an_open_transaction_holds_back_what_others_committed_behind_it() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.publish("out", "k", Some("before"));
    one.send(record("out", "k", Some("open")), 0).unwrap();
    log.publish("out", "k", Some("behind"));
    assert_eq!(log.values("out"), ["before"]);
    assert_eq!(ends(&log, "out"), (2, 5), "two records with a marker each, and the open one");
    assert_eq!(log.bus.end_offsets("out").unwrap(), [5]);
    one.commit(&[position(0)]).unwrap();
    assert_eq!(log.values("out"), ["before", "open", "behind"]);
    assert_eq!(ends(&log, "out"), (6, 6));
}

#[test]
fn an_aborted_transaction_leaves_only_a_gap() {
    let log = Log::new();
    let mut one = log.owner("one");
    one.send(record("out", "k", Some("never")), 0).unwrap();
    log.publish("out", "k", Some("behind"));
    one.abort(&[position(0)]).unwrap();
    assert_eq!(log.values("out"), ["behind"]);
    assert_eq!(log.bus.records("out")[0].1.offset, 1);
    log.step(&mut *one, "next", 1).unwrap();
    assert_eq!(log.values("out"), ["behind", "next"], "the producer goes on");
}

#[test]
fn the_transaction_of_a_crashed_producer_hangs_until_the_broker_finds_it() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.clock.advance(1);
    one.send(record("out", "k", Some("never")), 0).unwrap();
    drop(one);
    log.publish("out", "k", Some("behind"));
    log.clock.advance(HANGS_MS - 2);
    assert_eq!(log.values("out"), Vec::<String>::new());
    log.clock.advance(1);
    assert_eq!(log.values("out"), ["behind"]);
}

#[test]
fn a_publisher_that_died_holds_its_partitions_too() {
    let log = Log::new();
    log.bus.leave_open("api", vec![record("out", "k", Some("never"))]).unwrap();
    log.publish("out", "k", Some("behind"));
    assert_eq!(log.values("out"), Vec::<String>::new());
    log.clock.advance(HANGS_MS);
    assert_eq!(log.values("out"), ["behind"]);
}

#[test]
fn a_producer_that_initialises_again_ends_what_it_left_open() {
    let log = Log::new();
    let mut one = log.owner("one");
    one.send(record("out", "k", Some("never")), 0).unwrap();
    drop(one);
    log.publish("out", "k", Some("behind"));
    let mut again = log.owner("one");
    assert_eq!(log.values("out"), ["behind"]);
    log.step(&mut *again, "next", 1).unwrap();
    assert_eq!(log.values("out"), ["behind", "next"]);
}

#[test]
fn offsets_of_an_open_transaction_are_not_given_away() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.fail(CommitFault::EndLost);
    log.step(&mut *one, "lost", 7).unwrap_err();
    drop(one);
    log.clock.advance(10_001);
    let mut heir = log.join("two");
    let refused = begin(&mut *heir).unwrap_err();
    assert!(matches!(&refused, SessionError::Rebuild(why) if why.contains("not stable")), "{refused}");
    assert!(matches!(restored(&mut *heir), Err(SessionError::Rebuild(_))), "nor does its changelog end");
    log.clock.advance(HANGS_MS - 10_001);
    assert_eq!(begin_on(&mut *heir).unwrap(), [position(0)]);
    assert_eq!(restored(&mut *heir).unwrap(), Vec::<String>::new());
    assert_eq!(log.values("out"), Vec::<String>::new());
}

#[test]
fn a_late_end_commits_unless_the_producer_was_initialised_before() {
    for initialised in [false, true] {
        let log = Log::new();
        let mut one = log.owner("one");
        log.fail(CommitFault::EndDelayed);
        log.step(&mut *one, "late", 7).unwrap_err();
        drop(one);
        assert_eq!(log.values("out"), Vec::<String>::new());
        let again = initialised.then(|| log.join("one"));
        log.clock.advance(SimOptions::default().end_delay_ms);
        let wanted: &[&str] = if initialised { &[] } else { &["late"] };
        assert_eq!(log.values("out"), wanted);
        let mut session = again.unwrap_or_else(|| log.join("one"));
        assert_eq!(begin(&mut *session).unwrap(), [position(if initialised { 0 } else { 7 })]);
    }
}

#[test]
fn offsets_can_be_stable_before_the_changelog_is() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.fail(CommitFault::InDoubt);
    log.step(&mut *one, "decided", 7).unwrap_err();
    drop(one);
    log.clock.advance(1);
    // Another member: one of the same name would have waited for the markers when it initialised.
    let mut heir = log.join("two");
    log.bus.shared.lock().groups.get_mut("group").unwrap().leave("one", 1, &|_| Some(1));
    assert_eq!(begin(&mut *heir).unwrap(), [position(7)]);
    assert_eq!(log.values("state"), Vec::<String>::new(), "its marker is on its way");
    assert_eq!(restored(&mut *heir).unwrap(), ["decided"], "a restore waits for it");
    assert_eq!(log.values("out"), Vec::<String>::new());
    log.clock.advance(SimOptions::default().in_doubt_ms);
    assert_eq!(log.values("out"), ["decided"]);
}

#[test]
fn a_repeated_end_commits_half_of_a_later_transaction() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.fail(CommitFault::EndRepeated);
    log.step(&mut *one, "first", 1).unwrap();
    one.send(record("out", "k", Some("half")), 0).unwrap();
    log.clock.advance(SimOptions::default().end_delay_ms);
    assert_eq!(log.values("out"), ["first", "half"], "without its offsets");
    let mut again = log.join("one");
    assert_eq!(begin(&mut *again).unwrap(), [position(1)]);
}

#[test]
fn an_answer_that_was_lost_was_a_commit_all_the_same() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.fail(CommitFault::AnswerLost);
    log.step(&mut *one, "committed", 7).unwrap_err();
    assert_eq!(log.values("out"), ["committed"]);
    assert_eq!(begin(&mut *log.join("one")).unwrap(), [position(7)]);
}

#[test]
fn a_refused_commit_is_tried_again() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.fail(CommitFault::Abort);
    assert!(matches!(one.commit(&[position(3)]), Err(SessionError::Abort(_))), "offsets alone are a transaction");
    one.abort(&[position(0)]).unwrap();
    log.clock.advance(9_000);
    one.fetch(Duration::ZERO, 1, &mut |_| {}).unwrap();
    log.clock.advance(9_000);
    one.fetch(Duration::ZERO, 1, &mut |_| {}).unwrap();
    log.clock.advance(9_000);
    log.step(&mut *one, "again", 3).unwrap();
    assert_eq!(log.values("out"), ["again"], "nothing was left open that could have become too old");
}
