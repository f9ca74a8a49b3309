//! Undoing, `finally`, and how both come behind the end of a workflow.

use super::rehearsal::{Rehearsal, SECOND, rehearse, rehearse_with};
use super::*;

/// Two tasks that can be undone, one behind the other, and a third that cannot.
const DEPLOY: &str = "vars: [{env: prod}]\noutput: [{id: <% ctx().get(id) %>}]\ntasks:\n  create:\n    action: x\n    undo: \
                      {action: drop, input: {id: <% result() %>, env: <% ctx(env) %>}}\n    next: [{on: succeeded, publish: \
                      [{id: <% result() %>}], do: move}]\n  move:\n    action: x\n    undo: {action: back, input: {id: <% ctx(id) \
                      %>}}\n    next: [{on: succeeded, do: check}]\n  check: {action: x}\n";

/// What is offered, as `task action input`.
fn offered(one: &mut Rehearsal) -> Vec<String> {
    let tasks = one.step(Conductor::next_tasks);
    let told = |task: &NextTask| {
        let action = &task.actions[0];
        format!(
            "{} {} {}{}",
            task.id,
            action.action.to_json(),
            action.input.to_json(),
            if task.undo { " undo" } else { "" }
        )
    };
    tasks.iter().map(told).collect()
}

/// Brings [`DEPLOY`] to where `check` runs.
fn deploy(one: &mut Rehearsal) {
    one.run("create", serde_json::json!(7));
    one.run("move", serde_json::Value::Null);
    one.begin("check");
}

const BACK: &str = "undo/1/move \"back\" {\"id\":7} undo";
const DROP: &str = "undo/0/create \"drop\" {\"id\":7,\"env\":\"prod\"} undo";

#[test]
fn what_was_done_is_undone_in_reverse_when_the_workflow_fails() {
    rehearse(DEPLOY, |one| {
        deploy(one);
        one.end("check", Status::Failed);
        assert_eq!((one.status(), one.conductor.rolled_back()), (Status::Running, None));
        assert_eq!((offered(one), offered(one)), (vec![BACK.to_owned()], vec![BACK.to_owned()]));
        one.begin("undo/1/move");
        assert_eq!((one.status(), offered(one)), (Status::Running, vec![]));
        one.end("undo/1/move", Status::Succeeded);
        assert_eq!(offered(one), [DROP]);
        one.run("undo/0/create", serde_json::Value::Null);
        assert_eq!((one.status(), offered(one)), (Status::Failed, vec![]));
        assert_eq!(one.conductor.rolled_back(), Some(RolledBack { undone: 2, failed: 0 }));
        assert_eq!((one.output(), one.errors().len()), (serde_json::json!({"id": 7}), 1));
    });
}

#[test]
fn what_cannot_be_undone_is_told_and_the_one_before_follows() {
    rehearse(&DEPLOY.replace("<% ctx(id) %>", "<% result() + 1 %>"), |one| {
        deploy(one);
        one.end("check", Status::Failed);
        // The expression of one failed when its task had succeeded; the action of the other fails.
        assert_eq!(offered(one), [DROP]);
        one.begin("undo/0/create");
        one.tell("undo/0/create", Status::Failed, serde_json::json!("no such id"));
        assert_eq!(
            (one.status(), one.conductor.rolled_back()),
            (Status::Failed, Some(RolledBack { undone: 0, failed: 2 }))
        );
        let undo: Vec<_> = one.errors().into_iter().filter(|error| error.starts_with("UndoFailed")).collect();
        assert_eq!(undo.len(), 2);
        assert!(undo[1].ends_with("it ended as failed."), "{undo:?}");
        let last = one.conductor.errors().last().unwrap();
        assert_eq!((last.task_id.as_deref(), last.result.as_ref()), (Some("create"), Some(&Value::text("no such id"))));
    });
}

#[test]
fn a_canceled_workflow_is_undone_and_stays_canceling_until_then() {
    rehearse(DEPLOY, |one| {
        deploy(one);
        one.request(Status::Canceling);
        assert_eq!((one.status(), offered(one)), (Status::Canceling, vec![]));
        one.end("check", Status::Canceled);
        assert_eq!((one.status(), offered(one)), (Status::Canceling, vec![BACK.to_owned()]));
        // To ask for what happens anyway is fine; nothing else can be asked for.
        one.request(Status::Canceled);
        let refused = one.step(|conductor| conductor.request(Status::Pausing).unwrap_err());
        assert_eq!(refused, ConductorError::WorkflowStatus { from: Status::Canceling, asked: Status::Pausing });
        one.run("undo/1/move", serde_json::Value::Null);
        one.run("undo/0/create", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Canceled);
    });
}

