//! A secret that is used as a JSON value: what of it an action may write by itself.

use serde_json::Value;

use crate::value::{RefusedValue, SecretValue};

/// A text or number of a value that masking could not find, or would find everywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("each text and number in it is a secret of its own, and one cannot be: {0}")]
pub struct RefusedPart(RefusedValue);

/// What is to be masked of a value: all of it, and each text and number in it. Names of members are no secrets, nor are
/// `true`, `false`, `null` and the empty text, which tell nothing.
///
/// # Errors
/// [`RefusedPart`], of a value whose parts cannot all be masked.
pub fn parts(value: &Value) -> Result<Vec<SecretValue>, RefusedPart> {
    let mut parts = Vec::new();
    if let Value::Array(_) | Value::Object(_) = value {
        parts.push(SecretValue::opened(value.to_string()));
    }
    for leaf in leaves(value) {
        parts.push(SecretValue::new(leaf).map_err(RefusedPart)?);
    }
    Ok(parts)
}

/// Those parts of a secret's text, where it is the JSON text of an object or array, that can be masked. An action that
/// takes it as a text may take it apart, too.
pub(crate) fn of_text(text: &str) -> Vec<SecretValue> {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => {
            leaves(&value).into_iter().filter_map(|leaf| SecretValue::new(leaf).ok()).collect()
        }
        _ => Vec::new(),
    }
}

/// The texts and numbers of a value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Bool(_) => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(members) => members.values().flat_map(leaves).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Mask;

    #[test]
    fn each_text_and_number_of_a_value_is_masked_or_the_value_is_refused() {
        let value = json!({"user": "operator", "keys": ["horse battery", 1_234_567_890], "tls": true, "note": ""});
        let parts = parts(&value).unwrap();
        let exposed: Vec<&str> = parts.iter().map(SecretValue::expose).collect();
        assert_eq!(exposed, [&*value.to_string(), "operator", "horse battery", "1234567890"]);
        for value in
            [json!({"user": "kim", "password": "correct horse"}), json!([5432]), json!("short"), json!(["aaaaaaaaa"])]
        {
            let error = super::parts(&value).unwrap_err().to_string();
            assert!(error.starts_with("each text and number") && !error.contains("kim"), "{value}: {error}");
        }
        assert_eq!(super::parts(&json!("correct horse")).unwrap().len(), 1);
    }

    #[test]
    fn members_of_a_text_that_is_json_are_masked_where_they_can_be() {
        let secret = SecretValue::new(json!({"user": "kim", "key": "line one\nline two"}).to_string()).unwrap();
        let mask = Mask::new([&secret]);
        assert_eq!(mask.text("kim: line one\nline two".to_owned()), "kim: ********");
        assert_eq!(mask.text(format!("it is {}", secret.expose())), "it is ********");
    }
}
