//! What children are started for, what becomes of how they end, and what is told of a workflow.

mod arrivals;
mod host;
mod large;
mod people;
mod random;
mod random_native;
mod rerun;

use petrel_execution::workflow::{Asked, Begin, ChildEnd, Moved, Piece, Standing, Start, Workflow};
use petrel_execution::{Status, code};
use serde_json::{Value, json};

use super::PackWorkflow;
use crate::expression::Dialect;
use crate::limits::Limits;
use host::{Host, begin, begin_native, workflow};

fn succeeded(_: &Start) -> (Status, Value) {
    (Status::Succeeded, Value::Null)
}

#[test]
fn children_are_started_with_their_actions_and_parameters() {
    let mut host = begin(
        "vars: [{who: you}]\ntasks:\n  a: {action: core.echo message=<% ctx(who) %>, next: [{do: b}]}\n  b: {action: \
         core.noop, delay: 3}\n",
    );
    let starts = host.starts(100);
    let first = Start {
        number: 1,
        task: "a".into(),
        action: "core.echo".into(),
        parameters: json!({"message": "you"}),
        constants: Vec::new(),
        delay_ms: None,
        until_ms: None,
    };
    assert_eq!((starts, host.starts(100)), (vec![first], Vec::new()));
    assert_eq!((host.conduct.open(), host.standing()), (vec![1], Standing::Running));
    host.end(1, Status::Succeeded, Value::Null);
    let starts = host.starts(100);
    assert_eq!((starts[0].number, &starts[0].parameters, starts[0].delay_ms), (2, &json!({}), Some(3_000)));
    host.end(2, Status::Succeeded, Value::Null);
    let over = Standing::Over {
        status: Status::Succeeded,
        note: petrel_execution::Note::NONE,
        result: json!({"output": null}),
    };
    assert_eq!((host.standing(), host.conduct.open()), (over, Vec::new()));
}

#[test]
fn each_change_of_a_task_is_told_once_whatever_is_restored() {
    let text = "tasks:\n  a: {action: x, retry: {count: 1}, next: [{do: [noop, b]}]}\n  b: {with: \"<% [1, 2] %>\", action: y}\n";
    let told = |restores: bool| {
        let mut host = begin(text);
        let mut told = Vec::new();
        let mut tell = |host: &mut Host| {
            told.extend(host.conduct.take_moves().into_iter().map(|m| {
                let Moved { task, run, change, status, .. } = m;
                format!("{task} {run}.{change} {status}")
            }));
            if restores {
                host.restore();
            }
        };
        for (number, status) in
            [(1, Status::Failed), (2, Status::Succeeded), (3, Status::Succeeded), (4, Status::Succeeded)]
        {
            host.starts(100);
            tell(&mut host);
            host.end(number, status, Value::Null);
            tell(&mut host);
        }
        host.starts(100);
        tell(&mut host);
        told
    };
    let wanted = [
        "a 0.0 running",
        "a 0.1 failed",
        "a 0.2 retrying",
        "a 0.3 running",
        "a 0.4 succeeded",
        "noop 1.0 succeeded",
        "b 2.0 running",
        "b 2.1 succeeded",
    ];
    assert_eq!(told(false), wanted);
    assert_eq!(told(true), wanted);
}

#[test]
fn a_task_that_is_tried_again_has_another_child() {
    let mut host = begin("tasks:\n  a: {action: x, retry: {count: 1, delay: 7}}\n");
    assert_eq!(host.starts(100)[0].delay_ms, None);
    host.end(1, Status::Failed, json!("first"));
    host.restore();
    let again = host.starts(100);
    assert_eq!((again[0].number, again[0].delay_ms), (2, Some(7_000)));
    host.end(2, Status::Timeout, json!("second"));
    let Standing::Over { status, note, result } = host.standing() else { panic!("not over") };
    assert_eq!((status, note.code.as_deref()), (Status::Failed, Some(code::WORKFLOW_FAILED)));
    assert_eq!(note.error.as_deref(), Some("a: Execution failed. See result for details."));
    assert_eq!(result["errors"][0]["result"], "first");
}

