//! What is kept of a frozen workflow for people to see.

use serde_json::Value;

use crate::limits::FROZEN_BYTES_MAX;

/// What is left out of it, one after the other, until it is within the limit: what it takes least to decide with first.
const LEFT_OUT_IN_ORDER: [&str; 4] = ["variables", "errors", "open", "tasks"];

/// The text of what [`super::Conduct::frozen`] tells, at most [`FROZEN_BYTES_MAX`] bytes. What had to be left out for that
/// is named under `left_out`.
pub fn shown_frozen(frozen: &Value) -> String {
    let text = frozen.to_string();
    if text.len() <= FROZEN_BYTES_MAX {
        return text;
    }
    let mut frozen = frozen.as_object().cloned().unwrap_or_default();
    let mut left_out = Vec::new();
    for name in LEFT_OUT_IN_ORDER {
        if frozen.remove(name).is_none() {
            continue;
        }
        left_out.push(Value::from(name));
        frozen.insert("left_out".to_owned(), Value::Array(left_out.clone()));
        let text = Value::Object(frozen.clone()).to_string();
        if text.len() <= FROZEN_BYTES_MAX {
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
}