#[test]
fn the_workflow_says_when_it_is_undone() {
    for (rollback, on_fail, on_cancel) in
        [("on_fail", true, false), ("on_cancel", false, true), ("never", false, false)]
    {
        let text = format!("rollback: {rollback}\n{DEPLOY}");
        rehearse(&text, |one| {
            deploy(one);
            one.end("check", Status::Failed);
            assert_eq!((offered(one).len(), one.status() == Status::Failed), (usize::from(on_fail), !on_fail));
        });
        rehearse(&text, |one| {
            deploy(one);
            one.request(Status::Canceling);
            one.end("check", Status::Canceled);
            assert_eq!((offered(one).len(), one.status() == Status::Canceled), (usize::from(on_cancel), !on_cancel));
        });
        rehearse(&format!("timeout: 1m\n{text}"), |one| {
            deploy(one);
            one.at(60 * SECOND);
            assert_eq!((offered(one).len(), one.status() == Status::Timeout), (usize::from(on_fail), !on_fail));
        });
    }
}

#[test]
fn a_workflow_that_succeeds_undoes_nothing() {
    rehearse(DEPLOY, |one| {
        deploy(one);
        one.end("check", Status::Succeeded);
        assert_eq!((one.status(), offered(one), one.conductor.rolled_back()), (Status::Succeeded, vec![], None));
    });
}

#[test]
fn a_person_rolls_a_frozen_workflow_back() {
    rehearse(&format!("on_error: pause\nrollback: never\n{DEPLOY}"), |one| {
        deploy(one);
        one.end("check", Status::Failed);
        assert_eq!((one.status(), offered(one)), (Status::Paused, vec![]));
        one.step(|conductor| conductor.decide(Decision::Rollback).unwrap());
        assert_eq!((one.status(), offered(one)), (Status::Running, vec![BACK.to_owned()]));
        one.run("undo/1/move", serde_json::Value::Null);
        one.run("undo/0/create", serde_json::Value::Null);
        assert_eq!((one.status(), one.conductor.frozen()), (Status::Failed, None));
    });
}

#[test]
fn what_still_runs_ends_before_anything_is_undone_and_is_undone_too() {
    let text =
        "tasks:\n  a: {action: x, undo: {action: ua}}\n  b: {action: x, undo: {action: ub}}\n  bad: {action: x}\n";
    rehearse(text, |one| {
        for task in ["a", "b", "bad"] {
            one.begin(task);
        }
        one.end("b", Status::Succeeded);
        one.end("bad", Status::Failed);
        assert_eq!((one.status(), offered(one)), (Status::Running, vec![]));
        one.end("a", Status::Succeeded);
        assert_eq!(offered(one), ["undo/1/a \"ua\" null undo"]);
        one.run("undo/1/a", serde_json::Value::Null);
        assert_eq!(offered(one), ["undo/0/b \"ub\" null undo"]);
    });
}

#[test]
fn what_is_to_run_beside_a_fail_runs_before_anything_is_undone() {
    let text = "tasks:\n  a: {action: x, undo: {action: ua}, next: [{do: [mail, fail]}]}\n  mail: {action: y}\n";
    rehearse(text, |one| {
        one.run("a", serde_json::Value::Null);
        assert_eq!(offered(one), ["mail \"y\" null"]);
        one.run("mail", serde_json::Value::Null);
        assert_eq!(offered(one), ["undo/0/a \"ua\" null undo"]);
        one.run("undo/0/a", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Failed);
    });
    // One that cannot be rendered is not in the way.
    rehearse(&text.replace("action: y", "action: y, input: {v: <% 1 / 0 %>}"), |one| {
        one.run("a", serde_json::Value::Null);
        assert_eq!(offered(one), ["undo/0/a \"ua\" null undo"]);
        one.run("undo/0/a", serde_json::Value::Null);
        // The command `fail` is the other one.
        assert_eq!((one.status(), one.errors().len()), (Status::Failed, 2));
    });
}

