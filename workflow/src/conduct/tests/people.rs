//! Questions, what calls people, and what they decide about a freeze.

use petrel_execution::Status;
use petrel_execution::workflow::{Asked, Decision, Standing};
use serde_json::{Map, Value, json};

use super::host::{Host, begin_native, native};
use crate::limits::Limits;

const QUESTION: &str = "output: [{said: <% ctx(said) %>}]\nvars: [{said: nothing}]\ntasks:\n  ask:\n    approve:\n      question: \
                        Is <% ctx(said) %> said?\n      schema: {type: boolean}\n      EXPIRES\n      notify: {action: \
                        chat.post, input: {text: please}}\n      remind: {every: 1m, action: chat.post}\n    next: [{on: \
                        succeeded, publish: [{said: <% result() %>}], do: done}]\n  done: {action: x}\n";

fn question(expires: &str) -> String {
    QUESTION.replace("EXPIRES", expires)
}

fn over(host: &Host) -> (Status, Value) {
    match host.standing() {
        Standing::Over { status, result, .. } => (status, result),
        other => panic!("not over, {other:?}"),
    }
}

fn decide(host: &mut Host, decision: Decision) -> Result<(), String> {
    host.conduct.ask(&Asked::Decide(decision))
}

fn retry(task: &str) -> Decision {
    Decision::Retry { task: task.to_owned(), route: 0, reset_items: false, input: Map::new() }
}

fn skip(task: &str) -> Decision {
    Decision::Skip { task: task.to_owned(), route: 0, result: Value::Null }
}

#[test]
fn a_question_is_a_child_and_its_answer_the_result_of_its_task() {
    let mut host = begin_native(&question(""));
    let starts = host.starts(100);
    let started: Vec<_> = starts.iter().map(|one| (one.number, one.task.as_str(), one.action.as_str())).collect();
    assert_eq!(started, [(1, "ask", "core.ask"), (2, "ask/notify", "chat.post")]);
    let asked = json!({"question": "Is nothing said?", "schema": {"type": "boolean"}, "ttl": 0});
    assert_eq!((&starts[0].parameters, &starts[1].parameters), (&asked, &json!({"text": "please"})));
    assert_eq!((starts[0].until_ms, starts[1].until_ms), (None, None));
    assert_eq!(host.standing(), Standing::Pending);
    host.restore();
    assert_eq!((host.standing(), host.starts(100)), (Standing::Pending, vec![]));
    host.wait();
    assert_eq!(host.labels(100), [(3, "ask/notify".to_owned())]);
    // How it ends that people are called changes nothing.
    host.end(2, Status::Failed, json!("no network"));
    assert_eq!(host.standing(), Standing::Pending);
    assert!(host.conduct.ask(&Asked::Answer(json!(true))).unwrap_err().contains("it is no question"));
    host.end(1, Status::Succeeded, json!({"response": true, "schema": {}, "ttl": 0}));
    assert_eq!((host.standing(), host.labels(100)), (Standing::Running, vec![(4, "done".to_owned())]));
    host.end(4, Status::Succeeded, Value::Null);
    assert_eq!(over(&host), (Status::Succeeded, json!({"output": {"said": true}})));
    // It is waited for all the same.
    assert_eq!(host.conduct.open(), [3]);
}

#[test]
fn a_question_that_expires_is_withdrawn_and_its_late_answer_ignored() {
    let mut host = begin_native(&question("expires: 30s\n      default: no answer"));
    let until: Vec<Option<i64>> = host.starts(100).iter().map(|start| start.until_ms).collect();
    assert_eq!(until, [Some(31_000), None], "whoever is asked can be told until when");
    host.wait();
    assert_eq!((host.labels(100), host.conduct.take_stops()), (vec![(3, "done".to_owned())], vec![1]));
    host.end(1, Status::Succeeded, json!({"response": true}));
    host.end(3, Status::Succeeded, Value::Null);
    assert_eq!(over(&host), (Status::Succeeded, json!({"output": {"said": "no answer"}})));
}

