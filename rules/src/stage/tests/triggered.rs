//! Events of `petrel.triggers`.

use serde_json::json;

use super::*;

/// An event that came over HTTP.
pub(super) fn triggered(trigger: &str, event_id: &str, payload: &str) -> Vec<u8> {
    encode(&event(trigger, event_id, payload))
}

fn event(trigger: &str, event_id: &str, payload: &str) -> TriggerEvent {
    TriggerEvent {
        event_id: event_id.into(),
        trigger: trigger.into(),
        occurred_at_ms: 1,
        payload: payload.into(),
        source: "http".into(),
        cause_depth: 0,
    }
}

#[test]
fn events_of_petrel_triggers_keep_their_ids() {
    let (mut stage, _) = stage(options());
    let rules = [("r", "trigger.n > 1", json!({"n": "${trigger.n}"}))];
    let view = view(vec![(trigger("disk.http", json!({}), &rules), None)]);
    let values = [
        triggered("disk.http", "client-1", r#"{"n":2}"#),
        triggered("disk.nowhere", "client-2", "{}"),
        triggered("disk.http", "client-3", "{"),
        triggered("disk.http", "", "{}"),
        b"garbage".to_vec(),
        triggered("disk.http", "client-1", r#"{"n":2}"#),
    ];
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let outputs = step(&mut stage, &view, "petrel.triggers", &records(0, &values));
    let requests = requests(&outputs);
    let execution = ExecutionId::of_request(&EventId::parse("client-1").unwrap(), "disk.r", 0, 0);
    // The same event twice is the same execution twice; the owners tell them apart from new ones.
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|r| r.execution_id == execution.as_str() && r.event_at_ms == Some(AT_MS)));
    let reasons: Vec<_> = letters(&outputs).into_iter().map(|l| (l.offset, l.reason)).collect();
    let expected = [(1, "unknown_trigger"), (2, "malformed_json"), (3, "undecodable"), (4, "not_a_record")];
    assert_eq!(reasons, expected.map(|(offset, reason)| (offset, reason.to_owned())));
}

#[test]
fn an_event_that_too_many_executions_have_caused_is_a_dead_letter() {
    let (mut stage, _) = stage(options());
    let view = view(vec![(trigger("disk.http", json!({}), &[("r", "true", json!({}))]), None)]);
    let of = |id: &str, cause_depth: i32| encode(&TriggerEvent { cause_depth, ..event("disk.http", id, "{}") });
    let values = [of("a", 0), of("b", 32), of("c", 33)];
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let outputs = step(&mut stage, &view, "petrel.triggers", &records(0, &values));
    // What they cause is as deep as they are: the next event is one deeper.
    assert_eq!(requests(&outputs).iter().map(|request| request.cause_depth).collect::<Vec<_>>(), [0, 32]);
    let letters = letters(&outputs);
    assert_eq!((letters.len(), &*letters[0].reason, letters[0].offset), (1, "cause_too_deep", 2));
    assert_eq!(letters[0].event_id.as_deref(), Some("c"));
}

#[test]
fn what_an_action_injects_is_checked_as_nobody_else_has_done() {
    let (mut stage, _) = stage(options());
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let rules = [("r", "trigger.n > 0", json!({}))];
    let plan = Arc::into_inner(trigger("disk.http", schema, &rules)).unwrap();
    let plan = plan.with_injected_check(FullCheck::new(|payload| match payload {
        br#"{"n":7}"# => Err("n is 7".to_owned()),
        _ => Ok(()),
    }));
    let view = view(vec![(Arc::new(plan), None)]);
    let of = |source: &str, payload: &str| {
        encode(&TriggerEvent { source: source.to_owned(), ..event("disk.http", "e", payload) })
    };
    let values = [
        of("action/disk.tell", r#"{"n":1}"#),
        of("action/disk.tell", "{}"),
        of("action/disk.tell", r#"{"n":7}"#),
        of("http", r#"{"n":7}"#),
    ];
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let outputs = step(&mut stage, &view, "petrel.triggers", &records(0, &values));
    assert_eq!(requests(&outputs).len(), 2);
    let refused: Vec<_> = letters(&outputs).into_iter().map(|letter| (letter.offset, letter.reason)).collect();
    assert_eq!(refused, [(1, "schema_violation".to_owned()), (2, "schema_violation".to_owned())]);
}

#[test]
fn a_rule_is_not_asked_about_the_ends_of_what_it_started() {
    let (mut stage, counters) = stage(options());
    let rules = [("notify", "trigger.status == 'failed'", json!({})), ("other", "true", json!({}))];
    let view = view(vec![(trigger("core.execution", json!({}), &rules), None)]);
    let of = |id: &str, rule: &str| triggered("core.execution", id, &format!(r#"{{"status":"failed","rule":{rule}}}"#));
    let values = [of("a", "null"), of("b", r#""disk.notify""#), of("c", r#""disk.else""#)];
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let outputs = step(&mut stage, &view, "petrel.triggers", &records(0, &values));
    let asked: Vec<_> = requests(&outputs).into_iter().map(|r| (r.event_id.unwrap(), r.rule.unwrap())).collect();
    let expected =
        [("a", "disk.notify"), ("a", "disk.other"), ("b", "disk.other"), ("c", "disk.notify"), ("c", "disk.other")];
    assert_eq!(asked, expected.map(|(event, rule)| (event.to_owned(), rule.to_owned())));
    stage.committed();
    assert_eq!(counters.totals().matches, 5);
}