#[test]
fn items_are_undone_one_by_one_in_reverse() {
    let text = "tasks:\n  a: {with: \"vm in <% [web, db, mq] %>\", action: x, undo: {action: u, input: {vm: <% item(vm) %>, r: <% \
                result() %>}}}\n";
    rehearse(text, |one| {
        one.offered();
        for item in 0..3 {
            one.item("a", item, Status::Running, serde_json::Value::Null);
        }
        one.item("a", 2, Status::Succeeded, serde_json::Value::Null);
        one.item("a", 0, Status::Succeeded, serde_json::Value::Null);
        one.item("a", 0, Status::Succeeded, serde_json::Value::Null);
        one.item("a", 1, Status::Failed, serde_json::json!([1, null, 3]));
        assert_eq!(offered(one), ["undo/1/a \"u\" {\"vm\":\"web\",\"r\":\"r0\"} undo"]);
        one.run("undo/1/a", serde_json::Value::Null);
        assert_eq!(one.next().actions[0].item, Some(2));
        assert_eq!(offered(one), ["undo/0/a \"u\" {\"vm\":\"mq\",\"r\":\"r2\"} undo"]);
        one.run("undo/0/a", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Failed);
    });
}

#[test]
fn what_has_been_undone_is_not_undone_again_after_a_rerun() {
    rehearse(DEPLOY, |one| {
        deploy(one);
        one.end("check", Status::Failed);
        one.run("undo/1/move", serde_json::Value::Null);
        one.run("undo/0/create", serde_json::Value::Null);
        let again = Rerun { task: "move".to_owned(), route: 0, reset_items: false };
        one.step(|conductor| conductor.rerun(&[again]).unwrap());
        one.run("move", serde_json::Value::Null);
        one.begin("check");
        one.end("check", Status::Failed);
        assert_eq!(offered(one), [BACK.replace("undo/1", "undo/0")]);
        one.run("undo/0/move", serde_json::Value::Null);
        assert_eq!(
            (one.status(), one.conductor.rolled_back()),
            (Status::Failed, Some(RolledBack { undone: 1, failed: 0 }))
        );
    });
}

#[test]
fn events_of_what_does_not_undo_now_are_refused() {
    rehearse(DEPLOY, |one| {
        deploy(one);
        one.end("check", Status::Failed);
        let mut refused = |task: &str, status| {
            let event = Event::Action { status, result: Value::Null };
            one.step(|conductor| conductor.update(task, 0, event).unwrap_err())
        };
        assert!(matches!(refused("undo/0/create", Status::Running), ConductorError::NotStaged(_)));
        assert!(matches!(refused("undo/1/move", Status::Succeeded), ConductorError::NotBegun { .. }));
        assert!(matches!(refused("finally/0", Status::Running), ConductorError::NotStaged(_)));
    });
}

const FINALLY: &str = "vars: [{v: 1}]\ntasks:\n  a: {action: x, next: [{on: succeeded, publish: [{v: <% result() %>}], do: \
                       noop}]}\n  tell: {action: mail, input: {v: <% ctx(v) %>}}\nfinally:\n  - tell\n  - {action: log, input: \
                       {status: <% ctx().workflow.status %>, errors: <% ctx().workflow.errors.len() %>}}\n";

#[test]
fn finally_runs_whatever_the_end_is() {
    for (end, v, status) in
        [(Status::Succeeded, 5, "succeeded"), (Status::Failed, 1, "failed"), (Status::Canceled, 1, "canceled")]
    {
        rehearse(FINALLY, |one| {
            assert_eq!(one.offered(), ["a"]);
            one.begin("a");
            if end == Status::Canceled {
                one.request(Status::Canceling);
            }
            one.tell("a", end, serde_json::json!(5));
            assert!(!one.status().is_completed());
            assert_eq!(offered(one), [format!("finally/0/tell \"mail\" {{\"v\":{v}}}")]);
            one.run("finally/0/tell", serde_json::Value::Null);
            let errors = usize::from(end == Status::Failed);
            assert_eq!(offered(one), [format!("finally/1 \"log\" {{\"status\":\"{status}\",\"errors\":{errors}}}")]);
            one.run("finally/1", serde_json::Value::Null);
            assert_eq!((one.status().name(), offered(one)), (status, vec![]));
        });
    }
}

