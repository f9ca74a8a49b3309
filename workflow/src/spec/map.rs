//! What a task with `map` may say of its items.

use crate::expression::Value;
use crate::limits::{MAP_CHUNK, MAP_CHUNK_MAX};

/// How many items are offered at a time.
///
/// # Errors
/// What is no whole number from 1 to `MAP_CHUNK_MAX`.
pub(crate) fn chunk(value: &Value) -> Result<usize, String> {
    if value.is_null() {
        return Ok(MAP_CHUNK);
    }
    let chunk = value.as_i64().and_then(|chunk| usize::try_from(chunk).ok());
    chunk.filter(|chunk| (1..=MAP_CHUNK_MAX).contains(chunk)).ok_or_else(|| {
        format!("{} is no chunk: it is a number from 1 to the limit MAP_CHUNK_MAX of {MAP_CHUNK_MAX}", value.to_json())
    })
}

/// How many of so many items may fail.
///
/// # Errors
/// What is neither a whole number from 0 on nor a share from `0%` to `100%`.
pub(crate) fn failures_max(value: &Value, items: usize) -> Result<usize, String> {
    let most = match value {
        Value::Null => Some(0),
        Value::String(text) => text
            .strip_suffix('%')
            .and_then(|share| share.parse::<usize>().ok())
            .filter(|share| *share <= 100)
            .map(|share| items * share / 100),
        other => other.as_i64().and_then(|most| usize::try_from(most).ok()),
    };
    most.ok_or_else(|| format!("{} is no number of failures: write 3 or \"5%\"", value.to_json()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_a_number_or_a_share_of_the_items() {
        for (written, items, most) in [
            (serde_json::json!(null), 10, Some(0)),
            (serde_json::json!(3), 10, Some(3)),
            (serde_json::json!("5%"), 100, Some(5)),
            (serde_json::json!("5%"), 19, Some(0)),
            (serde_json::json!("100%"), 7, Some(7)),
            (serde_json::json!("101%"), 7, None),
            (serde_json::json!("5"), 7, None),
            (serde_json::json!(-1), 7, None),
            (serde_json::json!(1.5), 7, None),
        ] {
            assert_eq!(failures_max(&written.clone().into(), items).ok(), most, "{written}");
        }
    }

    #[test]
    fn chunks_have_a_limit() {
        for (written, size) in [
            (serde_json::json!(null), Some(MAP_CHUNK)),
            (serde_json::json!(1), Some(1)),
            (serde_json::json!(MAP_CHUNK_MAX), Some(MAP_CHUNK_MAX)),
            (serde_json::json!(MAP_CHUNK_MAX + 1), None),
            (serde_json::json!(0), None),
            (serde_json::json!("5"), None),
        ] {
            assert_eq!(chunk(&written.clone().into()).ok(), size, "{written}");
        }
    }
}
