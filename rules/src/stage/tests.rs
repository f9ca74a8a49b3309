use std::sync::Arc;

use petrel_bus::{Batch, Facts, Output, OwnedRecord, PartitionState, Record, Taken};
use petrel_schemas::{
    ActionRequest, AuditRecord, CriteriaFailed, DeadLetter, EventAudited, ExecutionId, RuleMatched, encode,
};
use serde_json::json;

use super::*;
use crate::engine::{RuleSet, RuleSource};
use crate::plan::{ActionPlan, Binding, FullCheck, RulePlan, TriggerPlan};
use crate::schema::TriggerSchema;
use petrel_cel::Template;

mod triggered;
use triggered::triggered;

const NOW_MS: i64 = 1_795_000_100_000;
const AT_MS: i64 = 1_795_000_000_000;

struct View {
    plan: MatchPlan,
    kv: Kv,
    coming: Option<&'static str>,
}

impl MatchView for View {
    fn plan(&self) -> &MatchPlan {
        &self.plan
    }
    fn revision(&self) -> &str {
        "rev-1"
    }
    fn kv(&self) -> &Kv {
        &self.kv
    }
    fn kv_version(&self) -> i64 {
        7
    }
    fn coming(&self) -> Option<&str> {
        self.coming
    }
}

/// A trigger with rules given as (name, criterion, parameters of its one action).
fn trigger(name: &str, schema: serde_json::Value, rules: &[(&str, &str, serde_json::Value)]) -> Arc<TriggerPlan> {
    let sources = rules.iter().map(|(rule, criteria, _)| RuleSource {
        rule: format!("disk.{rule}").into(),
        criteria: Some((*criteria).to_owned()),
    });
    let set = RuleSet::compile(&TriggerSchema::compile(&schema), sources).unwrap();
    let plans = rules.iter().map(|(rule, _, parameters)| RulePlan {
        rule: format!("disk.{rule}").into(),
        pack: "disk".into(),
        class: None,
        actions: vec![ActionPlan { action: "disk.clean".into(), parameters: Template::rule(parameters).unwrap() }],
    });
    Arc::new(TriggerPlan::new(name.into(), set, plans.collect()))
}

fn bound(topic: &str, offsets: &[i64]) -> Option<Binding> {
    Some(Binding { topic: topic.into(), offsets: offsets.to_vec() })
}

