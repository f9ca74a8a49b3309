//! What schemas refuse.

use super::*;

/// What a check says of a document; empty if nothing.
fn check(schema: &Json, reads: &Paths, text: &str) -> String {
    let schema = TriggerSchema::compile(schema);
    let mut paths = reads.clone();
    let check = SchemaCheck::new(&schema, &Reads::all_of(reads), &mut paths);
    let layout = Layout::new(&paths, Doubles::new(&schema));
    let arena = Arena::new();
    let slots = Extractor::new().extract(&layout, text.as_bytes(), &arena).unwrap();
    check.check(slots).err().map(|v| v.to_string()).unwrap_or_default()
}

#[test]
fn what_is_required_and_what_rules_read_is_checked() {
    let schema = json!({
        "type": "object",
        "required": ["host", "nested"],
        "properties": {
            "host": {"type": "string"},
            "unread": {"type": "string"},
            "pct": {"type": ["number", "null"]},
            "count": {"type": "integer"},
            "nested": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "list": {"type": "array", "items": {"type": "integer"}},
            "there": {"type": "array", "items": {"type": "integer"}},
            "way": {"type": "object", "properties": {"a/~b": {"type": "boolean"}}},
        }
    });
    let reads = paths(&["host", "pct", "count", "list", "way.a/~b"], &["there"]);
    let cases = [
        (r#"{"host":"a","nested":{"id":"x"}}"#, ""),
        (r#"{"host":"a","nested":{"id":"x"},"unread":1,"pct":null,"count":2.0,"list":[1]}"#, ""),
        (r#"{"host":"a"}"#, "/nested: expected a value, found nothing"),
        (r#"{"host":"a","nested":{}}"#, "/nested/id: expected a value, found nothing"),
        (r#"{"host":1,"nested":{"id":"x"}}"#, "/host: expected string, found integer"),
        (r#"{"host":null,"nested":{"id":"x"}}"#, "/host: expected string, found null"),
        (r#"{"host":"a","nested":{"id":"x"},"pct":"9"}"#, "/pct: expected number or null, found string"),
        (r#"{"host":"a","nested":{"id":"x"},"count":1.5}"#, "/count: expected integer, found number"),
        (r#"{"host":"a","nested":{"id":"x"},"list":[1,"2"]}"#, "/list/*: expected integer, found string"),
        (r#"{"host":"a","nested":{"id":"x"},"there":["2"]}"#, ""),
        (r#"{"host":"a","nested":{"id":"x"},"there":{}}"#, "/there: expected array, found object"),
        (r#"{"host":"a","nested":{"id":"x"},"way":[]}"#, "/way: expected object, found array"),
        (r#"{"host":"a","nested":{"id":"x"},"way":{"a/~b":0}}"#, "/way/a~1~0b: expected boolean, found integer"),
        // Nobody reads it, and it need not be there to be of a type.
        (r#"{"host":"a","nested":7}"#, ""),
        // The one that counts is the last.
        (r#"{"host":"a","nested":{"id":"x"},"nested":{}}"#, "/nested/id: expected a value, found nothing"),
        ("[]", ": expected object, found array"),
    ];
    for (text, expected) in cases {
        assert_eq!(check(&schema, &reads, text), expected, "{text}");
    }
}

#[test]
fn what_is_read_whole_is_checked_to_its_depths() {
    let schema = json!({"type": "object", "properties": {"a": {
        "required": ["b"],
        "properties": {
            "b": {"items": {"type": "object", "required": ["c"], "properties": {"c": {"type": ["string", "boolean"]}}}}
        },
    }}});
    let cases = [
        (r#"{}"#, ""),
        (r#"{"a":1}"#, ""),
        (r#"{"a":{"b":[{"c":"x"},{"c":true}]}}"#, ""),
        (r#"{"a":{}}"#, "/a/b: expected a value, found nothing"),
        (r#"{"a":{"b":[{"c":true},{}]}}"#, "/a/b/*/c: expected a value, found nothing"),
        (r#"{"a":{"b":[{"c":true},[]]}}"#, "/a/b/*: expected object, found array"),
        (r#"{"a":{"b":[{"c":1}]}}"#, "/a/b/*/c: expected string or boolean, found integer"),
    ];
    for (text, expected) in cases {
        for reads in [paths(&["a"], &[]), paths(&[""], &["a.b"]), paths(&["a"], &["a.b", "a.z"])] {
            assert_eq!(check(&schema, &reads, text), expected, "{text}");
        }
    }
}

#[test]
fn types_of_what_nobody_reads_are_not_checked() {
    let schema = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}});
    let nothing = Paths::new();
    let cases = [("7", ""), (r#"{"a":1}"#, ""), ("{}", "/a: expected a value, found nothing")];
    for (text, expected) in cases {
        assert_eq!(check(&schema, &nothing, text), expected, "{text}");
    }
    assert_eq!(check(&json!({}), &nothing, "7"), "");
}
