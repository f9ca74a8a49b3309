//! What owners decide of policies by themselves: retries, deadlines, windows and switches.

use super::messages::message_of;
use super::model::{DEDUP_MS, Do, LEASE_MS, Model, PAUSE_MS, START_MS};
use super::table::check;
use crate::attempt::Counts;
use crate::execution::Execution;
use crate::owner::{DeclineReason, Message, Report};
use crate::status::Status;
use petrel_schemas::TaskResult;

fn asks(action: &'static str) -> Do {
    Do::Request(1, action, "now")
}

/// An attempt of execution 1 ends so.
fn ends(model: &mut Model, token: i64, status: &'static str, with: impl FnOnce(TaskResult) -> TaskResult) -> String {
    let Message::Report(about, Report::Ended(result)) = message_of(&Do::Result(1, token, status)) else {
        unreachable!()
    };
    model.tell(Message::Report(about, Report::Ended(with(result)))).join(", ")
}

fn why(model: &Model) -> String {
    model.live(1).core().note.error.clone().unwrap_or_default()
}

#[test]
fn an_expression_over_the_result_asks_for_another_attempt_until_there_is_none() {
    let pending = |result| TaskResult { result: Some("{\"state\":\"pending\"}".to_owned()), ..result };
    let done = |result| TaskResult { result: Some("{\"state\":\"done\"}".to_owned()), ..result };
    let begin = || {
        let mut model = Model::new();
        model.act(&asks("demo.polls"));
        model.act(&Do::Claim(1, 1));
        assert_eq!(ends(&mut model, 1, "succeeded", pending), "stdout=out, delayed(back_off)");
        assert_eq!(why(&model), "attempt 1 succeeded, and its result asks for another one");
        assert_eq!(model.act(&Do::Wait(1_000)), ["task 2", "scheduled"]);
        model.act(&Do::Claim(1, 2));
        model
    };
    assert_eq!(ends(&mut begin(), 2, "succeeded", done), "stdout=out, succeeded");
    let mut model = begin();
    ends(&mut model, 2, "succeeded", pending);
    model.act(&Do::Wait(2_000));
    model.act(&Do::Claim(1, 3));
    assert_eq!(ends(&mut model, 3, "succeeded", pending), "stdout=out, failed(retry_unmet)");
    // A failure is no reason by itself, where an expression is named alone.
    assert_eq!(ends(&mut begin(), 2, "failed", |result| result), "stdout=out, failed");
}

#[test]
fn a_server_that_asks_to_be_left_alone_is() {
    let mut model = Model::new();
    model.act(&asks("demo.again"));
    model.act(&Do::Claim(1, 1));
    let asked = |result| TaskResult { retry_after_ms: Some(60_000), ..result };
    assert_eq!(ends(&mut model, 1, "failed", asked), "stdout=out, delayed(back_off)");
    assert!(model.act(&Do::Wait(59_999)).is_empty());
    assert_eq!(model.act(&Do::Wait(6_001)), ["task 2", "scheduled"]);
}

#[test]
fn a_lost_worker_counts_among_the_attempts_of_a_retry_that_says_so() {
    let steps = [
        (asks("demo.lost"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS), "cancel 1, delayed(back_off)"),
        (Do::Wait(1_000), "task 2, scheduled"),
        (Do::Claim(1, 2), "running"),
        (Do::Wait(LEASE_MS), "cancel 2, abandoned(lease_lost)"),
    ];
    check(&steps, Some(Status::Abandoned));
}

/// Its deadline is 10,001 ms from now: 510 s from its request.
const LATE_MS: i64 = 10_001;

