//! Sequences of messages, and what an owner decides after each.

use super::model::{DEDUP_MS, Do, LEASE_MS, Model, PAUSE_MS, START_MS, id};
use crate::execution::{Execution, Known};
use crate::owner::DeclineReason;
use crate::plan::{Labels, pool_with};
use crate::status::Status;
use crate::timer::TimerKind;

const OK: Do = Do::Request(1, "demo.ok", "now");
const ONCE: Do = Do::Request(1, "demo.once", "now");

/// Each step and, separated by commas, what is decided; at the end the status of execution 1.
pub fn check(steps: &[(Do, &str)], end: Option<Status>) -> Model {
    let mut model = Model::new();
    for (number, (what, expected)) in steps.iter().enumerate() {
        let decided = model.act(what).join(", ");
        assert_eq!(decided, *expected, "step {number}, {what:?} of {steps:#?}");
    }
    assert_eq!(model.status(1), end, "{steps:#?}");
    model
}

#[test]
fn from_request_to_result() {
    for (status, told) in [("succeeded", "succeeded"), ("failed", "failed"), ("timeout", "timeout")] {
        let steps = [
            (OK, "task 1, scheduled"),
            (Do::Claim(1, 1), "running"),
            (Do::Beat(1, 1), ""),
            (Do::Result(1, 1, status), &*format!("stdout=out, {told}")),
        ];
        check(&steps, Status::parse(status));
    }
}

#[test]
fn what_fails_is_tried_again_after_its_pause_and_at_last_ends() {
    let again = Do::Request(1, "demo.again", "now");
    let failed = |token| Do::Result(1, token, "failed");
    let steps = [
        (again, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (failed(1), "stdout=out, delayed(back_off)"),
        (Do::Wait(999), ""),
        (failed(1), ""),
        (Do::Early(1), ""),
        (Do::Wait(1), "task 2, scheduled"),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "timeout"), "stdout=out, delayed(back_off)"),
        (Do::Pause, ""),
        (Do::Wait(2_000), "delayed(dispatch_paused)"),
        (Do::Resume, "task 3, scheduled"),
        (Do::Claim(1, 3), "running"),
        (failed(3), "stdout=out, failed"),
    ];
    check(&steps, Some(Status::Failed));
    let Execution::Delayed(delayed) = check(&steps[..3], Some(Status::Delayed)).live(1) else { panic!() };
    assert_eq!(delayed.state.until_ms, Some(1_001_000));
    assert!(
        delayed.core.note.error.as_ref().is_some_and(|e| e.starts_with("attempt 1 failed")),
        "{:?}",
        delayed.core.note
    );
}

