//! Computing with times and spans.

use std::cmp::Ordering;

use super::super::Outcome;
use super::{new_span, new_time, span, time};
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::{DateTime, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.function("#operator_+", "dt: datetime, ts: timespan", |call| shifted(time(call, 0), span(call, 1).into()));
    library.function("#operator_+", "ts: timespan, dt: datetime", |call| shifted(time(call, 1), span(call, 0).into()));
    library.function("#operator_-", "dt: datetime, ts: timespan", |call| {
        shifted(time(call, 0), -i128::from(span(call, 1)))
    });
    library.function("#operator_-", "dt1: datetime, dt2: datetime", |call| {
        new_span(i128::from(time(call, 0).instant()) - i128::from(time(call, 1).instant()))
    });
    library.function("#operator_+", "ts1: timespan, ts2: timespan", |call| {
        new_span(i128::from(span(call, 0)) + i128::from(span(call, 1)))
    });
    library.function("#operator_-", "ts1: timespan, ts2: timespan", |call| {
        new_span(i128::from(span(call, 0)) - i128::from(span(call, 1)))
    });
    for signature in ["dt1: datetime, dt2: datetime", "ts1: timespan, ts2: timespan"] {
        library.function("#operator_>", signature, |call| compare(call, Ordering::is_gt));
        library.function("#operator_>=", signature, |call| compare(call, Ordering::is_ge));
        library.function("#operator_<", signature, |call| compare(call, Ordering::is_lt));
        library.function("#operator_<=", signature, |call| compare(call, Ordering::is_le));
    }
    library.function("#operator_*", "ts: timespan, n: number", |call| scaled(span(call, 0), &call.value(1)));
    library.function("#operator_*", "n: number, ts: timespan", |call| scaled(span(call, 1), &call.value(0)));
    library.function("#operator_/", "ts1: timespan, ts2: timespan", |call| {
        quotient(span(call, 0), span(call, 1) as f64).map(Value::Float)
    });
    library.function("#operator_/", "ts: timespan, n: number", |call| {
        let divisor = match call.value(1) {
            Value::Int(divisor) => divisor as f64,
            Value::Float(divisor) => divisor,
            _ => 0.0,
        };
        if matches!(call.value(1), Value::Int(0)) {
            return Err(EvaluationError::new("ZeroDivisionError", "division by zero"));
        }
        from_float(quotient(span(call, 0), divisor)?)
    });
    library.function("#unary_operator_-", "ts: timespan", |call| new_span(-i128::from(span(call, 0))));
    library.function("#unary_operator_+", "ts: timespan", |call| Ok(call.value(0)));
}

/// A time this many microseconds later.
pub(super) fn shifted(time: DateTime, microseconds: i128) -> Outcome {
    new_time(i128::from(time.local()) + microseconds, time.offset())
}

fn compare(call: &mut Invocation<'_, '_>, holds: fn(Ordering) -> bool) -> Outcome {
    let order = match (call.value(0), call.value(1)) {
        (Value::DateTime(left), Value::DateTime(right)) => left.instant().cmp(&right.instant()),
        (Value::Timespan(left), Value::Timespan(right)) => left.cmp(&right),
        _ => Ordering::Equal,
    };
    Ok(Value::Bool(holds(order)))
}

fn scaled(microseconds: i64, factor: &Value) -> Outcome {
    match factor {
        Value::Int(factor) => new_span(i128::from(microseconds).saturating_mul(*factor)),
        Value::Float(factor) => from_float(microseconds as f64 * factor),
        _ => Ok(Value::Null),
    }
}

fn quotient(microseconds: i64, divisor: f64) -> Result<f64, EvaluationError> {
    if divisor == 0.0 {
        return Err(EvaluationError::new("ZeroDivisionError", "float division by zero"));
    }
    Ok(microseconds as f64 / divisor)
}

/// A span of a number of microseconds, halves to even.
#[expect(clippy::cast_possible_truncation, reason = "what is too large is refused as a span")]
fn from_float(microseconds: f64) -> Outcome {
    if !microseconds.is_finite() {
        return Err(EvaluationError::of_value("cannot convert float NaN or infinity to integer"));
    }
    new_span(microseconds.round_ties_even() as i128)
}
