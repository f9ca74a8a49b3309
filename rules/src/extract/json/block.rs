//! Sixteen bytes at once: where a text ends, how far digits go.

/// Bytes looked at together.
const BLOCK: usize = 16;

/// Digits looked at one by one: branches of short numbers are predicted, which is quicker than counting.
const FEW_DIGITS: usize = 3;

/// Goes to the first quote, backslash or control character, or to the end.
#[inline(always)]
pub(super) fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = block(bytes, at) {
        let length = wide::plain(block);
        at += length;
        if length < BLOCK {
            return at;
        }
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
    while let Some(block) = block(bytes, at) {
        let length = wide::digits(block);
        at += length;
        if length < BLOCK {
            return at;
        }
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

#[inline(always)]
fn block(bytes: &[u8], at: usize) -> Option<&[u8; BLOCK]> {
    bytes.get(at..)?.first_chunk()
}

/// By SSE2, which every x86-64 has: that is all that the compiler cannot know.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod wide {
    use core::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        _mm_sub_epi8,
    };

    use super::BLOCK;

    /// Length of the part without quote, backslash and control character.
    #[inline(always)]
    pub fn plain(block: &[u8; BLOCK]) -> usize {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { plain_sse2(block) }
    }

    /// Length of the part that is digits.
    #[inline(always)]
    pub fn digits(block: &[u8; BLOCK]) -> usize {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { digits_sse2(block) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn plain_sse2(block: &[u8; BLOCK]) -> usize {
        let block = load(block);
        let quote = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\' as i8));
        let control = at_most(block, 0x1f);
        let ends = _mm_or_si128(_mm_or_si128(quote, backslash), control);
        (_mm_movemask_epi8(ends) | 1 << BLOCK).trailing_zeros() as usize
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn digits_sse2(block: &[u8; BLOCK]) -> usize {
        let values = _mm_sub_epi8(load(block), _mm_set1_epi8(b'0' as i8));
        (!_mm_movemask_epi8(at_most(values, 9))).trailing_zeros() as usize
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(block: &[u8; BLOCK]) -> __m128i {
        let whole = u128::from_le_bytes(*block);
        _mm_set_epi64x((whole >> 64) as i64, whole as i64)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn at_most(bytes: __m128i, most: i8) -> __m128i {
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes)
    }
}

/// By arithmetic on words. In each test the lowest byte found is right: a borrow or a carry only reaches
/// the bytes above one that is found.
#[cfg(not(target_arch = "x86_64"))]
mod wide {
    use super::BLOCK;

    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;

    /// Length of the part without quote, backslash and control character.
    #[inline(always)]
    pub fn plain(block: &[u8; BLOCK]) -> usize {
        first(block, |word| {
            let zero = |word: u64| word.wrapping_sub(ONES) & !word;
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            zero(word ^ ONES * u64::from(b'"')) | zero(word ^ ONES * u64::from(b'\\')) | control
        })
    }

    /// Length of the part that is digits.
    #[inline(always)]
    pub fn digits(block: &[u8; BLOCK]) -> usize {
        first(block, |word| {
            let value = word ^ ONES * u64::from(b'0');
            value.wrapping_add(ONES * (0x80 - 10)) | value
        })
    }

    #[inline(always)]
    fn first(block: &[u8; BLOCK], found: impl Fn(u64) -> u64) -> usize {
        let whole = u128::from_le_bytes(*block);
        let low = found(whole as u64) & HIGH;
        let high = found((whole >> 64) as u64) & HIGH;
        let both = u128::from(low) | u128::from(high) << 64;
        both.trailing_zeros() as usize / 8
    }
}
