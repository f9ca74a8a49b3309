use petrel_schemas::ExecutionState;

use super::*;
use crate::live::LiveView;
use crate::live::testkit::{child, ended, live, state};

fn asked(n: u32, parameters: Value) -> ExecutionState {
    ExecutionState {
        action: "core.ask".to_owned(),
        parameters: parameters.to_string(),
        started_at_ms: Some(i64::from(n) * 1_000),
        ..child(n, 1, "approve", "pending")
    }
}

fn view(states: &[ExecutionState]) -> LiveView {
    let view = LiveView::new(1);
    for state in states {
        view.put(live(state.clone()), 0);
    }
    view
}

fn listed(view: &LiveView, query: &ListQuery) -> Vec<String> {
    let (waiting, complete) = view.all_waiting(|waiting| query.is_of_kind(waiting));
    assert!(complete);
    let entries = waiting.iter().map(|waiting| {
        let asker = waiting.state.parent_execution_id.as_ref().and_then(|id| view.get(id));
        (waiting.since_ms, open::entry(waiting, asker.as_ref()))
    });
    let text = |entry: Value| entry["question"].as_str().unwrap_or_default().to_owned();
    query.select(entries.collect()).into_iter().map(text).collect()
}

#[test]
fn open_questions_are_listed_however_many_executions_came_after_them() {
    let view = view(&[
        asked(3, json!({ "question": "c?", "route": "ops", "tag": "x" })),
        asked(1, json!({ "question": "a?", "route": "ops" })),
        asked(2, json!({ "question": "b?", "route": "dba" })),
        ExecutionState { children_open: 1, ..state(4, "pending") },
        state(5, "running"),
        state(6, "paused"),
    ]);
    let all = ListQuery::default();
    assert_eq!(listed(&view, &all), ["a?", "b?", "c?"]);
    assert_eq!(listed(&view, &ListQuery { order: Order::Latest, limit: Some(2), ..all }), ["c?", "b?"]);
    let ops = || Some("ops".to_owned());
    assert_eq!(listed(&view, &ListQuery { route: ops(), ..ListQuery::default() }), ["a?", "c?"]);
    let tagged = ListQuery { route: ops(), tag: Some("x".to_owned()), ..ListQuery::default() };
    assert_eq!(listed(&view, &tagged), ["c?"]);
    let root = asked(2, json!({})).root_execution_id;
    assert_eq!(listed(&view, &ListQuery { workflow: Some(root), ..ListQuery::default() }), ["b?"]);
    let none = [
        ListQuery { kind: Some(Kind::Freeze), ..ListQuery::default() },
        ListQuery { workflow: Some("flow.other".to_owned()), ..ListQuery::default() },
    ];
    for query in none {
        assert_eq!(listed(&view, &query), [""; 0], "{query:?}");
    }
}

#[test]
fn a_question_is_shown_with_all_that_its_answer_needs() {
    let schema = json!({ "type": "boolean" });
    let state =
        asked(7, json!({ "question": "Go?", "schema": schema, "ttl": 2, "route": "ops", "tag": "", "users": [] }));
    let workflow = ExecutionState { action: "flow.deploy".to_owned(), ..crate::live::testkit::state(7, "pending") };
    let view = view(std::slice::from_ref(&state));
    let waiting = view.waiting(&state.execution_id).unwrap();
    let shown = open::whole(&waiting, Some(&live(workflow.clone())));
    for (name, wanted) in [
        ("inquiry_id", json!(state.execution_id)),
        ("kind", json!("question")),
        ("status", json!("open")),
        ("question", json!("Go?")),
        ("schema", schema),
        ("since", json!("1970-01-01T00:00:07Z")),
        ("until", json!("1970-01-01T00:02:07Z")),
        ("route", json!("ops")),
        ("users", json!([])),
        ("roles", Value::Null),
        ("workflow", json!({ "execution_id": workflow.execution_id, "action": "flow.deploy", "task": "approve" })),
    ] {
        assert_eq!(shown[name], wanted, "{name}");
    }
    assert!(open::is_of(&shown, "flow.deploy") && open::is_of(&shown, &state.execution_id));
    assert!(!open::is_of(&shown, "flow") && !open::is_of(&shown, &state.execution_id[..8]));
    assert_eq!(waits_for(&state).unwrap(), "an answer: Go?");
    assert_eq!(waits_for(&ExecutionState { children_open: 1, ..workflow }).unwrap(), "an answer to what it asks");

    let forever = asked(8, json!({ "ttl": 0 }));
    let waiting = view_of_one(&forever);
    assert_eq!(open::entry(&waiting, None)["until"], Value::Null);
    let of_a_workflow = asked(8, json!({ "ttl": 0, "$until": "1970-01-01T01:00:08Z" }));
    assert_eq!(open::entry(&view_of_one(&of_a_workflow), None)["until"], json!("1970-01-01T01:00:08Z"));
    assert_eq!(waits_for(&forever).unwrap(), "an answer");
}

fn view_of_one(state: &ExecutionState) -> Waiting {
    view(std::slice::from_ref(state)).waiting(&state.execution_id).unwrap()
}

