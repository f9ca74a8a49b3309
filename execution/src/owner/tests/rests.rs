//! Workflows that rest: what is shown of them, who asked, and their permits.

use serde_json::{Map, json};

use super::model::{DEDUP_MS, Do, FROZEN_MS, Model, START_MS, id};
use super::turnstile::Turnstiles;
use super::workflows::{ask, ask_of, child, reported, status};
use crate::codec::to_bytes;
use crate::execution::{Execution, Known};
use crate::gate::{Answer, Refusal, Why};
use crate::limits::ASKED_LATER_MAX;
use crate::owner::changed;
use crate::status::Status;
use crate::workflow::{Asked, Decision};

fn skip(task: &str) -> Asked {
    Asked::Decide(Decision::Skip { task: task.to_owned(), route: 0, result: json!(null) })
}

fn retry(task: &str) -> Asked {
    Asked::Decide(Decision::Retry { task: task.to_owned(), route: 0, reset_items: false, input: Map::new() })
}

fn note(model: &Model) -> String {
    model.live(1).core().note.error.clone().unwrap_or_default()
}

/// A workflow with gates that has passed them.
fn gated(action: &'static str) -> (Model, Turnstiles) {
    let (mut model, mut gates) = (Model::new(), Turnstiles::default());
    model.act(&Do::Request(1, action, "now"));
    gates.answer_all(&mut model);
    assert_eq!(gates.out(), 2);
    (model, gates)
}

/// One of which both tasks have failed.
fn frozen(action: &'static str) -> (Model, Turnstiles) {
    let (mut model, mut gates) = (Model::new(), Turnstiles::default());
    model.act(&Do::Request(1, action, "now"));
    gates.answer_all(&mut model);
    model.act(&Do::Wait(700));
    reported(&mut model, &child(1, 1), "failed");
    assert_eq!(model.status(1), Some(Status::Pausing));
    reported(&mut model, &child(1, 2), "failed");
    gates.hear_all(&mut model);
    assert_eq!(model.status(1), Some(Status::Paused));
    (model, gates)
}

#[test]
fn a_frozen_workflow_shows_what_there_is_to_decide_with_and_who_has_decided_what() {
    let (mut model, _) = frozen("demo.freezes");
    let shown = |model: &Model| {
        let row = changed(&model.live(1), model.now_ms);
        serde_json::from_str::<serde_json::Value>(&row.result.unwrap()).unwrap()
    };
    assert_eq!(shown(&model), json!({ "tasks": ["t1", "t2"] }));
    let before = model.live(1).core().sequence;
    assert_eq!(ask(&mut model, skip("t1")).join(", "), "paused", "a row, though it rests on");
    assert_eq!((shown(&model), model.live(1).core().sequence), (json!({ "tasks": ["t2"] }), before + 1));
    assert_eq!(note(&model), "skip of t1 decided by eve");
    assert_eq!(ask(&mut model, skip("t1")).join(", "), "dead asked_in_vain");
    assert_eq!(ask(&mut model, retry("t2")).join(", "), "resuming, running, task 1, scheduled");
    let rows: Vec<String> = model.notes(1);
    assert_eq!(rows[rows.len() - 2..], ["retry of t2 decided by eve", ""]);
    let ended = reported(&mut model, &child(1, 3), "succeeded");
    assert_eq!(ended.last().map(String::as_str), Some("succeeded"));
}

#[test]
fn a_decision_that_ends_it_is_told_with_its_end() {
    let (mut model, _) = frozen("demo.freezes");
    let ended = ask(&mut model, Asked::Decide(Decision::Rollback));
    assert_eq!(ended.join(", "), "resuming, running, failed(workflow_failed)");
    assert_eq!(model.notes(1).last().unwrap(), "a task failed; rollback decided by eve");
}

