//! What every part of the grammar is made of: bytes, white space, literals and failures.

use crate::limits::JSON_DEPTH_MAX;

/// What went wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fail {
    pub message: &'static str,
    pub offset: usize,
}

/// A failure at an offset.
#[cold]
pub(super) fn fail<T>(offset: usize, message: &'static str) -> Result<T, Fail> {
    Err(Fail { message, offset })
}

/// What fails where a value should begin.
#[cold]
pub(super) fn no_value<T>(bytes: &[u8], at: usize) -> Result<T, Fail> {
    fail(at, if at < bytes.len() { "expected a value" } else { "the document ends too early" })
}

/// The byte at an offset. Behind the end it is 0, which no token begins with.
#[inline(always)]
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Goes to the next byte that is no white space.
#[inline(always)]
pub(super) fn white(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// Takes a literal of which the first byte was seen.
#[inline(always)]
pub(super) fn literal(bytes: &[u8], at: usize, word: &str) -> Result<usize, Fail> {
    match bytes.get(at..at + word.len()) {
        Some(found) if found == word.as_bytes() => Ok(at + word.len()),
        _ => fail(at, "expected a value"),
    }
}

/// Whether one more array or object may open at an offset.
#[inline(always)]
pub(super) fn deeper(depth: usize, at: usize) -> Result<usize, Fail> {
    if depth == JSON_DEPTH_MAX { fail(at, "nested too deeply") } else { Ok(depth + 1) }
}

/// Takes the colon behind a key, and white space around it.
#[inline(always)]
pub(super) fn colon(bytes: &[u8], at: usize) -> Result<usize, Fail> {
    let at = white(bytes, at);
    if byte(bytes, at) == b':' { Ok(white(bytes, at + 1)) } else { fail(at, "expected :") }
}
