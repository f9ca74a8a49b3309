//! Workflows that are over and run again.

use petrel_execution::Status;
use petrel_execution::workflow::{Asked, RerunTask, Standing};
use serde_json::{Value, json};

use super::host::{Host, begin, begin_native};

fn over(host: &Host) -> (Status, Value) {
    match host.standing() {
        Standing::Over { status, result, .. } => (status, result),
        other => panic!("not over, {other:?}"),
    }
}

fn rerun(host: &mut Host, tasks: &[&str]) -> Result<(), String> {
    let task = |name: &&str| RerunTask { task: (*name).to_owned(), route: 0, reset_items: false };
    host.conduct.ask(&Asked::Rerun(tasks.iter().map(task).collect()))
}

fn ok(host: &mut Host, number: u32) {
    host.end(number, Status::Succeeded, Value::Null);
}

fn names(host: &mut Host) -> Vec<String> {
    host.labels(100).into_iter().map(|(_, label)| label).collect()
}

#[test]
fn what_failed_runs_again_long_after_its_end_with_numbers_behind_the_others() {
    let text = "output: [{v: <% ctx(v) %>}]\nvars: [{v: 0}]\ntasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x, next: \
                [{when: <% succeeded() %>, publish: [{v: <% result() %>}]}]}\n  c: {action: x}\n";
    let mut host = begin(text);
    host.starts(100);
    ok(&mut host, 1);
    assert_eq!(host.labels(100), [(3, "b".to_owned())]);
    host.end(3, Status::Failed, json!("it broke"));
    assert_eq!(over(&host).1["errors"][0]["result"], "it broke");
    let refused = rerun(&mut host, &[]).unwrap_err();
    assert_eq!(refused, "The workflow is over, and c has not ended: it can run again then.");
    ok(&mut host, 2);
    host.restore();
    rerun(&mut host, &[]).unwrap();
    assert!(rerun(&mut host, &[]).unwrap_err().contains("not over: only one that is over can run again"));
    host.restore();
    assert_eq!((host.standing(), host.labels(100)), (Standing::Running, vec![(4, "b".to_owned())]));
    host.end(4, Status::Succeeded, json!(5));
    assert_eq!(over(&host), (Status::Succeeded, json!({"output": {"v": 5}})));
    // From a task that has succeeded.
    assert!(rerun(&mut host, &[]).unwrap_err().contains("name the tasks that are to run again"));
    assert!(rerun(&mut host, &["gone"]).unwrap_err().contains("gone|0"));
    assert_eq!(over(&host).0, Status::Succeeded);
    rerun(&mut host, &["a"]).unwrap();
    assert_eq!(host.labels(100), [(5, "a".to_owned())]);
    ok(&mut host, 5);
    assert_eq!(host.labels(100), [(6, "b".to_owned())]);
}

#[test]
fn a_workflow_that_never_began_cannot_run_again() {
    let mut host = begin("input: [{a: 1}]\nvars: [{b: <% ctx(a).what %>}]\ntasks:\n  a: {action: x}\n");
    for restores in [false, true] {
        if restores {
            host.restore();
        }
        let refused = rerun(&mut host, &[]).unwrap_err();
        assert!(refused.contains("failed before it began"), "{refused}");
        assert_eq!(over(&host).0, Status::Failed);
    }
}

#[test]
fn what_led_to_the_command_fail_runs_again() {
    let mut host = begin(
        "tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x, next: [{when: <% failed() %>, do: fail}]}\n",
    );
    host.starts(100);
    ok(&mut host, 1);
    host.starts(100);
    host.end(2, Status::Failed, Value::Null);
    host.restore();
    assert_eq!(over(&host).0, Status::Failed);
    rerun(&mut host, &[]).unwrap();
    assert_eq!(host.labels(100), [(3, "b".to_owned())]);
    ok(&mut host, 3);
    assert_eq!(over(&host).0, Status::Succeeded);
}