#[test]
fn the_answer_to_a_question_ends_it_and_says_who_gave_it() {
    let mut model = Model::new();
    let begun = model.act(&Do::Request(1, "demo.asks", "now"));
    assert_eq!(begun.join(", "), "scheduled, running, scheduled, running, pending, pending");
    let Some(Known::Live(question)) = model.known(&child(1, 1)) else { panic!("it is not open") };
    let parameters: serde_json::Value = serde_json::from_str(&question.core().parameters).unwrap();
    assert_eq!(parameters["$until"], "1970-01-01T01:00:00Z");
    assert_eq!(ask(&mut model, Asked::Answer(json!(1))).join(", "), "dead asked_in_vain", "it is no question");
    let answered = ask_of(&mut model, &child(1, 1), Asked::Answer(json!({ "continue": true })));
    assert_eq!(answered.join(", "), "succeeded, succeeded");
    let told = model.parents_told.first().unwrap();
    assert_eq!((told.error.as_deref(), told.value()), (Some("answered by eve"), json!({ "continue": true })));
    let late = ask_of(&mut model, &child(1, 1), Asked::Answer(json!(2)));
    assert_eq!(late.join(", "), "dead asked_in_vain");
}

#[test]
fn one_that_is_paused_gives_its_permits_back_and_waits_for_them_before_it_goes_on() {
    let (mut model, mut gates) = gated("demo.gated_chain");
    ask(&mut model, Asked::Pause);
    gates.hear_all(&mut model);
    assert_eq!(gates.out(), 2, "something runs");
    let ended = reported(&mut model, &child(1, 1), "succeeded");
    assert!(ended.join(", ").ends_with("silent, paused"), "{ended:?}");
    gates.hear_all(&mut model);
    assert!(gates.is_empty());
    // Another one has them meanwhile.
    model.act(&Do::Request(2, "demo.gated", "now"));
    gates.answer_all(&mut model);
    let resumed = ask(&mut model, Asked::Resume);
    assert_eq!(resumed.join(", "), "resuming, ask demo.one/concurrency/key/db 7, resuming(gate)");
    assert!(note(&model).contains("it waits at gate demo.one/concurrency/key/db"));
    assert_eq!(gates.answer_all(&mut model), [""; 0]);
    // What is asked meanwhile is told once it goes on.
    ask(&mut model, Asked::Pause);
    ask(&mut model, Asked::Resume);
    assert!(note(&model).ends_with("; pause asked for by eve; resume asked for by eve"), "{}", note(&model));
    model.act(&Do::Cancel(2));
    model.act(&Do::Wait(START_MS));
    let passed = gates.answer_all(&mut model);
    let passed = passed.join(", ");
    assert!(passed.ends_with("running, delayed(task_delay)"), "{passed}");
    assert_eq!((gates.out(), model.status(1)), (2, Some(Status::Running)));
}

#[test]
fn a_decision_is_told_once_its_permits_are_there_and_one_that_changes_nothing_of_that_at_once() {
    let (mut model, mut gates) = frozen("demo.gated_freezes");
    assert!(gates.is_empty());
    assert_eq!(ask(&mut model, skip("t1")).join(", "), "paused");
    assert_eq!(ask(&mut model, skip("t3")).join(", "), "dead asked_in_vain", "what cannot be is said at once");
    let decided = ask(&mut model, retry("t2")).join(", ");
    assert!(decided.starts_with("resuming, ask ") && decided.ends_with("resuming(gate)"), "{decided}");
    model.workflows.drop_all();
    let passed = gates.answer_all(&mut model).join(", ");
    assert!(passed.ends_with("running, task 1, scheduled"), "{passed}");
    assert_eq!(gates.out(), 2);
    reported(&mut model, &child(1, 3), "succeeded");
    gates.hear_all(&mut model);
    assert!(gates.is_empty() && model.status(1) == Some(Status::Succeeded));
}

#[test]
fn one_that_a_gate_turns_away_rests_again_and_loses_nothing() {
    let (mut model, mut gates) = frozen("demo.gated_freezes");
    ask(&mut model, skip("t1"));
    ask(&mut model, retry("t2"));
    let refused = gates.refuse(&mut model, Answer::Refused(Refusal::Excess(Why::Rate)));
    assert_eq!(refused.join(", "), "dead asked_in_vain, paused(policy_excess)", "who decided hears of it");
    let row = changed(&model.live(1), model.now_ms);
    assert!(row.result.unwrap().contains("t2") && row.error.unwrap().contains("turned it away"));
    ask(&mut model, retry("t2"));
    let passed = gates.answer_all(&mut model).join(", ");
    assert!(passed.ends_with("running, task 1, scheduled"), "{passed}");
}

