//! YAML as Python's library reads and writes it.

use super::call::{Answer, FunctionError};
use super::data::too_long;
use super::json_text::escaped;
use crate::expression::Value;
use crate::expression::limits::{EXPRESSION_STEPS_MAX, RESULT_NESTING_MAX};
use crate::expression::python::{number_text, push};

/// Reads one document.
pub(super) fn parse(text: &str) -> Answer {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let nodes_max = usize::try_from(EXPRESSION_STEPS_MAX).unwrap_or(usize::MAX);
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: RESULT_NESTING_MAX,
            max_nodes: nodes_max,
            max_events: nodes_max.saturating_mul(4),
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: nodes_max,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|e| {
        let message = e.without_snippet().to_string();
        FunctionError::new("YAMLError", message.lines().next().unwrap_or_default())
    })
}

/// Writes a document in blocks, keys sorted, its levels indented by so many spaces.
pub(super) fn write(value: &Value, indent: i64, allow_unicode: bool) -> Result<String, FunctionError> {
    let indent = usize::try_from(indent).ok().filter(|spaces| (2..10).contains(spaces)).unwrap_or(2);
    let mut writer = Writer { out: String::new(), indent, allow_unicode };
    match value {
        Value::List(list) if !list.items().is_empty() => writer.block(value, 0)?,
        Value::Map(map) if !map.is_empty() => writer.block(value, 0)?,
        other => {
            let text = writer.scalar(other);
            writer.push(&text)?;
            // A document that is one plain scalar is ended, since nothing else tells where it ends.
            writer.push(if text.starts_with(['"', '\'', '[', '{']) { "\n" } else { "\n...\n" })?;
        }
    }
    Ok(writer.out)
}

struct Writer {
    out: String,
    indent: usize,
    allow_unicode: bool,
}

impl Writer {
    fn push(&mut self, text: &str) -> Result<(), FunctionError> {
        push(&mut self.out, text).map_err(|_| too_long())
    }

    fn spaces(&mut self, count: usize) -> Result<(), FunctionError> {
        self.push(&" ".repeat(count))
    }

    /// A list or map that is not empty, its first line where the writer stands.
    fn block(&mut self, value: &Value, column: usize) -> Result<(), FunctionError> {
        match value {
            Value::List(list) => {
                for (place, item) in list.items().iter().enumerate() {
                    if place > 0 {
                        self.spaces(column)?;
                    }
                    self.push("-")?;
                    self.spaces(self.indent - 1)?;
                    self.below(item, column + self.indent)?;
                }
            }
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                for (place, (key, value)) in entries.into_iter().enumerate() {
                    if place > 0 {
                        self.spaces(column)?;
                    }
                    let key = self.text(key);
                    self.push(&key)?;
                    self.push(":")?;
                    match value {
                        // Lists stand under their key without indentation.
                        Value::List(list) if !list.items().is_empty() => {
                            self.push("\n")?;
                            self.spaces(column)?;
                            self.block(value, column)?;
                        }
                        Value::Map(map) if !map.is_empty() => {
                            self.push("\n")?;
                            self.spaces(column + self.indent)?;
                            self.block(value, column + self.indent)?;
                        }
                        other => {
                            self.push(" ")?;
                            self.below(other, column + self.indent)?;
                        }
                    }
                }
            }
            other => self.below(other, column)?,
        }
        Ok(())
    }

    /// What stands behind a dash or a key.
    fn below(&mut self, value: &Value, column: usize) -> Result<(), FunctionError> {
        match value {
            Value::List(list) if !list.items().is_empty() => self.block(value, column),
            Value::Map(map) if !map.is_empty() => self.block(value, column),
            other => {
                let text = self.scalar(other);
                self.push(&text)?;
                self.push("\n")
            }
        }
    }

    fn scalar(&self, value: &Value) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            // YAML 1.1 takes an exponent for one only behind a fraction.
            Value::Number(number) => match number_text(number) {
                text if text.contains('e') && !text.contains('.') => text.replacen('e', ".0e", 1),
                text => text,
            },
            Value::String(text) => self.text(text),
            Value::List(_) => "[]".to_owned(),
            Value::Map(_) => "{}".to_owned(),
        }
    }

    fn text(&self, text: &str) -> String {
        let plain_characters = |c: char| match c {
            ' '..='~' => true,
            c => self.allow_unicode && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'),
        };
        if !text.chars().all(plain_characters) {
            return escaped(text);
        }
        if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
    }
}

/// Whether a text needs no quotes: it would be read as this text.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next();
    if first.is_none_or(|c| ",[]{}#&*!|>'\"%@`".contains(c)) || text.starts_with(' ') || text.ends_with([' ', ':']) {
        return false;
    }
    if (text.starts_with(['-', '?', ':'])) && (text.len() == 1 || text[1..].starts_with(' ')) {
        return false;
    }
    if text.contains(": ") || text.contains(" #") || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    let words = ["~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "=", "<<", ".nan", ".inf", "-.inf"];
    if words.contains(&text.to_ascii_lowercase().as_str()) {
        return false;
    }
    // Numbers, times and dates begin with a digit, a sign or a dot.
    let numeric = |c: char| c.is_ascii_hexdigit() || "+-._:xXobTZ ".contains(c);
    !(first.is_some_and(|c| c.is_ascii_digit() || "+-.".contains(c))
        && text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(numeric))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::{call, check};

    #[test]
    fn documents_are_read() {
        check(&[
            (
                "from_yaml_string",
                json!(["a: [1, 1.5, x, null]\nb: true"]),
                Ok(json!({"a": [1, 1.5, "x", null], "b": true})),
            ),
            ("yaml_parse", json!([""]), Ok(json!(null))),
            ("yaml_parse", json!(["a: ["]), Err("YAMLError")),
            ("yaml_parse", json!(["[".repeat(1000)]), Err("YAMLError")),
        ]);
    }

    #[test]
    fn documents_are_written_in_blocks() {
        check(&[
            (
                "to_yaml_string",
                json!([{"b": [1, {"c": null, "d": "x"}], "a": {}}]),
                Ok(json!("a: {}\nb:\n- 1\n- c: null\n  d: x\n")),
            ),
            ("yaml_dump", json!([{"a": {"b": [[1, 2], []]}}]), Ok(json!("a:\n  b:\n  - - 1\n    - 2\n  - []\n"))),
            (
                "to_yaml_string",
                json!([["yes", "1", "a: b", "it's", "", "-", "- a", "\n", "a-b", "1.2.3"]]),
                Ok(json!("- 'yes'\n- '1'\n- 'a: b'\n- it's\n- ''\n- '-'\n- '- a'\n- \"\\n\"\n- a-b\n- '1.2.3'\n")),
            ),
            ("to_yaml_string", json!([true]), Ok(json!("true\n...\n"))),
        ]);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for value in [
            json!({"a": ["x", "1", "true", "null", "2020-01-01", "0x1f", "~", "é\n", "a #b", "#", "@", "k: v", " x "]}),
            json!({"deep": {"list": [{"m": [{"n": [[], {}]}]}]}, "f": [1.5, -2, 1e300]}),
        ] {
            let text = call("to_yaml_string", json!([value])).unwrap();
            assert_eq!(call("from_yaml_string", json!([text])), Ok(value), "{text}");
        }
    }
}
