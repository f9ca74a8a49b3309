//! Instants and spans as text: RFC 3339, and durations as Go writes them (`1h30m`).

use core::fmt;

use super::{Civil, Duration, NANOS_PER_SECOND, Timestamp};

/// Units of durations, in nanoseconds; those that another begins with come after it.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000), // The same with the Greek letter.
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits of a fraction of a second that are nanoseconds.
const NANOS_DIGITS: usize = 9;

/// Digits of a duration's fraction that can matter: an hour has fewer than 10¹³ nanoseconds.
const FRACTION_DIGITS_MAX: usize = 18;

impl Timestamp {
    /// Reads RFC 3339, strictly: `2009-02-13T23:31:30.5+01:00`, with capital T and Z, an offset, and no leap
    /// second. What a fraction has beyond nanoseconds is cut off. `None` if it is anything else, or out of range.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, date) = fields(text.as_bytes(), &[4, 2, 2], b'-')?;
        let (rest, time) = fields(rest.strip_prefix(b"T")?, &[2, 2, 2], b':')?;
        let (rest, nanos) = match rest.strip_prefix(b".") {
            Some(rest) => fraction(rest)?,
            None => (rest, 0),
        };
        let seconds = Civil::seconds(date, time)? - offset(rest)?;
        Self::new(seconds, nanos)
    }
}

impl Duration {
    /// Reads a duration as Go does: numbers with units, `1h30m`, `-1.5s`, `10us`, or `0`. `None` if it is
    /// anything else, or out of range.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Some(Self { nanos: 0 });
        }
        let mut nanos: u64 = 0;
        loop {
            let (after, part) = part(rest)?;
            nanos = nanos.checked_add(part)?;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let nanos = if negative { 0_i64.checked_sub_unsigned(nanos)? } else { i64::try_from(nanos).ok()? };
        Some(Self { nanos })
    }
}

/// RFC 3339 in UTC, the fraction without zeros at its end.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, .. } = Civil::new(self.seconds);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        write_fraction(f, self.nanos.into())?;
        f.write_str("Z")
    }
}

/// In seconds, `1.5s`, the fraction without zeros at its end.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, nanos) = (NANOS_PER_SECOND.unsigned_abs(), self.nanos.unsigned_abs());
        let sign = if self.nanos < 0 { "-" } else { "" };
        write!(f, "{sign}{}", nanos / unit)?;
        write_fraction(f, nanos % unit)?;
        f.write_str("s")
    }
}

fn write_fraction(f: &mut fmt::Formatter<'_>, mut nanos: u64) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let mut digits = 9;
    while nanos.is_multiple_of(10) {
        nanos /= 10;
        digits -= 1;
    }
    write!(f, ".{nanos:0digits$}")
}

/// Three numbers of so many digits with a separator between them; the rest, and the numbers.
fn fields<'t>(mut rest: &'t [u8], digits: &[usize; 3], separator: u8) -> Option<(&'t [u8], [i64; 3])> {
    let mut numbers = [0; 3];
    for (at, (number, digits)) in numbers.iter_mut().zip(digits).enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(&[separator])?;
        }
        let (text, after) = rest.split_at_checked(*digits)?;
        *number = decimal(text)?;
        rest = after;
    }
    Some((rest, numbers))
}

/// A fraction of a second in nanoseconds, at least one digit.
fn fraction(rest: &[u8]) -> Option<(&[u8], u32)> {
    let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let counted = digits.min(NANOS_DIGITS);
    let number = u32::try_from(decimal(&rest[..counted])?).ok()?;
    Some((&rest[digits..], number * 10_u32.pow((NANOS_DIGITS - counted) as u32)))
}