const ITEMS: &str = "output: [{all: <% ctx(all) %>}]\nvars: [{all: none}]\ntasks:\n  a:\n    with: {items: i in <% \
                     range(5) %>, concurrency: 2}\n    action: x\n    input: {i: <% item(i) %>}\n    next: [{when: <% \
                     completed() %>, publish: [{all: <% result() %>}]}]\n";

#[test]
fn the_results_of_items_come_together_in_their_order() {
    let mut host = begin(ITEMS);
    assert_eq!(host.labels(100), [(1, "a[0]".to_owned()), (2, "a[1]".to_owned())]);
    host.end(2, Status::Succeeded, json!("one"));
    assert_eq!(host.labels(100), [(3, "a[2]".to_owned())]);
    host.restore();
    assert!(host.stored.contains_key("done/2") && host.stored.contains_key("child/3"), "{:?}", host.stored);
    host.end(3, Status::Succeeded, json!("two"));
    host.end(1, Status::Succeeded, json!("zero"));
    for (number, _) in host.labels(100) {
        host.end(number, Status::Succeeded, json!(number));
    }
    let Standing::Over { status, result, .. } = host.standing() else { panic!("not over") };
    assert_eq!((status, result), (Status::Succeeded, json!({"output": {"all": ["zero", "one", "two", 4, 5]}})));
    host.store();
    let of_items = |key: &&String| key.starts_with("done/") || key.starts_with("child/");
    assert_eq!(host.stored.keys().filter(of_items).count(), 0, "{:?}", host.stored);
}

#[test]
fn what_items_that_never_ran_would_have_resulted_in_is_null() {
    let mut host = begin(ITEMS);
    host.starts(100);
    host.end(1, Status::Succeeded, json!("zero"));
    host.end(2, Status::Failed, json!("one"));
    let (_, result) = host.run(|_| (Status::Failed, Value::Null));
    assert_eq!(result["output"]["all"], json!(["zero", "one", null, null, null]));
}

#[test]
fn a_task_without_items_is_done_at_once_and_so_is_one_without_an_action() {
    let mut host = begin(
        "output: [{all: <% ctx(all) %>}]\nvars: [{all: none}]\ntasks:\n  a: {with: i in <% list() %>, action: x, next: \
         [{publish: [{all: <% result() %>}], do: b}]}\n  b: {next: [{when: <% succeeded() and result() = null %>, do: \
         c}]}\n  c: {with: i in <% range(3) %>, action: <% null %>, next: [{do: d}]}\n  d: {action: x}\n",
    );
    assert_eq!(host.labels(100), [(4, "d".to_owned())]);
    host.end(4, Status::Succeeded, Value::Null);
    let Standing::Over { result, .. } = host.standing() else { panic!("not over") };
    assert_eq!(result, json!({"output": {"all": []}}));
}

#[test]
fn what_is_done_at_once_counts_as_started() {
    let mut host = begin("tasks:\n  a: {next: [{do: a2}]}\n  a2: {next: [{do: a2}]}\n");
    for _ in 0..5 {
        assert!(host.starts(10).is_empty() && host.conduct.has_more());
    }
    host.store();
    let runs = host.stored.keys().filter(|key| key.starts_with("run/")).count();
    assert_eq!((runs, host.standing()), (50, Standing::Running));
}

#[test]
fn an_action_or_input_of_the_wrong_kind_fails_its_task() {
    let mut host = begin(
        "vars: [{n: 5}]\ntasks:\n  a: {action: <% ctx(n) %>, next: [{when: <% failed() %>, do: b}]}\n  b: {action: x, \
         input: <% ctx(n) %>, next: [{when: <% failed() %>, do: c}]}\n  c:\n    with: i in <% list(x, 1, '') %>\n    \
         action: <% item(i) %>\n",
    );
    assert_eq!(host.labels(100), [(1, "c[0]".to_owned())]);
    host.end(1, Status::Succeeded, Value::Null);
    let Standing::Over { status, note, result } = host.standing() else { panic!("not over") };
    assert_eq!(status, Status::Failed);
    let errors = result["errors"].as_array().unwrap();
    let told: Vec<_> = errors.iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "The action of a is a number; it is an action's name, a text.",
            "Execution failed. See result for details.",
            "The input of b is a number; it is an object of the action's parameters.",
            "Execution failed. See result for details.",
            "The action of c[1] is a number; it is an action's name, a text.",
            "Execution failed. See result for details.",
            "The action of c[2] is an empty text; it is an action's name.",
        ]
    );
    assert_eq!((&errors[0]["task_id"], &errors[0]["route"]), (&json!("a"), &json!(0)));
    assert!(note.error.unwrap().ends_with("; and 4 more"));
}

