//! Executions with gates to pass: how they wait, go on, and give back.

use super::model::{Do, LEASE_MS, Model, START_MS, id};
use crate::gate::{ASK_AGAIN_MS, About, Answer, GateId, Kind, Refusal, Stamp, What, Why};
use crate::owner::{DeclineReason, GATE_ORDER_MS_MAX, Message};
use crate::status::Status;

const GATED: Do = Do::Request(1, "demo.gated", "now");
const EPOCH: i64 = 1_000_000;

fn key() -> GateId {
    GateId::of_key("demo.one", Kind::Concurrency, "db").unwrap()
}

fn total() -> GateId {
    GateId::total("demo.one", Kind::Rate)
}

fn about(number: u64) -> About {
    About { execution: id(1), acquisition: Stamp { epoch: EPOCH, number } }
}

fn answer(model: &mut Model, gate: GateId, number: u64, answer: Answer) -> String {
    model.tell(Message::Gate { gate, about: about(number), answer }).join(", ")
}

fn act(model: &mut Model, what: &Do) -> String {
    model.act(what).join(", ")
}

/// One that has passed its gates, under the first two stamps.
fn through() -> Model {
    let mut model = Model::new();
    assert_eq!(act(&mut model, &GATED), "ask demo.one/concurrency/key/db 1, delayed(gate)");
    let next = answer(&mut model, key(), 1, Answer::Granted);
    assert_eq!(next, "ask demo.one/rate/total 2, delayed(gate)");
    assert_eq!(answer(&mut model, total(), 2, Answer::Granted), "task 1, scheduled");
    model
}

#[test]
fn it_is_dispatched_once_it_has_passed_all_and_gives_back_at_its_end() {
    for (status, outcome) in
        [("succeeded", "succeeded"), ("failed", "failed"), ("timeout", "failed"), ("canceled", "silent")]
    {
        let mut model = through();
        assert_eq!(act(&mut model, &Do::Claim(1, 1)), "running");
        let back = format!("return demo.one/rate/total 2 {outcome}, return demo.one/concurrency/key/db 1 {outcome}");
        let end = act(&mut model, &Do::Result(1, 1, status));
        assert_eq!(end, format!("stdout=out, {back}, {status}"), "the last first, in the step that ends it");
    }
}

#[test]
fn what_never_started_says_so() {
    let mut model = through();
    let back = "return demo.one/rate/total 2 not_started, return demo.one/concurrency/key/db 1 not_started";
    assert_eq!(act(&mut model, &Do::Wait(START_MS)), format!("{back}, timeout(schedule_to_start)"));
    let mut waits = Model::new();
    act(&mut waits, &GATED);
    let canceled = act(&mut waits, &Do::Cancel(1));
    assert_eq!(canceled, "return demo.one/concurrency/key/db 1 not_started, canceled");
    let late = answer(&mut waits, key(), 1, Answer::Granted);
    assert_eq!(late, "return demo.one/concurrency/key/db 1 silent", "a grant that crosses it is given back too");
    assert_eq!(answer(&mut waits, key(), 1, Answer::Refused(Refusal::TooManyWait)), "");
}

#[test]
fn it_asks_again_for_the_same_until_it_is_answered() {
    let mut model = Model::new();
    act(&mut model, &GATED);
    assert_eq!(act(&mut model, &Do::Wait(ASK_AGAIN_MS - 1)), "");
    assert_eq!(act(&mut model, &Do::Early(1)), "", "a timer that comes early asks nothing");
    assert_eq!(act(&mut model, &Do::Wait(1)), "ask demo.one/concurrency/key/db 1");
    assert_eq!(act(&mut model, &Do::Wait(2 * ASK_AGAIN_MS)), "ask demo.one/concurrency/key/db 1");
    assert_eq!(answer(&mut model, key(), 1, Answer::Held), "ask demo.one/rate/total 4, delayed(gate)");
    assert_eq!(answer(&mut model, key(), 1, Answer::Held), "", "it holds it");
    assert_eq!(answer(&mut model, total(), 9, Answer::Granted), "return demo.one/rate/total 9 silent");
}