/// An offset from UTC in seconds, which is all that is left.
fn offset(rest: &[u8]) -> Option<i64> {
    let (sign, time) = rest.split_first()?;
    let sign = match sign {
        b'Z' => return time.is_empty().then_some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [a, b, b':', c, d] = time else { return None };
    let (hours, minutes) = (decimal(&[*a, *b])?, decimal(&[*c, *d])?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn decimal(digits: &[u8]) -> Option<i64> {
    let mut number = 0;
    for digit in digits {
        number = number * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(number)
}

/// A number with its unit, in nanoseconds; what is beyond them is cut off.
fn part(text: &str) -> Option<(&str, u64)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (name, unit) = UNITS.iter().find(|(name, _)| {
        // `m` is not the beginning of `ms`.
        rest.strip_prefix(name).is_some_and(|after| after.chars().next().is_none_or(|c| c == '.' || c.is_ascii_digit()))
    })?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
    // 10¹⁸ × 10¹³ is far below 2¹²⁸, and less than a unit comes out.
    let scale = 10_u128.pow(fraction.len() as u32);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let below = u64::try_from(fraction * u128::from(*unit) / scale).ok()?;
    Some((&rest[name.len()..], whole.checked_mul(*unit)?.checked_add(below)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read() {
        let cases = [
            ("2009-02-13T23:31:30Z", Some((1_234_567_890, 0))),
            ("2009-02-14T00:31:30+01:00", Some((1_234_567_890, 0))),
            ("2009-02-13T18:01:30.5-05:30", Some((1_234_567_890, 500_000_000))),
            ("1969-12-31T23:59:59.000000001Z", Some((-1, 1))),
            ("0001-01-01T00:00:00Z", Some((Timestamp::SECONDS_MIN, 0))),
            ("9999-12-31T23:59:59.999999999Z", Some((Timestamp::SECONDS_MAX, 999_999_999))),
            ("2020-02-29T12:00:00-00:00", Some((1_582_977_600, 0))),
            ("0000-12-31T23:59:59Z", None),
            ("0001-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59-00:01", None),
            ("10000-01-01T00:00:00Z", None),
            ("2009-02-13T23:31:30", None),
            ("2009-02-13 23:31:30Z", None),
            ("2009-02-13t23:31:30Z", None),
            ("2009-02-13T23:31:30z", None),
            ("2009-02-13T23:31:30.Z", None),
            ("2009-02-13T23:31:30,5Z", None),
            ("2009-02-13T23:31:30.1234567899Z", Some((1_234_567_890, 123_456_789))),
            ("2009-02-13T23:31:30.00000000000000000000000001Z", Some((1_234_567_890, 0))),
            ("2009-02-13T23:31:30.123456789x0Z", None),
            ("2009-02-13T23:31:30+0100", None),
            ("2009-02-13T23:31:30+01", None),
            ("2009-02-13T23:31:30+24:00", None),
            ("2009-02-13T23:31:30+01:60", None),
            ("2009-02-13T23:31:30Z ", None),
            ("2009-2-13T23:31:30Z", None),
            ("+009-02-13T23:31:30Z", None),
            ("2009-02-29T00:00:00Z", None),
            ("2016-12-31T23:59:60Z", None),
            ("2009-02-13T24:00:00Z", None),
            ("2009-02-13", None),
            ("२००९-02-13T23:31:30Z", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(seconds, nanos)| Timestamp { seconds, nanos });
            assert_eq!(Timestamp::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn timestamps_are_written() {
        let cases = [
            ((0, 0), "1970-01-01T00:00:00Z"),
            ((1_234_567_890, 120_000_000), "2009-02-13T23:31:30.12Z"),
            ((1_234_567_890, 1), "2009-02-13T23:31:30.000000001Z"),
            ((-1, 999_000_000), "1969-12-31T23:59:59.999Z"),
            ((Timestamp::SECONDS_MIN, 0), "0001-01-01T00:00:00Z"),
            ((Timestamp::SECONDS_MAX, 999_999_999), "9999-12-31T23:59:59.999999999Z"),
        ];
        for ((seconds, nanos), expected) in cases {
            let timestamp = Timestamp { seconds, nanos };
            assert_eq!(timestamp.to_string(), expected);
            assert_eq!(Timestamp::parse(expected), Some(timestamp), "{expected}");
        }
    }

    #[test]
    fn durations_are_read() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0s", Some(0)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("-2ms", Some(-2_000_000)),
            ("+3s", Some(3_000_000_000)),
            ("1us", Some(1_000)),
            ("1µs", Some(1_000)),
            ("1μs", Some(1_000)),
            ("7ns", Some(7)),
            ("1.9ns", Some(1)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("0.1h", Some(360_000_000_000)),
            ("1m1ms", Some(60_001_000_000)),
            ("1ms1m", Some(60_001_000_000)),
            ("0s0s", Some(0)),
            ("0.000000000000000000000000001h", Some(0)),
            ("1000000s", Some(1_000_000_000_000_000)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("-9223372036854775809ns", None),
            ("320000000000s", None),
            ("18446744073709551616ns", None),
            ("1d", None),
            ("1w", None),
            ("1", None),
            ("s", None),
            (".s", None),
            ("-", None),
            ("", None),
            ("1 s", None),
            ("1s ", None),
            ("1s-1s", None),
            ("1S", None),
            ("1e3s", None),
            ("1mm", None),
            ("٣s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Duration::parse(text), expected.map(|nanos| Duration { nanos }), "{text}");
        }
    }

    #[test]
    fn durations_are_written() {
        let cases = [
            (0, "0s"),
            (3_600_000_000_000, "3600s"),
            (1_500_000_000, "1.5s"),
            (-1_500_000_000, "-1.5s"),
            (1, "0.000000001s"),
            (-20_000_000, "-0.02s"),
            (i64::MAX, "9223372036.854775807s"),
            (i64::MIN, "-9223372036.854775808s"),
        ];
        for (nanos, expected) in cases {
            let duration = Duration { nanos };
            assert_eq!(duration.to_string(), expected);
            assert_eq!(Duration::parse(expected), Some(duration), "{expected}");
        }
    }
}
