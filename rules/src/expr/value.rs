//! CEL values into JSON and text, the same bytes for the same value.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp,
    CelUInt, Kind,
};
use cel::common::value::Val;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Map, Number, Value as Json};

use super::EvalError;
use crate::json::CelVal;

/// A value as JSON: ints stay ints and doubles doubles, bytes are base64, timestamps RFC 3339, durations
/// like `10s`; members of a map are in the order of their keys.
///
/// # Errors
/// `not_json` for what JSON has no form for: NaN, infinities, types.
pub(crate) fn to_json(value: &dyn Val) -> Result<Json, EvalError> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Ok(Json::String(text.inner().to_owned()));
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|v| to_json(v.as_ref())).collect::<Result<_, _>>().map(Json::Array);
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut entries: Vec<_> = map.inner().iter().map(|(key, value)| (key_text(key), value)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let entries = entries.into_iter().map(|(key, value)| Ok((key, to_json(value.as_ref())?)));
        return entries.collect::<Result<Map<_, _>, _>>().map(Json::Object);
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        return Ok(Json::String(STANDARD.encode(bytes.inner())));
    }
    scalar(value).ok_or_else(|| {
        let what = match value.downcast_ref::<CelDouble>() {
            Some(double) if double.inner().is_nan() => "NaN",
            Some(_) => "an infinite number",
            None => value.get_type().name(),
        };
        EvalError::new("not_json", format!("JSON has no form for {what}"))
    })
}

fn scalar(value: &dyn Val) -> Option<Json> {
    match value.get_type().kind() {
        Kind::NullType => Some(Json::Null),
        Kind::Boolean => value.downcast_ref::<CelBool>().map(|v| Json::Bool(*v.inner())),
        Kind::Int => value.downcast_ref::<CelInt>().map(|v| Json::from(*v.inner())),
        Kind::UInt => value.downcast_ref::<CelUInt>().map(|v| Json::from(*v.inner())),
        Kind::Double => Number::from_f64(*value.downcast_ref::<CelDouble>()?.inner()).map(Json::Number),
        Kind::Timestamp => {
            let instant = value.downcast_ref::<CelTimestamp>()?.inner().to_utc();
            Some(Json::String(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
        }
        Kind::Duration => Some(Json::String(duration_text(value.downcast_ref::<CelDuration>()?.inner()))),
        _ => None,
    }
}

/// A value inside a longer text: strings as they are, doubles without a needless `.0`, the rest as JSON.
///
/// # Errors
/// As [`to_json`].
pub(crate) fn to_text(value: &dyn Val) -> Result<String, EvalError> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Ok(text.inner().to_owned());
    }
    match to_json(value)? {
        Json::String(text) => Ok(text),
        Json::Number(number) => {
            let text = number.to_string();
            Ok(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
        }
        json => Ok(json.to_string()),
    }
}

fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::Bool(bool) => bool.inner().to_string(),
        CelMapKey::Int(int) => int.inner().to_string(),
        CelMapKey::UInt(uint) => uint.inner().to_string(),
        CelMapKey::String(text) => text.inner().to_owned(),
    }
}

/// Seconds with as many decimals as needed: `10s`, `-1.5s`.
fn duration_text(duration: &TimeDelta) -> String {
    let nanos = i128::from(duration.num_seconds()) * 1_000_000_000 + i128::from(duration.subsec_nanos());
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, rest) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let decimals = format!("{rest:09}");
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() { format!("{sign}{seconds}s") } else { format!("{sign}{seconds}.{decimals}s") }
}

/// A JSON value as a CEL value, numbers as [`crate::json`] reads them.
pub(crate) fn from_json(json: &Json) -> CelVal<'static> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(bool) => Box::new(CelBool::from(*bool)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => Box::new(CelString::from(text.clone())),
        Json::Array(list) => Box::new(CelList::from(list.iter().map(from_json).collect::<Vec<_>>())),
        Json::Object(map) => {
            let entries = map.iter().map(|(k, v)| (CelMapKey::String(CelString::from(k.clone())), from_json(v)));
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
    }
}
