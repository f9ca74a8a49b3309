//! What is over a limit of what records may hold.

use petrel_schemas::{ExecutionId, ObjectRef, TaskResult};
use serde_json::{Value, json};

use super::super::*;
use super::model::{Do, Model, id};
use super::workflows::{child, status};
use crate::attempt::Attempt;
use crate::execution::Known;
use crate::family::{Child, ChildEnded};
use crate::limits::{PARAMETERS_BYTES_MAX, RESULT_BYTES_MAX, STREAM_FOR_PARENT_BYTES_MAX};
use crate::status::Status;
use crate::subject::Subject;

/// A worker says that an execution's current attempt has succeeded with that result.
fn resulted(model: &mut Model, id: &ExecutionId, result: &Value) {
    let Some(Known::Live(execution)) = model.known(id) else { panic!("{id} is not live") };
    let Attempt { number, token } = execution.core().attempt;
    let about = About { id: id.clone(), attempt: Attempt { number, token }, worker: "w".to_owned() };
    let result = Some(result.to_string());
    let execution_id = id.to_string();
    let ended = TaskResult { execution_id, result, ..super::messages::result(1, token, "succeeded") };
    model.tell(Message::Report(about, Report::Ended(ended)));
}

/// The children of a chain end one after the other with results that are too many together.
fn end_chain(model: &mut Model, chain: &ExecutionId) -> Value {
    let text = json!("x".repeat(RESULT_BYTES_MAX / 2));
    for number in 1..=3 {
        resulted(model, &chain.child(number).unwrap(), &text);
        model.act(&Do::Wait(700));
    }
    assert_eq!(status(model, chain), Some(Status::Succeeded));
    json!({ "output": [text, text, text] })
}

#[test]
fn a_parent_is_given_all_that_a_sub_workflow_results_in_though_its_row_has_no_room_for_it() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.nest", "now"));
    let chain = child(1, 1);
    let whole = end_chain(&mut model, &chain);
    let told = model.parents_told.iter().find(|told| told.child.id == chain).unwrap();
    assert_eq!((&told.value(), told.child.code.as_deref()), (&whole, Some("result_too_large")));
    let error = told.error.as_deref().unwrap();
    assert!(error.contains("the limit RESULT_BYTES_MAX is 65536"), "{error}");
}

#[test]
fn of_a_root_that_results_in_too_much_the_end_says_what_is_left_out() {
    let mut model = Model::new();
    model.tell_ends();
    model.act(&Do::Request(1, "demo.chain", "now"));
    end_chain(&mut model, &id(1));
    let payload: Value = serde_json::from_str(&model.events.last().unwrap().payload).unwrap();
    assert_eq!((&payload["execution_id"], &payload["status"]), (&json!(id(1).as_str()), &json!("succeeded")));
    assert_eq!(
        (&payload["code"], &payload["result"]),
        (&json!("result_too_large"), &json!({ "left_out": ["output"] }))
    );
}

#[test]
fn a_child_with_too_large_parameters_fails_before_it_waits_for_anything() {
    for (bytes, delay_ms) in [(PARAMETERS_BYTES_MAX, None), (2 << 20, Some(700))] {
        let mut model = Model::new();
        model.act(&Do::Request(1, "demo.chain", "now"));
        let subject = Subject { id: child(1, 9), ..model.live(1).core().subject.clone() };
        let parameters = json!({ "host": "x".repeat(bytes) }).to_string();
        let large = Child { subject, parameters, inherited: Vec::new(), delay_ms };
        let decided = model.decide(|owner| owner.child(large, None));
        assert_eq!(decided[0], "failed(parameters_too_large)");
        let told = model.parents_told.last().unwrap();
        assert!(told.error.as_deref().unwrap().ends_with("the limit PARAMETERS_BYTES_MAX is 262144"), "{told:?}");
        assert_eq!(told.value()["code"], "parameters_too_large");
    }
}

#[test]
fn of_what_was_cut_expressions_see_that_it_was() {
    for (bytes, cut_before, told_bytes, is_cut) in [
        (STREAM_FOR_PARENT_BYTES_MAX, false, STREAM_FOR_PARENT_BYTES_MAX, false),
        (STREAM_FOR_PARENT_BYTES_MAX + 1, false, STREAM_FOR_PARENT_BYTES_MAX, true),
        (7, true, 7, true),
    ] {
        let mut model = Model::new();
        model.act(&Do::Request(1, "demo.chain", "now"));
        let first = child(1, 1);
        let Some(Known::Live(execution)) = model.known(&first) else { panic!("{first} is not live") };
        let attempt = execution.core().attempt;
        let about = About { id: first.clone(), attempt, worker: "w".to_owned() };
        let wrote = TaskResult {
            execution_id: first.to_string(),
            stdout: "x".repeat(bytes),
            stdout_truncated: cut_before,
            ..super::messages::result(1, attempt.token, "succeeded")
        };
        model.tell(Message::Report(about, Report::Ended(wrote)));
        let value = model.parents_told.last().unwrap().value();
        assert_eq!(value["stdout"].as_str().map(str::len), Some(told_bytes));
        let cut = is_cut.then(|| json!(true));
        assert_eq!((value.get("stdout_truncated"), value.get("stderr_truncated")), (cut.as_ref(), None), "{bytes}");
    }
}

#[test]
fn of_a_result_that_is_not_there_expressions_see_where_it_is_or_why() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.chain", "now"));
    resulted(&mut model, &child(1, 1), &json!("x"));
    let whole = model.parents_told.last().unwrap().clone();
    assert_eq!(whole.value(), json!("x"));
    let object = ObjectRef {
        store: "files/a".to_owned(),
        sha256: "0f".repeat(32),
        bytes: 70_000,
        media_type: "application/json".to_owned(),
    };
    let mut elsewhere = ChildEnded { result: None, result_object: Some(object), ..whole };
    assert_eq!((&elsewhere.value()["bytes"], &elsewhere.value()["extracted"]), (&json!(70_000), &Value::Null));
    elsewhere.extracted = Some(json!({ "id": 7 }).to_string());
    assert_eq!((&elsewhere.value()["store"], &elsewhere.value()["extracted"]["id"]), (&json!("files/a"), &json!(7)));
    let mut left_out = ChildEnded { result_object: None, error: Some("no room".to_owned()), ..elsewhere };
    left_out.child.code = Some("result_not_stored".to_owned());
    let told = left_out.value();
    let expected = (&json!(true), &json!("result_not_stored"), &json!("no room"));
    assert_eq!((&told["succeeded"], &told["code"], &told["error"]), expected);
}