#[test]
fn what_succeeds_or_is_canceled_or_runs_at_most_once_or_is_final_is_not_tried_again() {
    let result = |status| Do::Result(1, 1, status);
    for (action, end, status) in [
        ("demo.again", result("succeeded"), Status::Succeeded),
        ("demo.again", result("canceled"), Status::Canceled),
        ("demo.once", result("failed"), Status::Failed),
        ("demo.again", Do::Final(1, 1, "failed"), Status::Failed),
        ("demo.again", Do::Final(1, 1, "timeout"), Status::Timeout),
    ] {
        let mut model = Model::new();
        model.act(&Do::Request(1, action, "now"));
        model.act(&Do::Claim(1, 1));
        model.act(&end);
        assert_eq!(model.status(1), Some(status), "{action} {end:?}");
    }
    let canceled = [
        (Do::Request(1, "demo.again", "now"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Result(1, 1, "failed"), "stdout=out, delayed(back_off)"),
        (Do::Cancel(1), "canceled"),
        (Do::Wait(5_000), ""),
    ];
    check(&canceled, Some(Status::Canceled));
}

#[test]
fn a_retry_is_what_the_action_said_when_it_was_accepted() {
    let steps = [
        (Do::Arrive, ""),
        (Do::Request(1, "demo.again", "later"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        // The revision is gone.
        (Do::Vanish, ""),
        (Do::Result(1, 1, "failed"), "stdout=out, delayed(back_off)"),
        (Do::Wait(1_000), "task 2, scheduled"),
    ];
    check(&steps, Some(Status::Scheduled));
}

#[test]
fn no_further_attempt_begins_after_the_time_of_its_retry() {
    let begun = [
        (Do::Request(1, "demo.soon", "now"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Result(1, 1, "failed"), "stdout=out, delayed(back_off)"),
    ];
    let ends = |steps: &[(Do, &'static str)], status| check(&[&begun[..], steps].concat(), Some(status));
    let paused = [
        (Do::Pause, ""),
        (Do::Wait(1_000), "delayed(dispatch_paused)"),
        (Do::Wait(4_001), ""),
        (Do::Resume, "failed(retry_time)"),
    ];
    ends(&paused, Status::Failed);
    let Execution::Scheduled(again) = ends(&[(Do::Wait(1_000), "task 2, scheduled")], Status::Scheduled).live(1) else {
        panic!()
    };
    assert_eq!(again.state.start_by_ms, 1_005_000, "five seconds from the first dispatch");
    let unclaimed = [(Do::Wait(1_000), "task 2, scheduled"), (Do::Wait(4_000), "timeout(schedule_to_start)")];
    ends(&unclaimed, Status::Timeout);
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
        (Do::Wait(DEDUP_MS - 1), ""),
        (OK, ""),
        (Do::Wait(1), ""),
    ];
    let model = check(&steps, None);
    assert!(model.states.is_empty() && model.timers.is_empty() && model.waiting.is_empty());
}

#[test]
fn little_is_remembered_of_what_is_over() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded"),
    ];
    let model = check(&steps, Some(Status::Succeeded));
    let Some(Known::Over(ended)) = model.known(&id(1)) else { panic!("not over") };
    assert_eq!((ended.sequence, ended.return_code, ended.ended_at_ms), (3, Some(0), 1_000_000));
    let bytes = model.states[id(1).as_str()].len();
    assert!(bytes < 128, "{bytes} bytes are remembered");
}

#[test]
fn what_is_stale_changes_nothing_and_its_worker_is_told() {
    let steps = [
        (Do::Claim(1, 1), "cancel 1"),
        (Do::Beat(1, 1), "cancel 1"),
        (Do::Result(1, 1, "succeeded"), ""),
        (Do::HandOver(1, 1, true), ""),
        (Do::Decline(1, 1, DeclineReason::Full), ""),
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 2), "cancel 2"),
        (Do::Claim(1, 1), "running"),
        (Do::Decline(1, 1, DeclineReason::Full), ""),
        (Do::Wait(LEASE_MS), "cancel 1, task 2, scheduled(lease_lost)"),
        (Do::Beat(1, 1), "cancel 1"),
        (Do::Result(1, 1, "failed"), ""),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "succeeded"), "stdout=out, succeeded"),
        (Do::Result(1, 2, "failed"), ""),
        (Do::Claim(1, 2), "cancel 2"),
    ];
    check(&steps, Some(Status::Succeeded));
}

#[test]
fn a_lost_lease_is_another_attempt_until_there_were_enough() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS - 1), ""),
        (Do::Beat(1, 1), ""),
        (Do::Wait(LEASE_MS - 1), ""),
        (Do::Wait(1), "cancel 1, task 2, scheduled(lease_lost)"),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "abandoned"), "stdout=out, task 3, scheduled(lease_lost)"),
        (Do::Claim(1, 3), "running"),
        (Do::Wait(LEASE_MS), "cancel 3, abandoned(lost_leases_max)"),
    ];
    check(&steps, Some(Status::Abandoned));
}

#[test]
fn deploys_and_full_workers_use_up_no_attempts() {
    let mut model = Model::new();
    model.act(&OK);
    for token in 1..40 {
        match token % 2 {
            0 => assert_eq!(model.act(&Do::Decline(1, token, DeclineReason::Full)), [format!("task {}", token + 1)]),
            _ => {
                assert_eq!(model.act(&Do::Claim(1, token)), ["running"]);
                let told = model.act(&Do::HandOver(1, token, true)).join(", ");
                assert_eq!(told, format!("stdout=part, task {}, scheduled(handed_over)", token + 1));
            }
        }
    }
    let counts = model.live(1).core().counts;
    assert_eq!((counts.lost_leases, counts.failures, counts.hand_overs), (0, 0, 20));
}