#[test]
fn what_deals_with_a_failure_is_started_before_the_workflow_is_over() {
    let mut host = begin("tasks:\n  a: {action: x, next: [{do: [mail, fail]}]}\n  mail: {action: x}\n");
    host.starts(100);
    host.end(1, Status::Succeeded, Value::Null);
    assert_eq!(host.standing(), Standing::Running);
    host.restore();
    assert_eq!(host.labels(100), [(2, "mail".to_owned())]);
    let Standing::Over { status, .. } = host.standing() else { panic!("not over") };
    assert_eq!((status, host.conduct.open()), (Status::Failed, vec![2]));
}

#[test]
fn what_deals_with_a_failure_and_cannot_be_rendered_does_not_hold_it() {
    let text = "vars: [{n: 5}]\ntasks:\n  a: {action: x, next: [{do: [mail, fail]}]}\n  mail: {action: x to=<% \
                ctx(n).what %>}\n";
    let mut host = begin(text);
    host.starts(100);
    host.end(1, Status::Succeeded, Value::Null);
    assert!(host.starts(100).is_empty() && !host.conduct.has_more());
    let Standing::Over { status, result, .. } = host.standing() else { panic!("not over") };
    let tasks: Vec<_> = result["errors"].as_array().unwrap().iter().map(|error| &error["task_id"]).collect();
    assert_eq!((status, tasks), (Status::Failed, vec![&json!("fail"), &json!("mail")]));
}

#[test]
fn how_children_end_when_it_is_over_changes_nothing_of_it() {
    let mut host =
        begin("output: [{n: 1}]\ntasks:\n  a: {action: x}\n  b: {action: x, next: [{do: c}]}\n  c: {action: x}\n");
    host.starts(100);
    host.end(1, Status::Failed, json!("it broke"));
    let over = host.standing();
    assert!(matches!(over, Standing::Over { status: Status::Failed, .. }), "{over:?}");
    host.restore();
    assert_eq!((host.standing(), host.conduct.open()), (over.clone(), vec![2]));
    host.end(2, Status::Failed, json!("it broke, too"));
    assert_eq!((host.standing(), host.starts(100)), (over, Vec::new()));
    assert_eq!(host.conduct.ask(&Asked::Cancel).unwrap_err(), "The workflow is failed and cannot be canceled.");
}

#[test]
fn a_cancel_tells_each_child_once_and_as_many_as_it_may() {
    let mut host = begin("tasks:\n  a: {action: x, with: i in <% range(5) %>}\n");
    host.starts(100);
    host.ask(Asked::Cancel);
    assert_eq!((host.conduct.next_to_end(2), host.conduct.has_more()), (vec![1, 2], true));
    host.end(1, Status::Canceled, Value::Null);
    host.restore();
    // Who goes on with it does not know who was told.
    assert_eq!((host.conduct.next_to_end(9), host.conduct.has_more()), (vec![2, 3, 4, 5], false));
    host.ask(Asked::Cancel);
    assert_eq!(host.conduct.next_to_end(9), Vec::<u32>::new());
}

#[test]
fn what_begins_anew_after_its_time_is_not_stopped_with_what_ran_before() {
    let text =
        "tasks:\n  a: {action: x, timeout: 10s, next: [{on: timeout, do: a}]}\n  b: {action: x, next: [{do: a}]}\n";
    let workflow = PackWorkflow::read(&format!("version: 1.0\n{text}"), Dialect::Native).unwrap();
    let mut host = Host::begin(workflow, &json!({}));
    let begun = host.labels(100);
    assert_eq!(begun, [(1, "b".to_owned())]);
    host.end(1, Status::Succeeded, Value::Null);
    assert_eq!(host.labels(100), [(2, "a".to_owned())]);
    let due_ms = host.conduct.due_ms().expect("it has a time");
    host.conduct.set_now(due_ms);
    host.conduct.time_passed();
    let again = host.labels(100);
    assert_eq!((again.len(), host.conduct.take_stops()), (1, vec![2]));
    // What the first one says late is of no account.
    host.end(2, Status::Succeeded, Value::Null);
    assert_eq!(host.standing(), Standing::Running);
    host.end(again[0].0, Status::Succeeded, Value::Null);
    assert!(matches!(host.standing(), Standing::Over { status: Status::Succeeded, .. }));
}

