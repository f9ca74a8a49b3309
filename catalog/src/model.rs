//! Triggers and rules of a compiled revision.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::engine::KeyExpression;
use crate::pack::{TriggerSource, Validate, describe_errors};

/// A trigger.
#[derive(Debug)]
pub struct TriggerDef {
    /// `pack.name`.
    pub reference: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Where its events come from.
    pub source: TriggerSource,
    /// JSON schema of its events.
    pub schema: Option<Value>,
    /// How much of the schema a bound topic's events are checked against.
    pub validate: Validate,
    /// The CEL expression of `key:`, as it was written.
    pub key: Option<String>,
    pub(crate) key_expression: Option<KeyExpression>,
    pub(crate) validator: Option<Arc<Validator>>,
}

impl TriggerDef {
    /// Checks a payload against the whole schema.
    ///
    /// # Errors
    /// The first few reasons, each with the path of the part that is refused.
    pub fn check_payload(&self, payload: &Value) -> Result<(), Vec<String>> {
        let Some(validator) = &self.validator else { return Ok(()) };
        if validator.is_valid(payload) {
            return Ok(());
        }
        Err(describe_errors(validator, payload))
    }

    /// The places of a payload that its schema refuses, at most `max` of them: JSON pointer, what is wrong.
    pub fn violations(&self, payload: &Value, max: usize) -> Vec<(String, String)> {
        let Some(validator) = &self.validator else { return Vec::new() };
        let tell = |error: jsonschema::ValidationError<'_>| {
            (error.instance_path().to_string(), error.masked_with("the value").to_string())
        };
        validator.iter_errors(payload).take(max).map(tell).collect()
    }

    /// The record key of an event with this payload: what `key:` yields, or nothing if there is none or
    /// it yields nothing for this payload, and the event's id is the key.
    pub fn event_key(&self, payload: &Value) -> Option<String> {
        match self.key_expression.as_ref()?.evaluate(payload)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
}

/// A call of an action by a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionCall {
    /// Reference of the action.
    pub action: String,
    /// Its parameters as written, with `${…}` in texts.
    pub parameters: Map<String, Value>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleDef {
    /// `pack.name`.
    pub reference: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Reference of its trigger.
    pub trigger: String,
    /// The CEL expression; without one every event matches.
    pub criteria: Option<String>,
    /// What to do, in this order.
    pub calls: Vec<ActionCall>,
    /// Whether it is matched at all.
    pub enabled: bool,
    /// Free labels.
    pub tags: Vec<String>,
}

/// A pack of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackSummary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Topics to which its actions may write.
    pub produces: Vec<String>,
    /// Hash of its content, 32 hexadecimal digits.
    pub content_hash: String,
    /// How many triggers it has.
    pub triggers: usize,
    /// How many rules it has, disabled ones included.
    pub rules: usize,
    /// How many actions it has.
    pub actions: usize,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testkit::{load, source};

    #[test]
    fn events_of_every_source_are_checked() {
        let revision = load(vec![source(
            "",
            &[
                ("pack.yaml", "name: p\nversion: 1.0.0\n"),
                ("triggers/free.yaml", "name: free\n"),
                ("triggers/host.yaml", "name: host\nsource: { sensor: host, every: 5s }\n"),
                ("triggers/tick.yaml", "name: tick\nsource: { interval: { every: 1m } }\n"),
                (
                    "triggers/alert.yaml",
                    "name: alert\nschema: { required: [at], properties: { at: { format: date } } }\n",
                ),
            ],
        )]);
        let compiled = revision.compiled();
        let check = |name: &str, payload| compiled.trigger(&format!("p.{name}")).unwrap().check_payload(&payload);
        assert_eq!(check("free", json!([1, "anything"])), Ok(()));
        assert_eq!(check("host", json!({"host": "a", "sample": 1, "load1": 0.5, "process_count": 9})), Ok(()));
        let refused = check("host", json!({"host": "a", "sample": 1.5, "load1": 0.5})).unwrap_err();
        assert_eq!(
            refused,
            ["\"process_count\" is a required property", "/sample: the value is not of type \"integer\""]
        );
        let tick = json!({"scheduled_at": "2026-01-01T00:00:00Z", "scheduled_ms": 1, "timer": "p.tick"});
        assert_eq!(check("tick", tick), Ok(()));
        assert!(check("tick", json!({})).is_err());
        assert_eq!(check("alert", json!({"at": "2026-01-31"})), Ok(()));
        assert_eq!(check("alert", json!({"at": "soon"})).unwrap_err(), ["/at: the value is not a \"date\""]);
        let sensors: Vec<_> =
            compiled.all_triggers().sensors().map(|(trigger, name, ms)| (&*trigger.reference, name, ms)).collect();
        assert_eq!(sensors, [("p.host", "host", 5_000)]);
    }

    #[test]
    fn keys_are_expressions_over_the_payload() {
        let cases = [
            ("trigger.host", json!({"host": "db-1"}), Some("db-1")),
            ("trigger.host + \"/\" + trigger.mount", json!({"host": "a", "mount": "b"}), Some("a/b")),
            ("trigger.number", json!({"number": 5}), Some("5")),
            ("trigger.host", json!({}), None),
            ("trigger.host", json!({"host": null}), None),
            ("trigger.host", json!([]), None),
        ];
        for (key, payload, wanted) in cases {
            let trigger = format!("name: t\nkey: {key}\n");
            let files = [("pack.yaml", "name: p\nversion: 1.0.0\n"), ("triggers/t.yaml", trigger.as_str())];
            let revision = load(vec![source("", &files)]);
            let found = revision.compiled().trigger("p.t").unwrap().event_key(&payload);
            assert_eq!(found.as_deref(), wanted, "{key} of {payload}");
        }
    }
}
