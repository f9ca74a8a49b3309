//! Values in the form that the specification's tests have (the JSON of `cel.expr.Value`).
//!
//! Comparing is exact, by type, and our own: the engine's equality would find 1 and 1.0 equal.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use petrel_cel::{Duration, OwnedValue, Timestamp, Value};
use serde_json::Value as Json;

const TIMESTAMP: &str = "type.googleapis.com/google.protobuf.Timestamp";
const DURATION: &str = "type.googleapis.com/google.protobuf.Duration";

/// The value of a variable.
pub(crate) fn to_value(json: &Json) -> Result<OwnedValue> {
    let (kind, content) = tagged(json)?;
    Ok(match kind {
        "nullValue" => OwnedValue::Null,
        "boolValue" => OwnedValue::Bool(content.as_bool().context("no bool")?),
        "int64Value" => OwnedValue::Int(number(content)?),
        "uint64Value" => OwnedValue::Uint(number(content)?),
        "doubleValue" => OwnedValue::Double(number(content)?),
        "stringValue" => OwnedValue::String(string(content)?.into()),
        "bytesValue" => OwnedValue::Bytes(bytes(content)?.into()),
        "listValue" => OwnedValue::List(members(content, "values").map(to_value).collect::<Result<_>>()?),
        "mapValue" => {
            let entry = |entry: &Json| Ok((to_value(&entry["key"])?, to_value(&entry["value"])?));
            let mut entries = members(content, "entries").map(entry).collect::<Result<Vec<_>>>()?;
            let strings = entries.iter().all(|(key, _)| matches!(key, OwnedValue::String(_)));
            ensure!(strings, "a variable's map has keys that are no strings: sort them as the engine does");
            entries.sort_by(|(a, _), (b, _)| key(a).cmp(key(b)));
            OwnedValue::Map(entries.into())
        }
        "objectValue" => match content["@type"].as_str() {
            Some(TIMESTAMP) => OwnedValue::Timestamp(timestamp(&content["value"])?),
            Some(DURATION) => OwnedValue::Duration(duration(&content["value"])?),
            other => bail!("a message: {other:?}"),
        },
        other => bail!("no value of a variable: {other}"),
    })
}

fn key(value: &OwnedValue) -> &str {
    match value {
        OwnedValue::String(text) => text,
        _ => "",
    }
}

/// Whether a value is the expected one, of the same type.
pub(crate) fn is(value: Value<'_>, expected: &Json) -> Result<bool> {
    let (kind, content) = tagged(expected)?;
    Ok(match (kind, value) {
        ("nullValue", Value::Null) => true,
        ("boolValue", Value::Bool(bool)) => content.as_bool() == Some(bool),
        ("int64Value", Value::Int(int)) => number::<i64>(content)? == int,
        ("uint64Value", Value::Uint(uint)) => number::<u64>(content)? == uint,
        ("doubleValue", Value::Double(found)) => {
            let expected: f64 = number(content)?;
            (expected == found && expected.is_sign_negative() == found.is_sign_negative())
                || (expected.is_nan() && found.is_nan())
        }
        ("stringValue", Value::String(text)) => string(content)? == text,
        ("bytesValue", Value::Bytes(found)) => bytes(content)? == found,
        ("listValue", Value::List(list)) => {
            let expected: Vec<&Json> = members(content, "values").collect();
            expected.len() == list.len() && all(expected.into_iter().zip(list.iter()), |(json, one)| is(one, json))?
        }
        ("mapValue", Value::Map(map)) => {
            let mut expected: Vec<&Json> = members(content, "entries").collect();
            for (key, value) in map.iter() {
                let same = |entry: &&Json| {
                    matches!((is(key, &entry["key"]), is(value, &entry["value"])), (Ok(true), Ok(true)))
                };
                let Some(at) = expected.iter().position(same) else { return Ok(false) };
                expected.swap_remove(at);
            }
            expected.is_empty()
        }
        ("typeValue", Value::Type(of)) => string(content)? == of.name(),
        ("objectValue", Value::Timestamp(found)) => {
            content["@type"] == TIMESTAMP && timestamp(&content["value"])? == found
        }
        ("objectValue", Value::Duration(found)) => {
            content["@type"] == DURATION && duration(&content["value"])? == found
        }
        _ => false,
    })
}

fn all<T>(items: impl Iterator<Item = T>, holds: impl Fn(T) -> Result<bool>) -> Result<bool> {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The one member of a `cel.expr.Value`: its kind and content.
fn tagged(json: &Json) -> Result<(&str, &Json)> {
    let members = json.as_object().with_context(|| format!("no value: {json}"))?;
    ensure!(members.len() == 1, "no value: {json}");
    let (kind, content) = members.iter().next().context("no value")?;
    Ok((kind, content))
}

/// The members of a list or a map; an empty one has no list of them.
fn members<'j>(content: &'j Json, name: &str) -> impl Iterator<Item = &'j Json> {
    content[name].as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn string(json: &Json) -> Result<&str> {
    json.as_str().with_context(|| format!("no string: {json}"))
}

/// A number, which is in a string; doubles may be `NaN`, `Infinity` and `-Infinity`.
fn number<T: FromStr>(json: &Json) -> Result<T> {
    string(json)?.parse().ok().with_context(|| format!("no number of that kind: {json}"))
}

/// Base64 with padding, in either alphabet.
fn bytes(json: &Json) -> Result<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Ok(c - b'A'),
        b'a'..=b'z' => Ok(c - b'a' + 26),
        b'0'..=b'9' => Ok(c - b'0' + 52),
        b'+' | b'-' => Ok(62),
        b'/' | b'_' => Ok(63),
        _ => bail!("no base64: {json}"),
    };
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for c in string(json)?.trim_end_matches('=').bytes() {
        bits = (bits << 6) | u32::from(digit(c)?);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Ok(bytes)
}

/// `2009-02-13T23:31:30Z`
fn timestamp(json: &Json) -> Result<Timestamp> {
    let parsed: jiff::Timestamp = string(json)?.parse()?;
    let nanos = parsed.as_nanosecond();
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    Ok(Timestamp { seconds: i64::try_from(seconds)?, nanos: u32::try_from(nanos)? })
}

/// `-1.5s`
fn duration(json: &Json) -> Result<Duration> {
    let text = string(json)?.strip_suffix('s').with_context(|| format!("no duration: {json}"))?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    ensure!(fraction.len() <= 9, "no duration: {json}");
    let nanos = format!("{fraction:0<9}").parse::<i128>()?;
    Ok(Duration { nanos: i64::try_from(sign * (seconds.parse::<i128>()? * 1_000_000_000 + nanos))? })
}
