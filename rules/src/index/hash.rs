//! The hash that keys are known by: 64 bits, the same in every process and on every machine.
//!
//! Two keys with the same hash are one to the index, which then proposes a rule too many; nothing is lost.

use petrel_cel::Value;

use super::literal::Key;

const A: u64 = 0xa076_1d64_78bd_642f;
const B: u64 = 0xe703_7ed1_a0b4_28db;
const C: u64 = 0x8ebc_6af0_9c88_c6e3;
const D: u64 = 0x5899_65cc_7537_4cc3;

/// What the hashes of one group of keys start from, so that groups do not meet.
pub fn seed(group: u32) -> u64 {
    fold(u64::from(group) ^ A, B)
}

/// The hash of a key of a literal. Equal to that of the event's value, see [`value`].
pub fn key(seed: u64, key: &Key) -> u64 {
    match key {
        Key::Null => constant(seed, 0),
        Key::Bool(bool) => constant(seed, 1 + u64::from(*bool)),
        Key::Number(bits) => number(seed, *bits),
        Key::String(text) => bytes(seed, text.as_bytes()),
    }
}

/// The hash of an event's value, if it can equal a key at all.
#[inline]
pub fn value(seed: u64, value: &Value<'_>) -> Option<u64> {
    match value {
        Value::String(text) => Some(bytes(seed, text.as_bytes())),
        Value::Null => Some(constant(seed, 0)),
        Value::Bool(bool) => Some(constant(seed, 1 + u64::from(*bool))),
        other => double(other).filter(|double| !double.is_nan()).map(|double| number(seed, (double + 0.0).to_bits())),
    }
}

/// A number of any type as a double.
#[inline]
pub fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Uint(uint) => Some(*uint as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    }
}

/// Scatters 64 bits, reversibly (the finaliser of SplitMix64): different numbers stay different, 0 stays 0.
#[inline]
pub fn mix(number: u64) -> u64 {
    let a = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ b >> 31
}

/// A hash of a text that grows byte by byte: of every prefix, or from the end of every suffix.
#[derive(Clone, Copy)]
pub struct Rolling(u64);

impl Rolling {
    /// Of the empty text.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One byte more.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        // FNV's multiplier.
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// The hash so far.
    #[inline]
    pub fn finish(self) -> u64 {
        occupied(fold(self.0 ^ C, D))
    }
}

fn constant(seed: u64, number: u64) -> u64 {
    occupied(fold(seed ^ C, number ^ D))
}

#[inline]
fn number(seed: u64, bits: u64) -> u64 {
    occupied(fold(fold(seed ^ bits, A), B ^ C))
}

/// Folded multiplication over 16 bytes at a time, the last ones overlapping.
#[inline]
fn bytes(seed: u64, text: &[u8]) -> u64 {
    let length = text.len();
    let mut state = seed ^ D;
    let (a, b) = if length >= 8 {
        let mut rest = text;
        while let Some((head, tail)) = rest.split_first_chunk::<16>() {
            if tail.is_empty() {
                break;
            }
            state = fold(low(head) ^ B, high(head) ^ state);
            rest = tail;
        }
        if rest.len() >= 8 {
            (first8(rest), last8(rest))
        } else {
            // The text has 8 bytes: the last ones are read twice.
            (last8(text), rest.len() as u64)
        }
    } else if length >= 4 {
        (u64::from(first4(text)), u64::from(last4(text)))
    } else if let (Some(first), Some(last)) = (text.first(), text.last()) {
        (u64::from(*first) << 16 | u64::from(text[length / 2]) << 8 | u64::from(*last), 0)
    } else {
        (0, 0)
    };
    occupied(fold(fold(a ^ A, b ^ state), length as u64 ^ C))
}

/// Zero marks an empty place in a table.
#[inline]
fn occupied(hash: u64) -> u64 {
    hash | u64::from(hash == 0)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn low(chunk: &[u8; 16]) -> u64 {
    u128::from_le_bytes(*chunk) as u64
}

#[inline]
fn high(chunk: &[u8; 16]) -> u64 {
    (u128::from_le_bytes(*chunk) >> 64) as u64
}

#[inline]
fn first8(text: &[u8]) -> u64 {
    text.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn last8(text: &[u8]) -> u64 {
    text.last_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn first4(text: &[u8]) -> u32 {
    text.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

#[inline]
fn last4(text: &[u8]) -> u32 {
    text.last_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}
