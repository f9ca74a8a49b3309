//! What a bound topic checks of a trigger's schema (DESIGN §4, `validate: paths`), and which numbers it
//! makes doubles. Full validation is somebody else's.

mod types;

use serde_json::Value as Json;

/// The part of a trigger's JSON schema that matching needs: `type`, `required`, `properties`,
/// `additionalProperties` and `items`, at any depth. Other keywords are left to full validation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TriggerSchema {
    pub(crate) types: Option<Vec<String>>,
    pub(crate) required: Vec<Box<str>>,
    pub(crate) properties: Vec<(Box<str>, TriggerSchema)>,
    pub(crate) other_properties: Option<Box<TriggerSchema>>,
    /// Whether there are no other properties (`additionalProperties: false`).
    pub(crate) closed: bool,
    pub(crate) items: Option<Box<TriggerSchema>>,
}

/// What an event has that its trigger's schema refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: expected {expected}, found {found}")]
pub struct SchemaViolation {
    /// JSON pointer into the event; empty for the event itself.
    pub path: String,
    /// What the schema asks for: names of types, or `a value`.
    pub expected: String,
    /// Type of what is there, or `nothing`.
    pub found: &'static str,
}

impl TriggerSchema {
    /// No schema: every event passes.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a JSON schema, which the caller has validated as one.
    pub fn compile(schema: &Json) -> Self {
        let names = |json: &Json| match json {
            Json::String(name) => Some(vec![name.clone()]),
            Json::Array(names) => Some(names.iter().filter_map(Json::as_str).map(str::to_owned).collect()),
            _ => None,
        };
        let below = |key: &str| schema.get(key).filter(|s| s.is_object()).map(|s| Box::new(Self::compile(s)));
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        let properties = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
        Self {
            types: schema.get("type").and_then(names),
            required: required.filter_map(Json::as_str).map(Into::into).collect(),
            properties: properties.map(|(name, s)| (name.as_str().into(), Self::compile(s))).collect(),
            other_properties: below("additionalProperties"),
            closed: schema.get("additionalProperties") == Some(&Json::Bool(false)),
            items: below("items"),
        }
    }
}