#[test]
fn items_that_something_else_leads_to_while_they_run_are_stopped_and_begin_anew() {
    let text = "tasks:\n  s: {next: [{do: a}]}\n  a: {action: x, next: [{do: [b, many]}]}\n  b: {action: x, next: [{do: many}]}\n  many: {action: x, \
                with: i in <% range(2) %>, next: [{on: succeeded, do: end}, {on: failed, do: a}]}\n  end: {action: x}\n";
    let mut host = begin_native(text);
    host.starts(100);
    host.end(1, Status::Succeeded, Value::Null);
    let begun = ["b", "many[0]", "many[1]"].map(str::to_owned);
    assert_eq!(host.labels(100), Vec::from_iter((2..).zip(begun)));
    host.end(3, Status::Succeeded, Value::Null);
    host.end(2, Status::Succeeded, Value::Null);
    assert_eq!(host.conduct.take_stops(), [4]);
    host.restore();
    assert_eq!(host.labels(100), [(5, "many[0]".to_owned()), (6, "many[1]".to_owned())]);
    for number in [4, 5] {
        host.end(number, Status::Succeeded, Value::Null);
        assert_eq!((host.labels(100), host.standing()), (vec![], Standing::Running));
    }
    host.end(6, Status::Succeeded, Value::Null);
    assert_eq!(host.labels(100), [(7, "end".to_owned())]);
    host.end(7, Status::Succeeded, Value::Null);
    assert!(matches!(host.standing(), Standing::Over { status: Status::Succeeded, .. }));
}

#[test]
fn what_something_else_leads_to_while_it_runs_runs_again() {
    let text = "tasks:\n  s: {next: [{do: a}]}\n  a: {action: x, next: [{do: [b, c]}]}\n  b: {action: x, next: [{do: c}]}\n  \
                c: {action: x, next: [{on: failed, do: a}]}\n";
    // The second run of `c` begins behind the first one, or beside it.
    for beside in [false, true] {
        let mut host = begin_native(text);
        host.starts(100);
        host.end(1, Status::Succeeded, Value::Null);
        assert_eq!(host.labels(100), [(2, "b".to_owned()), (3, "c".to_owned())]);
        host.end(2, Status::Succeeded, Value::Null);
        host.restore();
        let again = [(4, "c".to_owned())];
        if beside {
            assert_eq!(host.labels(100), again);
        }
        host.end(3, Status::Succeeded, Value::Null);
        if !beside {
            assert_eq!((host.standing(), host.labels(100)), (Standing::Running, again.to_vec()));
        }
        host.end(4, Status::Succeeded, Value::Null);
        assert!(matches!(host.standing(), Standing::Over { status: Status::Succeeded, .. }));
    }
}

#[test]
fn a_pause_lets_what_runs_end_and_a_resume_goes_on() {
    let mut host = begin("tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x}\n");
    host.starts(100);
    assert!(host.conduct.ask(&Asked::Resume).is_err());
    host.ask(Asked::Pause);
    assert_eq!(host.standing(), Standing::Pausing);
    host.end(1, Status::Succeeded, Value::Null);
    assert_eq!((host.standing(), host.starts(100)), (Standing::Paused, Vec::new()));
    host.restore();
    host.ask(Asked::Resume);
    assert_eq!(host.run(succeeded).0, Status::Succeeded);
}

