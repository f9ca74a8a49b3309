//! What an execution's result is made of: its action's standard output.

use std::sync::Arc;

use serde_json::Value;

use super::super::keys::{Keys, Mistake};
use super::super::{CheckValue, PackFiles};
use crate::outcome::Stream;

/// What standard output is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON value.
    Json,
    /// A text, without the line feeds at its end.
    Text,
    /// A text for each line.
    Lines,
    /// JSON where it is that, else a text.
    Auto,
}

/// What is parsed of standard output, and what must come out.
#[derive(Debug, Clone)]
pub struct Output {
    /// What it is taken for.
    pub format: Format,
    schema: Option<(Value, Arc<dyn CheckValue>)>,
}

/// Equal as their actions write them.
impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        let written = |output: &Self| output.schema.as_ref().map(|(written, _)| written.clone());
        self.format == other.format && written(self) == written(other)
    }
}

/// Why standard output is no result: a sentence that quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// More was written than is kept, so that what is kept is not all.
    #[error("standard output is longer than output_bytes_max, of which {bytes} bytes were kept, and is no result")]
    Truncated {
        /// How much was kept.
        bytes: usize,
    },
    /// It is empty where a value is due.
    #[error("standard output is empty, and no JSON")]
    Empty,
    /// It is no UTF-8.
    #[error("standard output is no JSON: byte {at} is no UTF-8")]
    NoText {
        /// Number of the byte, from 0.
        at: usize,
    },
    /// It is no JSON.
    #[error("standard output is no JSON: {0}")]
    NoJson(String),
    /// It is not what its action promises.
    #[error("standard output does not fit output.schema: {}", .0.join("; "))]
    Unfit(Vec<String>),
}

impl Output {
    /// Reads the key `output`.
    pub(super) fn read(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Option<Self> {
        let output = keys.get("output")?;
        let entries = keys.mapping(output, "/output", "output", &["format", "schema"])?;
        let format = match entries.get("format") {
            None => Format::Auto,
            Some(format) => match keys.text(format, "/output/format", "format")? {
                "json" => Format::Json,
                "text" => Format::Text,
                "lines" => Format::Lines,
                "auto" => Format::Auto,
                other => {
                    let message = format!("{other:?} is no format: json, text, lines, auto");
                    keys.error("/output/format", Mistake::BadValue, message);
                    return None;
                }
            },
        };
        let schema = match entries.get("schema") {
            None => None,
            Some(schema) => match files.schema(schema) {
                Ok(check) => Some((schema.clone(), check)),
                Err(mistake) => {
                    keys.error(format!("/output/schema{}", mistake.at), Mistake::BadSchema, mistake.message);
                    return None;
                }
            },
        };
        Some(Self { format, schema })
    }

    /// What an action results in that wrote this.
    ///
    /// # Errors
    /// Why it is no result.
    pub fn result(&self, stdout: &Stream) -> Result<Value, ResultError> {
        if stdout.truncated {
            return Err(ResultError::Truncated { bytes: stdout.bytes.len() });
        }
        let value = match self.format {
            Format::Json => json(&stdout.bytes)?,
            Format::Text => text(&stdout.bytes),
            Format::Lines => String::from_utf8_lossy(&stdout.bytes).lines().collect(),
            Format::Auto => json(&stdout.bytes).unwrap_or_else(|_| text(&stdout.bytes)),
        };
        let problems = self.problems(&value);
        if problems.is_empty() { Ok(value) } else { Err(ResultError::Unfit(problems)) }
    }

    /// Why a value is not what the action promises: the first few reasons, without anything of the value.
    pub fn problems(&self, value: &Value) -> Vec<String> {
        self.schema.as_ref().map(|(_, check)| check.problems(value)).unwrap_or_default()
    }
}

fn json(bytes: &[u8]) -> Result<Value, ResultError> {
    let text = std::str::from_utf8(bytes).map_err(|e| ResultError::NoText { at: e.valid_up_to() })?;
    if text.trim_ascii().is_empty() {
        return Err(ResultError::Empty);
    }
    serde_json::from_str(text).map_err(|e| ResultError::NoJson(e.to_string()))
}

/// As StackStorm's `stdout`, which ends without line feeds.
fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A list that is not longer than two.
    #[derive(Debug)]
    struct Short;

    impl CheckValue for Short {
        fn problems(&self, value: &Value) -> Vec<String> {
            let is_short = value.as_array().is_some_and(|list| list.len() <= 2);
            if is_short { Vec::new() } else { vec!["/2: one too many".to_owned()] }
        }
    }

    fn result(format: Format, stdout: &[u8]) -> Result<Value, ResultError> {
        Output { format, schema: None }.result(&Stream { bytes: stdout.to_vec(), truncated: false })
    }

    #[test]
    fn standard_output_is_what_its_format_says() {
        let cases: [(Format, &[u8], Value); 13] = [
            (Format::Json, b" {\"a\": [1, 2.5]}\n", json!({"a": [1, 2.5]})),
            (Format::Json, b"null", json!(null)),
            (Format::Text, b"two\nlines\n\r\n", json!("two\nlines")),
            (Format::Text, b"", json!("")),
            (Format::Text, b"{\"a\": 1}", json!("{\"a\": 1}")),
            (Format::Text, b"\xff!\n", json!("\u{fffd}!")),
            (Format::Lines, b"a\r\n\nb\n", json!(["a", "", "b"])),
            (Format::Lines, b"", json!([])),
            (Format::Auto, b"[1]\n", json!([1])),
            (Format::Auto, b"5\n", json!(5)),
            (Format::Auto, b"5 apples\n", json!("5 apples")),
            (Format::Auto, b"", json!("")),
            (Format::Auto, b"\"\xff\"", json!("\"\u{fffd}\"")),
        ];
        for (format, stdout, expected) in cases {
            assert_eq!(result(format, stdout), Ok(expected), "{format:?} of {:?}", String::from_utf8_lossy(stdout));
        }
    }

    #[test]
    fn what_is_no_result_is_told_without_a_word_of_it() {
        let cases: [(&[u8], &str); 5] = [
            (b" \n", "standard output is empty, and no JSON"),
            (b"{\"a\":\xfe}", "standard output is no JSON: byte 5 is no UTF-8"),
            (b"{\"a\": 1,\n oops}", "standard output is no JSON: key must be a string at line 2 column 2"),
            (b"{} {}", "standard output is no JSON: trailing characters at line 1 column 4"),
            (&[b'['; 1000], "standard output is no JSON: recursion limit exceeded at line 1 column 128"),
        ];
        for (stdout, expected) in cases {
            assert_eq!(result(Format::Json, stdout).unwrap_err().to_string(), expected);
        }
        for format in [Format::Json, Format::Text, Format::Lines, Format::Auto] {
            let cut = Stream { bytes: b"[1]".to_vec(), truncated: true };
            let error = Output { format, schema: None }.result(&cut).unwrap_err();
            assert_eq!(error, ResultError::Truncated { bytes: 3 });
        }
    }

    #[test]
    fn a_schema_is_of_the_value_and_tells_where_it_does_not_fit() {
        let output = Output { format: Format::Lines, schema: Some((json!({}), Arc::new(Short))) };
        let lines = |text: &str| output.result(&Stream { bytes: text.as_bytes().to_vec(), truncated: false });
        assert_eq!(lines("a\nb\n"), Ok(json!(["a", "b"])));
        let error = lines("a\nb\nc\n").unwrap_err().to_string();
        assert_eq!(error, "standard output does not fit output.schema: /2: one too many");
    }
}
