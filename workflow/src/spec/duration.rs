//! Lengths of time as people write them.

use crate::expression::Value;
use crate::limits::DURATION_MS_MAX;

/// What is expected, for messages.
pub(crate) const EXPECTED: &str = "write it as `90s`, `5m`, `1h` or `7d`, or as an expression that gives seconds";

/// Milliseconds of a text such as `500ms`, `90s`, `5m`, `1h`, `7d`; none if it is no such text, zero or too long.
fn of_text(text: &str) -> Option<i64> {
    let end = text.find(|one: char| !one.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_ms)
}

/// Milliseconds of a text with a unit, or of a number of seconds.
///
/// # Errors
/// A sentence that says what is expected; a length that is not above zero, or above `DURATION_MS_MAX`.
pub(crate) fn ms_of(value: &Value) -> Result<i64, String> {
    let ms = match value {
        Value::String(text) => of_text(text),
        Value::Number(number) => match number.as_i64() {
            Some(seconds) => seconds.checked_mul(1_000),
            // The cast saturates, and what is too long is refused below.
            None => number.as_f64().map(|seconds| (seconds * 1_000.0) as i64),
        },
        _ => None,
    };
    match ms {
        Some(ms) if ms <= 0 => Err(format!("{} is not above zero", value.to_json())),
        Some(ms) if ms > DURATION_MS_MAX => {
            Err(format!("{} is longer than the limit DURATION_MS_MAX of {DURATION_MS_MAX} ms", value.to_json()))
        }
        Some(ms) => Ok(ms),
        None => Err(format!("{} is no length of time: {EXPECTED}", value.to_json())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_units_or_are_seconds() {
        for (written, ms) in [
            (serde_json::json!("500ms"), Ok(500)),
            (serde_json::json!("90s"), Ok(90_000)),
            (serde_json::json!("5m"), Ok(300_000)),
            (serde_json::json!("1h"), Ok(3_600_000)),
            (serde_json::json!("7d"), Ok(604_800_000)),
            (serde_json::json!(90), Ok(90_000)),
            (serde_json::json!(1.5), Ok(1_500)),
            (serde_json::json!("0s"), Err("is not above zero")),
            (serde_json::json!(-1), Err("is not above zero")),
            (serde_json::json!("90"), Err("is no length of time")),
            (serde_json::json!("soon"), Err("is no length of time")),
            (serde_json::json!(null), Err("is no length of time")),
            (serde_json::json!("3660d"), Err("the limit DURATION_MS_MAX")),
            (serde_json::json!(1e300), Err("the limit DURATION_MS_MAX")),
        ] {
            let got = ms_of(&written.clone().into());
            match (got, ms) {
                (Ok(got), Ok(ms)) => assert_eq!(got, ms, "{written}"),
                (Err(got), Err(part)) => assert!(got.contains(part), "{written}: {got}"),
                (got, ms) => panic!("{written} is {got:?} and not {ms:?}"),
            }
        }
    }
}