#[test]
fn one_that_is_to_rest_does_once_its_children_rest_and_not_while_one_runs() {
    let mut host = begin("tasks:\n  a: {action: x, next: [{do: c}]}\n  b: {action: x}\n  c: {action: x}\n");
    assert_eq!(host.labels(100).len(), 2);
    host.conduct.child_rests(1, true);
    assert_eq!(host.standing(), Standing::Running, "nobody wants it to rest");
    host.ask(Asked::Pause);
    assert_eq!(host.standing(), Standing::Pausing);
    host.conduct.child_rests(2, true);
    host.restore();
    assert_eq!((host.standing(), host.conduct.open()), (Standing::Paused, vec![1, 2]));
    // One ends while the workflow rests, and another goes on.
    host.end(2, Status::Succeeded, Value::Null);
    assert_eq!(host.standing(), Standing::Paused);
    host.conduct.child_rests(1, false);
    host.conduct.child_rests(7, true);
    host.restore();
    assert_eq!((host.standing(), host.stored.contains_key("rests")), (Standing::Pausing, false));
    host.ask(Asked::Resume);
    host.end(1, Status::Succeeded, Value::Null);
    assert_eq!(host.run(succeeded).0, Status::Succeeded);
}

#[test]
fn tasks_with_items_that_were_to_rest_go_on_when_it_is_resumed_before_they_do() {
    let mut host = begin(
        "tasks:\n  a: {action: x, with: {items: i in <% range(3) %>, concurrency: 1}}\n  b: {action: x, with: {items: i \
         in <% range(3) %>, concurrency: 1}}\n",
    );
    assert_eq!(host.labels(100).len(), 2);
    host.ask(Asked::Pause);
    host.ask(Asked::Resume);
    assert_eq!(host.starts(100), Vec::new());
    for expected in [3, 4, 5, 6] {
        host.end(expected - 2, Status::Succeeded, Value::Null);
        assert_eq!(host.starts(100)[0].number, expected);
    }
    host.end(5, Status::Succeeded, Value::Null);
    host.end(6, Status::Succeeded, Value::Null);
    assert!(matches!(host.standing(), Standing::Over { status: Status::Succeeded, .. }));
}

#[test]
fn a_cancel_ends_it_once_what_runs_has_ended() {
    let mut host = begin(ITEMS);
    host.starts(100);
    host.ask(Asked::Cancel);
    assert_eq!((host.standing(), host.starts(100)), (Standing::Canceling, Vec::new()));
    assert!(host.conduct.ask(&Asked::Pause).is_err() && host.conduct.ask(&Asked::Cancel).is_ok());
    host.end(1, Status::Canceled, Value::Null);
    host.end(2, Status::Succeeded, Value::Null);
    let Standing::Over { status, note, .. } = host.standing() else { panic!("not over") };
    assert_eq!((status, note.code.as_deref()), (Status::Canceled, Some(code::CANCELED)));
}

#[test]
fn ends_that_nobody_waits_for_are_refused() {
    let mut host = begin("tasks:\n  a: {action: x}\n");
    host.starts(100);
    host.store();
    let end = |status| ChildEnd { status, result: Value::Null };
    assert_eq!(host.conduct.child_ended(7, end(Status::Failed)).unwrap_err(), "The workflow has no open child 7.");
    assert_eq!(
        host.conduct.child_ended(0, end(Status::Paused)).unwrap_err(),
        "The child 0 has not ended, it is paused."
    );
    assert_eq!(host.conduct.take_changes(), []);
    host.end(1, Status::Succeeded, Value::Null);
    assert!(host.conduct.child_ended(0, end(Status::Failed)).is_err());
}

#[test]
fn expressions_see_the_execution() {
    let text = "version: 1.0\ntasks:\n  a: {action: \"core.echo\", input: {id: <% ctx(st2).action_execution_id %>";
    let orquesta = PackWorkflow::read(&format!("{text}}}}}\n"), Dialect::Orquesta).unwrap();
    let mut host = Host::begin(orquesta, &json!({}));
    assert_eq!(host.starts(1)[0].parameters, json!({"id": "be42"}));
    let native = format!("{text}, user: <% ctx(execution).user %>}}}}\n");
    let mut host = Host::begin(PackWorkflow::read(&native, Dialect::Native).unwrap(), &json!({}));
    assert_eq!(host.starts(1)[0].parameters, json!({"id": "be42", "user": "ops"}));
    let findings = PackWorkflow::read(&native, Dialect::Orquesta).unwrap_err();
    assert!(findings[0].message.contains("execution"), "{findings:?}");
}