#[test]
fn what_no_worker_can_begin_goes_round_ever_slower() {
    let mut model = Model::new();
    model.act(&OK);
    let mut token = 0;
    let mut round = |model: &mut Model, begun: bool| {
        token += 1;
        assert_eq!(model.act(&Do::Claim(1, token)), ["running"]);
        let told = model.act(&Do::HandOver(1, token, begun)).join(", ");
        if told.ends_with("scheduled(handed_over)") {
            return 0;
        }
        assert_eq!(told, "delayed(back_off)");
        (1..100_000)
            .find(|_| model.act(&Do::Wait(1)) == [format!("task {}", token + 1), "scheduled".to_owned()])
            .unwrap()
    };
    let rounds: Vec<i64> = (0..8).map(|_| round(&mut model, false)).collect();
    assert_eq!(rounds, [0, 0, 1, 2, 4, 4, 4, 4].map(|pauses| pauses * PAUSE_MS));
    // One that began says that it can be begun.
    let rounds: Vec<i64> = [true, false, false, false].map(|begun| round(&mut model, begun)).to_vec();
    assert_eq!(rounds, [0, 0, 0, PAUSE_MS]);
    // One that began, and then lacked something, does not.
    model.act(&Do::Claim(1, token + 1));
    assert_eq!(model.act(&Do::HandOverLacking(1, token + 1)), ["stdout=part", "delayed(back_off)"]);
    assert_eq!(model.act(&Do::Wait(2 * PAUSE_MS)), [format!("task {}", token + 2), "scheduled".to_owned()]);
    token += 1;
    // While it waits it can be canceled, and nothing is left of the wait.
    assert_eq!(model.act(&Do::Claim(1, token + 1)), ["running"]);
    assert_eq!(model.act(&Do::HandOver(1, token + 1, false)), ["delayed(back_off)"]);
    assert_eq!(model.act(&Do::Cancel(1)), ["canceled"]);
    assert!(model.timers.keys().all(|key| key.ends_with(b"/remember")));
}

#[test]
fn at_most_once_is_granted_and_never_tried_again() {
    let begun = [(ONCE, "task 1, scheduled"), (Do::Claim(1, 1), "running, grant 1")];
    let ends = [
        (Do::Wait(LEASE_MS), "cancel 1, abandoned(lease_lost)"),
        (Do::Result(1, 1, "abandoned"), "stdout=out, abandoned(lease_lost)"),
        (Do::HandOver(1, 1, true), "stdout=part, abandoned(handed_over)"),
    ];
    for end in ends {
        check(&[begun[0].clone(), begun[1].clone(), end], Some(Status::Abandoned));
    }
}

#[test]
fn at_most_once_is_handed_over_if_it_has_not_begun() {
    let steps = [
        (ONCE, "task 1, scheduled"),
        (Do::Claim(1, 1), "running, grant 1"),
        (Do::HandOver(1, 1, false), "task 2, scheduled(handed_over)"),
        // Whoever held the first attempt gets no grant any more.
        (Do::Ask(1, 1), "cancel 1"),
        (Do::Claim(1, 1), "cancel 1"),
        (Do::Claim(1, 2), "running, grant 2"),
        (Do::Result(1, 2, "succeeded"), "stdout=out, succeeded"),
    ];
    check(&steps, Some(Status::Succeeded));
}

#[test]
fn a_grant_is_given_again_to_who_asks_and_to_nobody_else() {
    let steps = [
        (ONCE, "task 1, scheduled"),
        (Do::Claim(1, 1), "running, grant 1"),
        (Do::Ask(1, 1), "grant 1"),
        (Do::Beat(1, 1), ""),
        // The log gave the task out twice: only the first one goes on.
        (Do::ClaimBy(1, 1, "v"), "cancel 1 of v"),
        (Do::Beat(1, 1), ""),
    ];
    check(&steps, Some(Status::Running));
    check(&[(OK, "task 1, scheduled"), (Do::Claim(1, 1), "running"), (Do::Ask(1, 1), "")], Some(Status::Running));
}

#[test]
fn a_task_that_nobody_starts_in_time_is_never_given_out_again() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Wait(START_MS - 1), ""),
        (Do::Wait(1), "timeout(schedule_to_start)"),
        (Do::Claim(1, 1), "cancel 1"),
        (Do::Decline(1, 1, DeclineReason::Late), ""),
    ];
    check(&steps, Some(Status::Timeout));
    // A claim ends the wait.
    let claimed =
        [(OK, "task 1, scheduled"), (Do::Claim(1, 1), "running"), (Do::Wait(LEASE_MS - 1), ""), (Do::Beat(1, 1), "")];
    let mut model = check(&claimed, Some(Status::Running));
    for _ in 0..30 {
        assert!(model.act(&Do::Wait(LEASE_MS - 1)).is_empty() && model.act(&Do::Beat(1, 1)).is_empty());
    }
}

#[test]
fn a_timer_that_comes_early_ends_nothing() {
    for (cancel, status) in [(None, Status::Scheduled), (Some(Do::Cancel(1)), Status::Canceling)] {
        let mut model = Model::new();
        model.act(&OK);
        cancel.iter().for_each(|cancel| drop(model.act(cancel)));
        model.act(&Do::Wait(LEASE_MS));
        let known = model.known(&id(1));
        assert!(model.decide(|owner| owner.timer(TimerKind::ScheduleToStart, known)).is_empty());
        assert_eq!(model.live(1).status(), status);
        let end = model.act(&Do::Wait(START_MS - LEASE_MS));
        assert!(end == ["timeout(schedule_to_start)"] || end == ["canceled"], "{end:?}: it is due at its time");
    }
}

