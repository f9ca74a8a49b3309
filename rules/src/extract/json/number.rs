//! Numbers.

use petrel_cel::Value;

use super::block::digits;
use super::scan::{Fail, byte, fail};

/// Most bytes of a number without exponent that is surely finite.
const FINITE_BYTES: usize = 300;

/// Most digits that surely fit an `i64`.
const INT_DIGITS: usize = 18;

/// Largest integer below which every other one is a double too.
const DOUBLE_EXACT: u64 = 1 << 53;

/// The powers of ten that are doubles.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// How a number is written.
struct Written {
    /// Offset behind the digits before the fraction.
    whole: usize,
    /// Offset behind the fraction.
    fraction: usize,
    /// Offset behind the exponent.
    end: usize,
}

/// Takes a number at its first byte; `first` is the offset of its first digit, behind the sign if it has
/// one. The value goes to `store` from wherever it is found, which spares a copy.
#[inline(always)]
pub(super) fn number<'a>(
    text: &str,
    start: usize,
    first: usize,
    double: bool,
    store: impl FnOnce(Value<'a>),
) -> Result<usize, Fail> {
    let bytes = text.as_bytes();
    let written = grammar(bytes, start, first)?;
    let Written { whole, fraction, end } = written;
    let negative = first > start;
    let short = end - first <= INT_DIGITS && end == fraction;
    let digits = if short { bytes[first..whole].iter().fold(0, append) } else { 0 };
    if short && end == whole {
        // At most 18 digits.
        store(match (double, negative) {
            (false, false) => Value::Int(digits as i64),
            (false, true) => Value::Int(-(digits as i64)),
            (true, false) => Value::Double(digits as f64),
            // As `-0.0`, `-0` keeps its sign.
            (true, true) => Value::Double(-(digits as f64)),
        });
        return Ok(end);
    }
    let digits = if short { bytes[whole + 1..end].iter().fold(digits, append) } else { DOUBLE_EXACT };
    if digits < DOUBLE_EXACT {
        // Both are doubles without rounding, so that the division rounds once.
        let value = digits as f64 / POWERS[end - whole - 1];
        store(Value::Double(if negative { -value } else { value }));
        return Ok(end);
    }
    store(convert(text, start, &written, double)?);
    Ok(end)
}

#[inline(always)]
fn append(number: u64, digit: &u8) -> u64 {
    number * 10 + u64::from(digit - b'0')
}

/// The value of any number.
#[inline(never)]
fn convert<'a>(text: &str, start: usize, written: &Written, double: bool) -> Result<Value<'a>, Fail> {
    let digits = &text[start..written.end];
    if written.end == written.whole && !double {
        if let Ok(int) = digits.parse() {
            return Ok(Value::Int(int));
        }
        if let Ok(uint) = digits.parse() {
            return Ok(Value::Uint(uint));
        }
    }
    match digits.parse() {
        Ok(double) if f64::is_finite(double) => Ok(Value::Double(double)),
        _ => fail(start, "number out of range"),
    }
}

/// Takes a number without converting it; its range is validated all the same.
#[inline(always)]
pub(super) fn skip_number(text: &str, start: usize, first: usize) -> Result<usize, Fail> {
    let written = grammar(text.as_bytes(), start, first)?;
    if written.end == written.fraction && written.end - start <= FINITE_BYTES {
        return Ok(written.end);
    }
    convert(text, start, &written, false).map(|_| written.end)
}

#[inline(always)]
fn grammar(bytes: &[u8], start: usize, first: usize) -> Result<Written, Fail> {
    let whole = some_digits(bytes, first)?;
    if byte(bytes, first) == b'0' && whole - first > 1 {
        return fail(start, "a number must not begin with 0");
    }
    let fraction = if byte(bytes, whole) == b'.' { some_digits(bytes, whole + 1)? } else { whole };
    let end = if byte(bytes, fraction) | 0x20 == b'e' { exponent(bytes, fraction)? } else { fraction };
    Ok(Written { whole, fraction, end })
}

fn exponent(bytes: &[u8], at: usize) -> Result<usize, Fail> {
    let signed = matches!(byte(bytes, at + 1), b'+' | b'-');
    some_digits(bytes, at + 1 + usize::from(signed))
}

#[inline(always)]
fn some_digits(bytes: &[u8], at: usize) -> Result<usize, Fail> {
    let end = digits(bytes, at);
    if end == at { fail(at, "expected a digit") } else { Ok(end) }
}
