//! The freeze, and what a person decides.

use super::rehearsal::{Rehearsal, SECOND, rehearse, rehearse_with};
use super::*;

/// Two branches: one fails after it has published, the other goes on for a while.
const BRANCHES: &str = "on_error: pause\nvars: [{seen: []}]\noutput: [{seen: <% ctx(seen) %>}, {more: <% ctx().get(more) \
                        %>}]\ntasks:\n  a: {action: x, next: [{publish: [{seen: [a]}], do: [bad, other]}]}\n  bad: {action: x, \
                        input: {n: 1, m: <% ctx().get(more) %>}, next: [{when: <% succeeded() %>, publish: [{got: <% result() \
                        %>}], do: end}]}\n  other: {action: x, next: [{do: end}]}\n  end: {join: all, action: x got=<% ctx(got) \
                        %>}\n";

fn map(json: serde_json::Value) -> Map {
    Value::from(json).as_map().cloned().unwrap()
}

fn decide(one: &mut Rehearsal, decision: Decision) {
    one.step(|conductor| conductor.decide(decision).unwrap());
}

fn retry(task: &str, reset_items: bool, input: serde_json::Value) -> Decision {
    Decision::Retry { task: task.to_owned(), route: 0, reset_items, input: map(input) }
}

fn skip(task: &str, result: serde_json::Value) -> Decision {
    Decision::Skip { task: task.to_owned(), route: 0, result: result.into() }
}

fn resume(variables: serde_json::Value) -> Decision {
    Decision::Resume { variables: map(variables) }
}

/// Brings [`BRANCHES`] to where `bad` has failed and everything else has ended.
fn freeze(one: &mut Rehearsal) {
    one.run("a", serde_json::Value::Null);
    one.begin("bad");
    one.begin("other");
    one.end("bad", Status::Failed);
    one.end("other", Status::Succeeded);
}

#[test]
fn a_failure_freezes_once_what_runs_has_ended() {
    rehearse(BRANCHES, |one| {
        one.run("a", serde_json::Value::Null);
        assert_eq!(one.conductor.frozen(), None);
        one.begin("bad");
        one.begin("other");
        one.end("bad", Status::Failed);
        assert_eq!((one.status(), one.offered()), (Status::Pausing, vec![]));
        assert_eq!(one.conductor.frozen().unwrap().open, [("other".into(), 0)]);
        let refused = one.step(|conductor| conductor.decide(resume(serde_json::json!({}))).unwrap_err());
        assert!(matches!(refused, ConductorError::NotFrozen(Status::Pausing)));
        one.end("other", Status::Succeeded);
        assert_eq!((one.status(), one.offered()), (Status::Paused, vec![]));
        let frozen = one.conductor.frozen().unwrap();
        let bad = FrozenTask { task: "bad".into(), route: 0, status: Status::Failed, items: None };
        assert_eq!((frozen.tasks, frozen.open), (vec![bad], vec![]));
        assert_eq!(frozen.variables.to_json(), serde_json::json!({"seen": ["a"]}));
        assert_eq!((frozen.errors.len(), &*frozen.errors[0].message), (1, "Execution failed. See result for details."));
    });
}

#[test]
fn what_failed_is_tried_again_with_another_input() {
    rehearse(BRANCHES, |one| {
        freeze(one);
        decide(one, retry("bad", false, serde_json::json!({"n": 2})));
        assert_eq!((one.status(), one.conductor.frozen(), one.errors().len()), (Status::Resuming, None, 0));
        let next = one.next();
        assert_eq!((&*next.id, next.actions[0].input.to_json()), ("bad", serde_json::json!({"n": 2, "m": null})));
        one.run("bad", serde_json::json!(7));
        let next = one.next();
        assert_eq!((&*next.id, next.actions[0].input.to_json()), ("end", serde_json::json!({"got": 7})));
        one.run("end", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Succeeded);
    });
}

#[test]
fn what_fails_again_freezes_again() {
    rehearse(BRANCHES, |one| {
        freeze(one);
        for turn in 0..3 {
            decide(one, retry("bad", false, serde_json::json!({"n": turn})));
            one.begin("bad");
            assert_eq!(one.status(), Status::Running);
            one.end("bad", Status::Failed);
            assert_eq!((one.status(), one.conductor.frozen().unwrap().tasks.len()), (Status::Paused, 1));
        }
    });
}

#[test]
fn what_failed_is_taken_as_done_with_a_result() {
    rehearse(BRANCHES, |one| {
        freeze(one);
        decide(one, skip("bad", serde_json::json!("by hand")));
        assert_eq!((one.task("bad"), one.conductor.frozen()), (Some(Status::Succeeded), None));
        let next = one.next();
        assert_eq!((&*next.id, next.actions[0].input.to_json()), ("end", serde_json::json!({"got": "by hand"})));
        one.run("end", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Succeeded);
    });
}

