//! Several bytes at once: where a text ends, how far digits go.

/// Goes to the first quote, backslash or control character, or to the end.
#[inline(always)]
pub(super) fn plain(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)).map_or(bytes.len(), |n| at + n)
}

/// Goes to the first byte that is no digit, or to the end.
#[inline(always)]
pub(super) fn digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}
