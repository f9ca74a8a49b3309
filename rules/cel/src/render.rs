//! CEL values into JSON and text, the same bytes for the same value; JSON into values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

use crate::error::EvalError;
use crate::owned::OwnedValue;
use crate::value::Value;

/// A value as JSON: ints stay ints and doubles doubles, bytes are base64, timestamps RFC 3339, durations
/// like `10s`; members of a map are in the order of their keys.
///
/// # Errors
/// `not_json` for what JSON has no form for: NaN, infinities, types, an optional without a value.
pub fn to_json(value: Value<'_>) -> Result<Json, EvalError> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => Json::Bool(bool),
        Value::Int(int) => Json::from(int),
        Value::Uint(uint) => Json::from(uint),
        Value::Double(double) => match Number::from_f64(double) {
            Some(number) => Json::Number(number),
            None => return not_json(if double.is_nan() { "NaN" } else { "an infinite number" }),
        },
        Value::String(text) => Json::String(text.to_owned()),
        Value::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
        Value::List(list) => list.iter().map(to_json).collect::<Result<_, _>>().map(Json::Array)?,
        Value::Map(map) => {
            let mut entries: Vec<(String, Value<'_>)> = map.iter().map(|(key, value)| (key_text(key), value)).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let entries = entries.into_iter().map(|(key, value)| Ok((key, to_json(value)?)));
            entries.collect::<Result<Map<_, _>, EvalError>>().map(Json::Object)?
        }
        Value::Timestamp(instant) => Json::String(instant.to_string()),
        Value::Duration(duration) => Json::String(duration.to_string()),
        Value::Ip(address) => Json::String(address.to_string()),
        Value::Cidr(network) => Json::String(format!("{}/{}", network.address, network.prefix)),
        Value::Semver(version) => Json::String(version.to_string()),
        Value::Optional(Some(value)) => to_json(*value)?,
        Value::Optional(None) | Value::Type(_) => return not_json(value.type_of().name()),
    })
}

fn not_json(what: &str) -> Result<Json, EvalError> {
    Err(EvalError::new("not_json", format!("JSON has no form for {what}")))
}

/// A value inside a longer text: strings as they are, doubles without a needless `.0`, the rest as JSON.
///
/// # Errors
/// As [`to_json`].
pub(crate) fn to_text(value: Value<'_>) -> Result<String, EvalError> {
    match to_json(value)? {
        Json::String(text) => Ok(text),
        Json::Number(number) => {
            let text = number.to_string();
            Ok(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
        }
        json => Ok(json.to_string()),
    }
}

/// A key of a map as that of a JSON object.
pub fn key_text(key: Value<'_>) -> String {
    match key {
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Uint(uint) => uint.to_string(),
        Value::String(text) => text.to_owned(),
        // Nothing else is the key of a map.
        other => other.type_of().name().to_owned(),
    }
}

/// A JSON value as a CEL value, numbers as events have them.
pub(crate) fn from_json(json: &Json) -> OwnedValue {
    match json {
        Json::Null => OwnedValue::Null,
        Json::Bool(bool) => OwnedValue::Bool(*bool),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => OwnedValue::Int(int),
            (None, Some(uint)) => OwnedValue::Uint(uint),
            (None, None) => OwnedValue::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => OwnedValue::String(text.as_str().into()),
        Json::Array(list) => OwnedValue::List(list.iter().map(from_json).collect()),
        Json::Object(map) => {
            let mut entries: Vec<(OwnedValue, OwnedValue)> =
                map.iter().map(|(key, value)| (OwnedValue::String(key.as_str().into()), from_json(value))).collect();
            // The order of a map of strings: by code point, as bytes are.
            entries.sort_by(|(a, _), (b, _)| text_of(a).cmp(text_of(b)));
            OwnedValue::Map(entries.into())
        }
    }
}

fn text_of(key: &OwnedValue) -> &str {
    if let OwnedValue::String(text) = key { text } else { "" }
}
