//! Numbers from other values, and numbers rounded.

use super::super::Outcome;
use super::{float, whole};
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::{Value, parse_float, parse_int, repr};

pub(super) fn register(library: &mut Register<'_>) {
    library.function("int", "value: any?", int);
    library.function("float", "value: any?", to_float);
    library.function("round", "number: number, ndigits: int = 0", round);
    library.function("hex", "num: number?", hex);
}

fn int(call: &mut Invocation<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Null => Ok(Value::Int(0)),
        Value::Bool(value) => Ok(Value::Int(i128::from(value))),
        Value::Int(value) => Ok(Value::Int(value)),
        Value::Float(value) => from_float(value),
        Value::String(text) => match parse_int(&text) {
            Some(value) => whole(value),
            None => {
                let text = repr(&Value::String(text));
                Err(EvaluationError::of_value(format!("invalid literal for int() with base 10: {text}")))
            }
        },
        other => {
            let kind = other.type_name();
            let message =
                format!("int() argument must be a string, a bytes-like object or a real number, not '{kind}'");
            Err(EvaluationError::of_type(message))
        }
    }
}

/// The whole number before the point.
fn from_float(value: f64) -> Outcome {
    if value.is_nan() {
        return Err(EvaluationError::of_value("cannot convert float NaN to integer"));
    }
    if value.is_infinite() {
        return Err(EvaluationError::overflow("cannot convert float infinity to integer"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
    whole((value.abs() < 1e38).then_some(value.trunc() as i128))
}

fn to_float(call: &mut Invocation<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Null => Ok(Value::Float(0.0)),
        value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) => Ok(Value::Float(float(&value))),
        Value::String(text) => match parse_float(&text) {
            Some(value) => Ok(Value::Float(value)),
            None => {
                let text = repr(&Value::String(text));
                Err(EvaluationError::of_value(format!("could not convert string to float: {text}")))
            }
        },
        other => {
            let message = format!("float() argument must be a string or a real number, not '{}'", other.type_name());
            Err(EvaluationError::of_type(message))
        }
    }
}

/// Halves go to the even neighbour.
fn round(call: &mut Invocation<'_, '_>) -> Outcome {
    let digits = call.int(1);
    match call.value(0) {
        Value::Int(value) if digits >= 0 => Ok(Value::Int(value)),
        Value::Int(value) => {
            let Some(unit) = u32::try_from(-digits).ok().and_then(|digits| 10_i128.checked_pow(digits)) else {
                return Ok(Value::Int(0));
            };
            let (low, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
            let up = rest > unit - rest || (rest == unit - rest && low % 2 != 0);
            whole((low + i128::from(up)).checked_mul(unit))
        }
        value => Ok(Value::Float(round_float(float(&value), digits))),
    }
}

fn round_float(value: f64, digits: i128) -> f64 {
    // No float has a digit further behind the point, and none is that large.
    const DIGITS_MAX: i128 = 323;
    if !value.is_finite() || digits > DIGITS_MAX {
        return value;
    }
    match usize::try_from(digits) {
        // The text is exact, with halves to even.
        Ok(digits) => format!("{value:.digits$}").parse().unwrap_or(value),
        Err(_) if digits < -DIGITS_MAX => 0.0_f64.copysign(value),
        Err(_) => {
            let digits = i32::try_from(-digits).unwrap_or(0);
            let unit = 10_f64.powi(digits);
            let rounded = (value / unit).round_ties_even() * unit;
            if rounded.is_finite() { rounded } else { value }
        }
    }
}

fn hex(call: &mut Invocation<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Int(value) => {
            let sign = if value < 0 { "-" } else { "" };
            Ok(Value::string(format!("{sign}{:#x}", value.unsigned_abs())))
        }
        other => {
            let message = format!("'{}' object cannot be interpreted as an integer", other.type_name());
            Err(EvaluationError::of_type(message))
        }
    }
}
