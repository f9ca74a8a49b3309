//! Values as Python writes them: `str()` and `repr()`.

use std::fmt::Write;

use super::collections::{ListKind, Set};
use super::time::{DateTime, MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Timespan};
use super::{Dict, Value, float_text};

/// What Python's `str()` gives.
pub(crate) fn str_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.as_ref().to_owned(),
        Value::DateTime(time) => iso_text(*time),
        Value::Timespan(span) => span_text(*span),
        _ => repr(value),
    }
}

/// What Python's `repr()` gives.
pub(crate) fn repr(value: &Value) -> String {
    let mut text = String::new();
    write_repr(value, &mut text);
    text
}

fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::String(text) => write_quoted(text, out),
        Value::List(list) => match list.kind() {
            ListKind::Tuple if list.items().len() == 1 => {
                out.push('(');
                write_repr(&list.items()[0], out);
                out.push_str(",)");
            }
            ListKind::Tuple => write_all('(', list.items().iter().cloned(), ')', out),
            ListKind::List => write_all('[', list.items().iter().cloned(), ']', out),
            ListKind::Range => write_range(list.items(), out),
        },
        Value::Dict(dict) => write_dict(dict, out),
        Value::Set(set) => write_set(set, out),
        Value::Values(dict) if dict.frozen() => {
            out.push_str("ValuesView(");
            write_dict(dict, out);
            out.push(')');
        }
        Value::Values(dict) => {
            out.push_str("dict_values(");
            write_all('[', dict.entries().values().cloned(), ']', out);
            out.push(')');
        }
        Value::DateTime(time) => write_datetime(*time, out),
        Value::Timespan(span) => write_span(*span, out),
        Value::Regex(pattern) => {
            out.push_str("re.compile(");
            write_quoted(pattern.text(), out);
            out.push(')');
        }
        Value::Function(_) | Value::Rule(_) | Value::Context(_) | Value::Iterator(_) | Value::Ordering(_) => {
            let _ = write!(out, "<{} object>", value.type_name());
        }
    }
}

fn write_all(open: char, values: impl Iterator<Item = Value>, close: char, out: &mut String) {
    out.push(open);
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_repr(&value, out);
    }
    out.push(close);
}

fn write_range(items: &[Value], out: &mut String) {
    let (Some(Value::Int(first)), Some(Value::Int(last))) = (items.first(), items.last()) else {
        out.push_str("range(0, 0)");
        return;
    };
    let _ = write!(out, "range({first}, {})", last + 1);
}

fn write_dict(dict: &Dict, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in dict.entries().iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_repr(key.value(), out);
        out.push_str(": ");
        write_repr(value, out);
    }
    out.push('}');
}

fn write_set(set: &Set, out: &mut String) {
    let name = set.type_name();
    out.push_str(name);
    out.push('(');
    match set.of() {
        None if set.len() == 0 => {}
        None => write_all('{', set.iter(), '}', out),
        Some(dict) if dict.frozen() => write_dict(dict, out),
        Some(_) => write_all('[', set.iter(), ']', out),
    }
    out.push(')');
}

fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push(quote);
}

/// `2015-08-29 10:00:00.000001+02:00`.
pub(crate) fn iso_text(time: DateTime) -> String {
    let (year, month, day) = time.date();
    let seconds = time.time() / MICROSECONDS_PER_SECOND;
    let fraction = time.time() % MICROSECONDS_PER_SECOND;
    let mut text =
        format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let _ = write!(text, ".{fraction:06}");
    }
    if let Some(offset) = time.offset() {
        text.push_str(&offset_text(offset, ":"));
    }
    text
}

/// `+02:00`, with seconds and microseconds only if there are any.
pub(crate) fn offset_text(offset: i64, separator: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.abs() / MICROSECONDS_PER_SECOND;
    let fraction = offset.abs() % MICROSECONDS_PER_SECOND;
    let mut text = format!("{sign}{:02}{separator}{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 != 0 || fraction != 0 {
        let _ = write!(text, "{separator}{:02}", seconds % 60);
    }
    if fraction != 0 {
        let _ = write!(text, ".{fraction:06}");
    }
    text
}

/// `1 day, 2:03:04.000005`.
fn span_text(span: Timespan) -> String {
    let days = span.microseconds().div_euclid(MICROSECONDS_PER_DAY);
    let rest = span.microseconds().rem_euclid(MICROSECONDS_PER_DAY);
    let seconds = rest / MICROSECONDS_PER_SECOND;
    let fraction = rest % MICROSECONDS_PER_SECOND;
    let mut text = String::new();
    if days != 0 {
        let plural = if days.abs() == 1 { "" } else { "s" };
        let _ = write!(text, "{days} day{plural}, ");
    }
    let _ = write!(text, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let _ = write!(text, ".{fraction:06}");
    }
    text
}

fn write_span(span: Timespan, out: &mut String) {
    let days = span.microseconds().div_euclid(MICROSECONDS_PER_DAY);
    let rest = span.microseconds().rem_euclid(MICROSECONDS_PER_DAY);
    let parts =
        [("days", days), ("seconds", rest / MICROSECONDS_PER_SECOND), ("microseconds", rest % MICROSECONDS_PER_SECOND)];
    let named: Vec<String> =
        parts.iter().filter(|(_, part)| *part != 0).map(|(name, part)| format!("{name}={part}")).collect();
    let _ = write!(out, "datetime.timedelta({})", if named.is_empty() { "0".to_owned() } else { named.join(", ") });
}

fn write_datetime(time: DateTime, out: &mut String) {
    let (year, month, day) = time.date();
    let seconds = time.time() / MICROSECONDS_PER_SECOND;
    let fraction = time.time() % MICROSECONDS_PER_SECOND;
    let _ = write!(out, "datetime.datetime({year}, {month}, {day}, {}, {}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 != 0 || fraction != 0 {
        let _ = write!(out, ", {}", seconds % 60);
    }
    if fraction != 0 {
        let _ = write!(out, ", {fraction}");
    }
    match time.offset() {
        None => {}
        Some(0) => out.push_str(", tzinfo=tzutc()"),
        Some(offset) => {
            let _ = write!(out, ", tzinfo=tzoffset(None, {})", offset / MICROSECONDS_PER_SECOND);
        }
    }
    out.push(')');
}
