//! What the stage does around the decisions.

use petrel_bus::TimerKind;

use petrel_execution::Injected;
use petrel_execution::worker::Final;
use petrel_schemas::{DeadLetter, TaskResult, TriggerEvent, decode, encode};
use tokio::sync::oneshot::error::TryRecvError;

use super::harness::Owner;
use super::steps::{DEDUP_MS, Do, LEASE_MS, NOW_MS, PARTITION, START_MS, id, result, status_in, topics};
use crate::worker::Told;

const OK: Do = Do::Request(1, "demo.ok", "now");

/// Each step and, separated by commas, what is written; at the end the status of execution 1.
fn check(steps: &[(Do, &str)], end: Option<&str>) {
    let mut owner = Owner::new();
    for (number, (what, expected)) in steps.iter().enumerate() {
        let written = owner.act(what).join(", ");
        assert_eq!(written, *expected, "step {number}, {what:?} of {steps:#?}");
    }
    assert_eq!(owner.status(1), end, "{steps:#?}");
}

#[test]
fn decisions_are_written_where_they_belong() {
    let steps = [
        (Do::Request(1, "demo.once", "now"), "task 1, scheduled"),
        (Do::Decline(1, 1), "task 2"),
        (Do::Claim(1, 2), "running, grant 2"),
        (Do::Cancel(1), "cancel 2, canceling"),
        (Do::Result(1, 2, "canceled"), "stdout=out, canceled"),
        (Do::Claim(1, 2), "cancel 2"),
    ];
    check(&steps, Some("canceled"));
}

#[test]
fn an_end_and_what_it_injects_are_events_in_the_step_that_ends_it() {
    let mut owner = Owner::new();
    owner.view.tells_ends = true;
    [&OK, &Do::Claim(1, 1)].into_iter().for_each(|what| _ = owner.act(what));
    let injected = Injected { trigger: "disk.alert".to_owned(), payload: "{\"a\":1}".to_owned() };
    let result = TaskResult { events: vec![injected.encode()], ..result(1, 1, "succeeded") };
    let outputs = owner.written_of(encode(&result));
    let events = outputs.iter().filter(|output| *output.topic == *topics().triggers());
    let events: Vec<TriggerEvent> = events.map(|output| decode(output.value.as_deref().unwrap()).unwrap()).collect();
    let told: Vec<_> = events.iter().map(|event| (&*event.trigger, &*event.source, event.cause_depth)).collect();
    assert_eq!(told, [("disk.alert", "action/demo.ok", 4), ("core.execution", "executions", 11)]);
    assert!(outputs.iter().any(|output| *output.topic == *topics().audit()), "its row is in the same step");
    // It is told once, and what comes late tells nothing.
    let late = owner.written_of(encode(&result));
    assert!(late.iter().all(|output| *output.topic != *topics().triggers()));
}

#[test]
fn what_is_told_beside_the_log_is_taken_once_and_by_who_has_the_partition() {
    let (mut owner, told) = (Owner::new(), Told::new(1_000_000));
    owner.act(&OK);
    owner.act(&Do::Claim(1, 1));
    let tell = || told.owner(PARTITION).tell(&Final::Result(result(1, 1, "succeeded")), true).expect("it is small");
    let mut telling = tell();
    owner.view.letters = told.waiting();
    assert_eq!(owner.act(&Do::Told), ["stdout=out", "succeeded"]);
    // In the open transaction it is taken once.
    assert_eq!(owner.told(&[PARTITION]), [0; 0]);
    assert_eq!(owner.act(&Do::Told), [""; 0]);
    assert_eq!(telling.committed.try_recv(), Err(TryRecvError::Empty));
    // A partition that this member does not have, or has no more: whoever tells it takes another way.
    let mut elsewhere = tell();
    owner.view.letters = told.waiting().split_off(1);
    assert_eq!(owner.told(&[PARTITION + 1]), [0; 0]);
    assert_eq!(elsewhere.committed.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(told.waiting().len(), 1, "what was taken waits for its commit");
}

#[test]
fn silence_counts_once_everything_was_heard() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(3 * LEASE_MS, false), ""),
        (Do::Beat(1, 1), ""),
        (Do::Wait(LEASE_MS - 1, true), ""),
        (Do::Wait(1, true), "cancel 1, task 2, scheduled"),
        (Do::Wait(START_MS, false), ""),
        (Do::Claim(1, 2), "running"),
    ];
    check(&steps, Some("running"));
    check(&[(OK, "task 1, scheduled"), (Do::Wait(START_MS, true), "timeout")], Some("timeout"));
}