#[test]
fn a_deadline_ends_what_waits_and_what_is_scheduled() {
    let waits = [
        (Do::Pause, ""),
        (asks("demo.late"), "delayed(dispatch_paused)"),
        (Do::Wait(LATE_MS - 1), ""),
        (Do::Wait(1), "timeout(deadline)"),
        (Do::Resume, ""),
    ];
    check(&waits, Some(Status::Timeout));
    let over = "cancel 1, canceling(deadline), timeout(deadline)";
    let scheduled = [(asks("demo.late"), "task 1, scheduled"), (Do::Wait(LATE_MS), over)];
    let model = check(&scheduled, Some(Status::Timeout));
    assert_eq!(model.tasks[0].1, 1_000_000 + LATE_MS, "no worker starts it later than that");
    let too_late = [(Do::Wait(LATE_MS), ""), (asks("demo.late"), "timeout(deadline)")];
    let mut model = check(&too_late, Some(Status::Timeout));
    model.act(&Do::Wait(DEDUP_MS));
    assert!(model.states.is_empty() && model.timers.is_empty(), "no timer outlives it");
}

#[test]
fn a_deadline_ends_what_runs_once_its_worker_has_let_go_of_it() {
    let runs = [
        (asks("demo.late"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS - 1), ""),
        (Do::Beat(1, 1), ""),
    ];
    let begin = || {
        let mut model = check(&runs, Some(Status::Running));
        for _ in 0..9 {
            model.act(&Do::Wait(LEASE_MS - 1));
            model.act(&Do::Beat(1, 1));
        }
        assert_eq!(model.act(&Do::Wait(11)), ["cancel 1", "canceling(deadline)"]);
        model
    };
    // Whatever its worker says of having been stopped, it was late.
    for (what, expected) in [
        (Do::Result(1, 1, "canceled"), "stdout=out, timeout(deadline)"),
        (Do::Result(1, 1, "abandoned"), "stdout=out, timeout(deadline)"),
        (Do::HandOver(1, 1, true), "timeout(deadline)"),
        (Do::Wait(LEASE_MS), "cancel 1, timeout(deadline)"),
        // It was faster than the order.
        (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded"),
        (Do::Result(1, 1, "failed"), "stdout=out, failed"),
    ] {
        let told = begin().act(&what).join(", ");
        assert!(told.ends_with(expected), "{what:?}: {told}");
    }
    let mut model = begin();
    assert!(model.act(&Do::Cancel(1)).is_empty(), "it is being ended");
}

#[test]
fn no_attempt_is_waited_for_that_would_begin_after_the_deadline() {
    let steps = [
        (asks("demo.late"), "task 1, scheduled"),
        (Do::Wait(9_001), ""),
        (Do::Claim(1, 1), "running"),
        // A second later its time would be over.
        (Do::Result(1, 1, "failed"), "stdout=out, failed"),
    ];
    check(&steps, Some(Status::Failed));
}

#[test]
fn a_window_that_is_closed_keeps_it_waiting_or_ends_it() {
    // It opens at 1,200 s and closes at 1,800 s; it is 1,000 s now.
    let waits = [
        (asks("demo.office"), "delayed(window)"),
        (Do::Wait(199_999), ""),
        (Do::Early(1), ""),
        (Do::Wait(1), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
    ];
    let model = check(&waits[..1], Some(Status::Delayed));
    assert_eq!(why(&model), "it waits for the windows of policy demo.hours, until 1970-01-01T00:20:00Z");
    check(&waits, Some(Status::Running));
    check(&[(asks("demo.strict"), "failed(window_closed)")], Some(Status::Failed));
    let open = [(Do::Wait(200_000), ""), (asks("demo.strict"), "task 1, scheduled")];
    check(&open, Some(Status::Scheduled));
    // What is declined once it has closed waits for the next one; so does what a lost worker leaves.
    let declined = [
        (Do::Wait(795_000), ""),
        (asks("demo.office"), "task 1, scheduled"),
        (Do::Wait(5_000), ""),
        (Do::Decline(1, 1, DeclineReason::Full), "delayed(window)"),
    ];
    check(&declined, Some(Status::Delayed));
}

#[test]
fn a_switch_keeps_from_starting_what_it_is_of() {
    for scope in ["everything", "pack/demo", "action/demo.ok", "rule/demo.rule"] {
        let mut model = Model::new();
        model.act(&Do::Off(scope, None, false));
        let told = model.act(&asks("demo.ok")).join(", ");
        let code = scope.split('/').next().unwrap();
        assert_eq!(told, format!("delayed({code}_off)"));
        assert!(why(&model).starts_with("eve has switched ") && why(&model).ends_with(" off: it burns"));
        assert!(model.act(&Do::Wait(1_000_000)).is_empty(), "for ever");
        assert_eq!(model.act(&Do::On(scope)), ["task 1", "scheduled"]);
        assert!(model.waiting.is_empty());
    }
    for scope in ["pack/other", "action/demo.other", "rule/demo.other"] {
        let steps = [(Do::Off(scope, None, true), ""), (asks("demo.ok"), "task 1, scheduled")];
        check(&steps, Some(Status::Scheduled));
    }
    let dropped = [(Do::Off("action/demo.ok", None, true), ""), (asks("demo.ok"), "failed(action_off)")];
    check(&dropped, Some(Status::Failed));
}

#[test]
fn a_switch_is_on_again_when_its_time_has_come() {
    let steps = [
        (Do::Off("pack/demo", Some(1_005_000), false), ""),
        (asks("demo.ok"), "delayed(pack_off)"),
        (Do::Wait(4_999), ""),
        (Do::Wait(1), "task 1, scheduled"),
    ];
    let model = check(&steps, Some(Status::Scheduled));
    assert!(model.waiting.is_empty());
    let longer = [
        (Do::Off("pack/demo", Some(1_005_000), false), ""),
        (asks("demo.ok"), "delayed(pack_off)"),
        (Do::Off("pack/demo", Some(1_009_000), false), ""),
        (Do::Wait(5_000), "delayed(pack_off)"),
        (Do::Wait(4_000), "task 1, scheduled"),
    ];
    check(&longer, Some(Status::Scheduled));
    let canceled = [
        (Do::Off("pack/demo", Some(1_005_000), false), ""),
        (asks("demo.ok"), "delayed(pack_off)"),
        (Do::Cancel(1), "canceled"),
        (Do::On("pack/demo"), ""),
    ];
    let model = check(&canceled, Some(Status::Canceled));
    assert!(model.waiting.is_empty());
}

#[test]
fn a_switch_holds_for_further_attempts_and_for_what_goes_round() {
    let retried = [
        (asks("demo.again"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Off("action/demo.again", None, false), ""),
        (Do::Result(1, 1, "failed"), "stdout=out, delayed(back_off)"),
        (Do::Wait(1_000), "delayed(action_off)"),
        (Do::On("action/demo.again"), "task 2, scheduled"),
    ];
    let model = check(&retried[..5], Some(Status::Delayed));
    assert!(why(&model).starts_with("attempt 1 failed: it failed; eve has switched"), "{}", why(&model));
    check(&retried, Some(Status::Scheduled));
    let lost = [
        (asks("demo.ok"), "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Off("action/demo.ok", None, true), ""),
        (Do::Wait(LEASE_MS), "cancel 1, failed(action_off)"),
    ];
    check(&lost, Some(Status::Failed));
    let declined = [
        (asks("demo.ok"), "task 1, scheduled"),
        (Do::Off("everything", None, false), ""),
        (Do::Decline(1, 1, DeclineReason::Full), "delayed(everything_off)"),
        (Do::On("everything"), "task 2, scheduled"),
    ];
    check(&declined, Some(Status::Scheduled));
}

/// Its task was in a queue when the switch came, or its window closed: the worker that would have claimed it says so.
#[test]
fn what_no_worker_claims_because_of_a_switch_or_a_window_is_held_as_at_its_dispatch() {
    let off = |drops| Do::Off("rule/demo.rule", None, drops);
    let declines = |token| Do::Decline(1, token, DeclineReason::SwitchedOff);
    let switched = [
        (asks("demo.ok"), "task 1, scheduled"),
        (off(false), ""),
        (declines(1), "delayed(rule_off)"),
        (declines(1), ""),
        // No time of its start passes meanwhile.
        (Do::Wait(2 * START_MS), ""),
        (Do::On("rule/demo.rule"), "task 2, scheduled"),
        (Do::Claim(1, 2), "running"),
    ];
    let model = check(&switched, Some(Status::Running));
    assert_eq!(model.live(1).core().counts, Counts::default(), "no attempt has failed, and no worker was lost");
    assert!(model.waiting.is_empty());
    let dropped = [(asks("demo.ok"), "task 1, scheduled"), (off(true), ""), (declines(1), "failed(rule_off)")];
    check(&dropped, Some(Status::Failed));
    let canceled = [
        (asks("demo.ok"), "task 1, scheduled"),
        (off(false), ""),
        (Do::Cancel(1), "cancel 1, canceling"),
        (declines(1), "canceled"),
    ];
    check(&canceled, Some(Status::Canceled));
    let paused = [
        (asks("demo.ok"), "task 1, scheduled"),
        (Do::Pause, ""),
        (declines(1), "delayed(dispatch_paused)"),
        (Do::Resume, "task 2, scheduled"),
    ];
    check(&paused, Some(Status::Scheduled));
    let closes = |action, then, status| {
        let steps = [
            (Do::Wait(795_000), ""),
            (asks(action), "task 1, scheduled"),
            (Do::Wait(5_000), ""),
            (Do::Decline(1, 1, DeclineReason::WindowClosed), then),
        ];
        check(&steps, Some(status))
    };
    closes("demo.office", "delayed(window)", Status::Delayed);
    closes("demo.strict", "failed(window_closed)", Status::Failed);
}

/// The switch is on again by what its owner knows, or the worker's clock is ahead.
#[test]
fn what_a_worker_alone_takes_for_switched_off_goes_elsewhere_after_a_moment() {
    for reason in [DeclineReason::SwitchedOff, DeclineReason::WindowClosed] {
        let steps = [
            (asks("demo.ok"), "task 1, scheduled"),
            (Do::Decline(1, 1, reason), ""),
            (Do::Claim(1, 1), "cancel 1"),
            (Do::Wait(PAUSE_MS - 1), ""),
            (Do::Wait(1), "task 2"),
            (Do::Decline(1, 2, reason), ""),
            // Its owner has heard of it meanwhile.
            (Do::Off("everything", None, false), ""),
            (Do::Wait(PAUSE_MS), "delayed(everything_off)"),
        ];
        check(&steps, Some(Status::Delayed));
        let late =
            [(asks("demo.ok"), "task 1, scheduled"), (Do::Wait(START_MS - 1), ""), (Do::Decline(1, 1, reason), "")];
        check(&[&late[..], &[(Do::Wait(1), "timeout(schedule_to_start)")]].concat(), Some(Status::Timeout));
    }
}

#[test]
fn what_is_kept_out_keeps_nothing_of_its_gates() {
    use crate::gate::{About, Answer, GateId, Kind, Stamp};
    let mut model = Model::new();
    let told = model.act(&asks("demo.gated"));
    let asked: u64 = told[0].rsplit(' ').next().unwrap().parse().unwrap();
    let key = GateId::of_key("demo.one", Kind::Concurrency, "db").unwrap();
    let epoch = model.last.unwrap().epoch;
    let acquisition = Stamp { epoch, number: asked };
    let about = About { execution: super::model::id(1), acquisition };
    // It is switched off while it asks; its first permit comes, and goes back at once.
    model.act(&Do::Off("action/demo.gated", None, false));
    let told = model.tell(Message::Gate { gate: key, about, answer: Answer::Granted }).join(", ");
    assert!(told.starts_with("return demo.one/concurrency/key/db") && told.ends_with("delayed(action_off)"), "{told}");
    let Execution::Delayed(delayed) = model.live(1) else { panic!() };
    assert!(delayed.core.passage.as_ref().unwrap().acquired.is_empty());
    let told = model.act(&Do::On("action/demo.gated")).join(", ");
    assert!(told.starts_with("ask demo.one/concurrency/key/db"), "{told}");
}
