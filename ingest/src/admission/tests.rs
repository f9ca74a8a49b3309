use std::sync::Arc;

use petrel_bus::{To, partition_of};
use petrel_catalog::{PackFile, PackSource, Revision};
use petrel_schemas::{TriggerEvent, decode};
use prometheus::Registry;

use super::{Admission, AdmissionOptions, AdmittedEvent, BatchFormat, EventCall};
use crate::metrics::Metrics;
use crate::refusal::{BatchRefusal, Domain, Refusal};

const PACK: &[(&str, &str)] = &[
    ("pack.yaml", "name: t\nversion: 1.0.0\ndescription: tests\n"),
    (
        "triggers/alert.yaml",
        "name: alert\nschema:\n  type: object\n  required: [host, used_pct]\n  properties:\n    \
         host: { type: string }\n    used_pct: { type: number, maximum: 100 }\n    \
         tags: { type: array, items: { type: string } }\n",
    ),
    ("triggers/any.yaml", "name: any\n"),
    ("triggers/keyed.yaml", "name: keyed\nkey: trigger.host\n"),
    ("triggers/bound.yaml", "name: bound\nsource: { kafka: { topic: a.b, format: json } }\n"),
    ("triggers/tick.yaml", "name: tick\nsource: { interval: { every: 10s } }\n"),
    ("triggers/host.yaml", "name: host\nsource: { sensor: host, every: 10s }\n"),
];

pub(crate) fn revision(files: &[(&str, &str)]) -> Revision {
    let file = |(path, text): &(&str, &str)| PackFile {
        path: (*path).to_owned(),
        bytes: text.as_bytes().to_vec(),
        executable: false,
    };
    let source = PackSource { label: "t".to_owned(), files: files.iter().map(file).collect(), special: Vec::new() };
    Revision::load(vec![source]).unwrap_or_else(|problems| panic!("{problems}"))
}

fn admission() -> Admission {
    let triggers = revision(PACK).compiled().all_triggers().clone();
    let options = AdmissionOptions {
        event_bytes_max: 200,
        batch_events_max: 4,
        batch_bytes_max: 400,
        json_depth_max: 5,
        violations_max: 2,
        batch_refusals_max: 3,
        key_bytes_max: 10,
    };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    Admission::new(Arc::new(move || triggers.clone()), "petrel.triggers".into(), options, metrics)
}

fn call<'a>(trigger: &'a str, body: &'a str) -> EventCall<'a> {
    EventCall { trigger, event_id: None, fresh_id: "fresh", body: body.as_bytes(), now_ms: 1_234 }
}

fn event_of(admitted: &AdmittedEvent) -> TriggerEvent {
    decode(admitted.output.value.as_ref().unwrap()).unwrap()
}

#[test]
fn an_event_is_recorded_as_it_was_sent() {
    let admission = admission();
    let body = " {\"used_pct\": 1, \"host\":\"é\",\"used_pct\": 95.50}\n";
    let admitted = admission.event(EventCall { event_id: Some("mine/1"), ..call("t.alert", body) }).unwrap();
    assert_eq!(admitted.event_id.as_str(), "mine/1");
    let output = &admitted.output;
    assert_eq!((&*output.topic, output.to, output.key.as_deref()), ("petrel.triggers", To::Key, Some(&b"mine/1"[..])));
    let expected = TriggerEvent {
        event_id: "mine/1".into(),
        trigger: "t.alert".into(),
        occurred_at_ms: 1_234,
        payload: body.trim().into(),
        source: "http".into(),
        cause_depth: 0,
    };
    assert_eq!(event_of(&admitted), expected);
    let fresh = admission.event(call("t.any", "{}")).unwrap();
    assert_eq!(fresh.event_id.as_str(), "fresh");
    assert_eq!(admission.metrics.events.with_label_values(&["http"]).get(), 2);
}

#[test]
fn the_same_id_goes_to_the_same_partition() {
    let admission = admission();
    let key = |at: i64| {
        let event = EventCall { event_id: Some("id-7"), now_ms: at, ..call("t.any", "{\"a\":1}") };
        admission.event(event).unwrap().output.key.unwrap()
    };
    assert_eq!(partition_of(&key(1), 12), partition_of(&key(2), 12));
}

