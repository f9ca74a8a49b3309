//! Equality and order of values, as CEL has them: across the types of numbers, by value.
//!
//! Between an int and a double the int is rounded first, so that beyond 2^53 different ints may equal the
//! same double. Keys of maps are exact instead: they are never doubles, and a double finds only the int that
//! it is.

use std::cmp::Ordering;

use crate::owned::OwnedValue;
use crate::value::{List, Map, Value};

/// Whether two values are equal: never fails, and values of different types are different unless both are
/// numbers. NaN equals nothing, in lists neither.
pub fn equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    let mut left = u64::MAX; // Nobody lives to see it used up.
    same(a, b, &mut left).unwrap_or(false)
}

/// The order of two values, where `<` and its kin are defined: bools, numbers, strings by code point, bytes,
/// timestamps, durations. `None` is what makes them a fault: other types, different types, NaN.
pub fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => rounded_order(a, b),
    }
}

/// Equality that counts what it goes through, elements and bytes: a list that holds another many times, and
/// so on, is longer than anything in memory. `None` when the number is used up.
pub(crate) fn same(a: &Value<'_>, b: &Value<'_>, left: &mut u64) -> Option<bool> {
    *left = left.checked_sub(1)?;
    Some(match (a, b) {
        (Value::String(a), Value::String(b)) => same_bytes(a.as_bytes(), b.as_bytes(), left)?,
        (Value::Bytes(a), Value::Bytes(b)) => same_bytes(a, b, left)?,
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::List(a), Value::List(b)) => same_lists(*a, *b, left)?,
        (Value::Map(a), Value::Map(b)) => same_maps(*a, *b, left)?,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Optional(None), Value::Optional(None)) => true,
        (Value::Optional(Some(a)), Value::Optional(Some(b))) => same(a, b, left)?,
        (Value::Ip(a), Value::Ip(b)) => a == b,
        (Value::Cidr(a), Value::Cidr(b)) => a == b,
        // What was built makes no difference between two versions.
        (Value::Semver(a), Value::Semver(b)) => a.cmp_precedence(b).is_eq(),
        _ => rounded_order(a, b) == Some(Ordering::Equal),
    })
}

/// The order of a map's keys, and of the constants of a set: bools, numbers by their exact value whatever
/// their type, strings by code point. NaN comes after all numbers; what is none of these comes last, and is
/// not told apart.
pub(crate) fn key_order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Uint(a), Value::Uint(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => {
            // Only NaN has no order, and all NaNs are one.
            a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
        _ => match (integer(a), integer(b), a, b) {
            (Some(a), Some(b), ..) => a.cmp(&b),
            (Some(a), None, _, Value::Double(b)) => exact_order(a, *b),
            (None, Some(b), Value::Double(a), _) => exact_order(b, *a).reverse(),
            _ => rank(a).cmp(&rank(b)),
        },
    }
}

/// Whether a set of constants, sorted by [`key_order`], has an element that is equal. Its numbers must be
/// below 2^53, where rounding makes no difference.
pub(crate) fn in_set(value: &Value<'_>, set: &[OwnedValue]) -> bool {
    match value {
        Value::Double(double) if double.is_nan() => false,
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_) => {
            set.binary_search_by(|element| key_order(&element.value(), value)).is_ok()
        }
        _ => false,
    }
}

impl<'a> Map<'a> {
    /// The value of a key. A double finds the integer that it is; what cannot be a key finds nothing.
    pub fn get(self, key: &Value<'_>) -> Option<Value<'a>> {
        let key = match key {
            Value::String(name) => return self.field(name),
            Value::Bool(_) | Value::Int(_) | Value::Uint(_) => *key,
            Value::Double(double) => whole(*double)?,
            _ => return None,
        };
        match self {
            Self::Values(entries) => {
                let at = entries.binary_search_by(|(other, _)| key_order(other, &key)).ok()?;
                Some(entries[at].1)
            }
            Self::Owned(entries) => {
                let at = entries.binary_search_by(|(other, _)| key_order(&other.value(), &key)).ok()?;
                Some(entries[at].1.value())
            }
        }
    }

    /// The value of a key that is a string.
    pub fn field(self, name: &str) -> Option<Value<'a>> {
        // Strings are the last of the keys.
        let order = |key: Value<'_>| match key {
            Value::String(key) => key.cmp(name),
            _ => Ordering::Less,
        };
        match self {
            Self::Values(entries) => {
                let at = entries.binary_search_by(|(key, _)| order(*key)).ok()?;
                Some(entries[at].1)
            }
            Self::Owned(entries) => {
                let at = entries.binary_search_by(|(key, _)| order(key.value())).ok()?;
                Some(entries[at].1.value())
            }
        }
    }
}

/// The integer that a double is, if it is one.
pub(crate) fn whole<'a>(double: f64) -> Option<Value<'a>> {
    if double.trunc() != double {
        return None;
    }
    int_of(double).map(Value::Int).or_else(|| uint_of(double).map(Value::Uint))
}

/// A double's whole part as an int. The int of the largest size is none, as in cel-go.
pub(crate) fn int_of(double: f64) -> Option<i64> {
    // Checked, so that nothing saturates.
    #[allow(clippy::cast_possible_truncation)]
    (-TWO_TO_63 < double && double < TWO_TO_63).then_some(double as i64)
}

/// A double's whole part as a uint.
pub(crate) fn uint_of(double: f64) -> Option<u64> {
    // Checked, so that nothing saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0 <= double && double < TWO_TO_64).then_some(double as u64)
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

fn same_bytes(a: &[u8], b: &[u8], left: &mut u64) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    *left = left.checked_sub(a.len() as u64)?;
    Some(a == b)
}

fn same_lists(a: List<'_>, b: List<'_>, left: &mut u64) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        if !same(&a, &b, left)? {
            return Some(false);
        }
    }
    Some(true)
}

fn same_maps(a: Map<'_>, b: Map<'_>, left: &mut u64) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    // Both are in the order of their keys.
    for ((a_key, a), (b_key, b)) in a.iter().zip(b.iter()) {
        if !same(&a_key, &b_key, left)? || !same(&a, &b, left)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Order of numbers, an int against a double rounded.
#[allow(clippy::cast_precision_loss)] // That is the rule.
fn rounded_order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::Double(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Uint(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::Double(a), Value::Uint(b)) => a.partial_cmp(&(*b as f64)),
        _ => Some(integer(a)?.cmp(&integer(b)?)),
    }
}

fn integer(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(int) => Some(i128::from(*int)),
        Value::Uint(uint) => Some(i128::from(*uint)),
        _ => None,
    }
}

/// The order of an integer of 64 bits and a double, to the last bit.
fn exact_order(integer: i128, double: f64) -> Ordering {
    if double.is_nan() {
        return Ordering::Less;
    }
    // Saturates beyond 128 bits, which is beyond any integer here.
    #[allow(clippy::cast_possible_truncation)]
    let whole = double as i128;
    integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&double.fract()).unwrap_or(Ordering::Equal))
}

fn rank(value: &Value<'_>) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) => 1,
        Value::String(_) => 2,
        _ => 3,
    }
}
