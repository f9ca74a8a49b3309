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

/// As much as an execution's result may nest.
#[test]
fn a_rule_does_not_react_to_itself_however_deep_the_result_is() {
    let deep = format!(r#"{{"rule":"disk.notify","result":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    assert_eq!(started_by("core.execution", deep.as_bytes()).as_deref(), Some("disk.notify"));
    assert_eq!(started_by("core.execution", br#"{"rule":null}"#), None);
    assert_eq!(started_by("disk.http", deep.as_bytes()), None);
}

/// An owner writes all ends as long as it cannot tell whether anybody asks for them; and it may know of somebody who does
/// before this stage knows.
#[test]
fn ends_that_nobody_asks_for_are_passed_over_once_nobody_can_ask_any_more() {
    let (mut stage, _) = stage(options());
    let value = triggered("core.execution", "a", "{}");
    let records = records(0, &[value.as_slice()]);
    let topic: Arc<str> = "petrel.triggers".into();
    let view = view(Vec::new());
    let mut taken = |now_ms: i64| {
        let records: Vec<Record<'_>> = records.iter().map(OwnedRecord::as_record).collect();
        let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
        let mut context = Context::new(facts(now_ms), &view, &mut state, &mut outputs);
        let taken = stage.records(Batch { topic: &topic, partition: 0, records: &records }, &mut context);
        assert!(outputs.is_empty());
        matches!(taken, Taken::All)
    };
    assert!(!taken(AT_MS + limits::INJECTED_WAIT_MS - 1));
    assert!(taken(AT_MS + limits::INJECTED_WAIT_MS));
}

#[test]
fn an_injected_event_of_a_trigger_that_does_not_exist_holds_up_little() {
    let (mut stage, _) = stage(options());
    let of = |source: &str| encode(&TriggerEvent { source: source.to_owned(), ..event("disk.nowhere", "e", "{}") });
    for (source, after_ms) in [("action/disk.tell", limits::INJECTED_WAIT_MS), ("http", limits::TRIGGER_WAIT_MS)] {
        let value = of(source);
        let outputs = step_at(
            &mut stage,
            &view(Vec::new()),
            "petrel.triggers",
            &records(0, &[value.as_slice()]),
            AT_MS + after_ms,
        );
        assert_eq!(letters(&outputs)[0].reason, "unknown_trigger", "{source}");
    }
}

/// What rules that react to the ends of each other's executions start, of one execution by hand.
#[test]
fn rules_that_react_to_each_other_come_to_an_end_soon() {
    let (mut stage, _) = stage(options());
    let rules = ["one", "two", "three"].map(|rule| (rule, "true", json!({})));
    let view = view(vec![(trigger("core.execution", json!({}), &rules), None)]);
    let end = |id: &str, rule: Option<&str>, depth: i32| {
        let cause_depth = depth + petrel_schemas::end_cause_depth();
        encode(&TriggerEvent { cause_depth, ..event("core.execution", id, &json!({"rule": rule}).to_string()) })
    };
    let (mut ends, mut started) = (vec![end("by-hand", None, 0)], 0);
    while let Some(ended) = ends.pop() {
        let outputs = step(&mut stage, &view, "petrel.triggers", &records(0, &[ended.as_slice()]));
        for request in requests(&outputs) {
            started += 1;
            assert!(started <= 45, "they do not come to an end");
            ends.push(end(&request.execution_id, request.rule.as_deref(), request.cause_depth));
        }
    }
    assert_eq!(started, 3 + 6 + 12 + 24);
}