#[test]
fn a_question_that_could_not_be_asked_fails_its_task() {
    let mut host = begin_native(&question(""));
    host.starts(100);
    host.end(1, Status::Failed, json!({"error": "there is no core.ask"}));
    let (status, result) = over(&host);
    assert_eq!((status, &result["errors"][0]["task_id"]), (Status::Failed, &json!("ask")));
}

#[test]
fn what_calls_people_counts_as_a_child_and_ends_with_a_cancel() {
    let limits = Limits { children_max: 1, ..Limits::default() };
    let mut host = Host::begin(native(&question("")).with_limits(limits), &json!({}));
    assert_eq!(host.labels(100), [(1, "ask".to_owned())]);
    let (status, result) = over(&host);
    let told = result["errors"][0]["message"].as_str().unwrap();
    assert!(status == Status::Failed && told.contains("the limit CHILDREN_MAX is 1"), "{told}");
    assert_eq!(host.conduct.take_stops(), [1]);

    let mut host = begin_native(&question(""));
    host.starts(100);
    host.ask(Asked::Cancel);
    assert_eq!((host.conduct.take_stops(), host.conduct.next_to_end(9)), (vec![1], vec![1, 2]));
    assert_eq!(over(&host).0, Status::Canceled);
}

#[test]
fn what_calls_people_starts_in_a_pause_and_as_much_as_there_is_room() {
    let mut host = begin_native(&question(""));
    assert_eq!((host.labels(1), host.conduct.has_more()), (vec![(1, "ask".to_owned())], true));
    host.restore();
    host.ask(Asked::Pause);
    assert_eq!((host.standing(), host.conduct.has_more()), (Standing::Paused, true));
    assert_eq!((host.labels(100), host.conduct.has_more()), (vec![(2, "ask/notify".to_owned())], false));
    host.ask(Asked::Resume);
    assert_eq!(host.standing(), Standing::Pending);
}

const FREEZE: &str = "on_error: pause\non_freeze:\n  notify: {action: page.call, input: {tasks: <% ctx().frozen.tasks %>, v: <% \
                      ctx().v %>, id: <% ctx().execution.action_execution_id %>}}\n  remind: {every: 5m, action: \
                      page.call}\nvars: [{v: 1}]\ntasks:\n  a: {action: x, next: [{publish: [{v: 2}], do: [b, c]}]}\n  b: \
                      {action: x}\n  c: {action: x}\n";

/// `b` has failed while `c` runs on.
fn freezing() -> Host {
    let mut host = begin_native(FREEZE);
    host.starts(100);
    host.end(1, Status::Succeeded, Value::Null);
    assert_eq!(host.labels(100), [(2, "b".to_owned()), (3, "c".to_owned())]);
    host.end(2, Status::Failed, json!("it broke"));
    host
}

#[test]
fn somebody_is_called_once_it_has_come_to_rest_and_reminded_until_it_goes_on() {
    let mut host = freezing();
    assert_eq!((host.standing(), host.labels(100)), (Standing::Pausing, vec![]));
    let refused = decide(&mut host, Decision::Rollback).unwrap_err();
    let why = "The workflow freezes, and c has not ended: it goes on, or is rolled back, once it has. Retry or skip a task \
               that failed before that.";
    assert_eq!(refused, why);
    assert_eq!(host.conduct.ask(&Asked::Resume).unwrap_err(), refused);
    host.end(3, Status::Succeeded, Value::Null);
    assert_eq!(host.standing(), Standing::Paused);
    let calls = host.starts(100);
    let told = json!({"tasks": [{"task": "b", "route": 0, "status": "failed"}], "v": 2, "id": "be42"});
    assert_eq!((calls.len(), calls[0].task.as_str(), &calls[0].parameters), (1, "on_freeze/notify", &told));
    host.restore();
    for number in 5..7 {
        host.wait();
        assert_eq!(host.labels(100), [(number, "on_freeze/notify".to_owned())]);
    }
    decide(&mut host, retry("b")).unwrap();
    assert_eq!((host.labels(100), host.conduct.due_ms()), (vec![(7, "b".to_owned())], None));
    // A second freeze calls again.
    host.end(7, Status::Failed, Value::Null);
    assert_eq!(host.labels(100), [(8, "on_freeze/notify".to_owned())]);
    host.restore();
    decide(&mut host, skip("b")).unwrap();
    assert_eq!(over(&host).0, Status::Succeeded);
    let refused = decide(&mut host, skip("b")).unwrap_err();
    assert_eq!(refused, "The workflow is succeeded and not frozen: nothing waits for a decision.");
}

