//! What a scalar is: the resolution of YAML 1.1.

use granit_parser::{ScalarStyle, Tag};
use serde_json::Number;

use crate::expression::Value;

/// The value of a scalar. Only a plain one can be anything but text.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    if let Some(tag) = tag {
        return match tag.core_suffix() {
            Some("str") => Ok(Value::text(text)),
            Some("int" | "float" | "bool" | "null") => plain(text),
            _ => Err(format!("the tag {} is not supported", tag.original())),
        };
    }
    if style == ScalarStyle::Plain { plain(text) } else { Ok(Value::text(text)) }
}

/// How a key reads: Python's `str()` of it.
pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.to_string(),
        Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Ok(Value::Bool(true)),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let signless = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !signless.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Ok(Value::text(text));
    }
    let negative = text.starts_with('-');
    if matches!(signless, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("{text} is no number that JSON can hold"));
    }
    if let Some(integer) = integer(signless) {
        let value = integer.ok_or_else(|| format!("{text} does not fit 64 bits"))?;
        let value = if negative { -value } else { value };
        let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
        return number.map(Value::Number).map_err(|_| format!("{text} does not fit 64 bits"));
    }
    if let Some(double) = double(signless, text.len() > signless.len()) {
        let double = if negative { -double } else { double };
        let number = Number::from_f64(double).ok_or_else(|| format!("{text} is no number that JSON can hold"))?;
        return Ok(Value::Number(number));
    }
    Ok(Value::text(text))
}

fn all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// An integer without its sign; the inner none if it is too large.
fn integer(text: &str) -> Option<Option<i128>> {
    let radix = |digits: &str, radix: u32| i128::from_str_radix(&digits.replace('_', ""), radix).ok();
    if let Some(digits) = text.strip_prefix("0b") {
        return all(digits, |one| matches!(one, '0' | '1' | '_')).then(|| radix(digits, 2));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |one| one.is_ascii_hexdigit() || one == '_').then(|| radix(digits, 16));
    }
    if text == "0" {
        return Some(Some(0));
    }
    if let Some(digits) = text.strip_prefix('0') {
        return all(digits, |one| matches!(one, '0'..='7' | '_')).then(|| radix(digits, 8));
    }
    if let Some((first, rest)) = text.split_once(':') {
        let base = |part: &str| part.len() <= 2 && all(part, |one| one.is_ascii_digit()) && part < "60";
        let digits = all(first, |one| one.is_ascii_digit() || one == '_');
        if !digits || !rest.split(':').all(|part| base(part) || (part.len() == 1 && base(&format!("0{part}")))) {
            return None;
        }
        let mut value = radix(first, 10)?;
        for part in rest.split(':') {
            value = value.checked_mul(60)? + part.parse::<i128>().ok()?;
        }
        return Some(Some(value));
    }
    all(text, |one| one.is_ascii_digit() || one == '_').then(|| radix(text, 10))
}

/// A double without its sign: it has a point, and its exponent a sign.
fn double(text: &str, signed: bool) -> Option<f64> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |part: &str| part.chars().all(|one| one.is_ascii_digit() || one == '_');
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let begins = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
    if whole.is_empty() && (signed || !begins(fraction)) || !whole.is_empty() && !begins(whole) {
        return None;
    }
    if let Some(exponent) = exponent
        && !(exponent.starts_with(['+', '-']) && all(&exponent[1..], |one| one.is_ascii_digit()))
    {
        return None;
    }
    text.replace('_', "").parse().ok()
}
