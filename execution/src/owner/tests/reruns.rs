//! Workflows that have ended, and run again.

use super::model::{DEDUP_MS, Do, Model, START_MS, id};
use super::turnstile::Turnstiles;
use super::workflows::{ask, ask_of, child, reported, status};
use crate::execution::Known;
use crate::status::Status;
use crate::workflow::Asked;

fn rerun() -> Asked {
    Asked::Rerun(Vec::new())
}

/// A chain whose first task has failed.
fn failed(action: &'static str) -> (Model, Turnstiles) {
    let (mut model, mut gates) = (Model::new(), Turnstiles::default());
    model.tell_ends();
    model.act(&Do::Request(1, action, "now"));
    gates.answer_all(&mut model);
    reported(&mut model, &child(1, 1), "failed");
    gates.hear_all(&mut model);
    assert_eq!(model.status(1), Some(Status::Failed));
    assert!(gates.is_empty());
    (model, gates)
}

#[test]
fn one_that_has_ended_runs_again_with_new_children_and_ends_once_more() {
    let (mut model, _) = failed("demo.chain");
    model.act(&Do::Wait(2 * DEDUP_MS - 1));
    let again = ask(&mut model, rerun());
    assert_eq!(again.join(", "), "resuming, running, delayed(task_delay)");
    assert_eq!(model.live(1).core().attempt.number, 2);
    assert_eq!(model.notes(1).iter().rev().nth(1).unwrap(), "rerun asked for by eve");
    model.workflows.drop_all();
    model.act(&Do::Wait(700));
    for number in 2..=4 {
        reported(&mut model, &child(1, number), "succeeded");
    }
    assert_eq!(model.status(1), Some(Status::Succeeded));
    let ends: Vec<_> = model.events.iter().filter(|event| is_of(event, 1)).collect();
    let ids: std::collections::BTreeSet<&str> = ends.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!((ends.len(), ids.len()), (2, 2), "each end is told, under an id of its own");
    // And again, until nothing is kept of it.
    assert_eq!(ask(&mut model, rerun()).join(", "), "resuming, running, task 1, scheduled");
    model.act(&Do::Cancel(1));
    model.act(&Do::Wait(START_MS));
    model.act(&Do::Wait(2 * DEDUP_MS));
    assert_eq!(ask(&mut model, rerun()).join(", "), "dead asked_in_vain");
    model.act(&Do::Wait(DEDUP_MS));
    assert!(model.states.is_empty() && model.timers.is_empty() && model.workflows.is_empty());
}

/// Whether an event tells the end of the root of that digit.
fn is_of(event: &petrel_schemas::TriggerEvent, root: u8) -> bool {
    let payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
    payload["execution_id"] == id(root).as_str()
}

#[test]
fn it_passes_its_gates_anew() {
    let (mut model, mut gates) = failed("demo.gated_chain");
    model.act(&Do::Request(2, "demo.gated", "now"));
    gates.answer_all(&mut model);
    let again = ask(&mut model, rerun()).join(", ");
    assert!(again.starts_with("resuming, ask ") && again.ends_with("resuming(gate)"), "{again}");
    gates.answer_all(&mut model);
    assert_eq!(model.status(1), Some(Status::Resuming));
    // One that is canceled before it runs again has ended, and can run again.
    model.act(&Do::Cancel(1));
    assert_eq!(model.status(1), Some(Status::Canceled));
    gates.answer_all(&mut model);
    model.act(&Do::Wait(1));
    ask(&mut model, rerun());
    model.act(&Do::Cancel(2));
    model.act(&Do::Wait(START_MS));
    gates.answer_all(&mut model);
    assert_eq!((model.status(1), gates.out()), (Some(Status::Running), 2));
    gates.check(&model).unwrap();
}

#[test]
fn its_deadline_and_pauses_of_all_dispatch_hold_anew() {
    let (mut model, _) = failed("demo.late_chain");
    model.act(&Do::Wait(2 * DEDUP_MS - 1_000));
    model.act(&Do::Pause);
    assert_eq!(ask(&mut model, rerun()).join(", "), "resuming, resuming(dispatch_paused)");
    assert_eq!(model.act(&Do::Resume).join(", "), "running, delayed(task_delay)");
    model.pass_deadline(1);
    assert_eq!(model.status(1), Some(Status::Timeout));
    // The time counts from then on.
    model.act(&Do::Pause);
    ask(&mut model, rerun());
    model.pass_deadline(1);
    assert_eq!(model.status(1), Some(Status::Timeout));
}

#[test]
fn what_cannot_run_again_is_refused_and_stays_as_it_is() {
    let refused = |model: &mut Model, id: &petrel_schemas::ExecutionId| {
        assert_eq!(ask_of(model, id, rerun()).join(", "), "dead asked_in_vain");
    };
    let mut model = Model::new();
    refused(&mut model, &id(1));
    model.act(&Do::Request(1, "demo.chain", "now"));
    refused(&mut model, &id(1));
    reported(&mut model, &child(1, 1), "failed");
    refused(&mut model, &child(1, 1));
    model.act(&Do::Request(2, "demo.ok", "now"));
    model.act(&Do::Result(2, 1, "failed"));
    refused(&mut model, &id(2));
    // One that never began.
    model.act(&Do::Request(3, "demo.gated_chain", "now"));
    model.act(&Do::Cancel(3));
    refused(&mut model, &id(3));
    assert_eq!(model.status(1), Some(Status::Failed));
    // An order that is read again after what it asked for has ended runs nothing.
    let at_ms = model.now_ms;
    ask(&mut model, rerun());
    model.act(&Do::Wait(700));
    reported(&mut model, &child(1, 2), "failed");
    assert_eq!(model.status(1), Some(Status::Failed));
    let again = super::super::Message::Workflow { id: id(1), asked: rerun(), by: "eve".to_owned(), at_ms };
    assert_eq!(model.tell(again).join(", "), "dead asked_in_vain");
}

#[test]
fn an_order_of_somebody_whose_clock_is_ahead_runs_once_however_often_it_is_read() {
    let (mut model, _) = failed("demo.chain");
    let ahead_ms = model.now_ms + DEDUP_MS;
    let order = |at_ms: i64| super::super::Message::Workflow { id: id(1), asked: rerun(), by: "eve".to_owned(), at_ms };
    assert_eq!(model.tell(order(ahead_ms)).join(", "), "resuming, running, delayed(task_delay)");
    model.act(&Do::Wait(700));
    reported(&mut model, &child(1, 2), "failed");
    assert_eq!(model.status(1), Some(Status::Failed));
    model.workflows.drop_all();
    for at_ms in [ahead_ms - 1, ahead_ms] {
        assert_eq!(model.tell(order(at_ms)).join(", "), "dead asked_in_vain");
    }
    assert_eq!(model.tell(order(ahead_ms + 1)).join(", "), "resuming, running, task 1, scheduled");
}

#[test]
fn one_whose_revision_is_not_here_waits_for_it() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.chain", "later"));
    reported(&mut model, &child(1, 1), "failed");
    model.workflows.drop_all();
    model.act(&Do::Leave);
    let waits = ask(&mut model, rerun());
    assert_eq!(waits.join(", "), "resuming, resuming(revision_not_here)");
    assert_eq!(model.act(&Do::Arrive).join(", "), "running, delayed(task_delay)");
    assert!(matches!(model.known(&id(1)), Some(Known::Live(_))));
    model.act(&Do::Wait(700));
    assert_eq!(status(&model, &child(1, 2)), Some(Status::Scheduled));
}