#[test]
fn a_canceled_workflow_goes_on_where_it_was() {
    let mut host = begin_native("tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x}\n  c: {action: x}\n");
    host.starts(100);
    ok(&mut host, 2);
    host.ask(Asked::Cancel);
    host.conduct.next_to_end(9);
    host.end(1, Status::Canceled, Value::Null);
    assert_eq!(over(&host).0, Status::Canceled);
    host.restore();
    rerun(&mut host, &[]).unwrap();
    assert_eq!(names(&mut host), ["a"]);
    ok(&mut host, 3);
    assert_eq!(names(&mut host), ["b"]);
    ok(&mut host, 4);
    assert_eq!(over(&host).0, Status::Succeeded);
}

#[test]
fn what_was_undone_runs_again_and_so_does_what_is_done_at_the_end() {
    let text = "timeout: 10s\nfinally: [{action: f}]\ntasks:\n  a: {action: x, undo: {action: u}, next: [{do: b}]}\n  b: \
                {action: x, next: [{do: c}]}\n  c: {action: x, undo: {action: u}}\n  d: {action: x}\n";
    let mut host = begin_native(text);
    assert_eq!(names(&mut host), ["a", "d"]);
    ok(&mut host, 1);
    ok(&mut host, 2);
    assert_eq!(names(&mut host), ["b"]);
    host.wait();
    assert_eq!((names(&mut host), host.conduct.take_stops()), (vec![], vec![3]));
    host.end(3, Status::Canceled, Value::Null);
    assert_eq!(names(&mut host), ["undo/0/a"]);
    ok(&mut host, 4);
    assert_eq!(names(&mut host), ["finally/0"]);
    ok(&mut host, 5);
    let (status, result) = over(&host);
    assert_eq!(status, Status::Timeout);
    assert!(result["errors"][0]["message"].as_str().unwrap().starts_with("WorkflowTimeout"), "{result}");
    host.restore();
    rerun(&mut host, &[]).unwrap();
    // `b` was stopped, and comes behind `a` that was undone.
    assert_eq!(names(&mut host), ["a"]);
    host.restore();
    ok(&mut host, 6);
    assert_eq!(names(&mut host), ["b"]);
    ok(&mut host, 7);
    assert_eq!(names(&mut host), ["c"]);
    ok(&mut host, 8);
    assert_eq!(names(&mut host), ["finally/0"]);
    ok(&mut host, 9);
    assert_eq!(over(&host), (Status::Succeeded, json!({"output": null})));
}

