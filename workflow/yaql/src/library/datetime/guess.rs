//! Times in texts of no fixed format, read as Python's `dateutil` reads them: by what each part can only be.

use super::build::Fields;
use super::format::{MONTHS, WEEKDAYS};
use crate::error::EvaluationError;
use crate::value::{DateTime, MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Value, repr};

/// The time that a text is. What it does not say is today's; `now` is the time in microseconds since 1970.
pub(super) fn parsed(text: &str, now: Option<i64>) -> Result<DateTime, EvaluationError> {
    let unknown = || parser_error(format!("Unknown string format: {text}"));
    let tokens = tokens(text);
    let mut guess = Guess::default();
    let mut at = 0;
    while at < tokens.len() {
        at += guess.read(&tokens[at..], at > 0).ok_or_else(unknown)?;
    }
    if guess.dates.is_empty() && guess.hour.is_none() && guess.weekday.is_none() {
        return Err(parser_error(format!("String does not contain a date: {text}")));
    }
    guess.time(now).map_err(|error| match error.class() {
        "ValueError" => parser_error(format!("{}: {text}", error.message())),
        _ => error,
    })
}

fn parser_error(message: String) -> EvaluationError {
    EvaluationError::new("ParserError", message)
}

/// Runs of digits with a point in them, runs of letters, and single other characters but spaces.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() {
            rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len())
        } else if first.is_alphabetic() {
            rest.find(|character: char| !character.is_alphabetic()).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

#[derive(Default)]
struct Guess {
    /// Numbers that are years, months and days, in the order in which they stand.
    dates: Vec<i128>,
    /// Which of them is a month for sure.
    month_at: Option<usize>,
    /// Which is a year for sure, by its number of digits.
    year_at: Option<usize>,
    weekday: Option<i64>,
    hour: Option<i128>,
    minute: i128,
    second: i128,
    microsecond: i128,
    offset: Option<i64>,
}

impl Guess {
    /// Reads the next part; how many tokens it has, or `None` if it is none that is known.
    fn read(&mut self, tokens: &[&str], behind_something: bool) -> Option<usize> {
        let token = tokens[0];
        if token.starts_with(|first: char| first.is_ascii_digit()) {
            return self.number(tokens);
        }
        if token.starts_with(char::is_alphabetic) {
            return self.word(token);
        }
        match token {
            "+" | "-" if self.hour.is_some() && self.offset.is_none() => self.zone(tokens),
            _ if token.trim().is_empty() => Some(1),
            "," | "-" | "/" | "." | ";" | "'" if behind_something || token != "." => Some(1),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<usize> {
        let lower = word.to_lowercase();
        let named = |names: &[&str]| {
            names.iter().position(|name| {
                let name = name.to_lowercase();
                lower == name || lower == name[..3] || (lower == "sept" && name == "september")
            })
        };
        if let Some(month) = named(&MONTHS) {
            self.month_at = Some(self.dates.len());
            self.dates.push(month as i128 + 1);
            return Some(1);
        }
        if let Some(weekday) = named(&WEEKDAYS) {
            self.weekday = i64::try_from(weekday).ok();
            return Some(1);
        }
        match lower.as_str() {
            "am" | "a" | "pm" | "p" => {
                let hour = self.hour.filter(|hour| (0..=12).contains(hour))?;
                self.hour = Some(hour % 12 + if lower.starts_with('p') { 12 } else { 0 });
            }
            "z" | "utc" | "gmt" if self.hour.is_some() => self.offset = Some(0),
            "t" | "at" | "on" | "and" | "of" | "ad" | "m" | "st" | "nd" | "rd" | "th" => {}
            _ => return None,
        }
        Some(1)
    }

    fn number(&mut self, tokens: &[&str]) -> Option<usize> {
        let digits = tokens[0];
        let value: i128 = digits.parse().ok()?;
        let next = tokens.get(1).copied();
        if next == Some(":") && self.hour.is_none() {
            return self.clock(tokens);
        }
        if let Some(unit) = next
            && let Some(read) = self.with_unit(value, unit, tokens)
        {
            return Some(read);
        }
        let part = |from: usize, to: usize| digits[from..to].parse::<i128>().ok();
        match digits.len() {
            // A number of digits right behind a date is the time.
            4 | 6 if self.dates.len() == 3 && self.hour.is_none() => {
                self.hour = part(0, 2);
                self.minute = part(2, 4)?;
                if digits.len() == 6 {
                    self.second = part(4, 6)?;
                    return Some(1 + self.fraction(&tokens[1..]));
                }
            }
            6 => self.dates.extend([part(0, 2)?, part(2, 4)?, part(4, 6)?]),
            8 | 12 | 14 => {
                self.year_at = Some(self.dates.len());
                self.dates.extend([part(0, 4)?, part(4, 6)?, part(6, 8)?]);
                if digits.len() > 8 {
                    self.hour = part(8, 10);
                    self.minute = part(10, 12)?;
                }
                if digits.len() == 14 {
                    self.second = part(12, 14)?;
                }
            }
            1..=4 => {
                if digits.len() > 2 {
                    self.year_at = Some(self.dates.len());
                }
                self.dates.push(value);
            }
            _ => return None,
        }
        (self.dates.len() <= 3).then_some(1)
    }

    /// `10h`, `5 min`, `10pm`: a number of what stands behind it.
    fn with_unit(&mut self, value: i128, unit: &str, tokens: &[&str]) -> Option<usize> {
        let (unit, read) = match tokens.get(2) {
            Some(word) if unit.trim().is_empty() => (*word, 3),
            _ => (unit, 2),
        };
        match unit.to_lowercase().as_str() {
            "h" | "hour" | "hours" => self.hour = Some(value),
            "m" | "minute" | "minutes" if self.hour.is_some() => self.minute = value,
            "s" | "second" | "seconds" if self.hour.is_some() => self.second = value,
            half @ ("am" | "a" | "pm" | "p") if self.hour.is_none() && (0..=12).contains(&value) => {
                self.hour = Some(value % 12 + if half.starts_with('p') { 12 } else { 0 });
            }
            _ => return None,
        }
        Some(read)
    }

    /// `10:30`, `10:30:15`, `10:30:15.25`.
    fn clock(&mut self, tokens: &[&str]) -> Option<usize> {
        let number = |index: usize| tokens.get(index).and_then(|token| token.parse::<i128>().ok());
        self.hour = number(0);
        self.minute = number(2)?;
        if tokens.get(3) != Some(&":") {
            return Some(3);
        }
        self.second = number(4)?;
        Some(5 + self.fraction(&tokens[5..]))
    }

    /// The fraction of a second, to a microsecond; how many tokens it has.
    fn fraction(&mut self, tokens: &[&str]) -> usize {
        let (Some("." | ","), Some(digits)) = (tokens.first().copied(), tokens.get(1)) else { return 0 };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return 0;
        }
        let padded: String = digits.chars().chain("000000".chars()).take(6).collect();
        self.microsecond = padded.parse().unwrap_or(0);
        2
    }

    /// `+02`, `+0200` or `+02:00`.
    fn zone(&mut self, tokens: &[&str]) -> Option<usize> {
        let digits = tokens.get(1).filter(|token| token.bytes().all(|byte| byte.is_ascii_digit()))?;
        let number = |text: &str| text.parse::<i64>().ok();
        let (hours, minutes, read) = match (digits.len(), tokens.get(2), tokens.get(3)) {
            (4, _, _) => (number(&digits[..2])?, number(&digits[2..])?, 2),
            (1 | 2, Some(&":"), Some(minutes)) => (number(digits)?, number(minutes)?, 4),
            (1 | 2, _, _) => (number(digits)?, 0, 2),
            _ => return None,
        };
        let offset = (hours * 60 + minutes) * 60 * MICROSECONDS_PER_SECOND;
        self.offset = Some(if tokens[0] == "-" { -offset } else { offset });
        Some(read)
    }

    /// Which of the numbers is the year, which the month, and which the day.
    fn date(&self) -> Option<(Option<i128>, Option<i128>, Option<i128>)> {
        let sure = self.month_at;
        Some(match *self.dates.as_slice() {
            [] => (None, None, None),
            [month] if sure.is_some() => (None, Some(month), None),
            [other] if other > 31 || self.year_at.is_some() => (Some(other), None, None),
            [day] => (None, None, Some(day)),
            [first, second] if sure.is_some() => {
                let (month, other) = if sure == Some(0) { (first, second) } else { (second, first) };
                if other > 31 { (Some(other), Some(month), None) } else { (None, Some(month), Some(other)) }
            }
            [year, month] if year > 31 => (Some(year), Some(month), None),
            [month, year] if year > 31 => (Some(year), Some(month), None),
            [month, day] => (None, Some(month), Some(day)),
            [month, year, day] if sure == Some(0) && year > 31 => (Some(year), Some(month), Some(day)),
            [month, day, year] if sure == Some(0) => (Some(year), Some(month), Some(day)),
            [year, month, day] if sure == Some(1) && year > 31 => (Some(year), Some(month), Some(day)),
            [day, month, year] if sure == Some(1) => (Some(year), Some(month), Some(day)),
            [day, year, month] if sure == Some(2) && year > 31 => (Some(year), Some(month), Some(day)),
            [year, day, month] if sure == Some(2) => (Some(year), Some(month), Some(day)),
            [year, month, day] if year > 31 || self.year_at == Some(0) => (Some(year), Some(month), Some(day)),
            [day, month, year] if day > 12 => (Some(year), Some(month), Some(day)),
            [month, day, year] => (Some(year), Some(month), Some(day)),
            _ => return None,
        })
    }

    fn time(&self, now: Option<i64>) -> Result<DateTime, EvaluationError> {
        let wrong = || EvaluationError::of_value("More than three YMD values");
        let (year, month, day) = self.date().ok_or_else(wrong)?;
        let short_year = year.is_some_and(|year| year < 100) && self.year_at.is_none();
        let today = now.and_then(|now| DateTime::new(now, Some(0))).map(Fields::of);
        let today = match today {
            Some(today) => today,
            None if year.is_some() && month.is_some() && day.is_some() && !short_year => Fields::of(DateTime::EPOCH),
            None => {
                let message = "a date without year, month or day is refused: there is no clock here";
                return Err(EvaluationError::new("NotSupportedException", message));
            }
        };
        let mut fields = Fields {
            year: year.map_or(today.year, |year| if short_year { near(year, today.year) } else { year }),
            month: month.unwrap_or(today.month),
            day: day.unwrap_or(today.day),
            hour: self.hour.unwrap_or(0),
            minute: self.minute,
            second: self.second,
            microsecond: self.microsecond,
        };
        let time = fields.time(self.offset);
        // Today's day may be one that the month does not have.
        while day.is_none() && fields.day > 28 && fields.time(self.offset).is_err() {
            fields.day -= 1;
        }
        let time = if day.is_none() { fields.time(self.offset)? } else { time? };
        let Some(weekday) = self.weekday.filter(|_| day.is_none()) else { return Ok(time) };
        let today = (time.local().div_euclid(MICROSECONDS_PER_DAY) + 3).rem_euclid(7);
        let local = time.local() + (weekday - today).rem_euclid(7) * MICROSECONDS_PER_DAY;
        let out_of_range = || EvaluationError::overflow(repr(&Value::DateTime(time)));
        DateTime::new(local, self.offset).ok_or_else(out_of_range)
    }
}

/// A year of two digits as the one within fifty years of this.
fn near(year: i128, this_year: i128) -> i128 {
    let year = year + this_year / 100 * 100;
    if year >= this_year + 50 {
        year - 100
    } else if year < this_year - 50 {
        year + 100
    } else {
        year
    }
}
