//! How Python writes values: `str()` where a result becomes part of a text, `repr()` within lists and maps.

use std::fmt::Write as _;

use serde_json::Number;

use super::Value;
use super::limits::EXPRESSION_OUTPUT_BYTES_MAX;

/// The text would be longer than [`EXPRESSION_OUTPUT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Appends `str(value)`: text as it is, everything else as [`repr`] has it.
pub(crate) fn write_str(out: &mut String, value: &Value) -> Result<(), TooLong> {
    match value {
        Value::String(text) => push(out, text),
        other => write_repr(out, other),
    }
}

/// `str(value)`.
pub(crate) fn to_str(value: &Value) -> Result<String, TooLong> {
    let mut out = String::new();
    write_str(&mut out, value)?;
    Ok(out)
}

/// Appends text, if there is room.
pub(crate) fn push(out: &mut String, text: &str) -> Result<(), TooLong> {
    if out.len() + text.len() > EXPRESSION_OUTPUT_BYTES_MAX {
        return Err(TooLong);
    }
    out.push_str(text);
    Ok(())
}

fn write_repr(out: &mut String, value: &Value) -> Result<(), TooLong> {
    match value {
        Value::Null => push(out, "None"),
        Value::Bool(true) => push(out, "True"),
        Value::Bool(false) => push(out, "False"),
        Value::Number(number) => push(out, &number_text(number)),
        Value::String(text) => push(out, &quoted(text)),
        Value::List(list) => {
            push(out, "[")?;
            for (place, item) in list.items().iter().enumerate() {
                push(out, if place == 0 { "" } else { ", " })?;
                write_repr(out, item)?;
            }
            push(out, "]")
        }
        Value::Map(map) => {
            push(out, "{")?;
            for (place, (key, value)) in map.iter().enumerate() {
                push(out, if place == 0 { "" } else { ", " })?;
                push(out, &quoted(key))?;
                push(out, ": ")?;
                write_repr(out, value)?;
            }
            push(out, "}")
        }
    }
}

/// A number as Python writes it.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(double) if number.is_f64() => float_text(double),
        _ => number.to_string(),
    }
}

/// A double with the fewest digits that lead back to it: `1.0`, `1e+16`, `1e-05`.
pub(crate) fn float_text(double: f64) -> String {
    if double.is_nan() {
        return "nan".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{double:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{double}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A string in quotes, single ones unless only those are in it, with Python's escapes.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                // A string takes all that is written.
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    out
}

/// Whether Python writes a character as it is: not what controls, separates or has no form.
fn is_printable(c: char) -> bool {
    if c == ' ' {
        return true;
    }
    !(c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{10ffff}'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        for (json, expected) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(false), "False"),
            (json!(1), "1"),
            (json!(-7), "-7"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1.0), "1.0"),
            (json!(1.999), "1.999"),
            (json!(0.1), "0.1"),
            (json!(-0.0), "-0.0"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!("it's"), "it's"),
            (json!(["a", null]), "['a', None]"),
            (json!({"k": 2, "l": {"m": []}}), "{'k': 2, 'l': {'m': []}}"),
            (
                json!(["it's", "say \"it's\"", "a\nb\\", "\u{7f}\u{e9}\u{a0}"]),
                r#"["it's", 'say "it\'s"', 'a\nb\\', '\x7fé\xa0']"#,
            ),
        ] {
            assert_eq!(to_str(&Value::from(json.clone())).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn a_text_over_the_limit_is_refused() {
        let large = Value::text("x".repeat(EXPRESSION_OUTPUT_BYTES_MAX));
        assert!(to_str(&large).is_ok());
        let list = Value::List([large].into_iter().collect());
        assert_eq!(to_str(&list), Err(TooLong));
    }
}
