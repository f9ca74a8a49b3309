//! The parts of timestamps and durations.

use std::sync::LazyLock;

use jiff::tz::TimeZoneDatabase;

use crate::fault::Fault;
use crate::functions::Function;
use crate::time::{Civil, Timestamp};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    accessor("getFullYear", |_, arguments| civil("getFullYear", arguments, |at| at.year)),
    accessor("getMonth", |_, arguments| civil("getMonth", arguments, |at| at.month - 1)),
    accessor("getDate", |_, arguments| civil("getDate", arguments, |at| at.day)),
    accessor("getDayOfMonth", |_, arguments| civil("getDayOfMonth", arguments, |at| at.day - 1)),
    accessor("getDayOfWeek", |_, arguments| civil("getDayOfWeek", arguments, |at| at.week_day)),
    accessor("getDayOfYear", |_, arguments| civil("getDayOfYear", arguments, |at| at.year_day)),
    accessor("getHours", |_, arguments| match arguments {
        [Value::Duration(duration)] => Ok(Value::Int(duration.nanos / HOUR_NANOS)),
        _ => civil("getHours", arguments, |at| at.hour),
    }),
    accessor("getMinutes", |_, arguments| match arguments {
        [Value::Duration(duration)] => Ok(Value::Int(duration.nanos / MINUTE_NANOS)),
        _ => civil("getMinutes", arguments, |at| at.minute),
    }),
    accessor("getSeconds", |_, arguments| match arguments {
        [Value::Duration(duration)] => Ok(Value::Int(duration.nanos / SECOND_NANOS)),
        _ => civil("getSeconds", arguments, |at| at.second),
    }),
    accessor("getMilliseconds", |_, arguments| match arguments {
        // Those within the second, as the specification has it; hours, minutes and seconds are totals.
        [Value::Duration(duration)] => Ok(Value::Int(duration.nanos % SECOND_NANOS / MILLISECOND_NANOS)),
        // No time zone is off by a part of a second.
        [Value::Timestamp(at)] | [Value::Timestamp(at), Value::String(_)] => {
            civil("getMilliseconds", arguments, |at| at.second)?;
            Ok(Value::Int(i64::from(at.nanos) / MILLISECOND_NANOS))
        }
        _ => Err(Fault::overload("getMilliseconds", arguments)),
    }),
];

const MILLISECOND_NANOS: i64 = 1_000_000;
const SECOND_NANOS: i64 = 1_000 * MILLISECOND_NANOS;
const MINUTE_NANOS: i64 = 60 * SECOND_NANOS;
const HOUR_NANOS: i64 = 60 * MINUTE_NANOS;

/// The time zones of this build; zones that were asked for once are kept.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

const fn accessor(name: &'static str, call: crate::functions::Call) -> Function {
    Function { name, global: &[], member: &[0, 1], call }
}

/// A part of what calendar and clock show, in UTC or in the time zone of the second argument.
fn civil<'a>(
    function: &'static str,
    arguments: &[Value<'a>],
    part: impl FnOnce(Civil) -> i64,
) -> Result<Value<'a>, Fault<'a>> {
    let (at, offset) = match arguments {
        [Value::Timestamp(at)] => (at, 0),
        [Value::Timestamp(at), Value::String(zone)] => {
            let unknown = Fault::InvalidArgument { function, why: "unknown time zone" };
            (at, offset(zone, *at).ok_or(unknown)?)
        }
        _ => return Err(Fault::overload(function, arguments)),
    };
    Ok(Value::Int(part(Civil::new(at.seconds + offset))))
}

/// Seconds that a time zone is ahead of UTC at an instant: a name of the IANA's database, or `+01:00`,
/// `-01:00`, `01:00`.
fn offset(zone: &str, at: Timestamp) -> Option<i64> {
    if zone == "UTC" {
        return Some(0);
    }
    let Some((hours, minutes)) = zone.split_once(':') else {
        // The zones know a few days less of the year 9999.
        let (min, max) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        let at = jiff::Timestamp::from_second(at.seconds.clamp(min, max)).ok()?;
        return Some(i64::from(ZONES.get(zone).ok()?.to_offset(at).seconds()));
    };
    let (sign, hours) = match hours.as_bytes().first()? {
        b'-' => (-1, &hours[1..]),
        b'+' => (1, &hours[1..]),
        _ => (1, hours),
    };
    let (hours, minutes) = (below(hours, 24)?, below(minutes, 60)?);
    Some(sign * (hours * 3600 + minutes * 60))
}

/// A number of two digits below a limit.
fn below(text: &str, limit: i64) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number < limit)
}
