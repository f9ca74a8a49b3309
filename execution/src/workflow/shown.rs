//! What is told of a workflow in records that have little room.

use serde_json::Value;

use crate::limits::{FROZEN_BYTES_MAX, RESULT_BYTES_MAX};

/// What is left out of a freeze, one after the other, until it is within the limit: what it takes least to decide with
/// first.
const LEFT_OUT_OF_FREEZE: [&str; 5] = ["variables", "errors", "warnings", "open", "tasks"];

/// The same of what a workflow, or a question, has resulted in: what went wrong is worth most.
const LEFT_OUT_OF_RESULT: [&str; 4] = ["output", "schema", "response", "errors"];

/// The text of what [`super::Conduct::frozen`] tells, at most [`FROZEN_BYTES_MAX`] bytes. What had to be left out for that
/// is named under `left_out`.
pub fn shown_frozen(frozen: &Value) -> String {
    within(frozen, FROZEN_BYTES_MAX, LEFT_OUT_OF_FREEZE)
}

/// The text of what a workflow has resulted in, at most [`RESULT_BYTES_MAX`] bytes; what is left out is named likewise.
pub(crate) fn shown_result(result: &Value) -> String {
    within(result, RESULT_BYTES_MAX, LEFT_OUT_OF_RESULT)
}

fn within<const N: usize>(whole: &Value, bytes_max: usize, left_out_in_order: [&str; N]) -> String {
    let text = whole.to_string();
    if text.len() <= bytes_max {
        return text;
    }
    let mut shown = whole.as_object().cloned().unwrap_or_default();
    let mut left_out = Vec::new();
    for name in left_out_in_order {
        if shown.remove(name).is_none() {
            continue;
        }
        left_out.push(Value::from(name));
        shown.insert("left_out".to_owned(), Value::Array(left_out.clone()));
        let text = Value::Object(shown.clone()).to_string();
        if text.len() <= bytes_max {
            return text;
        }
    }
    // It holds what nobody knows here.
    Value::Object([("left_out".to_owned(), Value::Array(left_out))].into_iter().collect()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_large_is_left_out_in_order_and_said_so() {
        let large = "x".repeat(FROZEN_BYTES_MAX);
        let shown = |frozen: Value| serde_json::from_str::<Value>(&shown_frozen(&frozen)).unwrap();
        let small = json!({ "tasks": [1], "open": [], "variables": { "a": 1 }, "errors": [] });
        assert_eq!(shown(small.clone()), small);
        let variables = json!({ "tasks": [1], "open": [], "variables": { "a": large }, "errors": [] });
        assert_eq!(shown(variables), json!({ "tasks": [1], "open": [], "errors": [], "left_out": ["variables"] }));
        let errors = json!({ "tasks": [1], "open": [], "variables": {}, "errors": [large] });
        assert_eq!(shown(errors), json!({ "tasks": [1], "open": [], "left_out": ["variables", "errors"] }));
        let all = json!({ "tasks": [large], "open": [], "variables": {}, "errors": [] });
        assert_eq!(shown(all), json!({ "left_out": ["variables", "errors", "open", "tasks"] }));
        let other = json!({ "tasks": [], "other": large });
        assert_eq!(shown(other), json!({ "left_out": ["tasks"] }));
    }

    #[test]
    fn of_a_result_the_output_goes_before_the_errors() {
        let large = "x".repeat(RESULT_BYTES_MAX);
        let shown = |result: Value| serde_json::from_str::<Value>(&shown_result(&result)).unwrap();
        let output = json!({ "output": { "a": large }, "errors": [{ "message": "b" }] });
        assert_eq!(shown(output), json!({ "errors": [{ "message": "b" }], "left_out": ["output"] }));
        let errors = json!({ "output": null, "errors": [{ "message": large }] });
        assert_eq!(shown(errors), json!({ "left_out": ["output", "errors"] }));
        assert_eq!(shown(json!({ "output": 1 })), json!({ "output": 1 }));
        assert_eq!(shown(json!(large)), json!({ "left_out": [] }));
    }
}