fn view(triggers: Vec<(Arc<TriggerPlan>, Option<Binding>)>) -> View {
    View { plan: MatchPlan::new(triggers), kv: Kv::new([("frozen", r#"["db-9"]"#)]).unwrap(), coming: None }
}

fn disk_alerts() -> View {
    let schema = json!({"type": "object", "required": ["host", "used_pct"], "properties": {
        "host": {"type": "string"}, "used_pct": {"type": "number"}}});
    let parameters = json!({"host": "${trigger.host}", "mount": "${trigger.mount}", "older_than": "7d"});
    let rules = [
        ("clean", "trigger.used_pct > 90.0 && !(trigger.host in kv.frozen)", parameters),
        ("page", "trigger.used_pct > 98.0", json!({"text": "${trigger.host} is full at ${now}"})),
        ("broken", "1 / int(trigger.used_pct) > 0 || trigger.host", json!({})),
    ];
    view(vec![(trigger("disk.alert", schema, &rules), bound("alerts", &[10]))])
}

fn options() -> MatchOptions {
    MatchOptions::new("cluster", Topics::new("petrel.", 4, 4))
}

fn stage(options: MatchOptions) -> (MatchStage<View>, Arc<MatchCounters>) {
    let counters = Arc::new(MatchCounters::default());
    (MatchStage::new(options, counters.clone()), counters)
}

fn records(first: i64, values: &[&[u8]]) -> Vec<OwnedRecord> {
    let record = |(at, value): (i64, &&[u8])| OwnedRecord {
        offset: first + at,
        timestamp_ms: AT_MS,
        key: None,
        value: Some(value.to_vec()),
    };
    (0..).zip(values).map(record).collect()
}

fn facts(now_ms: i64) -> Facts {
    Facts { partition: 0, now_ms, blocked_ms: 0, is_careful: false }
}

fn step(stage: &mut MatchStage<View>, view: &View, topic: &str, records: &[OwnedRecord]) -> Vec<Output> {
    step_at(stage, view, topic, records, NOW_MS)
}

fn step_at(
    stage: &mut MatchStage<View>,
    view: &View,
    topic: &str,
    records: &[OwnedRecord],
    now_ms: i64,
) -> Vec<Output> {
    let topic: Arc<str> = topic.into();
    let records: Vec<Record<'_>> = records.iter().map(OwnedRecord::as_record).collect();
    let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
    let mut context = Context::new(facts(now_ms), view, &mut state, &mut outputs);
    let batch = Batch { topic: &topic, partition: 0, records: &records };
    assert_eq!(stage.records(batch, &mut context), Taken::All);
    outputs
}

fn requests(outputs: &[Output]) -> Vec<ActionRequest> {
    let of = outputs.iter().filter(|o| &*o.topic == "petrel.requests");
    of.map(|o| decode(o.value.as_deref().unwrap()).unwrap()).collect()
}

fn letters(outputs: &[Output]) -> Vec<DeadLetter> {
    let of = outputs.iter().filter(|o| &*o.topic == "petrel.dead_letters");
    of.map(|o| decode(o.value.as_deref().unwrap()).unwrap()).collect()
}

fn audit(outputs: &[Output]) -> Vec<AuditRecord> {
    let of = outputs.iter().filter(|o| &*o.topic == "petrel.audit");
    of.map(|o| AuditRecord::decode(o.value.as_deref().unwrap()).unwrap()).collect()
}

fn failures(outputs: &[Output]) -> Vec<CriteriaFailed> {
    let failed = |row| if let AuditRecord::CriteriaFailed(row) = row { Some(row) } else { None };
    audit(outputs).into_iter().filter_map(failed).collect()
}

#[test]
fn a_match_becomes_a_request_and_audit_rows() {
    let (mut stage, counters) = stage(options());
    let view = disk_alerts();
    let payload = br#"{"host":"db-1","mount":"/tmp","used_pct":95}"#;
    let outputs = step(&mut stage, &view, "alerts", &records(42, &[payload]));

    let event = EventId::of_record("cluster", "alerts", 0, 42, AT_MS);
    let execution = ExecutionId::of_request(&event, "disk.clean", 0, 0);
    let expected = ActionRequest {
        execution_id: execution.to_string(),
        root_execution_id: execution.to_string(),
        event_id: Some(event.to_string()),
        event_at_ms: Some(AT_MS),
        trigger: Some("disk.alert".into()),
        rule: Some("disk.clean".into()),
        action_index: 0,
        redrive: 0,
        action: "disk.clean".into(),
        // `mount` is read by no criterion: the event was parsed again for it.
        parameters: r#"{"host":"db-1","mount":"/tmp","older_than":"7d"}"#.into(),
        revision: "rev-1".into(),
        kv_version: 7,
        requested_at_ms: NOW_MS,
        requested_by: "rule".into(),
        cause_depth: 0,
        class: None,
    };
    assert_eq!(requests(&outputs), [expected]);
    let request = outputs.iter().find(|o| &*o.topic == "petrel.requests").unwrap();
    assert_eq!(request.key.as_deref(), Some(execution.as_str().as_bytes()));

    let rows = audit(&outputs);
    let audited = EventAudited {
        event_id: event.to_string(),
        trigger: "disk.alert".into(),
        topic: "alerts".into(),
        partition: 0,
        offset: 42,
        event_at_ms: AT_MS,
        payload: String::from_utf8(payload.to_vec()).unwrap(),
        rules_matched: 1,
        revision: "rev-1".into(),
        kv_version: 7,
    };
    let matched = RuleMatched {
        event_id: event.to_string(),
        trigger: "disk.alert".into(),
        rule: "disk.clean".into(),
        action: "disk.clean".into(),
        action_index: 0,
        execution_id: execution.to_string(),
        event_at_ms: AT_MS,
        revision: "rev-1".into(),
        kv_version: 7,
    };
    assert!(rows.contains(&AuditRecord::EventAudited(audited)) && rows.contains(&AuditRecord::RuleMatched(matched)));
    assert_eq!(failures(&outputs).len(), 1);
    assert!(
        outputs
            .iter()
            .filter(|o| &*o.topic == "petrel.audit")
            .all(|o| o.key.as_deref() == Some(event.as_str().as_bytes()))
    );

    assert_eq!(counters.totals(), MatchTotals::default(), "nothing counts before it is committed");
    stage.committed();
    let totals = counters.totals();
    assert_eq!((totals.events, totals.matches, totals.requests, totals.errors.len()), (1, 1, 1, 1));
}

#[test]
fn the_same_batch_gives_the_same_bytes() {
    let payloads: Vec<Vec<u8>> = (0..50)
        .map(|i| {
            format!(r#"{{"host":"db-{i}","used_pct":{},"mount":{{"b":{i},"a":1,"z":[1,{{"y":2,"x":1}}]}}}}"#, 60 + i)
        })
        .map(String::into_bytes)
        .chain([b"{".to_vec(), b"{}".to_vec()])
        .collect();
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let view = disk_alerts();
    let run = || step(&mut stage(options()).0, &view, "alerts", &records(10, &payloads));
    let first = run();
    assert!(first.len() > 50);
    for _ in 0..5 {
        assert_eq!(run(), first);
    }
}

#[test]
fn what_does_not_match_leaves_no_trace_unless_configured() {
    let view = disk_alerts();
    let payload: &[u8] = br#"{"host":"db-9","used_pct":95.0}"#;
    let rows = |record_all_events| {
        let outputs = step(
            &mut stage(MatchOptions { record_all_events, ..options() }).0,
            &view,
            "alerts",
            &records(10, &[payload]),
        );
        assert!(requests(&outputs).is_empty());
        audit(&outputs)
            .into_iter()
            .filter(|r| matches!(r, AuditRecord::EventAudited(e) if e.rules_matched == 0))
            .count()
    };
    assert_eq!((rows(false), rows(true)), (0, 1));
}

#[test]
fn bad_records_are_dead_letters_with_a_reason_and_stop_nothing() {
    let (mut stage, counters) = stage(MatchOptions { payload_bytes_max: 100_000, ..options() });
    let view = disk_alerts();
    let large = format!(r#"{{"host":"a","used_pct":99,"x":"{}"}}"#, "x".repeat(200_000));
    let values: [&[u8]; 6] = [
        b"{\"host\": nope}",
        large.as_bytes(),
        br#"{"host":1,"used_pct":95}"#,
        br#"{"host":"db-1"}"#,
        b"\xff\xfe",
        br#"{"host":"db-1","used_pct":99.5}"#,
    ];
    let mut records = records(20, &values);
    records.push(OwnedRecord { offset: 26, timestamp_ms: AT_MS, key: None, value: None });
    let outputs = step(&mut stage, &view, "alerts", &records);
    let found: Vec<_> = letters(&outputs)
        .into_iter()
        .map(|l| format!("{} {} {} {}: {}", l.offset, l.reason, l.record_bytes, l.head.len(), l.detail))
        .collect();
    let expected = [
        "20 malformed_json 14 14: expected a value at byte 9 (line 1, column 10)".to_owned(),
        format!("21 payload_too_large {0} 65536: the payload has {0} bytes, more than 100000", large.len()),
        "22 schema_violation 24 24: /host: expected string, found integer".to_owned(),
        "23 schema_violation 15 15: /used_pct: expected a value, found nothing".to_owned(),
        "24 malformed_json 2 2: invalid UTF-8 at byte 0 (line 1, column 1)".to_owned(),
        // It matches both rules; one of them needs a field that is not there.
        "25 parameters_not_rendered 31 31: parameters of disk.clean: no such field: mount".to_owned(),
        "26 no_value 0 0: the record is a tombstone".to_owned(),
    ];
    assert_eq!(found, expected);
    let requests = requests(&outputs);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].rule.as_deref(), Some("disk.page"));
    assert_eq!(requests[0].parameters, r#"{"text":"db-1 is full at 2026-11-18T11:06:40Z"}"#);
    let letter = letters(&outputs).into_iter().find(|l| l.offset == 25).unwrap();
    assert_eq!((letter.rule.as_deref(), letter.trigger.as_deref()), (Some("disk.clean"), Some("disk.alert")));
    assert_eq!(letter.execution_id.map(|id| id.len()), Some(32));
    stage.committed();
    let totals = counters.totals();
    assert_eq!(
        totals.dead_letters.into_iter().collect::<Vec<_>>(),
        [
            ("malformed_json", 2),
            ("no_value", 1),
            ("parameters_not_rendered", 1),
            ("payload_too_large", 1),
            ("schema_violation", 2),
        ]
    );
    assert_eq!(totals.errors.get(&("disk.clean".into(), "missing_field")), Some(&1));
}

#[test]
fn one_triggers_schema_concerns_that_trigger_only() {
    let strict = json!({"required": ["id"], "properties": {"n": {"type": "number"}}});
    let rules = |name| [(name, "trigger.n > 0", json!({"n": "${trigger.n}"}))];
    let view = view(vec![
        (trigger("disk.strict", strict, &rules("strict")), bound("alerts", &[])),
        (trigger("disk.loose", json!({}), &rules("loose")), bound("alerts", &[])),
    ]);
    let (mut stage, _) = stage(options());
    let outputs = step(&mut stage, &view, "alerts", &records(0, &[br#"{"n":5}"#, br#"{"n":5,"id":1}"#]));
    let of: Vec<_> = requests(&outputs).into_iter().map(|r| (r.rule.unwrap(), r.parameters)).collect();
    let expected = [("disk.loose", r#"{"n":5}"#), ("disk.loose", r#"{"n":5}"#), ("disk.strict", r#"{"n":5.0}"#)];
    assert_eq!(of, expected.map(|(rule, parameters)| (rule.to_owned(), parameters.to_owned())));
    let refused = letters(&outputs);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].trigger.as_deref(), Some("disk.strict"));
    // Malformed for one is malformed for all: one letter.
    assert_eq!(letters(&step(&mut stage, &view, "alerts", &records(2, &[b"{"]))).len(), 1);
}

#[test]
fn a_full_check_refuses_what_the_paths_let_through() {
    let (mut stage, _) = stage(options());
    let plan = trigger("t.full", json!({}), &[("r", "true", json!({}))]);
    let check = FullCheck::new(|payload| match payload.len() {
        ..5 => Ok(()),
        length => Err(format!("{length} bytes")),
    });
    let plan = Arc::new(Arc::into_inner(plan).unwrap().with_full_check(check));
    let view = view(vec![(plan, bound("alerts", &[])), (trigger("t.paths", json!({}), &[]), bound("alerts", &[]))]);
    let outputs = step(&mut stage, &view, "alerts", &records(0, &[b"[1]", b"[1, 2]"]));
    assert_eq!(requests(&outputs).len(), 1);
    let letters = letters(&outputs);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].detail.as_str()), ("schema_violation", "6 bytes"));
}

#[test]
fn triggers_see_records_from_their_start_offsets() {
    let rules = |name| [(name, "true", json!({}))];
    let view = view(vec![
        (trigger("disk.a", json!({}), &rules("a")), bound("t", &[5, 100])),
        (trigger("disk.b", json!({}), &rules("b")), bound("t", &[7])),
        (trigger("disk.c", json!({}), &rules("c")), bound("u", &[3, 4])),
        (trigger("disk.d", json!({}), &rules("d")), None),
    ]);
    let (mut stage, counters) = stage(options());
    let records = records(4, &[b"{}".as_slice(); 5]);
    let seen: Vec<_> = requests(&step(&mut stage, &view, "t", &records)).into_iter().map(|r| r.rule.unwrap()).collect();
    assert_eq!(seen, ["disk.a", "disk.a", "disk.a", "disk.b", "disk.a", "disk.b"]);
    stage.committed();
    assert_eq!(counters.totals().events, 4);
    assert!(step(&mut stage, &view, "unbound", &records).is_empty());

    let inputs: Vec<_> = stage.inputs(&view).into_iter().map(|i| (i.name.to_string(), i.start)).collect();
    let expected =
        [("petrel.triggers", Start::Beginning), ("t", Start::Offsets(vec![5])), ("u", Start::Offsets(vec![3, 4]))];
    assert_eq!(inputs, expected.map(|(name, start)| (name.to_owned(), start)));
}

#[test]
fn an_event_of_a_newer_release_waits() {
    let (mut stage, counters) = stage(options());
    let view = view(vec![(trigger("disk.http", json!({}), &[]), None)]);
    let first = triggered("disk.http", "client-1", "{}");
    let owned = records(0, &[&first, b"\xC3\x01newer-release"]);
    let records: Vec<Record<'_>> = owned.iter().map(OwnedRecord::as_record).collect();
    let topic: Arc<str> = "petrel.triggers".into();
    let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
    let mut context = Context::new(facts(NOW_MS), &view, &mut state, &mut outputs);
    let taken = stage.records(Batch { topic: &topic, partition: 0, records: &records }, &mut context);
    assert!(matches!(&taken, Taken::Blocked { consumed: 1, reason } if reason.contains("newer release")), "{taken:?}");
    stage.committed();
    assert_eq!((letters(&outputs).len(), counters.totals().events), (0, 1));
}

#[test]
fn rows_of_errors_are_limited_and_counts_are_not() {
    let (mut stage, counters) = stage(options());
    let rules = [("zero", "1 / trigger.n > 0", json!({})), ("type", "trigger.n > 'a'", json!({}))];
    let view = view(vec![(trigger("disk.t", json!({}), &rules), bound("t", &[]))]);
    let batch = records(0, &[br#"{"n":0}"#.as_slice(); 30]);
    let rows = |outputs: &[Output]| failures(outputs).into_iter().map(|f| f.code).collect::<Vec<_>>();
    let first = rows(&step(&mut stage, &view, "t", &batch));
    assert_eq!(first.iter().filter(|c| *c == "divide_by_zero").count(), 10);
    assert_eq!(first.iter().filter(|c| *c == "no_such_overload").count(), 10);
    // Rows of an aborted transaction were not written: the same come again.
    stage.aborted();
    assert_eq!(rows(&step(&mut stage, &view, "t", &batch)), first);
    stage.committed();
    assert_eq!(rows(&step(&mut stage, &view, "t", &batch)).len(), 0);
    stage.committed();
    assert_eq!(rows(&step_at(&mut stage, &view, "t", &batch, NOW_MS + 60_000)).len(), 20);
    stage.committed();
    assert_eq!(counters.totals().errors.get(&("disk.zero".into(), "divide_by_zero")), Some(&90));
}

#[test]
fn what_is_too_large_becomes_a_dead_letter() {
    let (mut stage, _) = stage(MatchOptions { request_bytes_max: 200, ..options() });
    let rules = [("r", "true", json!({"x": "${trigger.x}"}))];
    let view = view(vec![(trigger("disk.t", json!({}), &rules), bound("t", &[]))]);
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(300));
    let outputs = step(&mut stage, &view, "t", &records(0, &[large.as_bytes(), br#"{"x":1}"#]));
    assert_eq!(requests(&outputs).len(), 1);
    let refused = letters(&outputs);
    assert_eq!(refused[0].reason, "request_too_large");
    assert_eq!(refused[0].rule.as_deref(), Some("disk.r"));

    let request = outputs.iter().find(|o| &*o.topic == "petrel.requests").unwrap();
    let replaced = stage.spec().give_up_output(request, 400);
    let letter = &letters(&[replaced])[0];
    assert_eq!((letter.reason.as_str(), letter.topic.as_str()), ("output_too_large", "petrel.requests"));
    assert_eq!(letter.execution_id, Some(requests(&outputs)[0].execution_id.clone()));
}

#[test]
fn an_event_of_a_trigger_to_come_waits_for_it() {
    let (mut stage, counters) = stage(options());
    let before = view(vec![(trigger("disk.old", json!({}), &[]), None)]);
    let values = [triggered("disk.old", "a", "{}"), triggered("disk.new", "b", "{}"), triggered("disk.old", "c", "{}")];
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let owned = records(0, &values);
    let records: Vec<Record<'_>> = owned.iter().map(OwnedRecord::as_record).collect();
    let topic: Arc<str> = "petrel.triggers".into();
    let batch = Batch { topic: &topic, partition: 0, records: &records };
    let mut take = |view: &View, now_ms: i64| {
        let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
        let step = stage.records(batch, &mut Context::new(facts(now_ms), view, &mut state, &mut outputs));
        stage.committed();
        (step, outputs)
    };
    let (step, _) = take(&before, AT_MS + 9_999);
    assert!(matches!(step, Taken::Blocked { consumed: 1, .. }), "{step:?}");
    assert_eq!(counters.totals().events, 1);
    let rules = [("r", "true", json!({}))];
    let after = view(vec![(trigger("disk.old", json!({}), &[]), None), (trigger("disk.new", json!({}), &rules), None)]);
    let (step, outputs) = take(&after, AT_MS + 9_999);
    assert_eq!((step, requests(&outputs).len()), (Taken::All, 1));
    let compiling = View { coming: Some("rev-2"), ..view(vec![(trigger("disk.old", json!({}), &[]), None)]) };
    let (step, outputs) = take(&compiling, AT_MS + 1_000_000);
    assert!(matches!(&step, Taken::Blocked { consumed: 1, reason } if reason.contains("rev-2") && outputs.is_empty()));
    let (step, outputs) = take(&before, AT_MS + 10_000);
    assert_eq!((step, letters(&outputs)[0].reason.as_str()), (Taken::All, "unknown_trigger"));
}

#[test]
fn an_end_that_no_rule_asks_for_waits_for_the_revision_that_is_being_compiled() {
    let (mut stage, _) = stage(options());
    let value = triggered(ENDS_TRIGGER, "a", "{}");
    let owned = records(0, &[value.as_slice()]);
    let records: Vec<Record<'_>> = owned.iter().map(OwnedRecord::as_record).collect();
    let topic: Arc<str> = "petrel.triggers".into();
    let batch = Batch { topic: &topic, partition: 0, records: &records };
    let mut take = |view: &View| {
        let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
        let step = stage.records(batch, &mut Context::new(facts(AT_MS), view, &mut state, &mut outputs));
        (step, requests(&outputs).len())
    };
    let of = |rules: &[(&str, &str, serde_json::Value)]| view(vec![(trigger(ENDS_TRIGGER, json!({}), rules), None)]);
    let compiling = View { coming: Some("rev-2"), ..of(&[]) };
    assert!(matches!(take(&compiling), (Taken::Blocked { consumed: 0, .. }, 0)));
    let asks = [("r", "true", json!({}))];
    assert_eq!(take(&of(&asks)), (Taken::All, 1));
    assert_eq!(take(&View { coming: Some("rev-3"), ..of(&asks) }), (Taken::All, 1), "somebody asks for it already");
    assert_eq!(take(&of(&[])), (Taken::All, 0), "nothing is coming");
}

#[test]
fn an_undecided_plan_blocks_every_topic_and_makes_no_dead_letters() {
    let binding = |offsets: &[i64]| Binding { topic: "alerts".into(), offsets: offsets.to_vec() };
    let plan = MatchPlan::undecided("the revision cannot be compiled", [binding(&[7, 9, 3]), binding(&[8, 2])]);
    let inputs: Vec<_> = plan.inputs().into_iter().map(|input| (input.name.to_string(), input.start)).collect();
    assert_eq!(inputs, [("alerts".to_owned(), Start::Offsets(vec![7, 2]))]);
    let view = View { plan, kv: Kv::empty(), coming: None };
    let (mut stage, _) = stage(options());
    for topic in ["alerts", "petrel.triggers", "bound.no.more"] {
        let (topic, records): (Arc<str>, _) = (topic.into(), records(0, &[b"{}"]));
        let records: Vec<Record<'_>> = records.iter().map(OwnedRecord::as_record).collect();
        let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
        let mut context = Context::new(facts(NOW_MS), &view, &mut state, &mut outputs);
        let taken = stage.records(Batch { topic: &topic, partition: 0, records: &records }, &mut context);
        let reason = "the revision cannot be compiled".to_owned();
        assert_eq!(taken, Taken::Blocked { consumed: 0, reason });
        assert!(outputs.is_empty());
    }
}
