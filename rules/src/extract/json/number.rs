//! Numbers.

use petrel_cel::Value;

use super::block::digits;
use super::scan::{Fail, byte, fail};

/// Most bytes of a number without exponent that is surely finite.
const FINITE_BYTES: usize = 300;

/// How a number is written.
struct Written {
    /// Whether it has neither fraction nor exponent.
    integral: bool,
    exponent: bool,
    end: usize,
}

/// Takes a number at its first byte.
#[inline(always)]
pub(super) fn number<'a>(text: &str, start: usize, double: bool) -> Result<(Value<'a>, usize), Fail> {
    let written = grammar(text.as_bytes(), start)?;
    let digits = &text[start..written.end];
    if written.integral && !double {
        if let Ok(int) = digits.parse() {
            return Ok((Value::Int(int), written.end));
        }
        if let Ok(uint) = digits.parse() {
            return Ok((Value::Uint(uint), written.end));
        }
    }
    if written.integral && digits.parse() == Ok(0_i64) {
        // An int 0 that becomes a double has no sign.
        return Ok((Value::Double(0.0), written.end));
    }
    match digits.parse() {
        Ok(double) if f64::is_finite(double) => Ok((Value::Double(double), written.end)),
        _ => fail(start, "number out of range"),
    }
}

/// Takes a number without converting it; its range is validated all the same.
#[inline(always)]
pub(super) fn skip_number(text: &str, start: usize) -> Result<usize, Fail> {
    let written = grammar(text.as_bytes(), start)?;
    if !written.exponent && written.end - start <= FINITE_BYTES {
        return Ok(written.end);
    }
    number(text, start, false).map(|(_, end)| end)
}

#[inline(always)]
fn grammar(bytes: &[u8], start: usize) -> Result<Written, Fail> {
    let first = start + usize::from(byte(bytes, start) == b'-');
    let mut end = some_digits(bytes, first)?;
    if byte(bytes, first) == b'0' && end - first > 1 {
        return fail(start, "a number must not begin with 0");
    }
    let mut written = Written { integral: true, exponent: false, end };
    if byte(bytes, end) == b'.' {
        written.integral = false;
        end = some_digits(bytes, end + 1)?;
    }
    if let b'e' | b'E' = byte(bytes, end) {
        written.integral = false;
        written.exponent = true;
        let signed = matches!(byte(bytes, end + 1), b'+' | b'-');
        end = some_digits(bytes, end + 1 + usize::from(signed))?;
    }
    written.end = end;
    Ok(written)
}

#[inline(always)]
fn some_digits(bytes: &[u8], at: usize) -> Result<usize, Fail> {
    let end = digits(bytes, at);
    if end == at { fail(at, "expected a digit") } else { Ok(end) }
}