#[test]
fn what_became_of_a_question_is_told_to_who_comes_too_late() {
    let state = asked(1, json!({ "question": "Go?" }));
    let id = ExecutionId::parse(&state.execution_id).unwrap();
    let row = json!({
        "status": "succeeded",
        "action": "core.ask",
        "parameters": "{\"question\": \"Go?\"}",
        "result": "{\"response\": {\"continue\": true}}",
        "error": "answered by kim",
        "ended_at": "then",
    });
    let late = |status: &str, row: Option<&Value>| {
        let shown = closed::shown(&id, Some(&ended(state.clone(), status)), row).unwrap();
        let (code, why) = closed::refusal(&id, &shown);
        (shown, code, why)
    };
    let (shown, code, why) = late("succeeded", Some(&row));
    assert_eq!((&shown["answer"], &shown["status"]), (&json!({ "continue": true }), &json!("answered")));
    assert_eq!((code, why), ("already_answered", format!("{id} was answered at 1970-01-01T00:00:01Z by kim")));
    let (_, code, why) = late("succeeded", None);
    assert!(code == "already_answered" && why.contains("audit trail"), "{why}");
    for (status, told) in [("timeout", "expired"), ("canceled", "withdrawn"), ("failed", "failed")] {
        let (shown, code, why) = late(status, None);
        assert_eq!((code, shown["status"].as_str()), ("not_open", Some(told)));
        assert!(why.contains(told), "{why}");
    }
    // By the audit trail alone, once the live view has forgotten it.
    let shown = closed::shown(&id, None, Some(&row)).unwrap();
    assert_eq!((&shown["question"], &shown["answered_by"]), (&json!("Go?"), &json!("kim")));
    let no_question =
        json!({ "status": "succeeded", "action": "demo.a", "parameters": "{}", "result": "{\"output\": 1}" });
    assert_eq!(closed::shown(&id, None, Some(&no_question)), None);
    assert_eq!(closed::shown(&id, Some(&ended(child(1, 1, "x", "running"), "succeeded")), None), None);
}

#[test]
fn what_failed_in_a_frozen_workflow_is_shown_with_its_items() {
    let failed = |number, task: &str, status: &str| ended(child(1, number, task, "running"), status);
    let parent = state(1, "paused").execution_id;
    let is = |e: &LiveExecution| open::is_failed_child(e, &parent, &["evacuate"]);
    assert!(is(&failed(1, "evacuate", "failed")) && is(&failed(2, "evacuate[3]", "timeout")));
    assert!(!is(&failed(3, "evacuate[4]", "succeeded")) && !is(&failed(4, "evacuated", "failed")));
    assert!(!is(&live(child(1, 5, "evacuate", "running"))) && !is(&ended(state(1, "running"), "failed")));
    let shown = open::failed_child(&failed(2, "evacuate[3]", "timeout"), Some(&json!({ "error": "too slow" })));
    assert_eq!((&shown["task"], &shown["error"]), (&json!("evacuate[3]"), &json!("too slow")));
}

#[test]
fn a_frozen_workflow_asks_what_becomes_of_what_failed() {
    let task = |task: &str, route: u32| json!({ "task": task, "route": route, "status": "failed" });
    let frozen = json!({ "tasks": [task("evacuate", 0), task("mail", 2)] });
    assert_eq!(open::asked(&frozen), "What becomes of evacuate, mail~2?");
    assert_eq!(open::asked(&json!({ "left_out": ["tasks"] })), "What becomes of what failed?");
    let many: Vec<Value> = (0..8).map(|n| task(&format!("t{n}"), 0)).collect();
    assert_eq!(open::asked(&json!({ "tasks": many })), "What becomes of t0, t1, t2, t3, t4 and 3 more?");
    let decisions = open::decisions(&frozen);
    let bodies: Vec<Asked> =
        decisions.as_array().unwrap().iter().map(|body| Asked::parse("decide", &body.to_string()).unwrap()).collect();
    let names: Vec<&str> = decisions.as_array().unwrap().iter().filter_map(|body| body["decision"].as_str()).collect();
    assert_eq!(names, ["retry", "skip", "retry", "skip", "resume", "rollback"]);
    assert_eq!(bodies.len(), names.len());
}

#[tokio::test]
async fn an_answer_is_checked_by_the_schema_of_its_question() {
    let check_by = |schema: Value, answer: Value| async move {
        check(&view_of_one(&asked(1, json!({ "schema": schema }))), answer).await
    };
    let schema = json!({ "properties": { "hosts": { "items": { "type": "string" } } }, "required": ["hosts"] });
    assert_eq!(check_by(schema.clone(), json!({ "hosts": ["a"] })).await, Ok(()));
    let refused = check_by(schema, json!({ "hosts": ["a", 3] })).await.unwrap_err();
    assert_eq!((refused.status, refused.code), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_answer"));
    assert_eq!(refused.details, ["/hosts/1: the value is not of type \"string\""]);
    let unusable = check_by(json!({ "$ref": "#" }), json!(1)).await.unwrap_err();
    assert_eq!((unusable.status, unusable.code), (StatusCode::CONFLICT, "unusable_schema"));
    assert_eq!(check_by(Value::Null, json!("anything")).await, Ok(()));
}
