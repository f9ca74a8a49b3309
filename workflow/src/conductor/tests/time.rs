//! Timeouts of tasks and workflows.

use super::rehearsal::{Rehearsal, SECOND, rehearse, rehearse_with};
use super::*;

const REMEDIED: &str = "tasks:\n  slow: {action: x, timeout: 90s, next: [{on: timeout, do: late}, {on: succeeded, do: \
                        good}]}\n  late: {action: x}\n  good: {action: x}\n";

#[test]
fn a_task_that_takes_too_long_is_stopped_and_what_remedies_it_follows() {
    rehearse(REMEDIED, |one| {
        assert_eq!(one.conductor.due_ms(), None);
        one.begin("slow");
        assert_eq!(one.conductor.due_ms(), Some(90 * SECOND));
        one.at(90 * SECOND - 1);
        assert_eq!((one.task("slow"), one.offered()), (Some(Status::Running), vec![]));
        one.at(90 * SECOND);
        assert_eq!((one.task("slow"), one.status()), (Some(Status::Timeout), Status::Running));
        assert_eq!((one.stops(), one.stops()), (vec!["slow|0".to_owned()], vec![]));
        assert_eq!((one.offered(), one.conductor.due_ms()), (vec!["late".to_owned()], None));
        assert_eq!(one.errors(), ["TaskTimeout: The task took longer than its timeout."]);
        // What was stopped reports late, whatever.
        for status in [Status::Succeeded, Status::Failed, Status::Running] {
            one.end("slow", status);
            assert_eq!(one.task("slow"), Some(Status::Timeout));
        }
        one.run("late", serde_json::Value::Null);
        assert_eq!((one.status(), one.errors().len()), (Status::Succeeded, 1));
    });
}

#[test]
fn a_task_in_time_has_no_time_to_keep_afterwards() {
    rehearse(REMEDIED, |one| {
        one.begin("slow");
        one.end("slow", Status::Succeeded);
        assert_eq!(one.conductor.due_ms(), None);
        one.at(1_000 * SECOND);
        assert_eq!((one.offered(), one.stops()), (vec!["good".to_owned()], vec![]));
    });
}

#[test]
fn nothing_behind_a_timeout_fails_the_workflow() {
    rehearse("tasks:\n  slow: {action: x, timeout: 5m, next: [{on: succeeded, do: b}]}\n  b: {action: x}\n", |one| {
        one.begin("slow");
        one.at(300 * SECOND);
        assert_eq!((one.status(), one.offered()), (Status::Failed, vec![]));
    });
}

#[test]
fn conditions_see_a_timeout_as_a_failure_of_its_own_kind() {
    for (condition, follows) in [
        ("when: <% failed() %>", true),
        ("when: <% timed_out() %>", true),
        ("when: \"{{ timed_out() }}\"", true),
        ("when: \"${timed_out() && failed()}\"", true),
        ("on: failed", true),
        ("'on': timeout", true),
        ("on: completed", true),
        ("on: succeeded", false),
    ] {
        let text =
            format!("tasks:\n  a: {{action: x, timeout: 1s, next: [{{{condition}, do: b}}]}}\n  b: {{action: x}}\n");
        rehearse(&text, |one| {
            one.begin("a");
            one.at(SECOND);
            assert_eq!(one.offered().len(), usize::from(follows), "{condition}");
        });
        // The action's own timeout is one, too.
        rehearse(&text, |one| {
            one.begin("a");
            one.end("a", Status::Timeout);
            assert_eq!(one.offered().len(), usize::from(follows), "{condition}");
        });
        let is_timeout = condition.contains("time");
        rehearse(&text, |one| {
            one.begin("a");
            one.end("a", Status::Failed);
            assert_eq!(one.offered().len(), usize::from(follows && !is_timeout), "{condition}");
        });
    }
}

#[test]
fn all_attempts_have_one_time_together() {
    let text = "tasks:\n  a: {action: x, timeout: 10s, retry: {count: 5, delay: 1}}\n";
    rehearse(text, |one| {
        one.begin("a");
        one.at(6 * SECOND);
        one.end("a", Status::Failed);
        assert_eq!(one.offered(), ["a"]);
        one.at(10 * SECOND);
        assert_eq!((one.task("a"), one.status(), one.offered()), (Some(Status::Timeout), Status::Failed, vec![]));
    });
}

