//! From JSON and to it.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Number};

use super::collections::{Dict, ListKind};
use super::key::Key;
use super::{Value, float_text};
use crate::error::NotJson;

/// Arrays become tuples and objects frozen dictionaries, as YAQL converts what it is given.
impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Value {
        Value::from(&json)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => number_value(number),
            serde_json::Value::String(text) => Value::string(text.as_str()),
            serde_json::Value::Array(items) => Value::tuple(items.iter().map(Value::from).collect()),
            serde_json::Value::Object(object) => {
                let mut entries = IndexMap::with_capacity(object.len());
                for (name, value) in object {
                    if let Ok(key) = Key::new(Value::string(name.as_str())) {
                        entries.insert(key, Value::from(value));
                    }
                }
                Value::Dict(Arc::new(Dict::new(entries, true)))
            }
        }
    }
}

fn number_value(number: &Number) -> Value {
    if let Some(int) = number.as_i128() {
        return Value::Int(int);
    }
    Value::Float(number.as_f64().unwrap_or(f64::NAN))
}

impl Value {
    /// This as JSON. Keys that are numbers, truths or null become texts, as Python's `json` writes them.
    ///
    /// # Errors
    ///
    /// If it is, or holds, what JSON has no form for: a set, a time, a function, an infinite number.
    pub fn to_json(&self) -> Result<serde_json::Value, NotJson> {
        match self {
            Value::Null => Ok(serde_json::Value::Null),
            Value::Bool(value) => Ok(serde_json::Value::Bool(*value)),
            Value::Int(value) => Number::from_i128(*value)
                .map(serde_json::Value::Number)
                .ok_or(NotJson { kind: "a whole number of more than 64 bits" }),
            Value::Float(value) => Number::from_f64(*value)
                .map(serde_json::Value::Number)
                .ok_or(NotJson { kind: "a number that is infinite or not a number" }),
            Value::String(text) => Ok(serde_json::Value::String(text.as_ref().to_owned())),
            Value::List(list) => {
                list.items().iter().map(Value::to_json).collect::<Result<_, _>>().map(serde_json::Value::Array)
            }
            Value::Dict(dict) => {
                let mut object = Map::with_capacity(dict.len());
                for (key, value) in dict.entries() {
                    object.insert(key_text(key.value())?, value.to_json()?);
                }
                Ok(serde_json::Value::Object(object))
            }
            _ => Err(NotJson { kind: self.json_kind() }),
        }
    }

    /// The name of a kind that JSON does not have.
    fn json_kind(&self) -> &'static str {
        match self {
            Value::Set(_) => "set",
            Value::DateTime(_) => "datetime",
            Value::Timespan(_) => "timespan",
            Value::Regex(_) => "regex",
            Value::Function(_) => "function",
            Value::Context(_) => "context",
            Value::Rule(_) => "mapping rule",
            Value::List(list) if list.kind() == ListKind::Tuple => "tuple",
            _ => self.type_name(),
        }
    }
}

fn key_text(key: &Value) -> Result<String, NotJson> {
    match key {
        Value::String(text) => Ok(text.as_ref().to_owned()),
        Value::Null => Ok("null".to_owned()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Float(value) => Ok(float_text(*value)),
        _ => Err(NotJson { kind: key.json_kind() }),
    }
}
