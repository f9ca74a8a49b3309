//! Eight bytes at once, as a word: where a text ends, how far digits go.
//!
//! In each test the lowest byte found is right: a borrow or a carry only reaches the bytes above one that
//! is found.

/// Bytes looked at together.
const WORD_BYTES: usize = 8;

/// Digits looked at one by one: branches of short numbers are predicted, which is quicker than counting.
const FEW_DIGITS: usize = 3;

/// This byte in every byte.
const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD_BYTES])
}

/// A one in every byte.
const ONES: u64 = all(1);

/// The highest bit of every byte.
const HIGH: u64 = all(0x80);

/// Goes to the first quote, backslash or control character, or to the end.
#[inline(always)]
pub(super) fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(bytes, at) {
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let quotes = zeros(word ^ all(b'"'));
        let backslashes = zeros(word ^ all(b'\\'));
        let controls = word.wrapping_sub(all(0x20)) & !word;
        let found = (quotes | backslashes | controls) & HIGH;
        if found != 0 {
            return at + lowest(found);
        }
        at += WORD_BYTES;
    }
    while bytes.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}

/// Goes to the first byte that is no digit, or to the end.
#[inline(always)]
pub(super) fn digits(bytes: &[u8], mut at: usize) -> usize {
    for _ in 0..FEW_DIGITS {
        if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
            return at;
        }
        at += 1;
    }
    while let Some(word) = word(bytes, at) {
        let value = word ^ all(b'0');
        let found = (value.wrapping_add(all(0x80 - 10)) | value) & HIGH;
        if found != 0 {
            return at + lowest(found);
        }
        at += WORD_BYTES;
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Number of the lowest byte with its highest bit set.
#[inline(always)]
fn lowest(found: u64) -> usize {
    found.trailing_zeros() as usize / 8
}