#[test]
fn all_items_have_one_time_together_and_those_that_ran_are_run_again() {
    let text = "tasks:\n  a: {with: {items: \"x in <% range(4) %>\", concurrency: 2}, action: x, timeout: 10s}\n";
    rehearse(text, |one| {
        assert_eq!(one.offered(), ["a[0,1]"]);
        one.item("a", 0, Status::Running, serde_json::Value::Null);
        one.item("a", 1, Status::Running, serde_json::Value::Null);
        one.item("a", 0, Status::Succeeded, serde_json::Value::Null);
        one.at(10 * SECOND);
        assert_eq!((one.status(), one.stops(), one.offered()), (Status::Failed, vec!["a|0".to_owned()], vec![]));
        one.item("a", 1, Status::Succeeded, serde_json::json!([1, 2]));
        assert_eq!(one.task("a"), Some(Status::Timeout));
        one.step(|conductor| conductor.rerun(&[]).unwrap());
        assert_eq!((one.offered(), one.conductor.due_ms()), (vec!["a[1,2]".to_owned()], None));
        one.item("a", 1, Status::Running, serde_json::Value::Null);
        assert_eq!((one.task("a"), one.conductor.due_ms()), (Some(Status::Running), Some(20 * SECOND)));
    });
}

#[test]
fn a_timeout_may_be_an_expression_in_seconds() {
    let text = "input: [s]\nvars: [{t: <% ctx(s) %>}]\ntasks:\n  a: {action: x, timeout: <% ctx(t) %>}\n";
    for (given, due_ms) in [(serde_json::json!(7), 7 * SECOND), (serde_json::json!("2m"), 120 * SECOND)] {
        rehearse_with(text, Limits::default(), serde_json::json!({"s": given}), |one| {
            assert_eq!(one.offered(), ["a"]);
            one.begin("a");
            assert_eq!(one.conductor.due_ms(), Some(due_ms));
        });
    }
    rehearse_with(text, Limits::default(), serde_json::json!({"s": "soon"}), |one| {
        assert_eq!((one.offered(), one.status()), (vec![], Status::Failed));
        assert!(one.errors()[0].starts_with("ValueError: The timeout of the task: \"soon\" is no length of time"));
    });
}

const WHOLE: &str =
    "timeout: 1h\ntasks:\n  a: {action: x, timeout: 2h, next: [{on: succeeded, do: b}]}\n  b: {action: x}\n";

#[test]
fn a_workflow_that_takes_too_long_stops_what_runs_and_ends() {
    rehearse(WHOLE, |one| {
        assert_eq!(one.conductor.due_ms(), Some(3_600 * SECOND));
        one.begin("a");
        one.at(3_600 * SECOND);
        assert_eq!((one.status(), one.task("a")), (Status::Timeout, Some(Status::Canceled)));
        assert_eq!((one.stops(), one.offered(), one.conductor.due_ms()), (vec!["a|0".to_owned()], vec![], None));
        assert_eq!(one.errors(), ["WorkflowTimeout: The workflow took longer than its timeout."]);
        one.end("a", Status::Succeeded);
        assert_eq!((one.status(), one.task("a")), (Status::Timeout, Some(Status::Canceled)));
    });
}

#[test]
fn a_workflow_that_is_run_again_has_its_time_again() {
    rehearse(WHOLE, |one| {
        one.begin("a");
        one.at(10 * SECOND);
        one.end("a", Status::Failed);
        assert_eq!((one.status(), one.conductor.due_ms()), (Status::Failed, None));
        one.at(5_000 * SECOND);
        one.step(|conductor| conductor.rerun(&[]).unwrap());
        assert_eq!(one.conductor.due_ms(), Some(8_600 * SECOND));
    });
}

#[test]
fn time_stands_still_while_a_workflow_is_paused() {
    rehearse(WHOLE, |one: &mut Rehearsal| {
        one.run("a", serde_json::Value::Null);
        one.at(600 * SECOND);
        one.request(Status::Paused);
        one.request(Status::Resuming);
        assert_eq!(one.conductor.due_ms(), Some(3_600 * SECOND));
        one.request(Status::Paused);
        assert_eq!((one.status(), one.conductor.due_ms()), (Status::Paused, None));
        one.at(10_000 * SECOND);
        assert_eq!(one.status(), Status::Paused);
        one.request(Status::Resuming);
        assert_eq!((one.offered(), one.conductor.due_ms()), (vec!["b".to_owned()], Some(13_000 * SECOND)));
    });
}

#[test]
fn nothing_is_due_without_a_clock() {
    let definition = Definition::read(&format!("version: 1.0\n{WHOLE}"), Dialect::Native).unwrap();
    let mut conductor = Conductor::start(Arc::new(definition), Limits::default(), Start::default()).unwrap();
    conductor.request(Status::Running).unwrap();
    tell(&mut conductor, "a", Status::Running, serde_json::Value::Null);
    conductor.time_passed().unwrap();
    assert_eq!((conductor.due_ms(), conductor.status()), (None, Status::Running));
}
