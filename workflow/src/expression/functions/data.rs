//! Values into other forms and back: JSON, YAML, parts of documents, lists side by side.

use super::call::{Answer, Arguments, Function, FunctionError, type_name};
use super::{json_path, json_text, yaml_text};
use crate::expression::limits::EXPRESSION_OUTPUT_BYTES_MAX;
use crate::expression::python::to_str;
use crate::expression::{List, Value};

pub(super) const TABLE: &[Function] = &[
    Function::new("json", &["s"], 1, json),
    Function::variadic("zip", &["pad"], zip),
    Function::new("from_json_string", &["value"], 1, from_json_string),
    Function::new("json_parse", &["value"], 1, from_json_string),
    Function::new("to_json_string", &["value", "indent", "sort_keys", "separators"], 1, to_json_string),
    Function::new("json_dump", &["value", "indent", "sort_keys", "separators"], 1, to_json_string),
    Function::new("to_complex", &["value"], 1, to_complex),
    Function::new("json_escape", &["value"], 1, json_escape),
    Function::new("from_yaml_string", &["value"], 1, from_yaml_string),
    Function::new("yaml_parse", &["value"], 1, from_yaml_string),
    Function::new("to_yaml_string", &["value", "indent", "allow_unicode"], 1, to_yaml_string),
    Function::new("yaml_dump", &["value", "indent", "allow_unicode"], 1, to_yaml_string),
    Function::new("jsonpath_query", &["value", "query"], 2, jsonpath_query),
    Function::new("use_none", &["value"], 1, use_none),
];

/// What StackStorm's `use_none` makes of `null`, so that it survives as text until the parameter is cast.
const NONE_TEXT: &str = "%*****__%NONE%__*****%";

/// The text of an argument, whatever its type.
fn any_text(value: &Value) -> Result<String, FunctionError> {
    to_str(value).map_err(|_| too_long())
}

/// The error of a text over the limit.
pub(super) fn too_long() -> FunctionError {
    FunctionError::new("MemoryError", format!("the text would be longer than {EXPRESSION_OUTPUT_BYTES_MAX} bytes"))
}

fn parse_json(text: &str) -> Answer {
    serde_json::from_str::<Value>(text).map_err(|e| FunctionError::new("JSONDecodeError", e.to_string()))
}

fn json(args: &Arguments<'_>) -> Answer {
    match args.value(0) {
        map @ Value::Map(_) => Ok(map.clone()),
        Value::String(text) => parse_json(text),
        _ => Err(FunctionError::of_type("Given object is not typeof string.")),
    }
}

fn zip(args: &Arguments<'_>) -> Answer {
    let mut columns = Vec::with_capacity(args.rest.len());
    for value in args.rest {
        columns.push(match value {
            Value::Null => Vec::new(),
            Value::List(list) => list.items().to_vec(),
            Value::String(text) => text.chars().map(|c| Value::text(c.to_string())).collect(),
            Value::Map(map) => map.iter().map(|(key, _)| Value::String(key.clone())).collect(),
            other => return Err(FunctionError::of_type(format!("'{}' object is not iterable", type_name(other)))),
        });
    }
    if let [only] = args.rest {
        return Ok(if only.is_null() { Value::List(List::default()) } else { only.clone() });
    }
    let pad = args.value(0);
    let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
    let row = |place: usize| columns.iter().map(|column| column.get(place).unwrap_or(pad).clone()).collect();
    Ok(Value::List((0..rows).map(|place| Value::List(row(place))).collect()))
}

fn from_json_string(args: &Arguments<'_>) -> Answer {
    parse_json(&any_text(args.value(0))?)
}

fn to_json_string(args: &Arguments<'_>) -> Answer {
    let style = json_text::Style::of(args.value(1), args.flag(2), args.given(3))?;
    json_text::write(args.value(0), &style).map(Value::text)
}

