//! Points and spans of time.

mod build;
mod format;
mod guess;
mod operators;
mod parts;

use super::Outcome;
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::{DateTime, Timespan, Value};

pub(super) fn register(library: &mut Register<'_>) {
    build::register(library);
    operators::register(library);
    parts::register(library);
    library.method("format", "dt: datetime, format__: string", |call| {
        format::formatted(time(call, 0), &call.text(1)).map(Value::string)
    });
    library.function("isDatetime", "value: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::DateTime(_)))));
    library.function("isTimespan", "value: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::Timespan(_)))));
}

/// The time at a place.
fn time(call: &Invocation<'_, '_>, index: usize) -> DateTime {
    match call.value(index) {
        Value::DateTime(time) => time,
        _ => DateTime::EPOCH,
    }
}

/// The microseconds of the span at a place.
fn span(call: &Invocation<'_, '_>, index: usize) -> i64 {
    match call.value(index) {
        Value::Timespan(span) => span.microseconds(),
        _ => 0,
    }
}

/// A time from its microseconds, if there is such a year.
fn new_time(local: i128, offset: Option<i64>) -> Outcome {
    let time = i64::try_from(local).ok().and_then(|local| DateTime::new(local, offset));
    time.map(Value::DateTime).ok_or_else(|| EvaluationError::overflow("date value out of range"))
}

/// A span from its microseconds, if it is not too long.
fn new_span(microseconds: i128) -> Outcome {
    let span = Timespan::from_microseconds(microseconds).map(Value::Timespan);
    span.ok_or_else(|| EvaluationError::overflow("the span of time is too long"))
}
