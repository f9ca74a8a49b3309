//! Equality and order of values, as CEL has them.

use std::cmp::Ordering;

use crate::value::Value;

/// The order of a map's keys: bools, numbers by value whatever their type, strings by code point.
pub(crate) fn key_order(_a: &Value<'_>, _b: &Value<'_>) -> Ordering {
    Ordering::Equal
}
