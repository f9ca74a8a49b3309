//! Spans of time for people.

use super::call::{Answer, Arguments, Function, FunctionError, type_name};
use crate::expression::Value;
use crate::expression::python::float_text;

pub(super) const TABLE: &[Function] =
    &[Function::new("to_human_time_from_seconds", &["seconds"], 1, to_human_time_from_seconds)];

/// Days of a year, as this function counts them.
const YEAR_DAYS: u64 = 365;

fn to_human_time_from_seconds(args: &Arguments<'_>) -> Answer {
    let value = args.value(0);
    let Value::Number(number) = value else {
        return Err(FunctionError::new("AssertionError", format!("seconds are a number, not {}", type_name(value))));
    };
    let seconds = number.as_f64().unwrap_or_default();
    if seconds == 0.0 {
        return Ok(Value::text("0s"));
    }
    if seconds < 1.0 {
        let text = if number.is_f64() { float_text(seconds) } else { number.to_string() };
        // StackStorm writes fractions so, whatever the unit says.
        return Ok(Value::text(format!("{text}\u{3bc}s")));
    }
    let whole = number.as_u64().unwrap_or_else(|| seconds.round_ties_even() as u64);
    let days = whole / 86_400;
    let parts = [
        (days / YEAR_DAYS, "y"),
        (days % YEAR_DAYS, "d"),
        (whole / 3600 % 24, "h"),
        (whole / 60 % 60, "m"),
        (whole % 60, "s"),
    ];
    let first = parts.iter().position(|(amount, _)| *amount != 0).unwrap_or(parts.len() - 1);
    Ok(Value::text(parts[first..].iter().map(|(amount, unit)| format!("{amount}{unit}")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::check;

    #[test]
    fn spans_begin_with_their_largest_unit() {
        const NAME: &str = "to_human_time_from_seconds";
        check(&[
            (NAME, json!([0]), Ok(json!("0s"))),
            (NAME, json!([0.1]), Ok(json!("0.1\u{3bc}s"))),
            (NAME, json!([56]), Ok(json!("56s"))),
            (NAME, json!([56.4]), Ok(json!("56s"))),
            (NAME, json!([185]), Ok(json!("3m5s"))),
            (NAME, json!([3600]), Ok(json!("1h0m0s"))),
            (NAME, json!([4557]), Ok(json!("1h15m57s"))),
            (NAME, json!([25 * 3600]), Ok(json!("1d1h0m0s"))),
            (NAME, json!([45 * 86_400]), Ok(json!("45d0h0m0s"))),
            (NAME, json!([400 * 86_400]), Ok(json!("1y35d0h0m0s"))),
            (NAME, json!(["56"]), Err("AssertionError")),
        ]);
    }
}
