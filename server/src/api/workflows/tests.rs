use serde_json::json;

use super::*;
use crate::live::testkit::{child, ended, live, state};

fn id_of(state: &ExecutionState) -> ExecutionId {
    ExecutionId::parse(&state.execution_id).unwrap()
}

fn frozen_at(tasks: &[(&str, u64)]) -> Value {
    let tasks = tasks.iter().map(|(task, route)| json!({ "task": task, "route": route, "status": "failed" }));
    json!({ "tasks": tasks.collect::<Vec<_>>(), "open": [], "variables": {}, "errors": [] })
}

fn retry(task: &str, route: u32) -> Decision {
    Decision::Retry { task: task.to_owned(), route, reset_items: false, input: Map::new() }
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_can() {
    let workflow = state(1, "running");
    let task = ExecutionState { pool: "default".into(), delivery: "at_least_once".into(), ..state(2, "running") };
    let below = child(3, 1, "sub", "failed");
    let rerun = Asked::Rerun(Vec::new());
    let over = |state: &ExecutionState| ended(state.clone(), "failed");
    for (known, asked, why) in [
        (live(workflow.clone()), Asked::Pause, None),
        (live(workflow.clone()), rerun.clone(), Some("only what is over runs again")),
        (live(workflow.clone()), Asked::Decide(Decision::Rollback), Some("running and not frozen")),
        (live(state(4, "paused")), Asked::Decide(Decision::Rollback), Some("petrel workflow resume")),
        (live(state(4, "pausing")), Asked::Decide(Decision::Rollback), Some("once what runs has ended")),
        (live(state(4, "pausing")), Asked::Decide(retry("check", 0)), None),
        (live(state(4, "paused")), Asked::Resume, None),
        (over(&workflow), rerun.clone(), None),
        (over(&workflow), Asked::Resume, Some("is over, and cannot resume")),
        (over(&workflow), Asked::Decide(Decision::Rollback), Some("is over, and cannot decide")),
        (over(&task), rerun.clone(), Some("is no workflow")),
        (live(task), Asked::Pause, Some("is no workflow")),
        (over(&below), rerun.clone(), Some("belongs to")),
    ] {
        let id = id_of(known.state.as_ref().unwrap());
        let refused = refusal(&id, Some(&known), &asked);
        let fits = match (&refused, why) {
            (Some(refused), Some(why)) => refused.contains(why) && refused.starts_with(id.as_str()),
            (refused, why) => refused.is_none() && why.is_none(),
        };
        assert!(fits, "{} of {}: {refused:?}", asked.as_str(), known.status());
    }
    // Whoever owns it knows more than this server.
    assert_eq!(refusal(&id_of(&workflow), None, &rerun), None);
    assert!(refusal(&id_of(&below), None, &rerun).unwrap().contains(id_of(&below).root().as_str()));
}

#[test]
fn a_decision_is_about_a_task_that_failed() {
    let frozen = frozen_at(&[("evacuate", 0), ("mail", 2)]);
    let why = |decision: &Decision| undecidable("paused", Some(&frozen), decision);
    for decision in [
        retry("evacuate", 0),
        Decision::Skip { task: "mail".into(), route: 2, result: Value::Null },
        Decision::Resume { variables: Map::new() },
        Decision::Rollback,
    ] {
        assert_eq!(why(&decision), None, "{decision:?}");
    }
    assert_eq!(
        why(&retry("evacuat", 0)).unwrap(),
        "waits for decisions about evacuate, mail~2, and for none about evacuat, did you mean \"evacuate\"?"
    );
    assert!(why(&retry("mail", 0)).unwrap().contains("for none about mail"));
    let too_large = json!({ "left_out": ["variables", "errors", "open", "tasks"] });
    assert_eq!(undecidable("paused", Some(&too_large), &retry("mail", 0)), None);
}

#[test]
fn a_task_that_failed_on_one_route_alone_is_meant_by_its_name() {
    let route = |mut decision: Value, frozen: &Value| {
        find_route(&mut decision, frozen);
        decision.get("route").cloned()
    };
    let (one, two) = (frozen_at(&[("mail", 2), ("other", 1)]), frozen_at(&[("mail", 2), ("mail", 3)]));
    assert_eq!(route(json!({ "decision": "skip", "task": "mail" }), &one), Some(json!(2)));
    assert_eq!(route(json!({ "decision": "skip", "task": "mail", "route": 0 }), &one), Some(json!(0)));
    assert_eq!(route(json!({ "decision": "skip", "task": "mail" }), &two), None);
    assert_eq!(route(json!({ "decision": "rollback" }), &one), None);
    assert_eq!(route(json!([]), &one), None);
}