#[test]
fn the_last_of_duplicate_keys_is_the_one_that_is_checked() {
    let refused = |body: &str| admission().event(call("t.alert", body)).is_err();
    assert!(!refused(r#"{"host":"a","used_pct":"x","used_pct":1}"#));
    assert!(refused(r#"{"host":"a","used_pct":1,"used_pct":"x"}"#));
}

#[test]
fn refusals() {
    let admission = admission();
    let long_id = "x".repeat(129);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(200));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5), "]".repeat(5));
    let check = |trigger: &str, id: Option<&str>, body: &[u8], domain: Domain, code: &str, part: &str| {
        let event = EventCall { trigger, event_id: id, fresh_id: "fresh", body, now_ms: 0 };
        let refusal = admission.event(event).expect_err(part);
        assert_eq!((refusal.domain, refusal.code), (domain, code), "{refusal}");
        assert!(refusal.message.contains(part), "{refusal} lacks {part:?}");
        let same = admission.batch(event, BatchFormat::Lines).expect_err(part);
        assert!(same.refusal.code == code || same.items[0].refusal.code == code, "{same:?}");
    };
    use Domain::{BadRequest, Conflict, NotFound, TooLarge, Unprocessable};
    check("t.nobody", None, b"{}", NotFound, "trigger_unknown", "\"t.nobody\"");
    check("", None, b"{}", NotFound, "trigger_unknown", "no trigger");
    check("t.bound", None, b"{}", Conflict, "trigger_not_http", "the topic a.b");
    check("t.tick", None, b"{}", Conflict, "trigger_not_http", "a timer");
    check("t.host", None, b"{}", Conflict, "trigger_not_http", "the sensor host");
    check("t.any", Some(""), b"{}", BadRequest, "event_id_invalid", "empty");
    check("t.any", Some("a b"), b"{}", BadRequest, "event_id_invalid", "visible ASCII");
    check("t.any", Some(&long_id), b"{}", BadRequest, "event_id_invalid", "128 bytes");
    check("t.any", None, large.as_bytes(), TooLarge, "event_too_large", "event_bytes_max (200)");
    check("t.any", None, b"{\"a\":}", BadRequest, "event_malformed", "not valid JSON");
    check("t.any", None, b"{} {}", BadRequest, "event_malformed", "trailing characters");
    check("t.any", None, b"{\"a\":\"\xff\"}", BadRequest, "event_malformed", "not valid JSON");
    check("t.any", None, deep.as_bytes(), BadRequest, "event_too_deep", "deeper than 5 levels");
    check("t.any", None, b"[{}]", BadRequest, "event_not_an_object", "JSON object");
    check("t.any", None, b"null", BadRequest, "event_not_an_object", "JSON object");
    check("t.alert", None, b"{}", Unprocessable, "schema_violation", "\"host\"");
    check("t.keyed", None, br#"{"host":"0123456789a"}"#, TooLarge, "event_key_too_large", "key_bytes_max (10)");
    let counted = admission.metrics.refusals.with_label_values(&["trigger_not_http"]).get();
    assert_eq!(counted, 6, "single and batch");
}

#[test]
fn no_revision_no_trigger() {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let admission =
        Admission::new(Arc::new(Arc::default), "petrel.triggers".into(), AdmissionOptions::default(), metrics);
    assert_eq!(admission.event(call("t.any", "{}")).unwrap_err().code, "trigger_unknown");
}

#[test]
fn violations_come_with_pointers_and_are_bounded() {
    let pointers = |body: &str| -> Vec<String> {
        let refusal: Refusal = admission().event(call("t.alert", body)).unwrap_err();
        assert_eq!(refusal.code, "schema_violation");
        refusal.violations.into_iter().map(|v| v.pointer).collect()
    };
    assert_eq!(pointers(r#"{"host":"a"}"#), [""]);
    assert_eq!(pointers(r#"{"host":1,"used_pct":1}"#), ["/host"]);
    assert_eq!(pointers(r#"{"host":"a","used_pct":1,"tags":["x",1]}"#), ["/tags/1"]);
    assert_eq!(pointers(r#"{"host":1,"used_pct":101,"tags":[1,2,3]}"#).len(), 2);
}

#[test]
fn keys_come_from_the_payload() {
    let admission = admission();
    let key = |body: &str| {
        let key = admission.event(call("t.keyed", body)).unwrap().output.key.unwrap();
        String::from_utf8(key).unwrap()
    };
    assert_eq!(key(r#"{"host":"db-1"}"#), "db-1");
    assert_eq!(key("{}"), "fresh", "without the field the id is the key");
}

#[test]
fn batches_are_whole() {
    let admission = admission();
    let ids = |body: &str, id: Option<&str>, format| -> Result<Vec<String>, BatchRefusal> {
        let call = EventCall { event_id: id, ..call("t.any", body) };
        let events = admission.batch(call, format)?;
        Ok(events.iter().map(|e| format!("{}={}", e.event_id, event_of(e).payload)).collect())
    };
    let (array, lines) = (BatchFormat::Array, BatchFormat::Lines);
    assert_eq!(ids(r#"[{"a":1}, {"a":2}]"#, None, array).unwrap(), [r#"fresh-0={"a":1}"#, r#"fresh-1={"a":2}"#]);
    assert_eq!(ids("{\"a\":1}\n\r\n{}\r\n", Some("b"), lines).unwrap(), [r#"b-0={"a":1}"#, "b-1={}"]);
    assert_eq!(ids("[]", None, array), Ok(vec![]));
    assert_eq!(ids("\n", None, lines), Ok(vec![]));
}

#[test]
fn batches_are_refused_whole() {
    let admission = admission();
    let check = |trigger: &str, body: &str, format, domain: Domain, code: &str, items: &[(usize, &str)]| {
        let refused = admission.batch(call(trigger, body), format).expect_err(code);
        assert_eq!((refused.refusal.domain, refused.refusal.code), (domain, code), "{refused:?}");
        let found: Vec<_> = refused.items.iter().map(|i| (i.index, i.refusal.code)).collect();
        assert_eq!(found, items, "{refused:?}");
    };
    use BatchFormat::{Array, Lines};
    use Domain::{BadRequest, TooLarge, Unprocessable};
    check("t.any", "{}", Array, BadRequest, "batch_malformed", &[]);
    check("t.any", "[{},{},{},{},{}]", Array, TooLarge, "batch_too_many_events", &[]);
    check("t.any", "{}\n{}\n{}\n{}\n{}", Lines, TooLarge, "batch_too_many_events", &[]);
    check("t.any", &" ".repeat(401), Array, TooLarge, "batch_too_large", &[]);
    let large = format!("[{{}},{{\"a\":\"{}\"}}]", "x".repeat(200));
    check("t.any", &large, Array, TooLarge, "batch_refused", &[(1, "event_too_large")]);
    let ok = r#"{"host":"a","used_pct":1}"#;
    let bad = format!("[{ok},{{}},{ok}]");
    check("t.alert", &bad, Array, Unprocessable, "batch_refused", &[(1, "schema_violation")]);
    let worse = format!("{{}}\n{ok}\n1\n{{");
    let items = [(0, "schema_violation"), (2, "event_not_an_object"), (3, "event_malformed")];
    check("t.alert", &worse, Lines, BadRequest, "batch_refused", &items);
    let all = [(0, "event_malformed"), (1, "event_malformed"), (2, "event_malformed")];
    check("t.any", "[,,,]", Array, BadRequest, "batch_refused", &all);
}

#[test]
fn an_id_must_leave_room_for_the_index() {
    let admission = admission();
    let id = "x".repeat(127);
    let batch = EventCall { event_id: Some(&id), ..call("t.any", "[{}]") };
    let refused = admission.batch(batch, BatchFormat::Array).unwrap_err();
    assert_eq!(refused.items[0].refusal.code, "event_id_invalid");
}

#[test]
fn a_refusal_reads_well_as_json() {
    let refused = admission().batch(call("t.alert", "[{\"host\":1,\"used_pct\":1}]"), BatchFormat::Array).unwrap_err();
    let value = serde_json::to_value(&refused).unwrap();
    assert_eq!(value["code"], "batch_refused");
    assert_eq!(value["items"][0]["index"], 0);
    assert_eq!(value["items"][0]["code"], "schema_violation");
    assert_eq!(value["items"][0]["violations"][0]["pointer"], "/host");
}
