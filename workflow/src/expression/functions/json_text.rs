//! JSON as Python writes it.

use std::fmt::Write as _;

use super::call::FunctionError;
use super::data::too_long;
use crate::expression::Value;
use crate::expression::python::{number_text, push};

/// The largest indentation of a level, in spaces.
const INDENT_MAX: i64 = 100;

/// How it is written.
#[derive(Debug)]
pub(super) struct Style {
    /// What a level is indented by; none for a text in one line.
    indent: Option<String>,
    sort_keys: bool,
    /// Between two items, and between a key and its value.
    separators: (String, String),
}

impl Default for Style {
    /// As `json.dumps(value)` writes.
    fn default() -> Self {
        Style { indent: None, sort_keys: false, separators: (", ".to_owned(), ": ".to_owned()) }
    }
}

impl Style {
    /// What StackStorm's `to_json_string` is told; without separators items stand close.
    pub fn of(indent: &Value, sort_keys: bool, separators: Option<&Value>) -> Result<Self, FunctionError> {
        let indent = match indent {
            Value::Null => None,
            Value::String(text) => Some(text.to_string()),
            other => match other.as_i64().filter(|spaces| *spaces <= INDENT_MAX) {
                Some(spaces) => Some(" ".repeat(usize::try_from(spaces).unwrap_or(0))),
                None => return Err(FunctionError::of_value(format!("indent is a number up to {INDENT_MAX}"))),
            },
        };
        let separators = match separators {
            None => (",", ": "),
            Some(Value::Null) if indent.is_some() => (",", ": "),
            Some(Value::Null) => (", ", ": "),
            Some(value) => match value.as_list() {
                Some([Value::String(item), Value::String(key)]) => (&**item, &**key),
                _ => return Err(FunctionError::of_value("separators are a list of two texts")),
            },
        };
        Ok(Style { indent, sort_keys, separators: (separators.0.to_owned(), separators.1.to_owned()) })
    }
}

/// The text of a value; characters beyond ASCII are escaped.
pub(super) fn write(value: &Value, style: &Style) -> Result<String, FunctionError> {
    let mut writer = Writer { out: String::new(), style };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'s> {
    out: String,
    style: &'s Style,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) -> Result<(), FunctionError> {
        push(&mut self.out, text).map_err(|_| too_long())
    }

    fn value(&mut self, value: &Value, level: usize) -> Result<(), FunctionError> {
        match value {
            Value::Null => self.push("null"),
            Value::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Value::Number(number) => self.push(&number_text(number)),
            Value::String(text) => self.push(&escaped(text)),
            Value::List(list) => {
                let items = list.items().iter().map(|item| (None, item));
                self.container(["[", "]"], items.collect(), level)
            }
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().map(|(key, value)| (Some(&**key), value)).collect();
                if self.style.sort_keys {
                    entries.sort_by_key(|(key, _)| *key);
                }
                self.container(["{", "}"], entries, level)
            }
        }
    }

    fn container(
        &mut self,
        [open, close]: [&str; 2],
        entries: Vec<(Option<&str>, &Value)>,
        level: usize,
    ) -> Result<(), FunctionError> {
        let style = self.style;
        self.push(open)?;
        let empty = entries.is_empty();
        for (place, (key, value)) in entries.into_iter().enumerate() {
            if place > 0 {
                self.push(&style.separators.0)?;
            }
            self.line(level + 1)?;
            if let Some(key) = key {
                self.push(&escaped(key))?;
                self.push(&style.separators.1)?;
            }
            self.value(value, level + 1)?;
        }
        if !empty {
            self.line(level)?;
        }
        self.push(close)
    }

    /// A new line of this level, where lines are wanted.
    fn line(&mut self, level: usize) -> Result<(), FunctionError> {
        if let Some(indent) = &self.style.indent {
            self.push("\n")?;
            for _ in 0..level {
                self.push(indent)?;
            }
        }
        Ok(())
    }
}

/// A string in JSON's quotes, in ASCII.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='\u{7f}' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A string takes all that is written.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}
