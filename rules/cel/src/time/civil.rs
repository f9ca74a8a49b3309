//! Dates of the proleptic Gregorian calendar.

/// Days from 1 March of the year 0 to 1 January 1970. Years that begin in March have the day that is not
/// always there at their end.
const EPOCH_DAYS: i64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
const DAY_SECONDS: i64 = 86_400;

/// What calendar and clock show at one moment, at one offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Day of the year, from 0.
    pub year_day: i64,
    /// Day of the week, from 0, a Sunday.
    pub week_day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

impl Civil {
    /// At so many seconds after the epoch, the offset already added.
    pub fn new(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            year_day: days - days_before(year, 1, 1),
            // 1 January 1970 was a Thursday.
            week_day: (days + 4).rem_euclid(7),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Seconds from the epoch to a moment of UTC, if there is such a day and such a time of the day.
    pub fn seconds([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<i64> {
        let days = days_before(year, month, day);
        let exists = (1..=12).contains(&month)
            && date(days) == (year, month, day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second);
        exists.then(|| days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
    }
}

/// Year, month and day so many days after the epoch.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    // One day more every 4 years, not every 100, but every 400.
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months in a row have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Days from the epoch to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        // (seconds, year, month, day, day of the year, day of the week, hour, minute, second)
        let cases = [
            (0, [1970, 1, 1, 0, 4, 0, 0, 0]),
            (-1, [1969, 12, 31, 364, 3, 23, 59, 59]),
            (951_782_400, [2000, 2, 29, 59, 2, 0, 0, 0]),
            (951_868_800, [2000, 3, 1, 60, 3, 0, 0, 0]),
            (1_234_567_890, [2009, 2, 13, 43, 5, 23, 31, 30]),
            (4_107_542_399, [2100, 2, 28, 58, 0, 23, 59, 59]),
            (4_107_542_400, [2100, 3, 1, 59, 1, 0, 0, 0]),
            (253_402_300_799, [9999, 12, 31, 364, 5, 23, 59, 59]),
            (-62_135_596_800, [1, 1, 1, 0, 1, 0, 0, 0]),
            (-62_135_596_801, [0, 12, 31, 365, 0, 23, 59, 59]),
        ];
        for (seconds, [year, month, day, year_day, week_day, hour, minute, second]) in cases {
            let expected = Civil { year, month, day, year_day, week_day, hour, minute, second };
            assert_eq!(Civil::new(seconds), expected, "{seconds}");
            assert_eq!(Civil::seconds([year, month, day], [hour, minute, second]), Some(seconds));
        }
    }

    #[test]
    fn every_day_of_1200_years_is_the_next() {
        let first = days_before(1599, 12, 31);
        let mut last = (1599, 12, 31);
        for days in first + 1..first + 1200 * 366 {
            let (year, month, day) = date(days);
            let next_day = (year, month, day) == (last.0, last.1, last.2 + 1);
            let next_month = (year, month, day) == (last.0, last.1 + 1, 1) && last.2 >= 28;
            let next_year = (year, month, day) == (last.0 + 1, 1, 1) && (last.1, last.2) == (12, 31);
            assert!(next_day || next_month || next_year, "{last:?} is followed by {:?}", (year, month, day));
            assert_eq!(days_before(year, month, day), days);
            last = (year, month, day);
        }
    }

    #[test]
    fn what_is_no_date() {
        for date in [[2009, 2, 29], [2100, 2, 29], [2009, 13, 1], [2009, 0, 1], [2009, 4, 31], [2009, 1, 0]] {
            assert_eq!(Civil::seconds(date, [0, 0, 0]), None, "{date:?}");
        }
        for time in [[24, 0, 0], [0, 60, 0], [23, 59, 60]] {
            assert_eq!(Civil::seconds([2016, 12, 31], time), None, "{time:?}");
        }
    }
}