#[test]
fn a_declined_task_goes_elsewhere_and_its_time_goes_on() {
    let mut model = Model::new();
    model.act(&OK);
    model.act(&Do::Wait(START_MS - 10));
    assert_eq!(model.act(&Do::Decline(1, 1, DeclineReason::Full)), ["task 2"]);
    assert_eq!(model.act(&Do::Decline(1, 2, DeclineReason::ShuttingDown)), ["task 3"]);
    let partitions: Vec<u32> = model.tasks.iter().map(|(partition, _)| *partition).collect();
    assert!(partitions[0] != partitions[1] && partitions[1] != partitions[2] && partitions[0] != partitions[2]);
    assert!(model.tasks.iter().all(|(_, start_by_ms)| *start_by_ms == 1_000_000 + START_MS), "{:?}", model.tasks);
    assert_eq!(model.act(&Do::Wait(10)), ["timeout(schedule_to_start)"]);
}

#[test]
fn a_worker_whose_clock_is_ahead_ends_nothing() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Decline(1, 1, DeclineReason::Late), ""),
        (Do::Decline(1, 1, DeclineReason::Late), ""),
        (Do::Claim(1, 1), "cancel 1"),
        (Do::Wait(PAUSE_MS - 1), ""),
        (Do::Wait(1), "task 2"),
        // However often it goes round, the audit trail has no row of it.
        (Do::Decline(1, 2, DeclineReason::Late), ""),
        (Do::Wait(PAUSE_MS), "task 3"),
        (Do::Claim(1, 3), "running"),
        (Do::Wait(PAUSE_MS), ""),
    ];
    check(&steps, Some(Status::Running));
    let late = [(OK, "task 1, scheduled"), (Do::Wait(START_MS - 1), ""), (Do::Decline(1, 1, DeclineReason::Late), "")];
    let ends = |rest: &[(Do, &str)], end| drop(check(&[&late, rest].concat(), Some(end)));
    ends(&[(Do::Cancel(1), "canceling, canceled"), (Do::Wait(PAUSE_MS), "")], Status::Canceled);
    ends(&[(Do::Wait(1), "timeout(schedule_to_start)"), (Do::Wait(PAUSE_MS), "")], Status::Timeout);
    let paused = [(Do::Pause, ""), (Do::Wait(PAUSE_MS), "delayed(dispatch_paused)"), (Do::Resume, "task 2, scheduled")];
    check(&[&steps[..2], &paused[..]].concat(), Some(Status::Scheduled));
}

#[test]
fn a_pause_holds_dispatch_and_releases_it_in_order() {
    let mut model = Model::new();
    assert!(model.act(&Do::Pause).is_empty());
    for n in [3, 1, 2] {
        assert_eq!(model.act(&Do::Request(n, "demo.ok", "now")), ["delayed(dispatch_paused)"]);
    }
    assert!(model.act(&Do::Wait(10 * LEASE_MS)).is_empty());
    assert_eq!(model.act(&Do::Resume).join(", "), ["task 1, scheduled"; 3].join(", "));
    assert!(model.waiting.is_empty());
}

#[test]
fn a_pause_holds_further_attempts_too() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Pause, ""),
        (Do::Wait(LEASE_MS), "cancel 1, delayed(dispatch_paused)"),
        (Do::Resume, "task 2, scheduled"),
        (Do::Pause, ""),
        (Do::Claim(1, 2), "running"),
        (Do::Result(1, 2, "succeeded"), "stdout=out, succeeded"),
    ];
    check(&steps, Some(Status::Succeeded));
}