#[test]
fn a_failure_in_finally_fails_what_would_have_succeeded() {
    rehearse(FINALLY, |one| {
        one.run("a", serde_json::json!(5));
        one.begin("finally/0/tell");
        one.end("finally/0/tell", Status::Timeout);
        one.run("finally/1", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Failed);
        assert_eq!(one.errors(), ["FinallyFailed: The entry 0 of finally: it ended as timeout."]);
    });
    rehearse(&FINALLY.replace("<% ctx(v) %>", "<% ctx(v) / 0 %>"), |one| {
        one.run("a", serde_json::json!(5));
        assert_eq!(offered(one).len(), 1);
        one.run("finally/1", serde_json::Value::Null);
        assert_eq!((one.status(), one.errors().len()), (Status::Failed, 1));
    });
}

#[test]
fn finally_comes_behind_what_is_undone() {
    let text = format!("{DEPLOY}finally: [{{action: log, input: <% ctx().workflow %>}}]\n");
    rehearse(&text, |one| {
        deploy(one);
        one.end("check", Status::Failed);
        one.run("undo/1/move", serde_json::Value::Null);
        one.begin("undo/0/create");
        one.end("undo/0/create", Status::Failed);
        let input = one.next().actions[0].input.to_json();
        assert_eq!(input["rolled_back"], serde_json::json!({"undone": 1, "failed": 1}));
        assert_eq!((&input["status"], input["errors"].as_array().unwrap().len()), (&serde_json::json!("failed"), 2));
        one.run("finally/0", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Failed);
    });
}

#[test]
fn a_workflow_that_never_began_ends_at_once() {
    let text = FINALLY.replace("vars: [{v: 1}]", "vars: [{v: <% 1 / 0 %>}]");
    let definition = Definition::read(&format!("version: 1.0\n{text}"), Dialect::Native).unwrap();
    let conductor = Conductor::start(Arc::new(definition), Limits::default(), Start::default()).unwrap();
    assert_eq!((conductor.status(), conductor.errors().count()), (Status::Failed, 1));
}

#[test]
fn items_that_have_not_begun_are_not_waited_for() {
    let text = "tasks:\n  bad: {action: x}\n  many: {with: {items: \"x in <% range(3) %>\", concurrency: 1}, action: x, undo: \
                {action: u}}\n";
    rehearse(text, |one| {
        one.begin("bad");
        one.offered();
        one.item("many", 0, Status::Running, serde_json::Value::Null);
        one.end("bad", Status::Failed);
        assert_eq!(one.offered(), Vec::<String>::new());
        one.item("many", 0, Status::Succeeded, serde_json::Value::Null);
        assert_eq!(one.offered(), ["undo/0/many"]);
        one.run("undo/0/many", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Failed);
        // With a rerun they begin, and the one that was undone begins again.
        one.step(|conductor| conductor.rerun(&[]).unwrap());
        assert_eq!(one.offered(), ["bad", "many[0]"]);
        one.run("bad", serde_json::Value::Null);
        for item in 0..3 {
            assert_eq!(one.offered(), [format!("many[{item}]")]);
            one.item("many", item, Status::Running, serde_json::Value::Null);
            one.item("many", item, Status::Succeeded, serde_json::Value::Null);
        }
        assert_eq!(one.status(), Status::Succeeded);
    });
}

#[test]
fn what_undoes_tasks_has_a_limit() {
    let text = "tasks:\n  a: {action: x, undo: {action: u, input: {r: <% result() %>}}, next: [{on: succeeded, do: b}]}\n  b: \
                {action: x, undo: {action: u, input: {r: <% result() %>}}}\n";
    let limits = Limits { published_bytes_max: 100, ..Limits::default() };
    rehearse_with(text, limits, serde_json::json!({}), |one| {
        one.run("a", serde_json::json!("y".repeat(50)));
        assert_eq!(one.offered(), ["b"]);
        one.run("b", serde_json::json!("y".repeat(50)));
        assert!(one.errors()[0].contains("the limit PUBLISHED_BYTES_MAX is 100."), "{:?}", one.errors());
        assert_eq!(one.offered(), ["undo/0/a"]);
        one.run("undo/0/a", serde_json::Value::Null);
        assert_eq!(one.status(), Status::Failed);
    });
}
