//! What is too large to be kept, or to be told.

use super::rehearsal::rehearse_with;
use super::*;
use crate::limits::{ERRORS_BYTES_MAX, NOTICE_BYTES_MAX, PUBLISHED_BYTES_MAX};

fn small() -> Limits {
    Limits { published_bytes_max: 100, errors_bytes_max: 100, ..Limits::default() }
}

fn text(bytes: usize) -> serde_json::Value {
    "y".repeat(bytes).into()
}

fn begun_with(definition_text: &str, inputs: serde_json::Value) -> Conductor {
    let inputs = Value::from(inputs).as_map().cloned().unwrap();
    Conductor::start(definition(definition_text), small(), Start { inputs, ..Start::default() }).unwrap()
}

#[test]
fn what_a_workflow_begins_with_has_a_limit_and_counts() {
    let message = "LimitExceeded: The inputs and variables that the workflow begins with have 127 bytes, the limit \
                   PUBLISHED_BYTES_MAX is 100.";
    let inputs = begun_with("input: [v]\ntasks:\n  a: {action: x}\n", serde_json::json!({"v": text(118)}));
    assert_eq!((inputs.status(), messages(&inputs)), (Status::Failed, vec![message]));
    let vars = begun_with(
        "input: [v]\nvars: [{w: <% ctx(v) %>}]\ntasks:\n  a: {action: x}\n",
        serde_json::json!({"v": text(60)}),
    );
    assert_eq!(vars.status(), Status::Failed);
    // What is published comes on top.
    let publishes =
        "input: [v]\ntasks:\n  a: {action: x, next: [{publish: [{w: <% result() %>}], do: b}]}\n  b: {action: x}\n";
    for (bytes, expected) in [(20, Status::Running), (40, Status::Failed)] {
        let mut one = start_with(publishes, small(), serde_json::json!({"v": text(50)}));
        run(&mut one, "a", text(bytes));
        assert_eq!(one.status(), expected, "{bytes}: {:?}", messages(&one));
    }
}

#[test]
fn ten_megabytes_of_published_variables_fail_the_task_that_publishes_them() {
    let definition = "tasks:\n  a: {action: x, next: [{publish: [{v: <% result() %>}], do: b}]}\n  b: {action: x}\n";
    let mut large = start_with(definition, Limits::default(), serde_json::json!({}));
    run(&mut large, "a", text(10 << 20));
    assert_eq!((large.status(), offered(&mut large)), (Status::Failed, Vec::new()));
    let error = large.errors().next().unwrap();
    let place = (error.task_id.as_deref(), error.task_transition_id.as_deref());
    assert_eq!(place, (Some("a"), Some("b__t0")));
    let limit = format!("the limit PUBLISHED_BYTES_MAX is {PUBLISHED_BYTES_MAX}.");
    assert!(error.message.ends_with(&limit), "{}", error.message);
    // What is below the limit is kept, and restored.
    let mut kept = start_with(definition, Limits::default(), serde_json::json!({}));
    let mut store = Store::default();
    run(&mut kept, "a", text(PUBLISHED_BYTES_MAX - 100));
    store.take(&mut kept);
    let mut restored = Conductor::restore(kept.definition().clone(), Limits::default(), store.pieces()).unwrap();
    assert_eq!(offered(&mut restored), ["b"]);
}

#[test]
fn an_output_over_the_limit_is_left_out_and_fails_the_workflow() {
    let definition = "input: [v]\noutput: [{a: <% ctx(v) %>}, {b: <% ctx(v) %>}]\ntasks:\n  a: {action: x}\n";
    for (bytes, fits) in [(30, true), (60, false)] {
        let mut one = start_with(definition, small(), serde_json::json!({"v": text(bytes)}));
        run(&mut one, "a", serde_json::Value::Null);
        one.render_output();
        assert_eq!((one.output().is_some(), one.status() == Status::Succeeded), (fits, fits), "{:?}", messages(&one));
        let told = messages(&one).iter().any(|message| message.contains("the limit PUBLISHED_BYTES_MAX is 100."));
        assert_eq!(told, !fits);
    }
}

