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
    let mut left = usize::MAX; // Nobody lives to see it used up.
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
pub(crate) fn same(a: &Value<'_>, b: &Value<'_>, left: &mut usize) -> Option<bool> {
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

/// Whether a value can be the key of a map.
pub(crate) fn can_be_key(value: &Value<'_>) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_))
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
            // Its keys are texts.
            Self::Texts(_) => None,
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
            Self::Texts(entries) => entries.get(name).map(OwnedValue::value),
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
    (0.0..TWO_TO_64).contains(&double).then_some(double as u64)
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

fn same_bytes(a: &[u8], b: &[u8], left: &mut usize) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    *left = left.checked_sub(a.len())?;
    Some(a == b)
}

fn same_lists(a: List<'_>, b: List<'_>, left: &mut usize) -> Option<bool> {
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

fn same_maps(a: Map<'_>, b: Map<'_>, left: &mut usize) -> Option<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    const NAN: Value<'static> = Value::Double(f64::NAN);
    const BIG: i64 = 1 << 53;

    fn text(text: &str) -> Value<'_> {
        Value::String(text)
    }

    #[test]
    fn equality_crosses_the_types_of_numbers_only() {
        use Value::{Bool, Bytes, Double, Int, Null, Optional, Uint};
        let one = Int(1);
        let cases = [
            (Null, Null, true),
            (Null, Bool(false), false),
            (Null, Int(0), false),
            (Bool(true), Bool(true), true),
            (Bool(true), Int(1), false),
            (Int(1), Uint(1), true),
            (Int(1), Double(1.0), true),
            (Uint(1), Double(1.0), true),
            (Int(1), Double(1.5), false),
            (Int(-1), Uint(u64::MAX), false),
            (Int(i64::MIN), Uint(1 << 63), false),
            (Double(-0.0), Double(0.0), true),
            (Double(-0.0), Int(0), true),
            // The int is rounded.
            (Int(BIG), Double(9_007_199_254_740_992.0), true),
            (Int(BIG + 1), Double(9_007_199_254_740_992.0), true),
            (Int(BIG + 3), Double(9_007_199_254_740_992.0), false),
            (Int(i64::MAX), Double(9_223_372_036_854_775_808.0), true),
            (Int(i64::MIN), Double(-9_223_372_036_854_775_808.0), true),
            (Uint(1 << 63), Double(9_223_372_036_854_775_808.0), true),
            (Uint(u64::MAX), Double(18_446_744_073_709_551_616.0), true),
            (Int(i64::MAX), Uint(i64::MAX as u64), true),
            (Int(BIG), Int(BIG + 1), false),
            (NAN, NAN, false),
            (NAN, Int(0), false),
            (Double(f64::INFINITY), Double(f64::INFINITY), true),
            (text("a"), text("a"), true),
            (text("a"), text("A"), false),
            (text("é"), text("e\u{301}"), false),
            (text("a"), Bytes(b"a"), false),
            (text("1"), Int(1), false),
            (Bytes(b"a"), Bytes(b"a"), true),
            (Bytes(b"a"), Bytes(b"b"), false),
            (Optional(None), Optional(None), true),
            (Optional(None), Null, false),
            (Optional(Some(&one)), Optional(Some(&Double(1.0))), true),
            (Optional(Some(&one)), Optional(None), false),
            (Optional(Some(&one)), one, false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(equal(&a, &b), expected, "{a:?} == {b:?}");
            assert_eq!(equal(&b, &a), expected, "{b:?} == {a:?}");
        }
    }

    #[test]
    fn lists_and_maps_are_equal_where_all_in_them_is() {
        let arena = Arena::new();
        let list = |values: &[Value<'static>]| Value::List(List::Values(arena.slice(values)));
        let owned = |values: &[i64]| OwnedValue::list(values.iter().map(|int| OwnedValue::Int(*int)));
        assert!(equal(&list(&[Value::Int(1), Value::Uint(2)]), &list(&[Value::Double(1.0), Value::Int(2)])));
        assert!(equal(&list(&[Value::Int(1)]), &owned(&[1]).value()));
        assert!(!equal(&list(&[Value::Int(1)]), &owned(&[1, 2]).value()));
        assert!(!equal(&list(&[Value::Int(1), Value::Int(2)]), &owned(&[2, 1]).value()));
        assert!(!equal(&list(&[NAN]), &list(&[NAN])));
        assert!(!equal(&list(&[]), &Value::Null));

        let map = |key, value| OwnedValue::map([(key, value), (OwnedValue::string("z"), OwnedValue::Null)]);
        let (one, other) = (map(OwnedValue::Int(1), owned(&[1])), map(OwnedValue::Uint(1), owned(&[1])));
        let third = map(OwnedValue::Int(1), owned(&[2]));
        let [one, other, third] = [one, other, third].map(|map| map.expect("a map"));
        assert!(equal(&one.value(), &other.value()));
        assert!(!equal(&one.value(), &third.value()));
        let renamed = OwnedValue::map([(OwnedValue::Int(1), owned(&[1])), (OwnedValue::string("y"), OwnedValue::Null)]);
        assert!(!equal(&one.value(), &renamed.expect("a map").value()));
    }

    #[test]
    fn lists_that_share_are_counted_by_what_is_seen() {
        let arena = Arena::new();
        let (mut a, mut b) = (Value::Int(1), Value::Int(1));
        for _ in 0..60 {
            a = Value::List(List::Values(arena.slice(&[a, a])));
            b = Value::List(List::Values(arena.slice(&[b, b])));
        }
        let mut left = 10_000;
        assert_eq!(same(&a, &b, &mut left), None);
    }

    #[test]
    fn order_is_defined_within_a_type_and_across_numbers() {
        use Value::{Bool, Bytes, Double, Int, Null, Uint};
        let (less, same, more) = (Some(Ordering::Less), Some(Ordering::Equal), Some(Ordering::Greater));
        let cases = [
            (Int(-1), Int(0), less),
            (Int(-1), Uint(0), less),
            (Int(1), Uint(1 << 63), less),
            (Uint(u64::MAX), Int(-1), more),
            (Int(1), Double(1.5), less),
            (Uint(2), Double(1.5), more),
            (Int(1), Double(1.0), same),
            (Int(BIG + 1), Double(9_007_199_254_740_992.0), same),
            (Int(i64::MAX), Double(9_223_372_036_854_777_857.0), less),
            (Int(i64::MIN), Double(-9_223_372_036_854_777_857.0), more),
            (Uint(u64::MAX), Double(18_446_744_073_709_590_000.0), less),
            (Double(f64::NEG_INFINITY), Int(i64::MIN), less),
            (Double(-0.0), Double(0.0), same),
            (NAN, Double(1.0), None),
            (NAN, NAN, None),
            (Int(1), NAN, None),
            (Bool(false), Bool(true), less),
            (Bool(false), Int(1), None),
            (text(""), text("a"), less),
            (text("Abc"), text("aBC"), less),
            // By code point, where UTF-16 has it the other way round.
            (text("\u{ffff}"), text("\u{10000}"), less),
            (text("1"), Int(1), None),
            (Bytes(b"\xc3"), Bytes(b"b"), more),
            (Null, Null, None),
            (Value::List(List::Values(&[])), Value::List(List::Values(&[])), None),
            (Value::Map(Map::Values(&[])), Value::Map(Map::Values(&[])), None),
            (Value::Optional(None), Value::Optional(None), None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(order(&a, &b), expected, "{a:?} < {b:?}");
            assert_eq!(order(&b, &a), expected.map(Ordering::reverse), "{b:?} < {a:?}");
        }
    }

    #[test]
    fn the_order_of_keys_is_exact_and_total() {
        use Value::{Bool, Double, Int, Uint};
        let ascending = [
            Bool(false),
            Bool(true),
            Double(f64::NEG_INFINITY),
            Int(i64::MIN),
            Double(-1.5),
            Int(-1),
            Uint(0),
            Double(0.5),
            Int(1),
            Double(9_007_199_254_740_992.0),
            Int(BIG + 1),
            Int(i64::MAX),
            Double(9_223_372_036_854_775_808.0),
            Uint((1 << 63) + 1),
            Uint(u64::MAX),
            Double(18_446_744_073_709_551_616.0),
            NAN,
            text(""),
            text("a"),
            text("b"),
        ];
        for (at, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(key_order(a, b), at.cmp(&other), "{a:?} and {b:?}");
            }
        }
        assert!(key_order(&Int(1), &Uint(1)).is_eq());
        assert!(key_order(&Int(1), &Double(1.0)).is_eq());
        assert!(key_order(&Double(0.0), &Double(-0.0)).is_eq());
    }

    #[test]
    fn keys_are_found_by_any_number_of_their_value() {
        use OwnedValue as O;
        let value = |at: i64| O::Int(at);
        let map = O::map([
            (O::Bool(true), value(0)),
            (O::Int(1), value(1)),
            (O::Uint(2), value(2)),
            (O::Int(BIG + 1), value(3)),
            (O::Uint(1 << 63), value(4)),
            (O::string("a"), value(5)),
            (O::string("b"), value(6)),
        ]);
        let map = map.expect("a map");
        let Value::Map(map) = map.value() else { panic!("no map") };
        let arena = Arena::new();
        let entries: Vec<_> = map.iter().collect();
        let borrowed = Map::Values(arena.slice(&entries));
        let cases = [
            (Value::Bool(true), Some(0)),
            (Value::Bool(false), None),
            (Value::Int(1), Some(1)),
            (Value::Uint(1), Some(1)),
            (Value::Double(1.0), Some(1)),
            (Value::Double(1.5), None),
            (Value::Int(2), Some(2)),
            (Value::Double(2.0), Some(2)),
            (Value::Int(BIG + 1), Some(3)),
            // Exact, where equality would round.
            (Value::Double(9_007_199_254_740_992.0), None),
            (Value::Uint(1 << 63), Some(4)),
            (Value::Double(9_223_372_036_854_775_808.0), Some(4)),
            (NAN, None),
            (text("a"), Some(5)),
            (text("b"), Some(6)),
            (text("1"), None),
            (Value::Null, None),
            (Value::Bytes(b"a"), None),
        ];
        for (key, expected) in cases {
            for map in [map, borrowed] {
                let found = map.get(&key).map(|value| equal(&value, &Value::Int(expected.unwrap_or(-1))));
                assert_eq!(found, expected.map(|_| true), "{key:?}");
            }
        }
        assert!(borrowed.field("a").is_some() && borrowed.field("c").is_none());
    }

    #[test]
    fn sets_agree_with_equality() {
        use OwnedValue as O;
        let mut set = [
            O::string("b"),
            O::Int(BIG - 1),
            O::Double(1.5),
            O::Uint(2),
            O::string("a"),
            O::Bool(true),
            O::Double(-0.0),
            O::Int(-3),
        ];
        set.sort_by(|a, b| key_order(&a.value(), &b.value()));
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int(0),
            Value::Int(2),
            Value::Double(2.0),
            Value::Double(1.5),
            Value::Uint(1),
            Value::Double(-3.0),
            Value::Double((BIG - 1) as f64),
            Value::Int(BIG),
            Value::Int(BIG + 1),
            Value::Double(1e300),
            Value::Double(f64::NEG_INFINITY),
            Value::Uint(u64::MAX),
            NAN,
            text("a"),
            text("c"),
            Value::Bytes(b"a"),
            Value::List(List::Values(&[])),
        ];
        for value in values {
            let expected = set.iter().any(|element| equal(&value, &element.value()));
            assert_eq!(in_set(&value, &set), expected, "{value:?}");
        }
    }
}
