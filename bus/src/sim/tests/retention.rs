//! What the log forgets.

use super::*;
use crate::bus::Tail;

const HOUR_MS: i64 = 3_600_000;

fn seen(tail: &mut dyn Tail) -> Vec<(String, bool)> {
    let mut seen = Vec::new();
    tail.next(Duration::ZERO, &mut |_, r| {
        seen.push((String::from_utf8(r.key.unwrap().to_vec()).unwrap(), r.value.is_some()));
    })
    .unwrap();
    seen
}

#[test]
fn a_reader_that_was_away_for_too_long_misses_tombstones() {
    let log = Log::new();
    log.publish("state", "a", Some("1"));
    log.publish("state", "b", Some("1"));
    let (mut there, mut away) = (log.bus.tail("state").unwrap(), log.bus.tail("state").unwrap());
    assert_eq!((seen(&mut *there).len(), seen(&mut *away).len()), (2, 2));
    log.publish("state", "a", None);
    log.bus.compact("state");
    assert_eq!(seen(&mut *there), [("a".to_owned(), false)]);
    log.clock.advance(23 * HOUR_MS);
    log.bus.compact("state");
    assert_eq!(log.bus.records("state").len(), 2, "the tombstone stays for a day after it was met");
    log.clock.advance(HOUR_MS);
    log.bus.compact("state");
    assert_eq!(log.bus.records("state").len(), 1);
    assert_eq!(seen(&mut *away), [], "it believes that the key is still there");
}

#[test]
fn compaction_leaves_what_is_not_stable() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.publish("state", "k", Some("1"));
    log.publish("state", "k", Some("2"));
    one.send(record("state", "k", Some("3")), 0).unwrap();
    log.bus.compact("state");
    assert_eq!(log.values("state"), ["2"]);
    one.abort(&[]).unwrap();
    assert_eq!(log.values("state"), ["2"], "the last committed one is still there");
}

#[test]
fn records_go_when_their_topic_s_time_is_over() {
    let log = Log::new();
    log.publish("in", "a", Some("old"));
    log.clock.advance(HOUR_MS - 60_000);
    log.publish("in", "a", Some("new"));
    log.clock.advance(59_999);
    assert_eq!(log.bus.beginning_offsets("in").unwrap(), [0]);
    // The broker looks every five minutes.
    log.clock.advance(300_000);
    assert_eq!(log.values("in"), ["new"]);
    assert_eq!(log.bus.beginning_offsets("in").unwrap(), [2]);
    log.clock.advance(2 * HOUR_MS);
    assert_eq!(log.bus.beginning_offsets("in").unwrap(), log.bus.end_offsets("in").unwrap());
}

#[test]
fn a_group_that_is_empty_for_a_week_loses_its_offsets() {
    for (days, kept) in [(6, true), (8, false)] {
        let log = Log::new();
        let mut one = log.owner("one");
        log.step(&mut *one, "done", 7).unwrap();
        one.close();
        log.clock.advance(days * 24 * HOUR_MS);
        assert_eq!(begin(&mut *log.join("one")).unwrap(), [position(if kept { 7 } else { 0 })], "{days} days");
    }
}

#[test]
fn the_week_begins_when_the_last_member_expired() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.step(&mut *one, "done", 7).unwrap();
    drop(one);
    log.clock.advance(7 * 24 * HOUR_MS + 10_000);
    assert_eq!(begin(&mut *log.join("one")).unwrap(), [position(7)]);
    log.clock.advance(7 * 24 * HOUR_MS + 10_001);
    assert_eq!(begin(&mut *log.join("one")).unwrap(), [position(0)], "again from the beginning");
}

#[test]
fn a_group_with_members_keeps_its_offsets() {
    let log = Log::new();
    let mut one = log.owner("one");
    log.step(&mut *one, "done", 7).unwrap();
    for _ in 0..(8 * 24) {
        log.clock.advance(HOUR_MS);
        // It is far too slow for its session, but comes back each time.
        one.fetch(Duration::ZERO, 1, &mut |_| {}).unwrap();
    }
    one.close();
    assert_eq!(begin(&mut *log.join("two")).unwrap(), [position(7)]);
    log.bus.forget_offsets("group");
    assert_eq!(begin(&mut *log.join("two")).unwrap(), [position(0)]);
}