#[test]
fn a_lost_worker_keeps_its_permits_and_a_failure_that_is_tried_again_asks_anew() {
    let mut model = through();
    act(&mut model, &Do::Claim(1, 1));
    assert_eq!(act(&mut model, &Do::Wait(LEASE_MS)), "cancel 1, task 2, scheduled(lease_lost)");
    act(&mut model, &Do::Claim(1, 2));
    let back = "return demo.one/rate/total 2 failed, return demo.one/concurrency/key/db 1 failed";
    assert_eq!(act(&mut model, &Do::Result(1, 2, "failed")), format!("stdout=out, {back}, failed"));
    let mut again = Model::new();
    again.retries(true);
    act(&mut again, &GATED);
    answer(&mut again, key(), 1, Answer::Granted);
    answer(&mut again, total(), 2, Answer::Granted);
    act(&mut again, &Do::Claim(1, 1));
    assert_eq!(act(&mut again, &Do::Result(1, 1, "failed")), format!("stdout=out, {back}, delayed(back_off)"));
    assert_eq!(act(&mut again, &Do::Wait(1_000)), "ask demo.one/concurrency/key/db 5, delayed(gate)");
    // What ends before it has passed them again has not run with these permits, whatever was before.
    assert_eq!(answer(&mut again, key(), 5, Answer::Granted), "ask demo.one/rate/total 6, delayed(gate)");
    let refused = answer(&mut again, total(), 6, Answer::Refused(Refusal::Excess(Why::Rate)));
    assert_eq!(refused, "return demo.one/concurrency/key/db 5 not_started, failed(policy_excess)");
}

#[test]
fn dispatch_that_is_paused_asks_nothing_and_what_is_granted_meanwhile_goes_back() {
    let mut model = Model::new();
    model.act(&Do::Pause);
    assert_eq!(act(&mut model, &GATED), "delayed(dispatch_paused)");
    assert_eq!(act(&mut model, &Do::Resume), "ask demo.one/concurrency/key/db 1, delayed(gate)");
    model.act(&Do::Pause);
    let back = "return demo.one/concurrency/key/db 1 not_started";
    assert_eq!(answer(&mut model, key(), 1, Answer::Granted), format!("{back}, delayed(dispatch_paused)"));
    assert_eq!(act(&mut model, &Do::Resume), "ask demo.one/concurrency/key/db 3, delayed(gate)");
    assert_eq!(answer(&mut model, key(), 3, Answer::Granted), "ask demo.one/rate/total 4, delayed(gate)");
    // The last of its gates lets it pass: after an hour of pause all of those would start at once.
    model.act(&Do::Pause);
    let back = "return demo.one/rate/total 4 not_started, return demo.one/concurrency/key/db 3 not_started";
    assert_eq!(answer(&mut model, total(), 4, Answer::Granted), format!("{back}, delayed(dispatch_paused)"));
    assert_eq!(act(&mut model, &Do::Resume), "ask demo.one/concurrency/key/db 7, delayed(gate)");
}

#[test]
fn what_no_worker_claims_because_it_is_switched_off_gives_back_all_and_asks_anew() {
    let mut model = through();
    model.act(&Do::Off("action/demo.gated", None, false));
    let back = "return demo.one/rate/total 2 not_started, return demo.one/concurrency/key/db 1 not_started";
    let declines = Do::Decline(1, 1, DeclineReason::SwitchedOff);
    assert_eq!(act(&mut model, &declines), format!("{back}, delayed(action_off)"));
    let on = act(&mut model, &Do::On("action/demo.gated"));
    assert_eq!(on, "ask demo.one/concurrency/key/db 5, delayed(gate)");
    // What drops ends it, with all that it has.
    let mut model = through();
    model.act(&Do::Off("action/demo.gated", None, true));
    assert_eq!(act(&mut model, &declines), format!("{back}, failed(action_off)"));
}

#[test]
fn what_may_have_run_before_a_pause_uses_up_what_it_started_with() {
    let mut model = through();
    act(&mut model, &Do::Claim(1, 1));
    model.act(&Do::Pause);
    let back = "return demo.one/rate/total 2 silent, return demo.one/concurrency/key/db 1 silent";
    assert_eq!(act(&mut model, &Do::Wait(LEASE_MS)), format!("cancel 1, {back}, delayed(dispatch_paused)"));
}

