//! Making times and spans.

use super::super::Outcome;
use super::{format, guess, new_span, new_time, span, time};
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::{DateTime, MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Timespan, Value, days_from_civil};

pub(super) fn register(library: &mut Register<'_>) {
    library.function(
        "datetime",
        "year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0, \
         offset: timespan = zero",
        |call| {
            let fields = Fields {
                year: call.int(0),
                month: call.int(1),
                day: call.int(2),
                hour: call.int(3),
                minute: call.int(4),
                second: call.int(5),
                microsecond: call.int(6),
            };
            fields.time(Some(span(call, 7))).map(Value::DateTime)
        },
    );
    library.function("datetime", "timestamp: number, offset: timespan = zero", from_timestamp);
    library.function("datetime", "string: string, format__: string? = null", from_string);
    library.function(
        "timespan",
        "days: int = 0, hours: int = 0, minutes: int = 0, seconds: integer = 0, milliseconds: integer = 0, \
         microseconds: integer = 0",
        timespan,
    );
    library.function("now", "offset: any? = zero", now);
    library.function("localtz", "", |_| Ok(Value::Timespan(Timespan::ZERO)));
    library.function("utctz", "", |_| Ok(Value::Timespan(Timespan::ZERO)));
    library.method(
        "replace",
        "dt: datetime, year: int? = null, month: int? = null, day: int? = null, hour: int? = null, \
         minute: int? = null, second: int? = null, microsecond: int? = null, offset: timespan? = null",
        replace,
    );
}

/// What the calendar and the clock say.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) year: i128,
    pub(super) month: i128,
    pub(super) day: i128,
    pub(super) hour: i128,
    pub(super) minute: i128,
    pub(super) second: i128,
    pub(super) microsecond: i128,
}

impl Fields {
    pub(super) fn of(time: DateTime) -> Fields {
        let (year, month, day) = time.date();
        let seconds = time.time() / MICROSECONDS_PER_SECOND;
        Fields {
            year: year.into(),
            month: month.into(),
            day: day.into(),
            hour: (seconds / 3600).into(),
            minute: (seconds / 60 % 60).into(),
            second: (seconds % 60).into(),
            microsecond: (time.time() % MICROSECONDS_PER_SECOND).into(),
        }
    }

    /// The time that this is, with its offset from UTC in microseconds.
    pub(super) fn time(self, offset: Option<i64>) -> Result<DateTime, EvaluationError> {
        let wrong = |what: &str| EvaluationError::of_value(what);
        if !(1..=9999).contains(&self.year) {
            return Err(wrong(&format!("year {} is out of range", self.year)));
        }
        if !(1..=12).contains(&self.month) {
            return Err(wrong("month must be in 1..12"));
        }
        let (year, month) = (small(self.year), small(self.month));
        let days = days_from_civil(year, month, 1);
        let next = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
        if !(1..=i128::from(next - days)).contains(&self.day) {
            return Err(wrong("day is out of range for month"));
        }
        for (value, most, what) in [
            (self.hour, 23, "hour must be in 0..23"),
            (self.minute, 59, "minute must be in 0..59"),
            (self.second, 59, "second must be in 0..59"),
            (self.microsecond, 999_999, "microsecond must be in 0..999999"),
        ] {
            if !(0..=most).contains(&value) {
                return Err(wrong(what));
            }
        }
        let seconds = (small(self.hour) * 60 + small(self.minute)) * 60 + small(self.second);
        let local = (days + small(self.day) - 1) * MICROSECONDS_PER_DAY
            + seconds * MICROSECONDS_PER_SECOND
            + small(self.microsecond);
        DateTime::new(local, offset).ok_or_else(|| wrong("the offset from UTC must be less than a day"))
    }
}

/// A number that was checked to be small.
fn small(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(0)
}

/// A number of seconds as microseconds, halves to even.
#[expect(clippy::cast_possible_truncation, reason = "what is too large is refused as a date")]
fn microseconds(seconds: f64) -> i128 {
    let whole = seconds.floor();
    let fraction = ((seconds - whole) * MICROSECONDS_PER_SECOND as f64).round_ties_even();
    (whole as i128).saturating_mul(MICROSECONDS_PER_SECOND.into()).saturating_add(fraction as i128)
}

fn from_timestamp(call: &mut Invocation<'_, '_>) -> Outcome {
    let offset = span(call, 1);
    let instant = match call.value(0) {
        Value::Int(seconds) => seconds.saturating_mul(MICROSECONDS_PER_SECOND.into()),
        Value::Float(seconds) if seconds.is_finite() => microseconds(seconds),
        _ => return Err(EvaluationError::of_value("cannot convert float NaN or infinity to integer")),
    };
    let local = instant.saturating_add(offset.into());
    new_time(local, Some(offset)).map_err(|_| EvaluationError::of_value("year is out of range"))
}

fn from_string(call: &mut Invocation<'_, '_>) -> Outcome {
    let text = call.text(0);
    call.evaluator.step(text.len() as u64)?;
    let time = match call.optional_text(1).filter(|format| !format.is_empty()) {
        Some(format) => format::parsed(&text, &format)?,
        None => guess::parsed(&text, call.evaluator.host().now())?,
    };
    new_time(time.local().into(), Some(time.offset().unwrap_or(0)))
}

fn timespan(call: &mut Invocation<'_, '_>) -> Outcome {
    const MICROSECONDS: [i128; 6] = [86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1];
    let parts = MICROSECONDS.iter().enumerate().map(|(index, unit)| call.int(index).saturating_mul(*unit));
    new_span(parts.fold(0, i128::saturating_add))
}

fn now(call: &mut Invocation<'_, '_>) -> Outcome {
    let Some(instant) = call.evaluator.host().now() else {
        let message = "now() is refused: there is no clock here";
        return Err(EvaluationError::new("NotSupportedException", message));
    };
    let offset = match call.value(0) {
        Value::Null => None,
        Value::Timespan(offset) => Some(offset.microseconds()),
        other => return Err(Invocation::no_attribute(&other, "days")),
    };
    new_time(i128::from(instant) + i128::from(offset.unwrap_or(0)), offset)
}

fn replace(call: &mut Invocation<'_, '_>) -> Outcome {
    let old = time(call, 0);
    let mut fields = Fields::of(old);
    for (index, field) in [
        &mut fields.year,
        &mut fields.month,
        &mut fields.day,
        &mut fields.hour,
        &mut fields.minute,
        &mut fields.second,
        &mut fields.microsecond,
    ]
    .into_iter()
    .enumerate()
    {
        if !call.value(index + 1).is_null() {
            *field = call.int(index + 1);
        }
    }
    let offset = if call.value(8).is_null() { old.offset() } else { Some(span(call, 8)) };
    fields.time(offset).map(Value::DateTime)
}
