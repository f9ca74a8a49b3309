//! Events that executions cause.

use petrel_schemas::{EventId, TaskResult};
use serde_json::{Value, json};

use super::super::*;
use super::messages::message_of;
use super::model::{Do, LEASE_MS, Model, START_MS, id};
use crate::inject::Injected;

const OK: Do = Do::Request(1, "demo.ok", "now");

/// The result of execution 1's attempt of that token, with what it injects.
fn result(token: i64, status: &'static str, events: &[&str]) -> Message {
    let Message::Report(about, Report::Ended(result)) = message_of(&Do::Result(1, token, status)) else {
        unreachable!()
    };
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    Message::Report(about, Report::Ended(TaskResult { events, result: Some("{\"n\":[1]}".to_owned()), ..result }))
}

fn injected(trigger: &str) -> String {
    Injected { trigger: trigger.to_owned(), payload: "{\"host\":\"db\"}".to_owned() }.encode()
}

#[test]
fn events_are_emitted_once_whatever_became_of_the_attempts_before() {
    let mut model = Model::new();
    for what in [OK, Do::Claim(1, 1), Do::Wait(LEASE_MS), Do::Claim(1, 2)] {
        model.act(&what);
    }
    let (one, two) = (injected("disk.alert"), injected("disk.other"));
    // The first attempt is lost: what it injects is not emitted.
    assert!(model.tell(result(1, "succeeded", &[&one])).iter().all(|told| !told.starts_with("event")));
    model.tell(result(2, "succeeded", &[&one, &two]));
    model.tell(result(2, "succeeded", &[&one, &two]));
    let events: Vec<_> = model.events.iter().map(|event| (event.event_id.clone(), event.trigger.clone())).collect();
    let ids = [0, 1].map(|number| String::from(EventId::of_injected(&id(1), number)));
    assert_eq!(events, ids.into_iter().zip(["disk.alert".to_owned(), "disk.other".to_owned()]).collect::<Vec<_>>());
    let event = &model.events[0];
    assert_eq!((&*event.payload, &*event.source, event.cause_depth), ("{\"host\":\"db\"}", "action/demo.ok", 4));
    assert_eq!(event.occurred_at_ms, model.now_ms);
}

#[test]
fn what_does_not_succeed_injects_nothing_and_what_nobody_may_inject_is_a_dead_letter() {
    for status in ["failed", "timeout", "canceled", "abandoned"] {
        let mut model = Model::new();
        [OK, Do::Claim(1, 1)].iter().for_each(|what| _ = model.act(what));
        model.tell(result(1, status, &[&injected("disk.alert")]));
        assert!(model.events.is_empty(), "{status}");
    }
    let mut model = Model::new();
    [OK, Do::Claim(1, 1)].iter().for_each(|what| _ = model.act(what));
    let told = model.tell(result(1, "succeeded", &[&injected("core.execution"), "{", &injected("disk.alert")]));
    assert_eq!(told.iter().filter(|told| *told == "dead bad_event").count(), 2, "{told:?}");
    assert_eq!(model.events.len(), 1);
    assert_eq!(model.events[0].event_id, String::from(EventId::of_injected(&id(1), 2)));
}

/// Statuses that executions end with, by what is done to them.
#[test]
fn every_end_is_told_where_rules_react_to_ends() {
    let ends: [(&[Do], &str, Value); 5] = [
        (&[OK, Do::Claim(1, 1), Do::Result(1, 1, "succeeded")], "succeeded", json!(null)),
        (&[OK, Do::Claim(1, 1), Do::Result(1, 1, "failed")], "failed", json!("failed")),
        (&[OK, Do::Wait(START_MS)], "timeout", json!("schedule_to_start")),
        (&[Do::Request(1, "demo.ok", "later"), Do::Cancel(1)], "canceled", json!("canceled")),
        (&[Do::Request(1, "demo.bad", "now")], "failed", json!("invalid_parameters")),
    ];
    for (steps, status, code) in ends {
        let (mut silent, mut model) = (Model::new(), Model::new());
        model.tell_ends();
        for what in steps {
            silent.act(what);
            model.act(what);
        }
        assert!(silent.events.is_empty(), "{steps:?}");
        let [event] = &model.events[..] else { panic!("{steps:?}: {:?}", model.events) };
        assert_eq!((&*event.trigger, &*event.source, event.cause_depth), ("core.execution", "executions", 11));
        assert_eq!(event.event_id, String::from(EventId::of_end(&id(1))));
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        let expected = json!([id(1).as_str(), status, code, "demo.rule", event.occurred_at_ms]);
        let told = ["execution_id", "status", "code", "rule", "ended_at_ms"].map(|key| payload[key].clone());
        assert_eq!(json!(told), expected, "{steps:?}");
        // A duplicate of the request, and what comes late, tell nothing more.
        steps.iter().for_each(|what| _ = model.act(what));
        assert_eq!(model.events.len(), 1, "{steps:?}");
    }
    let mut model = Model::new();
    model.tell_ends();
    [OK, Do::Claim(1, 1)].iter().for_each(|what| _ = model.act(what));
    model.tell(result(1, "succeeded", &[]));
    let payload: Value = serde_json::from_str(&model.events[0].payload).unwrap();
    assert_eq!((&payload["result"], &payload["parameters"]["host"]), (&json!({"n": [1]}), &json!("db")));
    assert_eq!((&payload["worker"], &payload["started_at_ms"]), (&json!("w"), &json!(3)));
}
