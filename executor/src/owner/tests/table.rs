//! Sequences of messages, and what an owner writes after each.

use petrel_bus::TimerKind;
use petrel_schemas::{ExecutionState, decode};

use super::harness::{DEDUP_MS, Do, LEASE_MS, Owner, id};

const OK: Do = Do::Request(1, "demo.ok", "now");
const ONCE: Do = Do::Request(1, "demo.once", "now");

/// Each step and, separated by commas, what is written; at the end the status of execution 1.
fn check(steps: &[(Do, &str)], end: Option<&str>) {
    let mut owner = Owner::new();
    for (number, (what, expected)) in steps.iter().enumerate() {
        let written = owner.act(what).join(", ");
        assert_eq!(written, *expected, "step {number}, {what:?} of {steps:#?}");
    }
    assert_eq!(owner.status(1).as_deref(), end, "{steps:#?}");
}

#[test]
fn from_request_to_result() {
    for status in ["succeeded", "failed", "timeout"] {
        let steps = [
            (OK, "task 1, scheduled"),
            (Do::Claim(1, 1), "running"),
            (Do::Beat(1, 1), ""),
            (Do::Result(1, 1, status), &*format!("stdout=out, {status}")),
        ];
        check(&steps, Some(status));
    }
}

#[test]
fn a_request_counts_once_until_it_is_forgotten() {
    let steps = [
        (OK, "task 1, scheduled"),
        (OK, ""),
        (Do::Claim(1, 1), "running"),
        (OK, ""),
        (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded"),
        (OK, ""),
        (Do::Wait(DEDUP_MS - 1, true), ""),
        (OK, ""),
        (Do::Wait(1, true), ""),
    ];
    check(&steps, None);
}

#[test]
fn what_is_stale_changes_nothing_and_its_worker_is_told() {
    let end = "stdout=out, succeeded";
    let steps = [
        (Do::Claim(1, 1), "cancel 1"),
        (Do::Beat(1, 1), "cancel 1"),
        (Do::Result(1, 1, "succeeded"), ""),
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 2), "cancel 2"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS, true), "cancel 1, task 2, scheduled"),
        (Do::Beat(1, 1), "cancel 1"),
        (Do::Result(1, 1, "failed"), ""),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "succeeded"), end),
        (Do::Result(1, 2, "failed"), ""),
        (Do::Claim(1, 2), "cancel 2"),
    ];
    check(&steps, Some("succeeded"));
}

#[test]
fn a_lost_lease_is_another_attempt_until_there_were_enough() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS - 1, true), ""),
        (Do::Beat(1, 1), ""),
        (Do::Wait(LEASE_MS - 1, true), ""),
        (Do::Wait(1, true), "cancel 1, task 2, scheduled"),
        // A task that nobody claims waits for ever.
        (Do::Wait(100 * LEASE_MS, true), ""),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "abandoned"), "stdout=out, task 3, scheduled"),
        (Do::Claim(1, 3), "running"),
        (Do::Wait(LEASE_MS, true), "cancel 3, abandoned"),
    ];
    check(&steps, Some("abandoned"));
}

#[test]
fn at_most_once_is_never_tried_again() {
    let claimed = [(ONCE, "task 1, scheduled"), (Do::Claim(1, 1), "running")];
    let ends =
        [(Do::Wait(LEASE_MS, true), "cancel 1, abandoned"), (Do::Result(1, 1, "abandoned"), "stdout=out, abandoned")];
    for end in ends {
        check(&[claimed[0].clone(), claimed[1].clone(), end], Some("abandoned"));
    }
}

#[test]
fn a_lease_passes_only_for_an_owner_that_has_heard_everything() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(3 * LEASE_MS, false), ""),
        (Do::Beat(1, 1), ""),
        (Do::Wait(LEASE_MS - 1, true), ""),
        (Do::Wait(1, false), ""),
        (Do::Wait(250, true), "cancel 1, task 2, scheduled"),
    ];
    check(&steps, Some("scheduled"));
}

#[test]
fn a_new_owner_grants_a_full_lease() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS - 10, true), ""),
        (Do::TakeOver, ""),
        (Do::Wait(10, true), ""),
        (Do::Wait(LEASE_MS - 11, true), ""),
        (Do::Wait(1, true), "cancel 1, task 2, scheduled"),
    ];
    check(&steps, Some("scheduled"));
}