#[test]
fn what_waits_is_released_in_order_and_a_few_at_a_time() {
    let mut owner = Owner::new();
    assert!(owner.act(&Do::Pause).is_empty());
    for n in [3, 1, 2] {
        assert_eq!(owner.act(&Do::Request(n, "demo.ok", "now")), ["delayed"]);
    }
    assert!(owner.act(&Do::Wait(10 * LEASE_MS, true)).is_empty());
    // Two at a time, the third by a timer that is due at once.
    assert_eq!(owner.act(&Do::Resume), ["task 1", "scheduled", "task 1", "scheduled"]);
    assert_eq!([1, 2, 3].map(|n| owner.status(n).unwrap()), ["scheduled", "scheduled", "delayed"]);
    assert_eq!(owner.act(&Do::Wait(0, true)), ["task 1", "scheduled"]);
    assert!(owner.act(&Do::Wait(0, true)).is_empty());
}

#[test]
fn what_waits_for_a_switch_is_released_when_it_is_on_whoever_else_waits() {
    let mut owner = Owner::new();
    let released = |owner: &mut Owner, what: &Do| {
        let mut released = owner.act(what);
        for _ in 0..12 {
            released.extend(owner.act(&Do::Wait(0, true)));
        }
        released.iter().filter(|told| *told == "scheduled").count()
    };
    assert!(owner.act(&Do::Off("action/demo.ok", None)).is_empty());
    assert!(owner.act(&Do::Off("rule/demo.rule", Some(NOW_MS + 9_000))).is_empty());
    for n in 1..6 {
        assert_eq!(owner.act(&Do::Request(n, "demo.ok", "now")), ["delayed"]);
    }
    for n in 6..12 {
        assert_eq!(owner.act(&Do::Request(n, "demo.other", "now")), ["delayed"]);
    }
    // Of those that waited for one switch some wait for another one then.
    assert_eq!(released(&mut owner, &Do::On("action/demo.ok")), 0);
    assert_eq!(released(&mut owner, &Do::Wait(8_999, true)), 0);
    assert_eq!(released(&mut owner, &Do::Wait(1, true)), 11);
    // One that nobody said the time of when it was switched off, and somebody does while they wait.
    assert!(owner.act(&Do::On("rule/demo.rule")).is_empty() && owner.act(&Do::Off("everything", None)).is_empty());
    assert_eq!(owner.act(&Do::Request(12, "demo.ok", "now")), ["delayed"]);
    let soon = Do::Off("everything", Some(owner.now_ms + 500));
    assert_eq!(released(&mut owner, &soon), 0);
    assert_eq!(released(&mut owner, &Do::Wait(499, true)), 0);
    assert_eq!(released(&mut owner, &Do::Wait(1, true)), 1);
}

#[test]
fn nobody_waits_behind_one_whose_revision_has_not_come_or_is_of_no_use() {
    let mut owner = Owner::new();
    owner.act(&Do::Pause);
    for n in 1..6 {
        assert_eq!(owner.act(&Do::Request(n, "demo.broken", "now")), ["delayed"]);
    }
    for n in 6..12 {
        assert_eq!(owner.act(&Do::Request(n, "demo.ok", "later")), ["delayed"]);
    }
    assert_eq!(owner.act(&Do::Request(12, "demo.ok", "now")), ["delayed"]);
    let mut released = owner.act(&Do::Resume);
    for _ in 0..12 {
        released.extend(owner.act(&Do::Wait(0, true)));
    }
    assert_eq!((released.join(", "), owner.status(12)), ("task 1, scheduled".to_owned(), Some("scheduled")));
    let mut released = owner.act(&Do::Arrive);
    for _ in 0..12 {
        released.extend(owner.act(&Do::Wait(0, true)));
    }
    assert_eq!(released.len(), 12, "{released:?}");
    assert_eq!((owner.status(1), owner.status(11)), (Some("delayed"), Some("scheduled")));
}