#[test]
fn a_task_that_failed_is_decided_about_while_something_runs_that_may_take_long() {
    // Below `c` something may wait for a person itself.
    for decision in [retry("b"), skip("b")] {
        let mut host = freezing();
        let again = matches!(decision, Decision::Retry { .. });
        decide(&mut host, decision).unwrap();
        host.restore();
        let begun = if again { vec![(4, "b".to_owned())] } else { vec![] };
        assert_eq!((host.standing(), host.labels(100)), (Standing::Running, begun));
        for number in host.conduct.open() {
            host.end(number, Status::Succeeded, Value::Null);
        }
        assert_eq!(over(&host).0, Status::Succeeded);
    }
}

#[test]
fn it_goes_on_once_each_task_that_failed_is_decided_about() {
    let text =
        "on_error: pause\ntasks:\n  b: {action: x}\n  c: {action: x}\n  d: {action: x, with: i in <% range(2) %>}\n";
    let mut host = begin_native(text);
    assert_eq!(host.labels(100).len(), 4);
    for number in [1, 2] {
        host.end(number, Status::Failed, Value::Null);
    }
    decide(&mut host, retry("b")).unwrap();
    host.restore();
    assert_eq!((host.standing(), host.labels(100)), (Standing::Pausing, vec![]));
    host.end(3, Status::Succeeded, Value::Null);
    decide(&mut host, skip("c")).unwrap();
    host.restore();
    assert_eq!((host.standing(), host.labels(100)), (Standing::Running, vec![(5, "b".to_owned())]));
    host.end(4, Status::Succeeded, Value::Null);
    host.end(5, Status::Succeeded, Value::Null);
    assert_eq!(over(&host).0, Status::Succeeded);
}

#[test]
fn what_fails_while_it_rests_calls_again_and_a_partial_decision_does_not() {
    let text = "on_error: pause\non_freeze: {notify: {action: p}}\ntasks:\n  ask: {approve: {question: q}}\n  b: {action: x}\n";
    let mut host = begin_native(text);
    assert_eq!(host.labels(100), [(1, "ask".to_owned()), (2, "b".to_owned())]);
    host.end(2, Status::Failed, Value::Null);
    assert_eq!((host.standing(), host.labels(100)), (Standing::Paused, vec![(3, "on_freeze/notify".to_owned())]));
    host.end(1, Status::Failed, Value::Null);
    assert_eq!(host.labels(100), [(4, "on_freeze/notify".to_owned())]);
    decide(&mut host, skip("ask")).unwrap();
    assert_eq!((host.standing(), host.labels(100)), (Standing::Paused, vec![]));
    let refused = decide(&mut host, skip("ask")).unwrap_err();
    assert!(refused.contains("none of those that failed and wait for a decision"), "{refused}");
    decide(&mut host, retry("b")).unwrap();
    assert_eq!(host.labels(100), [(5, "b".to_owned())]);
}

#[test]
fn a_mistake_in_what_calls_people_about_a_freeze_is_none_of_the_workflow() {
    let text = "on_error: pause\non_freeze: {notify: {action: p, input: {x: <% ctx().frozen.nothing.at.all %>}}, remind: \
                {every: <% 1 %>, action: p}}\ntasks:\n  b: {action: x}\n";
    let mut host = begin_native(text);
    host.starts(100);
    host.end(1, Status::Failed, Value::Null);
    assert_eq!((host.standing(), host.labels(100), host.conduct.due_ms()), (Standing::Paused, vec![], None));
    host.store();
    let told: Vec<&String> =
        host.stored.iter().filter(|(key, _)| key.starts_with("log/")).map(|(_, log)| log).collect();
    assert!(
        told.len() == 2 && told.iter().all(|log| log.contains("about the freeze") || log.contains("of the freeze"))
    );
    decide(&mut host, skip("b")).unwrap();
    let (status, result) = over(&host);
    assert_eq!((status, result["errors"].as_array().unwrap().len()), (Status::Succeeded, 1));
}

