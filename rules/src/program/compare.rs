//! Comparisons with constants.

use std::cmp::Ordering;

use petrel_cel::expr::Relation;
use petrel_cel::{Type, Value};

use super::code::{INT, UINT};

// A relation stands in the code as the orders of which it holds: a bit each.
const LESS: u32 = 1;
const EQUAL: u32 = 2;
const GREATER: u32 = 4;
const NOT_EQUAL: u32 = LESS | GREATER;

/// A relation as it stands in the code; `in` is none.
pub(super) fn relation_word(relation: Relation) -> u32 {
    match relation {
        Relation::Eq => EQUAL,
        Relation::Ne => NOT_EQUAL,
        Relation::Lt => LESS,
        Relation::Le => LESS | EQUAL,
        Relation::Gt => GREATER,
        Relation::Ge => GREATER | EQUAL,
        Relation::In => 0,
    }
}

/// Whether a relation holds of two numbers in this order.
#[inline(always)]
pub(super) fn holds(relation: u32, order: Ordering) -> bool {
    let bit = match order {
        Ordering::Less => LESS,
        Ordering::Equal => EQUAL,
        Ordering::Greater => GREATER,
    };
    relation & bit != 0
}

/// What a relation says of values without an order: nothing, unless it is about equality.
pub(super) fn without_order(relation: u32) -> Option<bool> {
    match relation {
        EQUAL => Some(false),
        NOT_EQUAL => Some(true),
        _ => None,
    }
}

/// A relation as it is written.
pub(super) fn symbol(relation: u32) -> &'static str {
    match relation {
        EQUAL => "==",
        NOT_EQUAL => "!=",
        LESS => "<",
        GREATER => ">",
        less if less & LESS != 0 => "<=",
        _ => ">=",
    }
}

/// The type of the constant of a comparison.
pub(super) fn constant_type(leaf: u32) -> Type {
    match leaf {
        INT => Type::Int,
        UINT => Type::Uint,
        _ => Type::Double,
    }
}

// The order of a value and a constant: nothing if the value is no number, or one of them is NaN. Ints and
// uints compare exactly, either with a double by rounding.

#[inline(always)]
pub(super) fn against_int(value: &Value<'_>, constant: i64) -> Option<Ordering> {
    match value {
        Value::Int(int) => Some(int.cmp(&constant)),
        Value::Uint(uint) => Some(i128::from(*uint).cmp(&i128::from(constant))),
        Value::Double(double) => double.partial_cmp(&(constant as f64)),
        _ => None,
    }
}

#[inline(always)]
pub(super) fn against_uint(value: &Value<'_>, constant: u64) -> Option<Ordering> {
    match value {
        Value::Int(int) => Some(i128::from(*int).cmp(&i128::from(constant))),
        Value::Uint(uint) => Some(uint.cmp(&constant)),
        Value::Double(double) => double.partial_cmp(&(constant as f64)),
        _ => None,
    }
}

#[inline(always)]
pub(super) fn against_double(value: &Value<'_>, constant: f64) -> Option<Ordering> {
    match value {
        Value::Int(int) => (*int as f64).partial_cmp(&constant),
        Value::Uint(uint) => (*uint as f64).partial_cmp(&constant),
        Value::Double(double) => double.partial_cmp(&constant),
        _ => None,
    }
}

/// Whether two texts are the same. Up to 16 bytes, as most values are, it calls nothing.
#[inline(always)]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        0..4 => a.iter().eq(b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_hold_as_they_are_written() {
        let relations = [
            (Relation::Eq, "==", [false, true, false], Some(false)),
            (Relation::Ne, "!=", [true, false, true], Some(true)),
            (Relation::Lt, "<", [true, false, false], None),
            (Relation::Le, "<=", [true, true, false], None),
            (Relation::Gt, ">", [false, false, true], None),
            (Relation::Ge, ">=", [false, true, true], None),
        ];
        for (relation, written, of, without) in relations {
            let word = relation_word(relation);
            let orders = [Ordering::Less, Ordering::Equal, Ordering::Greater];
            assert_eq!(orders.map(|order| holds(word, order)), of, "{written}");
            assert_eq!((symbol(word), without_order(word)), (written, without));
        }
    }

    #[test]
    fn texts_are_the_same_in_every_byte() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).map(|i| i as u8).collect();
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &[&text[..], b"x"].concat()));
            for at in 0..length {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!same(&text, &other), "{length} {at}");
            }
        }
    }
}
