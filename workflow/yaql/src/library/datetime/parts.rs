//! The parts of times and spans, as what stands behind a dot.

use super::operators::shifted;
use super::{new_span, new_time, span, time};
use crate::function::{Invocation, Native, Register};
use crate::value::{MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Value};

pub(super) fn register(library: &mut Register<'_>) {
    let of_spans: [(&str, Native); 6] = [
        ("microseconds", |call| Ok(Value::Int(span(call, 0).into()))),
        ("milliseconds", |call| Ok(Value::Float(span(call, 0) as f64 / 1e3))),
        ("seconds", |call| Ok(Value::Float(span(call, 0) as f64 / 1e6))),
        ("minutes", |call| Ok(Value::Float(span(call, 0) as f64 / 6e7))),
        ("hours", |call| Ok(Value::Float(span(call, 0) as f64 / 3.6e9))),
        ("days", |call| Ok(Value::Float(span(call, 0) as f64 / 8.64e10))),
    ];
    for (name, native) in of_spans {
        library.function(&format!("#property#{name}"), "obj: timespan", native);
    }
    let of_times: [(&str, Native); 13] = [
        ("year", |call| Ok(Value::Int(time(call, 0).date().0.into()))),
        ("month", |call| Ok(Value::Int(time(call, 0).date().1.into()))),
        ("day", |call| Ok(Value::Int(time(call, 0).date().2.into()))),
        ("hour", |call| Ok(Value::Int((seconds(call) / 3600).into()))),
        ("minute", |call| Ok(Value::Int((seconds(call) / 60 % 60).into()))),
        ("second", |call| Ok(Value::Int((seconds(call) % 60).into()))),
        ("microsecond", |call| Ok(Value::Int((time(call, 0).time() % MICROSECONDS_PER_SECOND).into()))),
        ("date", |call| {
            let time = time(call, 0);
            new_time(i128::from(time.local()) - i128::from(time.time()), time.offset())
        }),
        ("time", |call| new_span(time(call, 0).time().into())),
        ("weekday", |call| {
            // 1970 began on a Thursday; weeks begin on Monday.
            Ok(Value::Int((time(call, 0).local().div_euclid(MICROSECONDS_PER_DAY) + 3).rem_euclid(7).into()))
        }),
        // The offset stays, as in YAQL, although the clock no longer shows that of UTC.
        ("utc", |call| shifted(time(call, 0), -i128::from(time(call, 0).offset().unwrap_or(0)))),
        ("offset", |call| new_span(time(call, 0).offset().unwrap_or(0).into())),
        ("timestamp", |call| {
            let time = time(call, 0);
            // Of what `utc` gives, the offset is taken off once more.
            let seconds = (time.instant() - time.offset().unwrap_or(0)) as f64 / MICROSECONDS_PER_SECOND as f64;
            Ok(Value::Float(seconds))
        }),
    ];
    for (name, native) in of_times {
        library.function(&format!("#property#{name}"), "obj: datetime", native);
    }
}

/// Seconds since midnight.
fn seconds(call: &Invocation<'_, '_>) -> i64 {
    time(call, 0).time() / MICROSECONDS_PER_SECOND
}