#[test]
fn it_goes_on_without_what_failed_and_with_other_variables() {
    let text = "on_error: pause\noutput: [{v: <% ctx(v) %>}]\ntasks:\n  bad: {action: x}\n  good: {action: x, next: [{do: \
                later}]}\n  later: {action: x v=<% ctx(v) %>}\n";
    rehearse(text, |one| {
        one.begin("bad");
        one.begin("good");
        one.end("bad", Status::Failed);
        one.end("good", Status::Succeeded);
        decide(one, resume(serde_json::json!({"v": 5})));
        assert_eq!(
            (one.status(), one.next().actions[0].input.to_json()),
            (Status::Resuming, serde_json::json!({"v": 5}))
        );
        one.run("later", serde_json::Value::Null);
        assert_eq!((one.status(), one.output()), (Status::Succeeded, serde_json::json!({"v": 5})));
    });
    // With nothing left to do it has succeeded; to ask for `resuming` is the same without variables.
    let alone = "on_error: pause\nvars: [{v: 1}]\noutput: [{v: <% ctx(v) %>}]\ntasks:\n  bad: {action: x}\n";
    for with in [true, false] {
        rehearse(alone, |one| {
            one.begin("bad");
            one.end("bad", Status::Failed);
            match with {
                true => decide(one, resume(serde_json::json!({"v": 2}))),
                false => one.request(Status::Resuming),
            }
            let v = if with { 2 } else { 1 };
            assert_eq!((one.status(), one.output()), (Status::Succeeded, serde_json::json!({"v": v})));
        });
    }
}

#[test]
fn each_of_several_failures_is_decided_about() {
    let text = "on_error: pause\ntasks:\n  a: {action: x, next: [{on: succeeded, do: c}]}\n  b: {action: x}\n  c: {action: x}\n";
    rehearse(text, |one| {
        one.begin("a");
        one.begin("b");
        one.end("b", Status::Failed);
        one.end("a", Status::Failed);
        let tasks: Vec<_> = one.conductor.frozen().unwrap().tasks.iter().map(|task| task.task.to_string()).collect();
        assert_eq!(tasks, ["b", "a"]);
        decide(one, skip("a", serde_json::Value::Null));
        assert_eq!((one.status(), one.offered()), (Status::Paused, vec![]));
        let again = one.step(|conductor| conductor.decide(skip("a", serde_json::Value::Null)).unwrap_err());
        assert_eq!(again, ConductorError::NotFrozenTask("a|0".to_owned()));
        decide(one, retry("b", false, serde_json::json!({})));
        assert_eq!((one.status(), one.offered()), (Status::Resuming, vec!["b".to_owned(), "c".to_owned()]));
    });
}

#[test]
fn items_that_are_done_stay_so_unless_all_are_wanted_again() {
    let text = "on_error: pause\ntasks:\n  a: {with: {items: \"x in <% range(5) %>\", concurrency: 3}, action: x, input: {x: \
                <% item(x) %>}, timeout: 10s}\n";
    for (reset, again) in [(false, "a[1,2,3]"), (true, "a[0,1,2]")] {
        rehearse(text, |one| {
            assert_eq!(one.offered(), ["a[0,1,2]"]);
            for item in 0..3 {
                one.item("a", item, Status::Running, serde_json::Value::Null);
            }
            one.item("a", 0, Status::Succeeded, serde_json::Value::Null);
            one.item("a", 1, Status::Failed, serde_json::Value::Null);
            one.at(10 * SECOND);
            assert_eq!((one.status(), one.stops()), (Status::Paused, vec!["a|0".to_owned()]));
            let frozen = one.conductor.frozen().unwrap().tasks;
            let items = FrozenItems { done: vec![0], failed: vec![1, 2], not_begun: vec![3, 4] };
            assert_eq!((frozen[0].status, frozen[0].items.as_ref()), (Status::Timeout, Some(&items)));
            decide(one, retry("a", reset, serde_json::json!({"more": true})));
            assert_eq!(one.offered(), [again]);
            let input = one.next().actions[1].input.to_json();
            assert_eq!(input["more"], true);
        });
    }
}

#[test]
fn items_of_others_that_have_not_begun_wait_until_it_goes_on() {
    let text = "on_error: pause\ntasks:\n  bad: {action: x}\n  many: {with: {items: \"x in <% range(3) %>\", concurrency: 1}, \
                action: x}\n";
    rehearse(text, |one| {
        one.offered();
        one.begin("bad");
        one.item("many", 0, Status::Running, serde_json::Value::Null);
        one.end("bad", Status::Failed);
        assert_eq!((one.status(), one.offered()), (Status::Pausing, vec![]));
        one.item("many", 0, Status::Succeeded, serde_json::Value::Null);
        assert_eq!((one.status(), one.task("many")), (Status::Paused, Some(Status::Paused)));
        assert_eq!(one.conductor.frozen().unwrap().open, [("many".into(), 0)]);
        decide(one, resume(serde_json::json!({"v": 1})));
        assert_eq!((one.status(), one.offered()), (Status::Resuming, vec!["many[1]".to_owned()]));
        for item in 1..3 {
            one.offered();
            one.item("many", item, Status::Running, serde_json::Value::Null);
            one.item("many", item, Status::Succeeded, serde_json::json!([1, 2, 3]));
        }
        assert_eq!(one.status(), Status::Succeeded);
    });
}

