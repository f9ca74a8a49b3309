//! Equality and hashes as Python has them, for keys of dictionaries and elements of sets.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use thiserror::Error;

use super::collections::{Dict, ListKind, Set};
use super::{Value, compare_int_float};

/// A value that can be a key of a dictionary or an element of a set.
#[derive(Clone, Debug)]
pub struct Key(Value);

/// A value that can change, or that holds one: no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unhashable type: '{0}'")]
pub struct Unhashable(pub &'static str);

impl Key {
    /// The key that `value` is.
    ///
    /// # Errors
    ///
    /// If it is a list (tuples are keys), a dictionary that is not frozen, a view, or holds one of these.
    pub fn new(value: Value) -> Result<Key, Unhashable> {
        check(&value)?;
        Ok(Key(value))
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }
}

fn check(value: &Value) -> Result<(), Unhashable> {
    match value {
        Value::List(list) => match list.kind() {
            ListKind::List => Err(Unhashable("list")),
            ListKind::Range => Ok(()),
            ListKind::Tuple => list.items().iter().try_for_each(check),
        },
        Value::Dict(dict) if dict.frozen() => dict.entries().values().try_for_each(check),
        Value::Dict(_) => Err(Unhashable("dict")),
        Value::Set(set) if set.frozen().is_none() => Err(Unhashable(set.type_name())),
        _ => Ok(()),
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        same(&self.0, &other.0) || equal(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Null => state.write_u8(0),
        Value::Bool(value) => state.write_i128(i128::from(*value)),
        Value::Int(value) => state.write_i128(*value),
        #[expect(clippy::cast_possible_truncation, reason = "a float that is whole hashes as that number")]
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e38 => state.write_i128(*value as i128),
        Value::Float(value) => state.write_u64(value.to_bits()),
        Value::String(text) => text.hash(state),
        Value::List(list) => {
            state.write_usize(list.items().len());
            list.items().iter().for_each(|item| hash(item, state));
        }
        // The order of entries and elements does not count.
        Value::Dict(dict) => state.write_usize(dict.len()),
        Value::Set(set) => state.write_usize(set.len()),
        Value::DateTime(time) => state.write_i64(time.instant()),
        Value::Timespan(span) => state.write_i64(span.microseconds()),
        Value::Regex(pattern) => pattern.text().hash(state),
        // The same only as themselves, or too rarely keys to tell them apart here.
        Value::Values(_)
        | Value::Function(_)
        | Value::Rule(_)
        | Value::Context(_)
        | Value::Iterator(_)
        | Value::Ordering(_) => state.write_u8(1),
    }
}

/// Whether these are one and the same.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => left.to_bits() == right.to_bits(),
        _ => false,
    }
}

/// Whether `left = right`, as Python has it.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Bool(left), Value::Int(right)) | (Value::Int(right), Value::Bool(left)) => i128::from(*left) == *right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Int(int), Value::Float(float)) | (Value::Float(float), Value::Int(int)) => {
            compare_int_float(*int, *float) == Some(std::cmp::Ordering::Equal)
        }
        (Value::Bool(bool), Value::Float(float)) | (Value::Float(float), Value::Bool(bool)) => {
            *float == f64::from(u8::from(*bool))
        }
        (Value::String(left), Value::String(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.kind() == right.kind()
                && left.items().len() == right.items().len()
                && left.items().iter().zip(right.items()).all(|(left, right)| same(left, right) || equal(left, right))
        }
        (Value::Dict(left), Value::Dict(right)) => Arc::ptr_eq(left, right) || equal_dicts(left, right),
        (Value::Set(left), Value::Set(right)) => Arc::ptr_eq(left, right) || equal_sets(left, right),
        (Value::Values(left), Value::Values(right)) => Arc::ptr_eq(left, right),
        (Value::DateTime(left), Value::DateTime(right)) => left.same(*right),
        (Value::Timespan(left), Value::Timespan(right)) => left == right,
        (Value::Regex(left), Value::Regex(right)) => left.same(right),
        (Value::Function(left), Value::Function(right)) => Arc::ptr_eq(left, right),
        (Value::Rule(left), Value::Rule(right)) => Arc::ptr_eq(left, right),
        (Value::Context(left), Value::Context(right)) => Arc::ptr_eq(left, right),
        (Value::Iterator(left), Value::Iterator(right)) => Arc::ptr_eq(left, right),
        (Value::Ordering(left), Value::Ordering(right)) => Arc::ptr_eq(left, right),
        _ => false,
    }
}

fn equal_dicts(left: &Dict, right: &Dict) -> bool {
    left.len() == right.len()
        && left.entries().iter().all(|(key, value)| right.entries().get(key).is_some_and(|other| equal(value, other)))
}

fn equal_sets(left: &Set, right: &Set) -> bool {
    left.len() == right.len() && left.within(right).unwrap_or(false)
}