#[test]
fn a_revision_that_has_not_arrived_holds_only_who_needs_it() {
    let later = Do::Request(1, "demo.ok", "later");
    let steps = [
        (later.clone(), "delayed(revision_not_here)"),
        (later.clone(), ""),
        (Do::Request(2, "demo.ok", "now"), "task 1, scheduled"),
        (Do::Arrive, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
    ];
    check(&steps, Some(Status::Running));
    let paused = [
        (later.clone(), "delayed(revision_not_here)"),
        (Do::Pause, ""),
        (Do::Arrive, "delayed(dispatch_paused)"),
        (Do::Resume, "task 1, scheduled"),
    ];
    check(&paused, Some(Status::Scheduled));
    check(&[(later.clone(), "delayed(revision_not_here)"), (Do::Cancel(1), "canceled")], Some(Status::Canceled));
    let broken = [(Do::Request(1, "demo.broken", "now"), "delayed(action_broken)"), (Do::Arrive, "")];
    check(&broken, Some(Status::Delayed));
    let gone = [(later, "delayed(revision_not_here)"), (Do::Vanish, "failed(revision_removed)")];
    let model = check(&gone, Some(Status::Failed));
    assert!(model.waiting.is_empty());
}

#[test]
fn what_cannot_be_run_fails_with_its_code() {
    let cases = [
        ("demo.missing", "dead no_such_action, failed(no_such_action)"),
        ("demo.bad", "failed(invalid_parameters)"),
        ("demo.elsewhere", "failed(no_such_pool)"),
        ("demo.nozone", "failed(no_such_pool)"),
        ("demo.large", "failed(parameters_too_large)"),
    ];
    for (action, expected) in cases {
        let request = Do::Request(1, action, "now");
        check(&[(request.clone(), expected), (request, "")], Some(Status::Failed));
    }
}

#[test]
fn labels_choose_the_first_pool_that_has_them() {
    // The action's plan names another pool, which is not asked.
    check(&[(Do::Request(1, "demo.zone", "now"), "task 1, scheduled")], Some(Status::Scheduled));
    let labels = |text: &str| -> Labels {
        text.split_whitespace().filter_map(|label| label.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect()
    };
    let (bare, some, more) = (labels(""), labels("zone=dmz"), labels("zone=dmz os=linux"));
    let pools = || [("bare", None), ("some", Some(&some)), ("more", Some(&more))].into_iter();
    let chosen = |requires: &str| pool_with(pools(), &labels(requires));
    assert_eq!(
        (chosen("zone=dmz"), chosen("os=linux"), chosen("os=linux zone=dmz")),
        (Some("some"), Some("more"), Some("more"))
    );
    assert_eq!((chosen("zone=lan"), chosen("rack=1"), pool_with(pools(), &bare)), (None, None, Some("bare")));
}

#[test]
fn what_waits_for_a_pool_that_is_gone_fails_when_it_would_be_dispatched() {
    let ways: [(&[Do], Do); 3] = [
        (&[Do::Pause, OK], Do::Resume),
        (&[OK, Do::Claim(1, 1)], Do::HandOver(1, 1, false)),
        (&[OK], Do::Decline(1, 1, DeclineReason::Full)),
    ];
    for (before, then) in ways {
        let mut model = Model::new();
        before.iter().for_each(|step| drop(model.act(step)));
        model.limits.pools.clear();
        let did = model.act(&then);
        assert_eq!(did.last().map(String::as_str), Some("failed(no_such_pool)"), "{then:?}: {did:?}");
        assert!(!did.iter().any(|effect| effect.starts_with("task")), "{did:?}");
        assert!(model.waiting.is_empty() && model.timers.keys().all(|key| key.ends_with(b"/remember")));
    }
}

#[test]
fn what_the_log_cannot_remember_ends_and_leaves_nothing_running() {
    for (steps, sequence) in [(vec![OK], 1), (vec![OK, Do::Claim(1, 1)], 2), (vec![Do::Pause, OK], 1)] {
        let mut model = Model::new();
        for what in &steps {
            model.act(what);
        }
        let execution = model.live(1);
        assert_eq!(model.decide(|owner| owner.too_large(execution, 1, "9 bytes")), ["failed(state_too_large)"]);
        let Some(Known::Over(ended)) = model.known(&id(1)) else { panic!("not over") };
        assert_eq!(ended.sequence, sequence, "{steps:?}");
        assert!(model.waiting.is_empty() && model.timers.keys().all(|key| key.ends_with(b"/remember")));
        assert_eq!(model.act(&Do::Beat(1, 1)), ["cancel 1"]);
    }
}

#[test]
fn an_attempt_ends_with_a_final_status_or_not_at_all() {
    let odd = [(OK, "task 1, scheduled"), (Do::Result(1, 1, "running"), "dead unknown_status")];
    check(&odd, Some(Status::Scheduled));
    // A result without a claim: the claim became a dead letter, say.
    let bare = [(OK, "task 1, scheduled"), (Do::Result(1, 1, "succeeded"), "running, stdout=out, succeeded")];
    let model = check(&bare, Some(Status::Succeeded));
    assert!(model.timers.keys().all(|key| key.ends_with(b"/remember")));
}