fn to_complex(args: &Arguments<'_>) -> Answer {
    json_text::write(args.value(0), &json_text::Style::default()).map(Value::text)
}

fn json_escape(args: &Arguments<'_>) -> Answer {
    let text = json_text::write(args.value(0), &json_text::Style::default())?;
    Ok(Value::text(text.trim_matches('"')))
}

fn from_yaml_string(args: &Arguments<'_>) -> Answer {
    yaml_text::parse(&any_text(args.value(0))?)
}

fn to_yaml_string(args: &Arguments<'_>) -> Answer {
    let indent = args.value(1).as_i64().unwrap_or(2);
    let allow_unicode = args.given(2).is_none_or(Value::is_true);
    yaml_text::write(args.value(0), indent, allow_unicode).map(Value::text)
}

fn jsonpath_query(args: &Arguments<'_>) -> Answer {
    let found = json_path::find(args.value(0), args.text(1)?)?;
    Ok(if found.is_empty() { Value::Null } else { Value::List(found.into_iter().collect()) })
}

fn use_none(args: &Arguments<'_>) -> Answer {
    Ok(if args.value(0).is_null() { Value::text(NONE_TEXT) } else { args.value(0).clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::check;

    #[test]
    fn json_is_read_and_written_as_python_does() {
        check(&[
            ("json", json!(["[{\"a\": 1}, {\"b\": 2}]"]), Ok(json!([{"a": 1}, {"b": 2}]))),
            ("json", json!([{"k1": "v1"}]), Ok(json!({"k1": "v1"}))),
            ("json", json!([123]), Err("TypeError: Given object is not typeof string.")),
            ("json", json!(["{"]), Err("JSONDecodeError")),
            ("from_json_string", json!(["{\"a\": [1, 1.0]}"]), Ok(json!({"a": [1, 1.0]}))),
            ("json_parse", json!([5]), Ok(json!(5))),
            (
                "to_json_string",
                json!([{"b": 1, "a": [true, null, 1.0]}]),
                Ok(json!("{\"b\": 1,\"a\": [true,null,1.0]}")),
            ),
            ("to_json_string", json!([{"b": 1, "a": 2}, null, true]), Ok(json!("{\"a\": 2,\"b\": 1}"))),
            (
                "json_dump",
                json!([{"a": [1, {}], "b": []}, 2]),
                Ok(json!("{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}")),
            ),
            (
                "to_json_string",
                json!(["\u{e9}\u{1f600}\n\"\u{7f}"]),
                Ok(json!("\"\\u00e9\\ud83d\\ude00\\n\\\"\u{7f}\"")),
            ),
            ("to_json_string", json!([[1, 2], null, false, [", ", ": "]]), Ok(json!("[1, 2]"))),
            ("to_complex", json!([{"a": [1, 2]}]), Ok(json!("{\"a\": [1, 2]}"))),
            ("json_escape", json!(["a\"b\\c\nd"]), Ok(json!("a\\\"b\\\\c\\nd"))),
        ]);
    }

    #[test]
    fn lists_stand_side_by_side() {
        check(&[
            ("zip", json!([[1, 2], ["a", "b"]]), Ok(json!([[1, "a"], [2, "b"]]))),
            ("zip", json!([[1, 2, 3], ["a"]]), Ok(json!([[1, "a"], [2, null], [3, null]]))),
            ("zip", json!([[1], null, []]), Ok(json!([[1, null, null]]))),
            ("zip", json!([[1, 2]]), Ok(json!([1, 2]))),
            ("zip", json!([null]), Ok(json!([]))),
            ("zip", json!([]), Ok(json!([]))),
            ("zip", json!([1, [2]]), Err("TypeError: 'int' object is not iterable")),
        ]);
    }

    #[test]
    fn null_survives_as_a_text() {
        check(&[
            ("use_none", json!([null]), Ok(json!("%*****__%NONE%__*****%"))),
            ("use_none", json!([""]), Ok(json!(""))),
        ]);
    }
}