#[test]
fn a_cancel_in_every_status() {
    let canceled = [(Do::Cancel(1), ""), (Do::Result(1, 1, "succeeded"), "")];
    check(&[(Do::Pause, ""), (OK, "requested"), (Do::Cancel(1), "canceled"), (Do::Resume, "")], Some("canceled"));
    let scheduled = [
        (OK, "task 1, scheduled"),
        (Do::Cancel(1), "cancel 1, canceled"),
        (Do::Claim(1, 1), "cancel 1"),
        canceled[0].clone(),
        canceled[1].clone(),
    ];
    check(&scheduled, Some("canceled"));
    let ends = [
        (Do::Result(1, 1, "canceled"), "stdout=out, canceled", "canceled"),
        // It ended by itself before the order came.
        (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded", "succeeded"),
        (Do::Result(1, 1, "abandoned"), "stdout=out, canceled", "canceled"),
        (Do::Wait(LEASE_MS, true), "cancel 1, canceled", "canceled"),
    ];
    for (end, written, status) in ends {
        let running = [
            (OK, "task 1, scheduled"),
            (Do::Claim(1, 1), "running"),
            (Do::Cancel(1), "cancel 1, canceling"),
            (Do::Cancel(1), ""),
            (Do::Beat(1, 1), ""),
            (end, written),
            (Do::Cancel(1), ""),
        ];
        check(&running, Some(status));
    }
}

#[test]
fn a_cancel_may_come_before_its_request() {
    check(&[(Do::Cancel(1), ""), (OK, "canceled"), (OK, "")], Some("canceled"));
    let late = [(Do::Cancel(1), ""), (Do::Wait(DEDUP_MS, true), ""), (OK, "task 1, scheduled")];
    check(&late, Some("scheduled"));
    let mut owner = Owner::new();
    owner.act(&Do::Cancel(1));
    owner.act(&Do::Wait(DEDUP_MS, true));
    assert!(owner.state.is_empty(), "a cancel without a request is forgotten");
}

#[test]
fn a_pause_holds_dispatch_and_releases_it_in_order() {
    let mut owner = Owner::new();
    assert!(owner.act(&Do::Pause).is_empty());
    for n in [3, 1, 2] {
        assert_eq!(owner.act(&Do::Request(n, "demo.ok", "now")), ["requested"]);
    }
    assert!(owner.act(&Do::Wait(10 * LEASE_MS, true)).is_empty());
    // Two at a time, the third by a timer that is due at once.
    assert_eq!(owner.act(&Do::Resume), ["task 1", "scheduled", "task 1", "scheduled"]);
    assert_eq!([1, 2, 3].map(|n| owner.status(n).unwrap()), ["scheduled", "scheduled", "requested"]);
    assert_eq!(owner.act(&Do::Wait(0, true)), ["task 1", "scheduled"]);
    assert!(owner.act(&Do::Wait(0, true)).is_empty());
}

#[test]
fn a_pause_holds_further_attempts_too() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Pause, ""),
        (Do::Wait(LEASE_MS, true), "cancel 1, requested"),
        (Do::Resume, "task 2, scheduled"),
        (Do::Pause, ""),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "succeeded"), "stdout=out, succeeded"),
    ];
    check(&steps, Some("succeeded"));
}

#[test]
fn what_cannot_be_run_fails_with_its_reason() {
    let cases = [
        ("demo.missing", "dead no_such_action, failed", "no action demo.missing"),
        ("demo.bad", "failed", "\"host\" is required"),
        ("demo.elsewhere", "failed", "no worker pool \"gpu\""),
        ("demo.large", "failed", "over the limit"),
    ];
    for (action, expected, reason) in cases {
        let mut owner = Owner::new();
        assert_eq!(owner.act(&Do::Request(1, action, "now")).join(", "), expected, "{action}");
        let state: ExecutionState = decode(&owner.state.get(id(1).as_bytes()).unwrap()).unwrap();
        let error = state.error.unwrap();
        assert!(error.contains(reason), "{action}: {error}");
        assert!(owner.act(&Do::Request(1, action, "now")).is_empty(), "{action}: a duplicate");
    }
}

#[test]
fn what_cannot_be_read_is_a_dead_letter() {
    check(&[(Do::Rubbish(true), "dead not_a_record"), (Do::Rubbish(false), "dead unexpected_kind")], None);
    let odd = [(OK, "task 1, scheduled"), (Do::Result(1, 1, "running"), "dead unknown_status")];
    check(&odd, Some("scheduled"));
}

#[test]
fn a_revision_that_has_not_arrived_holds_the_partition() {
    let mut owner = Owner::new();
    assert!(owner.act(&Do::Request(1, "demo.ok", "later")).is_empty());
    assert!(owner.is_blocked() && owner.status(1).is_none());
    assert_eq!(owner.act(&Do::Arrive), ["task 1", "scheduled"]);
    assert!(!owner.is_blocked());
}

#[test]
fn what_a_newer_release_wrote_waits_for_it() {
    let mut owner = Owner::new();
    assert!(owner.act(&Do::Newer).is_empty() && owner.is_blocked());

    let mut owner = Owner::new();
    owner.state.put(id(1).as_bytes(), b"\xC3\x01newer-release".to_vec());
    owner.state.set_timer(id(1).as_bytes(), TimerKind::Silence, owner.now_ms + 10);
    for what in [OK, Do::Claim(1, 1), Do::Cancel(1)] {
        assert!(owner.act(&what).is_empty() && owner.is_blocked(), "{what:?}");
    }
    assert!(owner.act(&Do::Wait(20, true)).is_empty());
    assert!(
        owner.state.next_due_ms(TimerKind::Time).is_some() || owner.state.next_due_ms(TimerKind::Silence).is_some(),
        "its timer is gone"
    );

    let mut owner = Owner::new();
    owner.state.put(id(1).as_bytes(), b"damaged".to_vec());
    assert_eq!(owner.act(&Do::Claim(1, 1)), ["dead unreadable_state"]);
}

#[test]
fn further_attempts_go_elsewhere() {
    let mut owner = Owner::new();
    let partition = |owner: &Owner| {
        let state: ExecutionState = decode(&owner.state.get(id(1).as_bytes()).unwrap()).unwrap();
        state.task_partition.unwrap()
    };
    owner.act(&OK);
    let first = partition(&owner);
    owner.act(&Do::Claim(1, 1));
    owner.act(&Do::Wait(LEASE_MS, true));
    assert_eq!(partition(&owner), (first + 1) % 16);
}

#[test]
fn nothing_is_left_of_what_is_forgotten() {
    let mut owner = Owner::new();
    for step in [Do::Pause, OK, Do::Resume, Do::Claim(1, 1), Do::Result(1, 1, "succeeded"), Do::Wait(DEDUP_MS, true)] {
        owner.act(&step);
    }
    assert!(owner.state.is_empty());
}
