//! Windows: the times in which attempts may begin, by the clock on the wall of some place.
//!
//! A window is open while that clock shows a time of it. So an hour that the clock leaves out opens nothing, and one
//! that it shows twice is open, or closed, both times.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// The time zones of this build, the same on every machine; those that were asked for once are kept.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Most spans of one policy's windows.
pub const SPANS_MAX: usize = 64;
/// How far ahead an opening is looked for, in days: more than any year has.
pub const AHEAD_DAYS_MAX: i32 = 400;
/// Most openings of single windows on the way to one that is common to all.
const STEPS_MAX: usize = 1_000;
/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// When the attempts of an execution may begin, as one policy says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// The policy.
    pub policy: String,
    /// Name of the time zone whose clock counts, as `Europe/Berlin`.
    pub time_zone: String,
    /// When they may; none for always.
    pub open: Vec<Span>,
    /// When they may not all the same.
    pub closed: Vec<Span>,
    /// Whether what comes while they may not ends instead of waiting.
    pub drops: bool,
}

/// A time by the clock on the wall. What it ends with is not of it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Span {
    /// On days of the week, from a time to a time, both in minutes from midnight. Where it does not end behind its begin
    /// it ends on the next day.
    Weekly {
        /// The days on which it begins: 1 is Monday, 7 is Sunday.
        days: Vec<i8>,
        /// When it begins.
        from_minute: u16,
        /// When it ends.
        to_minute: u16,
    },
    /// Once.
    Once {
        /// When it begins.
        from: DateTime,
        /// When it ends.
        to: DateTime,
    },
}

/// What windows say of an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// All of them are open.
    Open,
    /// One is closed.
    Closed {
        /// The policy of that one.
        policy: String,
        /// Whether what comes meanwhile ends.
        drops: bool,
        /// When all of them are open again, in milliseconds since the epoch; none if they are not for more than a year.
        until_ms: Option<i64>,
    },
}

/// The time zone of a name.
///
/// # Errors
/// If this release does not know it, as a sentence.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    ZONES.get(name).map_err(|_| format!("there is no time zone {name:?}: write one as Europe/Berlin or UTC"))
}

/// What windows say of an instant.
///
/// # Errors
/// If this release does not know the time zone of one of them.
pub fn opening(windows: &[Windows], now_ms: i64) -> Result<Opening, String> {
    let zones: Vec<TimeZone> = windows.iter().map(|w| time_zone(&w.time_zone)).collect::<Result<_, _>>()?;
    let all = || windows.iter().zip(&zones);
    let now = instant(now_ms);
    let Some((closed, _)) = all().find(|(window, zone)| !window.is_open(zone, now)) else { return Ok(Opening::Open) };
    // What is dropped by one of them need not wait for the others.
    let drops = all().any(|(window, zone)| window.drops && !window.is_open(zone, now));
    let mut at = Some(now);
    for _ in 0..STEPS_MAX {
        let Some(instant) = at else { break };
        match all().find(|(window, zone)| !window.is_open(zone, instant)) {
            None => break,
            Some((window, zone)) => at = window.next_open(zone, instant),
        }
    }
    let until_ms = at.filter(|at| all().all(|(window, zone)| window.is_open(zone, *at))).map(millis_up);
    Ok(Opening::Closed { policy: closed.policy.clone(), drops, until_ms })
}

/// Whether all windows are open at an instant, in milliseconds since the epoch; none is looked for that opens later.
///
/// # Errors
/// If this release does not know the time zone of one of them.
pub fn are_open(windows: &[Windows], now_ms: i64) -> Result<bool, String> {
    let now = instant(now_ms);
    for window in windows {
        if !window.is_open(&time_zone(&window.time_zone)?, now) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An instant in milliseconds since the epoch, as people read it.
pub(crate) fn instant_text(ms: i64) -> String {
    instant(ms).to_string()
}

fn instant(ms: i64) -> Timestamp {
    let limit = |ms: i64| Timestamp::from_millisecond(ms).ok();
    limit(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// An instant in milliseconds, not before it.
fn millis_up(at: Timestamp) -> i64 {
    at.as_millisecond().saturating_add(i64::from(at.subsec_nanosecond() % 1_000_000 > 0))
}

impl Windows {
    fn is_open(&self, zone: &TimeZone, at: Timestamp) -> bool {
        let shown = zone.to_datetime(at);
        let in_any = |spans: &[Span]| spans.iter().any(|span| span.holds(shown));
        (self.open.is_empty() || in_any(&self.open)) && !in_any(&self.closed)
    }

    /// The first instant behind another one at which it is open, while it is closed at that one. It opens where a span
    /// begins or ends, or where the clock is set.
    fn next_open(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let first = zone.to_datetime(after).date();
        let mut transitions = zone.following(after).map(|transition| transition.timestamp()).peekable();
        for day in 0..AHEAD_DAYS_MAX {
            let date = first.checked_add(day.days()).ok()?;
            let mut instants: Vec<Timestamp> = self.turns(date).flat_map(|turn| shown_at(zone, turn)).collect();
            let end = date.tomorrow().ok()?.to_datetime(Time::midnight());
            while let Some(at) = transitions.next_if(|at| zone.to_datetime(*at) <= end) {
                instants.push(at);
            }
            let found = instants.into_iter().filter(|at| *at > after && self.is_open(zone, *at)).min();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// What the clock shows at the beginnings and ends of spans that lie on a date.
    fn turns(&self, date: Date) -> impl Iterator<Item = DateTime> {
        self.open.iter().chain(&self.closed).flat_map(move |span| span.turns(date))
    }
}

impl Span {
    fn holds(&self, shown: DateTime) -> bool {
        match self {
            Self::Once { from, to } => *from <= shown && shown < *to,
            Self::Weekly { days, from_minute, to_minute } => {
                let second = |minute: &u16| i32::from(*minute) * 60;
                let (hour, minute) = (i32::from(shown.hour()), i32::from(shown.minute()));
                let of_day = (hour * 60 + minute) * 60 + i32::from(shown.second());
                let begins = |weekday: Weekday| days.contains(&weekday.to_monday_one_offset());
                let (today, before) = (begins(shown.weekday()), begins(shown.weekday().previous()));
                match from_minute < to_minute {
                    true => today && second(from_minute) <= of_day && of_day < second(to_minute),
                    false => (today && second(from_minute) <= of_day) || (before && of_day < second(to_minute)),
                }
            }
        }
    }

    fn turns(&self, date: Date) -> Vec<DateTime> {
        match self {
            Self::Once { from, to } => [*from, *to].into_iter().filter(|at| at.date() == date).collect(),
            Self::Weekly { from_minute, to_minute, .. } => {
                let at = |minute: &u16| {
                    let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
                    Some(date.to_datetime(time))
                };
                // Midnight at the end of a day is that at the beginning of the next.
                let midnight = date.to_datetime(Time::midnight());
                [from_minute, to_minute].into_iter().filter_map(at).chain([midnight]).collect()
            }
        }
    }
}

/// The instants at which the clock shows a time: none, one or two.
fn shown_at(zone: &TimeZone, shown: DateTime) -> Vec<Timestamp> {
    let offsets = match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![offset],
        // The clock is set past it: what opens then, opens where it is set.
        AmbiguousOffset::Gap { .. } => Vec::new(),
        AmbiguousOffset::Fold { before, after } => vec![before, after],
    };
    offsets.into_iter().filter_map(|offset| offset.to_timestamp(shown).ok()).collect()
}

#[cfg(test)]
mod tests;
