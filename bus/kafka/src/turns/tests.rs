#![expect(clippy::disallowed_methods, reason = "calls that wait have the time at which they came")]

use std::sync::Arc;

use petrel_bus::{Output, receipt};

use super::*;

const LIMITS: Limits =
    Limits { timeout: Duration::from_secs(60), troubled: Load { calls: 2, bytes: 100 }, group_bytes: 100 };

/// A call with a record of that many bytes for each of these partitions.
fn call(turns: &mut Turns, partitions: &[u32], bytes: usize) -> Placed {
    let topic: Arc<str> = "t".into();
    let output = |partition: &u32| Output::to_partition(&topic, *partition, "", Some(vec![b'x'; bytes]));
    turns.placed(Call::new(partitions.iter().map(output).collect(), receipt().0), partitions.to_vec())
}

fn sizes(calls: &[Placed]) -> Vec<usize> {
    calls.iter().map(|placed| placed.call.bytes()).collect()
}

/// What goes now, with a lane or while no single records are written.
fn go(turns: &mut Turns, has_free_lane: bool, slow: &[u32]) -> Going {
    let (never, in_lanes) = (|_: &Place| false, HashSet::new());
    let slow = slow.iter().map(|partition| ("t".into(), *partition)).collect();
    let ways = Ways {
        now: Instant::now(),
        singles_are_open: false,
        is_on_its_way: &never,
        is_given_up: &never,
        in_lanes: &in_lanes,
        has_free_lane,
        slow,
        lanes_are_slow: false,
    };
    turns.go(&ways, &LIMITS)
}

#[test]
fn a_call_that_comes_back_after_all_were_taken_out_keeps_a_turn_of_its_own() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    let in_lane = call(&mut turns, &[0, 1], 1);
    assert!(turns.take_all().is_empty());
    let later = call(&mut turns, &[0, 1], 2);
    turns.add(later, now);
    turns.add(in_lane, now);
    assert_eq!(sizes(&turns.take_all()), [2, 4]);
    assert!(turns.is_free(&("t".into(), 0)));
    assert_eq!(turns.waiting(), Load::default());
}

#[test]
fn a_call_that_is_refused_takes_no_room_from_those_behind_it() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    for bytes in [60, 61, 30, 10] {
        let placed = call(&mut turns, &[0], bytes);
        turns.add(placed, now);
    }
    let going = go(&mut turns, false, &[0]);
    // The second is over the bytes, and the last over the calls.
    assert_eq!(sizes(&going.refused), [61, 10]);
    assert_eq!(sizes(&turns.take_all()), [60, 30]);
}

#[test]
fn a_call_larger_than_the_limit_waits_if_nothing_else_does() {
    let mut turns = Turns::default();
    let placed = call(&mut turns, &[0], 500);
    turns.add(placed, Instant::now());
    assert!(go(&mut turns, false, &[0]).refused.is_empty());
    assert_eq!(sizes(&turns.take_all()), [500]);
}

#[test]
fn a_transaction_takes_no_more_bytes_than_it_may() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    for partition in 0..4 {
        let placed = call(&mut turns, &[partition, partition], 20);
        turns.add(placed, now);
    }
    assert_eq!(sizes(&go(&mut turns, true, &[]).group), [40, 40]);
    assert_eq!(sizes(&go(&mut turns, true, &[]).group), [40, 40]);
}

#[test]
fn calls_of_a_failed_transaction_go_again_with_no_others_and_spoilers_by_themselves() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    for (partition, company) in
        [Company::Again, Company::Any, Company::Again, Company::Alone, Company::Alone].into_iter().enumerate()
    {
        let mut placed = call(&mut turns, &[partition as u32, partition as u32], 1 + partition);
        placed.company = company;
        turns.add(placed, now);
    }
    let mut next = || sizes(&go(&mut turns, true, &[]).group);
    assert_eq!(next(), [2, 6]);
    assert_eq!(next(), [4]);
    assert_eq!(next(), [8]);
    assert_eq!(next(), [10]);
}