#[test]
fn cancel_and_deadline_end_one_that_waits_for_its_permits() {
    for canceled in [true, false] {
        let (mut model, mut gates) = frozen("demo.gated_freezes");
        model.act(&Do::Request(2, "demo.gated", "now"));
        gates.answer_all(&mut model);
        ask(&mut model, skip("t1"));
        ask(&mut model, retry("t2"));
        gates.hear_all(&mut model);
        assert_eq!(model.status(1), Some(Status::Resuming));
        if canceled {
            model.act(&Do::Cancel(1));
            assert_eq!(model.status(1), Some(Status::Canceled));
        } else {
            model.pass_deadline(1);
            assert_eq!(model.status(1), Some(Status::Timeout));
        }
        gates.hear_all(&mut model);
        gates.check(&model).unwrap();
        assert_eq!(gates.out(), 2, "those of the other one");
    }
}

#[test]
fn one_that_waits_for_an_answer_for_long_gives_its_permits_back() {
    let (mut model, mut gates) = gated("demo.gated_asks");
    assert_eq!(model.status(1), Some(Status::Pending));
    model.act(&Do::Wait(FROZEN_MS - 1));
    gates.hear_all(&mut model);
    assert_eq!(gates.out(), 2);
    model.act(&Do::Wait(1));
    gates.hear_all(&mut model);
    assert!(gates.is_empty() && model.status(1) == Some(Status::Pending));
    // There is another question behind it.
    let answered = ask_of(&mut model, &child(1, 1), Asked::Answer(json!(1))).join(", ");
    assert!(answered.starts_with("succeeded, resuming, ask ") && answered.ends_with("resuming(gate)"), "{answered}");
    let passed = gates.answer_all(&mut model).join(", ");
    assert!(passed.ends_with("running, delayed(task_delay)"), "{passed}");
    model.act(&Do::Wait(700));
    ask_of(&mut model, &child(1, 2), Asked::Answer(json!(1)));
    gates.hear_all(&mut model);
    assert!(gates.is_empty() && model.status(1) == Some(Status::Succeeded));
}

#[test]
fn an_answer_below_wakes_what_waits_above_once_that_has_its_permits() {
    let (mut model, mut gates) = gated("demo.gated_above");
    let question = child(1, 1).child(1).unwrap();
    assert_eq!((status(&model, &question), model.status(1)), (Some(Status::Pending), Some(Status::Pending)));
    model.act(&Do::Wait(FROZEN_MS));
    gates.hear_all(&mut model);
    assert!(gates.is_empty());
    ask_of(&mut model, &question, Asked::Answer(json!(1)));
    assert_eq!(status(&model, &child(1, 1)), Some(Status::Pending), "it waits for those above it");
    assert_eq!(model.status(1), Some(Status::Resuming));
    gates.answer_all(&mut model);
    assert_eq!((status(&model, &child(1, 1)), model.status(1)), (Some(Status::Running), Some(Status::Running)));
    model.act(&Do::Wait(700));
    ask_of(&mut model, &child(1, 1).child(2).unwrap(), Asked::Answer(json!(1)));
    assert_eq!(model.status(1), Some(Status::Succeeded));
}

#[test]
fn one_that_is_to_rest_does_once_what_it_has_started_rests_and_both_go_on() {
    let (mut model, mut gates) = gated("demo.gated_nest");
    let inner = child(1, 1).child(1).unwrap();
    // The second one has not begun.
    assert_eq!(status(&model, &child(1, 2)), Some(Status::Delayed));
    ask(&mut model, Asked::Pause);
    assert_eq!(model.status(1), Some(Status::Pausing));
    reported(&mut model, &inner, "succeeded");
    assert_eq!((status(&model, &child(1, 1)), model.status(1)), (Some(Status::Paused), Some(Status::Pausing)));
    let begins = model.act(&Do::Wait(700));
    assert!(begins.join(", ").starts_with("paused, "), "{begins:?}");
    gates.hear_all(&mut model);
    assert!(gates.is_empty() && model.status(1) == Some(Status::Paused));
    // Below one that rests nothing goes on by itself.
    ask_of(&mut model, &child(1, 1), Asked::Resume);
    assert_eq!(status(&model, &child(1, 1)), Some(Status::Paused));
    assert_eq!(ask_of(&mut model, &child(1, 2), Asked::Resume).join(", "), "dead asked_in_vain");
    ask(&mut model, Asked::Resume);
    gates.answer_all(&mut model);
    assert_eq!(model.status(1), Some(Status::Running));
    assert_eq!(status(&model, &child(1, 1)), Some(Status::Running));
    assert_eq!(status(&model, &child(1, 2)), Some(Status::Running));
}