#[test]
fn of_items_those_that_failed_and_those_that_were_undone_run_again() {
    let text = "output: [{all: <% ctx(all) %>}]\nvars: [{all: none}]\nrollback: ROLLBACK\ntasks:\n  a: {with: i in <% range(3) %>, \
                action: x, undo: {action: u}, next: [{on: succeeded, publish: [{all: <% result() %>}]}]}\n";
    for (rollback, again) in [("never", vec!["a[1]"]), ("on_fail", vec!["a[0]", "a[1]", "a[2]"])] {
        let mut host = begin_native(&text.replace("ROLLBACK", rollback));
        assert_eq!(names(&mut host), ["a[0]", "a[1]", "a[2]"]);
        host.end(1, Status::Succeeded, json!("zero"));
        host.end(2, Status::Failed, json!("one"));
        host.end(3, Status::Succeeded, json!("two"));
        let (status, _) = host.run(|_| (Status::Succeeded, Value::Null));
        assert_eq!(status, Status::Failed);
        host.restore();
        rerun(&mut host, &[]).unwrap();
        let starts = host.starts(100);
        assert_eq!(starts.iter().map(|start| start.task.as_str()).collect::<Vec<_>>(), again);
        for start in &starts {
            host.end(start.number, Status::Succeeded, json!(start.task));
        }
        let all = if rollback == "never" { json!(["zero", "a[1]", "two"]) } else { json!(again) };
        assert_eq!(over(&host), (Status::Succeeded, json!({"output": {"all": all}})));
        host.store();
        let left: Vec<&String> = host.stored.keys().filter(|key| key.starts_with("done/")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_question_that_nobody_answered_is_asked_again() {
    let text = "tasks:\n  a: {approve: {question: q, expires: 5m}}\n";
    let mut host = begin_native(text);
    assert_eq!(names(&mut host), ["a"]);
    host.wait();
    assert_eq!((over(&host).0, host.conduct.take_stops()), (Status::Failed, vec![1]));
    host.end(1, Status::Canceled, Value::Null);
    host.restore();
    rerun(&mut host, &[]).unwrap();
    assert_eq!(names(&mut host), ["a"]);
    host.end(2, Status::Succeeded, json!({"response": 1}));
    assert_eq!(over(&host).0, Status::Succeeded);
}

#[test]
fn a_join_behind_a_task_that_runs_again_waits_for_all_that_come_again_and_for_no_others() {
    let text = "vars: [{v: 0}, {w: 0}]\ntasks:\n  a: {action: x, next: [{do: [t, q]}]}\n  t: {action: x, next: [{do: p}]}\n  p: {action: \
                x, next: [{publish: [{v: <% result() %>}], do: j}]}\n  q: {action: x, next: [{publish: [{w: <% result() %>}], \
                do: j}]}\n  j: {join: all, action: x v=<% ctx(v) %> w=<% ctx(w) %>}\n";
    // Where only `t` runs again, what `q` has published is still there.
    for (from, w) in [("a", 7), ("t", 5)] {
        let mut host = begin(text);
        assert_eq!(names(&mut host), ["a"]);
        ok(&mut host, 1);
        assert_eq!(names(&mut host), ["q", "t"]);
        host.end(2, Status::Succeeded, json!(5));
        ok(&mut host, 3);
        assert_eq!(names(&mut host), ["p"]);
        host.end(4, Status::Succeeded, json!(1));
        assert_eq!(host.starts(100)[0].parameters, json!({"v": 1, "w": 5}));
        host.end(5, Status::Failed, Value::Null);
        assert_eq!(over(&host).0, Status::Failed);
        host.restore();
        rerun(&mut host, &[from]).unwrap();
        host.restore();
        assert_eq!(names(&mut host), [from]);
        ok(&mut host, 6);
        let mut next = 7;
        if from == "a" {
            assert_eq!(names(&mut host), ["q", "t"]);
            host.end(7, Status::Succeeded, json!(7));
            host.restore();
            assert_eq!(names(&mut host), Vec::<String>::new(), "`p` has not come again");
            ok(&mut host, 8);
            next = 9;
        }
        assert_eq!(names(&mut host), ["p"]);
        host.restore();
        host.end(next, Status::Succeeded, json!(2));
        let starts = host.starts(100);
        assert_eq!((starts.len(), &starts[0].parameters), (1, &json!({"v": 2, "w": w})));
        ok(&mut host, starts[0].number);
        assert_eq!(over(&host), (Status::Succeeded, json!({"output": null})));
    }
}

#[test]
fn what_was_canceled_runs_again_with_the_tasks_that_are_named() {
    let mut host = begin("tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x}\n  c: {action: x}\n");
    assert_eq!(names(&mut host), ["a", "c"]);
    ok(&mut host, 1);
    assert_eq!(names(&mut host), ["b"]);
    host.ask(Asked::Cancel);
    assert_eq!(host.conduct.next_to_end(9), [2, 3]);
    for number in [2, 3] {
        host.end(number, Status::Canceled, Value::Null);
    }
    assert_eq!(over(&host).0, Status::Canceled);
    host.restore();
    rerun(&mut host, &["a"]).unwrap();
    // `b` was canceled as well, and comes behind `a`.
    assert_eq!(names(&mut host), ["a", "c"]);
    ok(&mut host, 4);
    assert_eq!((host.standing(), names(&mut host)), (Standing::Running, vec!["b".to_owned()]));
    ok(&mut host, 5);
    ok(&mut host, 6);
    assert_eq!(over(&host).0, Status::Succeeded);
}
