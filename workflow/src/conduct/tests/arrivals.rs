//! Tasks of Orquesta's dialect that something leads to while they run, and that have more than one child then.

use std::sync::Arc;

use petrel_execution::Status;
use petrel_execution::workflow::Standing;
use serde_json::{Value, json};

use super::host::{Host, begin};
use crate::conduct::conducting::Conducting;
use crate::conductor::{self, Conductor, Event};
use crate::definition::Definition;
use crate::expression::Dialect;
use crate::limits::Limits;

/// `a` leads to itself once it results in 1, and `b` leads to it as well.
const LOOP: &str = "tasks:\n  s: {next: [{do: [a, b]}]}\n  a: {action: x, next: [{when: <% result() = 1 %>, do: a}]}\n  b: \
                    {action: x, next: [{do: a}]}\n";

/// `many` leads to itself when it fails, and `b` leads to it as well.
const ITEMS: &str = "tasks:\n  s: {next: [{do: [b, many]}]}\n  b: {action: x, next: [{do: many}]}\n  many: {action: x, with: i in \
                     <% range(2) %>, next: [{when: <% failed() %>, do: many}, {when: <% succeeded() %>, do: end}]}\n  end: \
                     {action: x}\n";

fn assert_succeeded(host: &Host) {
    let Standing::Over { status, result, .. } = host.standing() else { panic!("not over, {:?}", host.standing()) };
    assert_eq!((status, result), (Status::Succeeded, json!({"output": null})));
}

#[test]
fn a_second_child_that_ends_late_takes_nothing_from_what_the_first_one_has_led_to() {
    for status in [Status::Succeeded, Status::Failed, Status::Canceled] {
        let mut host = begin(LOOP);
        assert_eq!(host.labels(100), [(1, "a".to_owned()), (2, "b".to_owned())]);
        host.end(2, Status::Succeeded, Value::Null);
        assert_eq!(host.labels(100), [(3, "a".to_owned())]);
        host.end(1, Status::Succeeded, json!(1));
        host.restore();
        host.end(3, status, json!(1));
        host.restore();
        assert_eq!((host.standing(), host.labels(100)), (Standing::Running, vec![(4, "a".to_owned())]));
        host.end(4, Status::Succeeded, Value::Null);
        assert_succeeded(&host);
    }
}

#[test]
fn a_second_child_that_ends_once_the_task_runs_again_does_not_end_that() {
    for again in [false, true] {
        let text =
            if again { LOOP.replace("next: [{when", "retry: {count: 1}, next: [{when") } else { LOOP.to_owned() };
        let mut host = begin(&text);
        assert_eq!(host.labels(100).len(), 2);
        host.end(2, Status::Succeeded, Value::Null);
        assert_eq!(host.labels(100), [(3, "a".to_owned())]);
        host.end(1, if again { Status::Failed } else { Status::Succeeded }, json!(1));
        host.restore();
        assert_eq!(host.labels(100), [(4, "a".to_owned())]);
        host.end(3, Status::Succeeded, json!(1));
        host.restore();
        assert_eq!((host.labels(100), host.standing()), (vec![], Standing::Running), "{again}");
        host.end(4, Status::Succeeded, Value::Null);
        let Standing::Over { status, .. } = host.standing() else { panic!("not over, {:?}", host.standing()) };
        assert_eq!(status, Status::Succeeded);
    }
}

#[test]
fn a_second_child_that_ends_while_the_task_waits_for_another_try_is_no_try() {
    let text = LOOP.replace("next: [{when", "retry: {count: 1, delay: 5}, next: [{when");
    let mut host = begin(&text);
    assert_eq!(host.labels(100).len(), 2);
    host.end(2, Status::Succeeded, Value::Null);
    assert_eq!(host.labels(100), [(3, "a".to_owned())]);
    host.end(1, Status::Failed, Value::Null);
    host.end(3, Status::Failed, Value::Null);
    host.restore();
    assert_eq!(host.labels(100), [(4, "a".to_owned())]);
    host.end(4, Status::Succeeded, Value::Null);
    let Standing::Over { status, .. } = host.standing() else { panic!("not over, {:?}", host.standing()) };
    assert_eq!(status, Status::Succeeded);
}

#[test]
fn items_that_something_leads_to_while_they_run_begin_anew_and_those_that_run_are_stopped() {
    // The item that still runs ends before or after the new ones begin.
    for late in [false, true] {
        let mut host = begin(ITEMS);
        let begun = ["b", "many[0]", "many[1]"].map(str::to_owned);
        assert_eq!(host.labels(100), Vec::from_iter((1..).zip(begun)));
        host.end(2, Status::Succeeded, json!("old"));
        host.end(1, Status::Succeeded, Value::Null);
        host.restore();
        if !late {
            host.end(3, Status::Failed, Value::Null);
        }
        assert_eq!(host.labels(100), [(4, "many[0]".to_owned()), (5, "many[1]".to_owned())]);
        assert_eq!(host.conduct.take_stops(), if late { vec![3] } else { vec![] });
        host.restore();
        if late {
            host.end(3, Status::Failed, Value::Null);
        }
        host.end(4, Status::Succeeded, Value::Null);
        assert_eq!((host.labels(100), host.standing()), (vec![], Standing::Running));
        host.end(5, Status::Succeeded, Value::Null);
        assert_eq!(host.labels(100), [(6, "end".to_owned())]);
        host.end(6, Status::Succeeded, Value::Null);
        assert_succeeded(&host);
        host.store();
        assert!(host.stored.keys().all(|key| !key.starts_with("done/")), "{:?}", host.stored);
    }
}

#[test]
fn a_workflow_in_which_nothing_happens_any_more_fails_and_says_so() {
    let definition = Definition::read(&format!("version: 1.0\n{LOOP}"), Dialect::Orquesta).unwrap();
    let start = conductor::Start::default();
    let mut conductor = Conductor::start(Arc::new(definition), Limits::default(), start).unwrap();
    conductor.request(conductor::Status::Running).unwrap();
    // The end of the second child, told as it is, takes the loop away, and the machine waits for it without an end.
    let (running, succeeded) = (conductor::Status::Running, conductor::Status::Succeeded);
    let told = [
        ("s", running, 0_i64),
        ("s", succeeded, 0),
        ("a", running, 0),
        ("b", running, 0),
        ("b", succeeded, 0),
        ("a", running, 0),
        ("a", succeeded, 1),
        ("a", succeeded, 0),
    ];
    for (task, status, result) in told {
        conductor.update(task, 0, Event::Action { status, result: result.into() }).unwrap();
    }
    assert!(conductor.next_tasks().is_empty());
    assert_eq!(conductor.status(), running);
    let mut conducting = Conducting::begun(conductor, Limits::default());
    assert!(conducting.next_starts(10).is_empty());
    let Standing::Over { status, note, .. } = conducting.stands() else { panic!("not over") };
    assert_eq!(status, Status::Failed);
    assert!(note.error.as_deref().is_some_and(|error| error.starts_with("Stranded: No task")), "{note:?}");
}