#[test]
fn a_text_that_is_no_workflow_is_told_where() {
    let findings = PackWorkflow::read("version: 1.0\ntasks: [\n", Dialect::Native).unwrap_err();
    assert_eq!((findings.len(), findings[0].spec_path.as_str()), (1, ""));
    assert!(findings[0].at.line >= 2, "{findings:?}");
    let text = "version: 1.0\ntasks:\n  a: {action: x, next: [{do: nowhere}]}\n";
    let findings = PackWorkflow::read(text, Dialect::Native).unwrap_err();
    assert_eq!(findings[0].spec_path, "tasks.a.next[0].do");
}

#[test]
fn one_that_is_too_deep_does_not_begin_and_one_with_bad_variables_has_failed() {
    let deep = Begin { parameters: &serde_json::Map::new(), about: &serde_json::Map::new(), depth: 17, now_ms: 0 };
    let Err(note) = workflow("tasks:\n  a: {action: x}\n").begin(deep) else { panic!("it has begun") };
    assert_eq!(note.code.as_deref(), Some(code::WORKFLOW_NOT_BEGUN));
    assert!(note.error.unwrap().contains("SUBWORKFLOW_DEPTH_MAX is 16"));
    let mut host = begin("input: [{a: 1}]\nvars: [{b: <% ctx(a).what %>}]\ntasks:\n  a: {action: x}\n");
    assert!(matches!(host.standing(), Standing::Over { status: Status::Failed, .. }));
    assert_eq!(host.starts(100), Vec::new());
}

#[test]
fn children_have_a_limit() {
    let workflow = workflow("tasks:\n  a: {action: x, with: i in <% range(5) %>}\n");
    let mut host = Host::begin(workflow.with_limits(Limits { children_max: 3, ..Limits::default() }), &json!({}));
    assert_eq!(host.labels(100).len(), 3);
    let Standing::Over { note, .. } = host.standing() else { panic!("not over") };
    let expected = "a: LimitExceeded: The workflow has started 3 children, the limit CHILDREN_MAX is 3.";
    assert_eq!(note.error.as_deref(), Some(expected));
}

#[test]
fn a_large_task_starts_in_chunks_and_the_end_of_a_child_changes_few_pieces() {
    let mut host = begin("tasks:\n  a: {action: x, with: i in <% range(10000) %>, input: {i: <% item(i) %>}}\n");
    let mut numbers = Vec::new();
    for chunk in 0..100 {
        let starts = host.starts(100);
        assert_eq!((starts.len(), host.conduct.has_more()), (100, chunk < 99));
        let changed = host.store();
        assert!(chunk == 0 || changed.len() <= 105, "{changed:?}");
        numbers.extend(starts.into_iter().map(|start| start.number));
    }
    assert_eq!(numbers, (1..=10_000).collect::<Vec<_>>());
    for number in 1..10_000 {
        host.end(number, Status::Succeeded, json!(number));
        assert!(host.starts(100).is_empty());
        let changed = host.store();
        assert!(changed.len() <= 6, "{changed:?}");
    }
    host.end(10_000, Status::Succeeded, Value::Null);
    assert!(matches!(host.standing(), Standing::Over { status: Status::Succeeded, .. }));
}

#[test]
fn pieces_that_make_no_workflow_are_refused() {
    let mut host = begin("tasks:\n  a: {action: x}\n");
    host.starts(100);
    host.store();
    let restore = |key: &str, value: Option<&str>| {
        let mut pieces: Vec<Piece> = host.pieces().into_iter().filter(|piece| piece.key != key).collect();
        pieces.extend(value.map(|value| Piece { key: key.to_owned(), value: value.to_owned() }));
        workflow("tasks:\n  a: {action: x}\n").restore(&pieces).err()
    };
    assert_eq!(restore("none/of/these", None), None);
    assert_eq!(restore("next", None).unwrap(), "the piece next of a workflow is missing");
    assert!(restore("child/0", Some("{")).unwrap().starts_with("the piece child/0 of a workflow cannot be read"));
    assert_eq!(restore("workflow", None).unwrap(), "the piece workflow of a workflow's state is missing");
    assert_eq!(restore("what/1", Some("1")).unwrap(), "what/1 is no piece of a workflow's state");
}