#[test]
fn what_is_remedied_or_asked_for_does_not_freeze() {
    let remedied = "on_error: pause\ntasks:\n  a: {action: x, next: [{on: failed, do: b}]}\n  b: {action: x}\n";
    rehearse(remedied, |one| {
        one.begin("a");
        one.end("a", Status::Failed);
        assert_eq!((one.status(), one.offered()), (Status::Running, vec!["b".to_owned()]));
    });
    rehearse("on_error: pause\ntasks:\n  a: {action: x, next: [{on: failed, do: fail}]}\n", |one| {
        one.begin("a");
        one.end("a", Status::Failed);
        assert_eq!((one.status(), one.conductor.frozen()), (Status::Failed, None));
    });
}

#[test]
fn a_task_says_itself_what_its_failure_leads_to() {
    for (workflow, task, status) in
        [("pause", "fail", Status::Failed), ("fail", "pause", Status::Paused), ("pause", "pause", Status::Paused)]
    {
        rehearse(&format!("on_error: {workflow}\ntasks:\n  a: {{action: x, on_error: {task}}}\n"), |one| {
            one.begin("a");
            one.end("a", Status::Failed);
            assert_eq!(one.status(), status);
        });
    }
}

#[test]
fn the_time_of_a_frozen_workflow_stands_still() {
    let text = "timeout: 1h\non_error: pause\ntasks:\n  a: {action: x, timeout: 60s}\n";
    rehearse(text, |one| {
        one.begin("a");
        one.at(60 * SECOND);
        assert_eq!((one.status(), one.conductor.due_ms()), (Status::Paused, None));
        one.at(86_400 * SECOND);
        decide(one, retry("a", false, serde_json::json!({})));
        assert_eq!(one.conductor.due_ms(), Some((86_400 + 60) * SECOND));
        one.begin("a");
        one.end("a", Status::Succeeded);
        assert_eq!((one.status(), one.conductor.due_ms()), (Status::Succeeded, None));
    });
}

#[test]
fn a_frozen_workflow_is_canceled_and_run_again_like_others() {
    rehearse(BRANCHES, |one| {
        freeze(one);
        one.request(Status::Canceled);
        assert_eq!((one.status(), one.conductor.frozen()), (Status::Canceled, None));
        one.step(|conductor| conductor.rerun(&[]).unwrap());
        assert_eq!(one.offered(), ["bad"]);
    });
}

#[test]
fn variables_that_it_goes_on_with_count_as_published() {
    let text = "on_error: pause\ntasks:\n  a: {action: x}\n";
    let limits = Limits { published_bytes_max: 100, ..Limits::default() };
    rehearse_with(text, limits, serde_json::json!({}), |one| {
        one.begin("a");
        one.end("a", Status::Failed);
        let large = resume(serde_json::json!({"v": "y".repeat(200)}));
        let refused = one.step(|conductor| conductor.decide(large).unwrap_err());
        assert!(refused.to_string().ends_with("the limit PUBLISHED_BYTES_MAX is 100."), "{refused}");
        let large = retry("a", false, serde_json::json!({"v": "y".repeat(200)}));
        one.step(|conductor| conductor.decide(large).unwrap_err());
        assert_eq!((one.status(), one.conductor.frozen().is_some()), (Status::Paused, true));
    });
}

#[test]
fn a_pause_that_a_task_brings_about_does_not_wait_for_items_that_have_not_begun() {
    let text =
        "tasks:\n  many: {with: {items: \"x in <% range(2) %>\", concurrency: 1}, action: x}\n  sub: {action: x}\n";
    rehearse(text, |one| {
        one.offered();
        one.item("many", 0, Status::Running, serde_json::Value::Null);
        one.begin("sub");
        one.end("sub", Status::Pending);
        assert_eq!((one.status(), one.task("many")), (Status::Pausing, Some(Status::Pausing)));
        one.item("many", 0, Status::Succeeded, serde_json::Value::Null);
        assert_eq!((one.status(), one.task("many")), (Status::Paused, Some(Status::Paused)));
        one.request(Status::Resuming);
        assert_eq!((one.task("many"), one.offered()), (Some(Status::Running), vec!["many[1]".to_owned()]));
    });
}

#[test]
fn a_mistake_that_keeps_people_from_being_called_is_shown() {
    let text = "on_error: pause\non_freeze: {notify: {action: p, input: {v: <% ctx(nothing) %>}}, remind: {every: <% 1 %>, action: \
                p}}\ntasks:\n  a: {action: x}\n";
    rehearse(text, |one| {
        one.begin("a");
        one.end("a", Status::Failed);
        assert!(one.step(|conductor| conductor.take_notices(9)).is_empty());
        let warnings = one.conductor.frozen().unwrap().warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("Nobody is called about the freeze: "), "{warnings:?}");
        assert!(warnings[1].ends_with("the limit REMINDER_MS_MIN is 60000."), "{warnings:?}");
    });
}