#[test]
fn the_results_of_failures_are_kept_as_long_as_there_is_room() {
    let definition = "tasks:\n  a: {action: x, next: [{when: <% failed() %>, do: b}]}\n  b: {action: x}\n";
    let mut one = start_with(definition, small(), serde_json::json!({}));
    for task in ["a", "b"] {
        tell(&mut one, task, Status::Running, serde_json::Value::Null);
        tell(&mut one, task, Status::Failed, text(70));
        one.next_tasks();
    }
    let kept: Vec<bool> = one.errors().map(|error| error.result.is_some()).collect();
    assert_eq!(kept, [true, false]);
    let told = "The result has 72 bytes and is left out, with those of the errors and warnings before it the limit \
                ERRORS_BYTES_MAX is 100.";
    assert!(messages(&one)[1].ends_with(told), "{:?}", messages(&one));
    assert_eq!(Limits::default().errors_bytes_max, ERRORS_BYTES_MAX);
    // Where the errors go, their results do.
    let mut store = Store::default();
    store.take(&mut one);
    let mut restored = Conductor::restore(one.definition().clone(), small(), store.pieces()).unwrap();
    assert_eq!((one.errors.result_bytes(), restored.errors.result_bytes()), (72, 72));
    restored.forget_errors_of("a");
    assert_eq!(restored.errors.result_bytes(), 0);
}

#[test]
fn people_are_called_with_what_has_room_and_are_told_that_it_is_cut() {
    let text = "on_error: pause\non_freeze: {notify: {action: page, input: {title: <% ctx(host) %> is frozen, known: <% \
                ctx().frozen.variables %>}}}\ninput: [host, log]\ntasks:\n  a: {action: x}\n";
    let inputs = serde_json::json!({"host": "web-1", "log": "y".repeat(3 * NOTICE_BYTES_MAX)});
    rehearse_with(text, Limits::default(), inputs, |one| {
        one.begin("a");
        one.end("a", Status::Failed);
        let notices = one.step(|conductor| conductor.take_notices(9));
        let input = notices[0].input.to_json();
        assert_eq!(
            (&input["title"], &input["known"]["host"]),
            (&serde_json::json!("web-1 is frozen"), &serde_json::json!("web-1"))
        );
        let log = input["known"]["log"].as_str().unwrap();
        assert!(log.ends_with("(cut: all of it has 196608 bytes)"), "{}", &log[log.len() - 80..]);
        let bytes = input.to_string().len();
        assert!((NOTICE_BYTES_MAX / 2..=NOTICE_BYTES_MAX).contains(&bytes), "{bytes}");
        let told: Vec<&LogEntry> = one.conductor.log().collect();
        assert_eq!((told.len(), told[0].level, told[0].task_id.as_deref()), (1, Level::Warn, Some("on_freeze")));
        assert!(told[0].message.ends_with("and is cut, the limit NOTICE_BYTES_MAX is 65536."), "{}", told[0].message);
        let shown = one.conductor.frozen().unwrap().shown();
        assert_eq!(shown["warnings"], serde_json::json!([told[0].message]));
    });
}

#[test]
fn however_often_people_are_reminded_it_is_told_once_that_it_is_cut() {
    let text = "on_error: pause\non_freeze: {remind: {every: 1m, action: page, input: {known: <% ctx().frozen %>}}}\ninput: \
                [log]\ntasks:\n  a: {action: x}\n";
    let inputs = serde_json::json!({"log": "y".repeat(2 * NOTICE_BYTES_MAX)});
    rehearse_with(text, Limits::default(), inputs, |one| {
        one.begin("a");
        one.end("a", Status::Failed);
        for minute in 1..=3 {
            one.at(minute * 60_000);
        }
        assert_eq!(one.step(|conductor| conductor.take_notices(9)).len(), 3);
        assert_eq!(one.conductor.log().count(), 1);
    });
}

#[test]
fn what_people_are_called_with_has_room_among_the_parameters_of_an_execution() {
    const { assert!(NOTICE_BYTES_MAX <= petrel_execution::limits::PARAMETERS_BYTES_MAX / 2) };
}
