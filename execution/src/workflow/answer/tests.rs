use serde_json::json;

use super::*;

fn mistakes(schema: &Value, answer: &Value) -> Vec<String> {
    AnswerSchema::compile(schema).unwrap().mistakes(answer)
}

#[test]
fn each_mistake_of_an_answer_is_told_with_its_place_and_without_the_answer() {
    let schema = json!({
        "type": "object",
        "required": ["go"],
        "properties": {
            "go": { "type": "boolean" },
            "hosts": { "type": "array", "items": { "type": "string", "pattern": "^vm-" } },
        },
        "additionalProperties": false,
    });
    assert_eq!(mistakes(&schema, &json!({ "go": true, "hosts": ["vm-1"] })), [""; 0]);
    let told = mistakes(&schema, &json!({ "hosts": ["vm-1", "hunter2", 3] }));
    let has = |place: &str| told.iter().any(|mistake| mistake.starts_with(place));
    assert!(has("/hosts/1: ") && has("/hosts/2: ") && told.iter().any(|m| m.contains("\"go\"")), "{told:?}");
    assert!(!told.concat().contains("hunter2"), "{told:?}");
    assert_eq!(mistakes(&json!({ "type": "boolean" }), &json!("yes")), ["the value is not of type \"boolean\""]);
    assert_eq!(mistakes(&json!({}), &json!([1, null])), [""; 0]);
    let many = vec![json!("no number"); 3 * MISTAKES_MAX];
    assert_eq!(mistakes(&json!({ "items": { "type": "integer" } }), &json!(many)).len(), MISTAKES_MAX);
}

#[test]
fn properties_may_say_that_they_are_required_as_those_of_stackstorm_do() {
    let schema = json!({
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": { "type": "string", "required": true },
            "b": { "type": "string", "required": true, "secret": true },
            "c": { "type": "string", "required": false },
            "required": { "type": "boolean" },
            "default": { "type": "object", "properties": { "deep": { "required": true } } },
        },
        "default": { "properties": { "x": { "required": true } } },
    });
    let normal = normal_schema(&schema);
    assert_eq!(normal["required"], json!(["a", "b"]));
    assert_eq!(normal["properties"]["b"], json!({ "type": "string", "secret": true }));
    assert_eq!(normal["properties"]["required"], json!({ "type": "boolean" }));
    assert_eq!(normal["properties"]["default"]["required"], json!(["deep"]));
    assert_eq!(normal["default"], schema["default"]);
    let told = mistakes(&schema, &json!({ "a": "x" }));
    assert!(told.len() == 1 && told[0].contains("\"b\""), "{told:?}");
    assert_eq!(mistakes(&schema, &json!({ "a": "x", "b": "y" })), [""; 0]);
}

#[test]
fn references_are_followed_within_the_schema_and_to_an_end() {
    let shared = json!({
        "$defs": { "host": { "type": "string", "minLength": 2 } },
        "properties": { "from": { "$ref": "#/$defs/host" }, "to": { "$ref": "#/$defs/host" } },
    });
    let told = mistakes(&shared, &json!({ "from": "a", "to": "vm-1" }));
    assert!(told.len() == 1 && told[0].starts_with("/from: "), "{told:?}");
    assert_eq!(mistakes(&json!({ "default": { "id": "y" } }), &json!(1)), [""; 0]);
    for (schema, why) in [
        (json!({ "properties": { "next": { "$ref": "#" } } }), "refers to itself"),
        (json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "items": { "$ref": "#" } }] }), "refers to itself"),
        (json!({ "enum": (0..UNFOLDED_MAX).collect::<Vec<_>>() }), "more than"),
        (json!({ "$ref": "https://example.org/schema.json" }), "not supported"),
        (json!({ "$ref": "#/$defs/nowhere" }), "leads to nothing"),
        (json!({ "$dynamicRef": "#x" }), "not supported"),
        (json!({ "$defs": { "x": { "$id": "y" } } }), "within a schema"),
        (json!({ "$schema": "http://json-schema.org/draft-04/schema#", "items": { "id": "y" } }), "within a schema"),
        (json!({ "type": "bool" }), "no JSON schema"),
        (json!({ "pattern": "(" }), "no JSON schema"),
        (json!({ "pattern": "(\\pL{100}){100}" }), "no JSON schema"),
        (json!({ "anyOf": vec![json!({ "pattern": "a" }); PATTERNS_MAX + 1] }), "more than 100 patterns"),
        (json!(7), "no JSON schema"),
    ] {
        let refused = AnswerSchema::compile(&schema).unwrap_err();
        assert!(refused.contains(why), "{schema}: {refused}");
    }
}

#[test]
fn a_format_that_nobody_knows_keeps_nobody_from_answering() {
    assert_eq!(mistakes(&json!({ "format": "ticket" }), &json!("OPS-1")), [""; 0]);
    assert_eq!(mistakes(&json!({ "format": "date" }), &json!("soon")), ["the value is not a \"date\""]);
}