#[test]
fn what_is_asked_while_the_revision_is_missing_is_told_in_order_and_bounded() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.freezes", "later"));
    model.act(&Do::Wait(700));
    reported(&mut model, &child(1, 1), "failed");
    reported(&mut model, &child(1, 2), "failed");
    model.workflows.drop_all();
    model.act(&Do::Leave);
    ask(&mut model, skip("t1"));
    ask(&mut model, skip("t2"));
    for _ in 2..ASKED_LATER_MAX {
        assert_eq!(ask(&mut model, Asked::Pause), [""; 0]);
    }
    assert_eq!(ask(&mut model, Asked::Pause).join(", "), "dead asked_in_vain");
    model.act(&Do::Arrive);
    model.act(&Do::Wait(10_000));
    assert_eq!(model.status(1), Some(Status::Succeeded));
}

#[test]
fn how_children_end_is_kept_without_a_look_at_the_pieces_while_the_revision_is_missing() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.fan", "later"));
    model.workflows.drop_all();
    model.act(&Do::Leave);
    let before = model.workflows.reads();
    for number in [1, 3] {
        reported(&mut model, &child(1, number), "succeeded");
    }
    assert_eq!((model.workflows.reads(), model.status(1)), (before, Some(Status::Running)));
}

#[test]
fn a_cancel_ends_the_children_though_the_revision_is_missing() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.fan", "later"));
    model.workflows.drop_all();
    model.act(&Do::Leave);
    model.act(&Do::Cancel(1));
    assert_eq!(status(&model, &child(1, 1)), Some(Status::Canceling));
    assert_eq!(model.status(1), Some(Status::Canceling));
    model.act(&Do::Wait(START_MS));
    model.act(&Do::Arrive);
    model.act(&Do::Wait(10_000));
    assert_eq!(model.status(1), Some(Status::Canceled));
}

#[test]
fn what_nobody_can_go_on_with_ends_once_what_it_has_started_has() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.fan", "later"));
    model.workflows.drop_all();
    model.act(&Do::Vanish);
    reported(&mut model, &child(1, 1), "succeeded");
    assert_eq!(model.status(1), Some(Status::Canceling));
    assert_eq!(status(&model, &child(1, 3)), Some(Status::Canceling));
    model.act(&Do::Wait(START_MS));
    assert_eq!(model.notes(1).last().unwrap(), "its workflow cannot go on: revision later was removed while it ran");
    assert_eq!(model.status(1), Some(Status::Failed));
}

#[test]
fn one_whose_state_is_too_large_ends_its_children_first() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.fan", "now"));
    let execution = model.live(1);
    let ended = model.decide(|owner| owner.too_large(execution, 0, "9 bytes"));
    assert!(ended.join(", ").starts_with("canceling(state_too_large), "), "{ended:?}");
    model.workflows.drop_all();
    model.act(&Do::Wait(START_MS));
    assert_eq!(model.status(1), Some(Status::Failed));
    model.act(&Do::Wait(3 * DEDUP_MS));
    assert!(model.states.is_empty() && model.timers.is_empty() && model.workflows.is_empty());
}

#[test]
fn what_rests_is_stored_with_what_it_shows() {
    let (model, _) = frozen("demo.freezes");
    let paused = model.live(1);
    assert!(matches!(&paused, Execution::Paused(_)) && paused.frozen().is_some());
    assert_eq!(crate::codec::from_bytes(&to_bytes(&paused)), Ok(Known::Live(paused)));
    assert_eq!(id(1), *model.live(1).id());
}