#[test]
fn a_freeze_is_decided_about_in_each_way() {
    let text = "on_error: pause\nvars: [{v: 1}]\noutput: [{v: <% ctx(v) %>}]\ntasks:\n  a: {action: x, undo: {action: u}, next: \
                [{do: b}]}\n  b: {action: x v=<% ctx(v) %>, next: [{on: succeeded, publish: [{v: <% result() %>}], do: \
                c}]}\n  c: {action: x}\n";
    let frozen = || {
        let mut host = begin_native(text);
        host.starts(100);
        host.end(1, Status::Succeeded, Value::Null);
        host.starts(100);
        host.end(2, Status::Timeout, Value::Null);
        host.restore();
        assert_eq!(host.standing(), Standing::Paused);
        host
    };
    let variables = |value: Value| Map::from_iter([("v".to_owned(), value)]);

    let mut host = frozen();
    decide(&mut host, Decision::Resume { variables: variables(json!(5)) }).unwrap();
    assert_eq!(over(&host).1["output"], json!({"v": 5}));

    let mut host = frozen();
    decide(&mut host, Decision::Skip { task: "b".into(), route: 0, result: json!(6) }).unwrap();
    assert_eq!(host.labels(100), [(3, "c".to_owned())]);
    host.end(3, Status::Succeeded, Value::Null);
    assert_eq!(over(&host).1["output"], json!({"v": 6}));

    let mut host = frozen();
    let again = Decision::Retry { task: "b".into(), route: 0, reset_items: false, input: variables(json!(7)) };
    decide(&mut host, again).unwrap();
    assert_eq!(host.starts(100)[0].parameters, json!({"v": 7}));

    let mut host = frozen();
    decide(&mut host, Decision::Rollback).unwrap();
    assert_eq!((host.standing(), host.labels(100)), (Standing::Running, vec![(3, "undo/0/a".to_owned())]));
    host.end(3, Status::Succeeded, Value::Null);
    assert_eq!(over(&host).0, Status::Failed);
}

#[test]
fn a_workflow_in_which_nothing_failed_has_nothing_to_decide() {
    let mut host = begin_native("tasks:\n  a: {action: x}\n");
    host.starts(100);
    let refused = decide(&mut host, retry("a")).unwrap_err();
    assert_eq!(refused, "The workflow is running and not frozen: nothing waits for a decision.");
}

#[test]
fn secrets_that_stand_in_what_undoes_calls_and_ends_are_known() {
    let secret = "{t: \"${secret.web.token}\", v: <% ctx(v) %>}";
    let text = format!(
        "vars: [{{v: x}}]\non_error: pause\non_freeze: {{notify: {{action: p, input: {secret}}}}}\nfinally: [{{action: f, input: \
         {secret}}}]\ntasks:\n  a: {{action: x, undo: {{action: u, input: {secret}}}, next: [{{do: ask}}]}}\n  ask: {{approve: \
         {{question: q, notify: {{action: n, input: {secret}}}}}}}\n"
    );
    let mut host = begin_native(&text);
    let constants = |host: &mut Host| -> Vec<(String, Vec<String>)> {
        host.starts(100).into_iter().map(|start| (start.task, start.constants)).collect()
    };
    let token = || vec!["t".to_owned()];
    host.starts(100);
    host.end(1, Status::Succeeded, Value::Null);
    assert_eq!(constants(&mut host), [("ask".to_owned(), vec![]), ("ask/notify".to_owned(), token())]);
    host.end(2, Status::Failed, Value::Null);
    assert_eq!(constants(&mut host), [("on_freeze/notify".to_owned(), token())]);
    decide(&mut host, Decision::Rollback).unwrap();
    assert_eq!(constants(&mut host), [("undo/0/a".to_owned(), token())]);
    host.end(5, Status::Succeeded, Value::Null);
    assert_eq!(constants(&mut host), [("finally/0".to_owned(), token())]);
}