#[test]
fn what_cannot_be_read_is_a_dead_letter() {
    let steps = [
        (Do::Rubbish(true), "dead not_a_record"),
        (Do::Rubbish(false), "dead unexpected_kind"),
        (Do::BadRequest, "dead malformed_id"),
        (Do::BadReport, "dead malformed_id"),
        (Do::Request(1, "demo.missing", "now"), "dead no_such_action, failed"),
    ];
    check(&steps, Some("failed"));
    // One that had to wait for its revision is told in the same way.
    let later = [(Do::Request(1, "demo.missing", "later"), "delayed"), (Do::Arrive, "dead no_such_action, failed")];
    check(&later, Some("failed"));
    let mut owner = Owner::new();
    owner.state.put(id(1).as_bytes(), b"damaged".to_vec()).unwrap();
    assert_eq!(owner.act(&Do::Claim(1, 1)), ["dead unreadable_state"]);
}

#[test]
fn a_request_that_waited_and_is_given_up_is_told_with_its_state() {
    let mut owner = Owner::new();
    assert_eq!(owner.act(&Do::Request(1, "demo.missing", "later")), ["delayed"]);
    let state = owner.state.get(id(1).as_bytes()).unwrap().into_owned();
    let letter: DeadLetter = decode(owner.written(&Do::Arrive)[0].value.as_deref().unwrap()).unwrap();
    assert_eq!((&*letter.topic, letter.partition, letter.offset), ("petrel.executions", PARTITION as i32, -1));
    assert_eq!((letter.execution_id, letter.record_bytes as usize), (Some(id(1)), state.len()));
    assert_eq!((letter.head, status_in(&state)), (state.clone(), "delayed"));
    let why = "revision later has no action demo.missing; its request had waited";
    assert!(letter.detail.starts_with(why), "{}", letter.detail);
}

#[test]
fn what_a_newer_release_wrote_waits_for_it() {
    let mut owner = Owner::new();
    assert!(owner.act(&Do::Newer).is_empty() && owner.is_blocked);

    let mut owner = Owner::new();
    owner.state.put(id(1).as_bytes(), b"\xC3\x01newer-release".to_vec()).unwrap();
    owner.state.set_timer(format!("{}/lease", id(1)).as_bytes(), TimerKind::Silence, owner.now_ms + 10);
    for what in [OK, Do::Claim(1, 1), Do::Cancel(1)] {
        assert!(owner.act(&what).is_empty() && owner.is_blocked, "{what:?}");
    }
    assert!(owner.act(&Do::Wait(20, true)).is_empty());
    assert!(owner.state.next_due_ms(TimerKind::Silence).is_some(), "its timer is gone");
}

#[test]
fn a_timer_of_a_damaged_state_is_due_once() {
    let mut owner = Owner::new();
    owner.state.put(id(1).as_bytes(), b"damaged".to_vec()).unwrap();
    owner.state.set_timer(format!("{}/lease", id(1)).as_bytes(), TimerKind::Silence, owner.now_ms + 10);
    assert!(owner.act(&Do::Wait(20, true)).is_empty());
    assert_eq!(owner.state.next_due_ms(TimerKind::Silence), None);
}

#[test]
fn a_child_has_the_owner_of_its_root_and_tells_it_in_the_same_step() {
    let mut owner = Owner::new();
    owner.act(&OK);
    assert_eq!(owner.act(&Do::Child(1, "demo.missing")), ["failed"], "its parent is told, and no dead letter");
    let child = format!("{}.1", id(1));
    assert!(owner.state.get(child.as_bytes()).is_some());
    assert_eq!(owner.status(1), Some("scheduled"));
}

#[test]
fn nothing_is_left_of_what_is_forgotten() {
    let mut owner = Owner::new();
    for step in [Do::Pause, OK, Do::Resume, Do::Claim(1, 1), Do::Result(1, 1, "succeeded"), Do::Wait(DEDUP_MS, true)] {
        owner.act(&step);
    }
    assert!(owner.state.is_empty());
}
