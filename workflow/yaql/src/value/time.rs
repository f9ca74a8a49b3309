//! Points and spans of time, on the calendar that Python has: years 1 to 9999, without leap seconds.

/// Microseconds of a second.
pub(crate) const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub(crate) const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;

/// Days from 1970 to the first and behind the last day that there is.
const DAYS_FIRST: i64 = -719_162;
const DAYS_END: i64 = 2_932_897;

/// A span of time, of up to 999,999,999 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timespan(i64);

impl Timespan {
    /// No time.
    pub const ZERO: Timespan = Timespan(0);

    /// A span of this many microseconds; `None` if it is too long. Spans end at 292,471 years, earlier than Python's.
    #[must_use]
    pub fn from_microseconds(microseconds: i128) -> Option<Timespan> {
        i64::try_from(microseconds).ok().map(Timespan)
    }

    /// Microseconds.
    #[must_use]
    pub fn microseconds(self) -> i64 {
        self.0
    }
}

/// A point in time: what the clock on the wall says, and its offset from UTC if that is known.
#[derive(Debug, Clone, Copy)]
pub struct DateTime {
    /// What the clock says, in microseconds from 1970 on.
    local: i64,
    /// How much it is ahead of UTC, in microseconds.
    offset: Option<i64>,
}

impl DateTime {
    /// 1970 in UTC.
    pub const EPOCH: DateTime = DateTime { local: 0, offset: Some(0) };

    /// What a clock says, `local` microseconds after 1970, that is `offset` microseconds ahead of UTC. `None` if the
    /// year is not between 1 and 9999, or the offset a day or more.
    #[must_use]
    pub fn new(local: i64, offset: Option<i64>) -> Option<DateTime> {
        let days = local.div_euclid(MICROSECONDS_PER_DAY);
        let near = offset.is_none_or(|offset| offset.abs() < MICROSECONDS_PER_DAY);
        (near && (DAYS_FIRST..DAYS_END).contains(&days)).then_some(DateTime { local, offset })
    }

    /// What the clock says, in microseconds from 1970 on.
    #[must_use]
    pub fn local(self) -> i64 {
        self.local
    }

    /// How much the clock is ahead of UTC, in microseconds.
    #[must_use]
    pub fn offset(self) -> Option<i64> {
        self.offset
    }

    /// Microseconds after 1970 in UTC; a clock of unknown offset counts as one of UTC.
    #[must_use]
    pub fn instant(self) -> i64 {
        self.local - self.offset.unwrap_or(0)
    }

    /// Year, month from 1, day from 1.
    pub(crate) fn date(self) -> (i64, i64, i64) {
        civil_from_days(self.local.div_euclid(MICROSECONDS_PER_DAY))
    }

    /// Microseconds since midnight.
    pub(crate) fn time(self) -> i64 {
        self.local.rem_euclid(MICROSECONDS_PER_DAY)
    }

    /// The same point in time; one of a known and one of an unknown offset are never the same.
    pub(crate) fn same(self, other: DateTime) -> bool {
        self.offset.is_some() == other.offset.is_some() && self.instant() == other.instant()
    }
}

/// Days from 1970 to a day of the calendar; months beyond a year count on.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March, so that the day that comes and goes is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year, month and day that is this many days after 1970.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
