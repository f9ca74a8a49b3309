//! Strings and their escapes.

use petrel_cel::Arena;

use super::block::plain;
use super::scan::{Fail, byte, fail};

/// Takes a string behind its opening quote. It is borrowed if it has no escapes.
#[inline(always)]
pub(super) fn string<'a>(text: &'a str, start: usize, arena: &'a Arena) -> Result<(&'a str, usize), Fail> {
    let end = plain(text.as_bytes(), start);
    if byte(text.as_bytes(), end) == b'"' {
        return Ok((&text[start..end], end + 1));
    }
    unescaped(text, start, end, arena)
}

/// Takes a string behind its opening quote without building it; its escapes are validated all the same.
#[inline(always)]
pub(super) fn skip_string(text: &str, start: usize) -> Result<usize, Fail> {
    let end = plain(text.as_bytes(), start);
    if byte(text.as_bytes(), end) == b'"' { Ok(end + 1) } else { skip_escaped(text, end) }
}

#[cold]
fn unescaped<'a>(text: &'a str, start: usize, mut end: usize, arena: &'a Arena) -> Result<(&'a str, usize), Fail> {
    let mut out = String::with_capacity(end - start + 16);
    out.push_str(&text[start..end]);
    loop {
        if byte(text.as_bytes(), end) == b'"' {
            return Ok((arena.str(&out), end + 1));
        }
        let (escaped, start) = escape(text, end)?;
        out.push(escaped);
        end = plain(text.as_bytes(), start);
        out.push_str(&text[start..end]);
    }
}

#[cold]
fn skip_escaped(text: &str, mut end: usize) -> Result<usize, Fail> {
    loop {
        if byte(text.as_bytes(), end) == b'"' {
            return Ok(end + 1);
        }
        let (_, start) = escape(text, end)?;
        end = plain(text.as_bytes(), start);
    }
}

/// Takes an escape at its backslash; anything else there ends the string wrongly.
fn escape(text: &str, start: usize) -> Result<(char, usize), Fail> {
    let bytes = text.as_bytes();
    match bytes.get(start) {
        Some(b'\\') => {}
        Some(_) => return fail(start, "control character in a string"),
        None => return fail(start, "the string does not end"),
    }
    let escaped = match byte(bytes, start + 1) {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes, start),
        _ => return fail(start, "invalid escape"),
    };
    Ok((escaped, start + 2))
}

/// A `\u` escape at its backslash; a pair of surrogates is one character.
fn unicode(bytes: &[u8], start: usize) -> Result<(char, usize), Fail> {
    let half = || fail(start, "half of a surrogate pair");
    let (first, at) = hex(bytes, start + 2)?;
    let (code, at) = match first {
        0xD800..=0xDBFF => {
            if byte(bytes, at) != b'\\' || byte(bytes, at + 1) != b'u' {
                return half();
            }
            match hex(bytes, at + 2)? {
                (second @ 0xDC00..=0xDFFF, at) => (0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), at),
                _ => return half(),
            }
        }
        code => (code, at),
    };
    char::from_u32(code).map_or_else(half, |c| Ok((c, at)))
}

fn hex(bytes: &[u8], at: usize) -> Result<(u32, usize), Fail> {
    let mut code = 0;
    for at in at..at + 4 {
        let Some(digit) = char::from(byte(bytes, at)).to_digit(16) else {
            return fail(at, "expected a hexadecimal digit");
        };
        code = code * 16 + digit;
    }
    Ok((code, at + 4))
}
