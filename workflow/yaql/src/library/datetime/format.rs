//! Times to text and back, by formats as `strftime` and `strptime` have them.

use std::fmt::Write;

use super::build::Fields;
use crate::error::EvaluationError;
use crate::value::{
    DateTime, MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Value, days_from_civil, iso_text, offset_text, repr,
};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The time as the format says. What is no directive stays as it is.
pub(super) fn formatted(time: DateTime, format: &str) -> Result<String, EvaluationError> {
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let Some(directive) = characters.next() else {
            text.push('%');
            break;
        };
        if !directed(time, directive, &mut text) {
            text.push('%');
            text.push(directive);
        }
    }
    Ok(text)
}

/// Writes what a directive stands for; false if there is none of this letter.
fn directed(time: DateTime, directive: char, text: &mut String) -> bool {
    let (year, month, day) = time.date();
    let seconds = time.time() / MICROSECONDS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let twelve = (hour + 11) % 12 + 1;
    let days = time.local().div_euclid(MICROSECONDS_PER_DAY);
    let weekday = (days + 3).rem_euclid(7);
    let day_of_year = days - days_from_civil(year, 1, 1) + 1;
    let name = |names: &[&'static str], index: i64| names[usize::try_from(index).unwrap_or(0)];
    let nested = match directive {
        'c' => Some("%a %b %e %H:%M:%S %Y"),
        'x' | 'D' => Some("%m/%d/%y"),
        'X' | 'T' => Some("%H:%M:%S"),
        'F' => Some("%Y-%m-%d"),
        'R' => Some("%H:%M"),
        'r' => Some("%I:%M:%S %p"),
        _ => None,
    };
    if let Some(nested) = nested {
        text.push_str(&formatted(time, nested).unwrap_or_default());
        return true;
    }
    let written = match directive {
        'Y' => write!(text, "{year}"),
        'C' => write!(text, "{:02}", year / 100),
        'y' => write!(text, "{:02}", year % 100),
        'm' => write!(text, "{month:02}"),
        'd' => write!(text, "{day:02}"),
        'e' => write!(text, "{day:2}"),
        'H' => write!(text, "{hour:02}"),
        'k' => write!(text, "{hour:2}"),
        'I' => write!(text, "{twelve:02}"),
        'l' => write!(text, "{twelve:2}"),
        'M' => write!(text, "{minute:02}"),
        'S' => write!(text, "{second:02}"),
        'f' => write!(text, "{:06}", time.time() % MICROSECONDS_PER_SECOND),
        'p' => write!(text, "{}", if hour < 12 { "AM" } else { "PM" }),
        'P' => write!(text, "{}", if hour < 12 { "am" } else { "pm" }),
        'j' => write!(text, "{day_of_year:03}"),
        'a' => write!(text, "{}", &name(&WEEKDAYS, weekday)[..3]),
        'A' => write!(text, "{}", name(&WEEKDAYS, weekday)),
        'b' | 'h' => write!(text, "{}", &name(&MONTHS, month - 1)[..3]),
        'B' => write!(text, "{}", name(&MONTHS, month - 1)),
        'u' => write!(text, "{}", weekday + 1),
        'w' => write!(text, "{}", (weekday + 1) % 7),
        'U' => write!(text, "{:02}", (day_of_year + 6 - (weekday + 1) % 7) / 7),
        'W' => write!(text, "{:02}", (day_of_year + 6 - weekday) / 7),
        'G' => write!(text, "{}", iso_week(days, weekday).0),
        'g' => write!(text, "{:02}", iso_week(days, weekday).0 % 100),
        'V' => write!(text, "{:02}", iso_week(days, weekday).1),
        'z' => write!(text, "{}", time.offset().map(|offset| offset_text(offset, "")).unwrap_or_default()),
        'Z' => write!(text, "{}", if time.offset() == Some(0) { "UTC" } else { "" }),
        's' => write!(text, "{}", time.local().div_euclid(MICROSECONDS_PER_SECOND)),
        'n' => writeln!(text),
        't' => write!(text, "\t"),
        '%' => write!(text, "%"),
        _ => return false,
    };
    written.is_ok()
}

/// The year and number of a week: that of its Thursday.
fn iso_week(days: i64, weekday: i64) -> (i64, i64) {
    let thursday = days - weekday + 3;
    let (year, _, _) = crate::value::civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// The time that a text of this format is.
pub(super) fn parsed(text: &str, format: &str) -> Result<DateTime, EvaluationError> {
    let mut reader = Reader { rest: text, fields: START, half: None, day_of_year: None, offset: None };
    let mismatch = || {
        let (text, format) = (repr(&Value::string(text)), repr(&Value::string(format)));
        EvaluationError::of_value(format!("time data {text} does not match format {format}"))
    };
    reader.format(format)?.ok_or_else(mismatch)?;
    if !reader.rest.is_empty() {
        return Err(EvaluationError::of_value(format!("unconverted data remains: {}", reader.rest)));
    }
    reader.time()
}

/// What stands for what a format does not have.
const START: Fields = Fields { year: 1900, month: 1, day: 1, hour: 0, minute: 0, second: 0, microsecond: 0 };

struct Reader<'t> {
    rest: &'t str,
    fields: Fields,
    /// Whether it is the second half of the day.
    half: Option<bool>,
    day_of_year: Option<i128>,
    offset: Option<i64>,
}

impl Reader<'_> {
    /// Reads by a format; `None` if the text is not of it.
    fn format(&mut self, format: &str) -> Result<Option<()>, EvaluationError> {
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            let read = if character == '%' {
                let Some(directive) = characters.next() else {
                    return Err(EvaluationError::of_value(format!("stray %% in format '{format}'")));
                };
                self.directive(directive, format)?
            } else if character.is_whitespace() {
                self.rest = self.rest.trim_start();
                Some(())
            } else {
                self.literal(character)
            };
            if read.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    fn literal(&mut self, wanted: char) -> Option<()> {
        let first = self.rest.chars().next()?;
        if !first.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
        self.rest = &self.rest[first.len_utf8()..];
        Some(())
    }

    fn directive(&mut self, directive: char, format: &str) -> Result<Option<()>, EvaluationError> {
        let nested = match directive {
            'c' => "%a %b %d %H:%M:%S %Y",
            'x' => "%m/%d/%y",
            'X' => "%H:%M:%S",
            _ => return self.field(directive, format),
        };
        self.format(nested)
    }

    fn field(&mut self, directive: char, format: &str) -> Result<Option<()>, EvaluationError> {
        (|| -> Option<Result<(), EvaluationError>> {
            match directive {
                'Y' => self.fields.year = self.number(4, 4, 0..=9999)?,
                'y' => {
                    let year = self.number(2, 2, 0..=99)?;
                    self.fields.year = if year < 69 { 2000 + year } else { 1900 + year };
                }
                'm' => self.fields.month = self.number(1, 2, 1..=12)?,
                'd' => self.fields.day = self.number(1, 2, 1..=31)?,
                'H' => self.fields.hour = self.number(1, 2, 0..=23)?,
                'I' => self.fields.hour = self.number(1, 2, 1..=12)?,
                'M' => self.fields.minute = self.number(1, 2, 0..=59)?,
                'S' => self.fields.second = self.number(1, 2, 0..=61)?,
                'j' => self.day_of_year = Some(self.number(1, 3, 1..=366)?),
                'f' => {
                    let before = self.rest.len();
                    let digits = self.number(1, 6, 0..=999_999)?;
                    let missing = 6_usize.saturating_sub(before - self.rest.len());
                    self.fields.microsecond = digits * 10_i128.pow(u32::try_from(missing).unwrap_or(0));
                }
                'b' | 'h' => self.fields.month = self.name(&MONTHS.map(|name| &name[..3]))? + 1,
                'B' => self.fields.month = self.name(&MONTHS)? + 1,
                'a' => drop(self.name(&WEEKDAYS.map(|name| &name[..3]))?),
                'A' => drop(self.name(&WEEKDAYS)?),
                'p' => self.half = Some(self.name(&["AM", "PM"])? == 1),
                'z' => self.offset = Some(self.zone()?),
                'Z' => drop(self.name(&["UTC", "GMT"])?),
                'w' => drop(self.number(1, 1, 0..=6)?),
                'u' => drop(self.number(1, 1, 1..=7)?),
                'U' | 'W' => drop(self.number(1, 2, 0..=53)?),
                '%' => self.literal('%')?,
                other => {
                    let message = format!("'{other}' is a bad directive in format '{format}'");
                    return Some(Err(EvaluationError::of_value(message)));
                }
            }
            Some(Ok(()))
        })()
        .transpose()
    }

    /// A number of so many digits, as long a one as is within the range.
    fn number(&mut self, least: usize, most: usize, range: std::ops::RangeInclusive<i128>) -> Option<i128> {
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        for length in (least..=digits).rev() {
            let number = self.rest[..length].parse().ok()?;
            if range.contains(&number) {
                self.rest = &self.rest[length..];
                return Some(number);
            }
        }
        None
    }

    /// The place of the name that the text goes on with.
    fn name(&mut self, names: &[&str]) -> Option<i128> {
        let starts = |name: &&str| self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let index = names.iter().position(starts)?;
        self.rest = &self.rest[names[index].len()..];
        Some(index as i128)
    }

    /// `Z`, `+0200` or `+02:00`, in microseconds.
    fn zone(&mut self) -> Option<i64> {
        if let Some(rest) = self.rest.strip_prefix(['Z', 'z']) {
            self.rest = rest;
            return Some(0);
        }
        let negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let hours = self.number(2, 2, 0..=99)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = self.number(2, 2, 0..=59)?;
        let offset = i64::try_from((hours * 60 + minutes) * 60).ok()? * MICROSECONDS_PER_SECOND;
        Some(if negative { -offset } else { offset })
    }

    fn time(mut self) -> Result<DateTime, EvaluationError> {
        if let Some(second_half) = self.half {
            self.fields.hour = self.fields.hour % 12 + if second_half { 12 } else { 0 };
        }
        let Some(day) = self.day_of_year else { return self.fields.time(self.offset) };
        let first = Fields { month: 1, day: 1, ..self.fields }.time(self.offset)?;
        let local = first.local() + i64::try_from(day - 1).unwrap_or(0) * MICROSECONDS_PER_DAY;
        DateTime::new(local, self.offset).ok_or_else(|| EvaluationError::of_value(iso_text(first)))
    }
}