#[test]
fn an_outage_of_workers_is_no_failure_of_the_action() {
    let back = |outcome: &str, first: u64| {
        format!(
            "return demo.one/rate/total {} {outcome}, return demo.one/concurrency/key/db {first} {outcome}",
            first + 1
        )
    };
    // A worker gave it back before it began, and no other one takes it.
    let mut model = through();
    act(&mut model, &Do::Claim(1, 1));
    act(&mut model, &Do::HandOver(1, 1, false));
    let ended = act(&mut model, &Do::Wait(START_MS));
    assert_eq!(ended, format!("{}, timeout(schedule_to_start)", back("not_started", 1)));
    // It was begun: nobody knows how far it came.
    let mut model = through();
    act(&mut model, &Do::Claim(1, 1));
    act(&mut model, &Do::Wait(LEASE_MS));
    assert_eq!(act(&mut model, &Do::Wait(START_MS)), format!("{}, timeout(schedule_to_start)", back("failed", 1)));
    // What an attempt was before a retry, which gave back what it had, says nothing of the one after it.
    let mut model = Model::new();
    model.retries(true);
    act(&mut model, &GATED);
    answer(&mut model, key(), 1, Answer::Granted);
    answer(&mut model, total(), 2, Answer::Granted);
    act(&mut model, &Do::Claim(1, 1));
    act(&mut model, &Do::Result(1, 1, "failed"));
    act(&mut model, &Do::Wait(1_000));
    answer(&mut model, key(), 5, Answer::Granted);
    answer(&mut model, total(), 6, Answer::Granted);
    let ended = act(&mut model, &Do::Wait(START_MS));
    assert!(ended.starts_with(&back("not_started", 5)), "{ended}");
}

#[test]
fn who_is_turned_away_ends_or_asks_anew_after_a_pause() {
    let mut model = Model::new();
    act(&mut model, &GATED);
    answer(&mut model, key(), 1, Answer::Granted);
    let refused = Answer::Refused(Refusal::Excess(Why::Rate));
    let back = "return demo.one/concurrency/key/db 1 not_started";
    assert_eq!(answer(&mut model, total(), 2, refused), format!("{back}, failed(policy_excess)"));
    assert_eq!(model.status(1), Some(Status::Failed));
    let mut out_of_order = Model::new();
    act(&mut out_of_order, &GATED);
    answer(&mut out_of_order, key(), 1, Answer::Granted);
    let refused = Answer::Refused(Refusal::OutOfOrder(Why::Rate));
    assert_eq!(answer(&mut out_of_order, total(), 2, refused), format!("{back}, delayed(gate)"));
    assert_eq!(act(&mut out_of_order, &Do::Wait(999)), "");
    assert_eq!(act(&mut out_of_order, &Do::Wait(1)), "ask demo.one/concurrency/key/db 4, delayed(gate)");
}

#[test]
fn an_owner_whose_numbers_are_behind_goes_on_behind_those_that_were_heard() {
    let mut model = Model::new();
    act(&mut model, &GATED);
    model.tell(Message::Behind { epoch: EPOCH });
    assert_eq!(model.last, Some(Stamp { epoch: EPOCH, number: 1 }), "it is in that epoch");
    model.tell(Message::Behind { epoch: EPOCH + 5 });
    act(&mut model, &Do::Wait(ASK_AGAIN_MS));
    assert_eq!(model.last, Some(Stamp { epoch: EPOCH + 6, number: 1 }));
}

#[test]
fn a_key_without_a_value_ends_it() {
    let mut model = Model::new();
    assert_eq!(act(&mut model, &Do::Request(1, "demo.keyless", "now")), "failed(policy_key)");
}

#[test]
fn what_a_person_wants_of_a_gate_is_numbered_like_all_else_and_of_no_account_when_it_comes_late() {
    let mut model = Model::new();
    act(&mut model, &GATED);
    let order = |model: &mut Model, at_ms| {
        let what = What::Shut { by: "ann: it floods".to_owned() };
        model.tell(Message::GateOrder { gate: total(), what, at_ms }).join(", ")
    };
    assert_eq!(order(&mut model, EPOCH), "Shut { by: \"ann: it floods\" }");
    let next = answer(&mut model, key(), 1, Answer::Granted);
    assert_eq!(next, "ask demo.one/rate/total 3, delayed(gate)", "the order had the second stamp");
    assert_eq!(order(&mut model, EPOCH - GATE_ORDER_MS_MAX - 1), "");
}
