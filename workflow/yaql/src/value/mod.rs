//! What an expression computes with.
//!
//! Clones share what they hold. Equality and order are Python's: `1 = 1.0 = true`, a tuple differs from a list.

mod collections;
mod depth;
mod iterator;
mod json;
mod key;
mod number;
mod regex;
mod text;
mod time;

use std::sync::Arc;

pub use collections::{Dict, List, ListKind, Set};
pub(crate) use iterator::Field;
pub use iterator::{Iterate, Ordering};
pub(crate) use key::equal;
pub use key::{Key, Unhashable};
pub(crate) use number::{compare_int_float, float_text, parse_float, parse_int};
pub(crate) use regex::Flags;
pub use regex::Pattern;
pub(crate) use text::{iso_text, offset_text, repr, str_text};
pub use time::{DateTime, Timespan};
pub(crate) use time::{MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, civil_from_days, days_from_civil};

use crate::evaluate::{Context, Lambda};

/// What an expression computes with. Lists and dictionaries of the input are YAQL's frozen ones.
#[derive(Clone, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// True or false. Counts as 1 or 0 where a number is compared.
    Bool(bool),
    /// A whole number; more than 128 bits are an `OverflowError`.
    Int(i128),
    /// A number of 64 bits with a fraction; may be infinite or not a number.
    Float(f64),
    /// A text.
    String(Arc<str>),
    /// A tuple, a list, or a range.
    List(Arc<List>),
    /// A dictionary, in the order of insertion.
    Dict(Arc<Dict>),
    /// A set, or the keys or the items of a dictionary, which count as sets.
    Set(Arc<Set>),
    /// The values of a dictionary: neither a list nor a set.
    Values(Arc<Dict>),
    /// A point in time, with or without an offset from UTC.
    DateTime(DateTime),
    /// A span of time.
    Timespan(Timespan),
    /// A compiled regular expression.
    Regex(Arc<Pattern>),
    /// What `lambda()` makes.
    Function(Arc<Lambda>),
    /// `a => b` as an argument of a function that wants it so.
    Rule(Arc<(Value, Value)>),
    /// Variables, as `let()` and `with()` make them for `->`.
    Context(Arc<Context>),
    /// A sequence that is computed while it is read, and can be read once.
    Iterator(Arc<Iterate>),
    /// What `orderBy()` makes, sorted when it is read.
    Ordering(Arc<Ordering>),
}

impl Value {
    /// A tuple, which is what YAQL makes of a list of its input.
    #[must_use]
    pub fn tuple(items: Vec<Value>) -> Value {
        Value::List(Arc::new(List::new(items, ListKind::Tuple)))
    }

    /// A list that is not a tuple: equal to no tuple, and no key of a dictionary.
    #[must_use]
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(List::new(items, ListKind::List)))
    }

    /// A text.
    #[must_use]
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether a condition holds that yields this: not null, false, zero or empty.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::List(list) => !list.items().is_empty(),
            Value::Dict(dict) | Value::Values(dict) => !dict.is_empty(),
            Value::Set(set) => set.len() != 0,
            Value::Timespan(span) => span.microseconds() != 0,
            Value::DateTime(_)
            | Value::Regex(_)
            | Value::Function(_)
            | Value::Rule(_)
            | Value::Context(_)
            | Value::Iterator(_)
            | Value::Ordering(_) => true,
        }
    }

    /// The name of the type in Python, as YAQL's messages have it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::String(_) => "str",
            Value::List(list) => list.kind().type_name(),
            Value::Dict(dict) if dict.frozen() => "FrozenDict",
            Value::Dict(_) => "dict",
            Value::Set(set) => set.type_name(),
            Value::Values(dict) if dict.frozen() => "ValuesView",
            Value::Values(_) => "dict_values",
            Value::DateTime(_) => "datetime.datetime",
            Value::Timespan(_) => "datetime.timedelta",
            Value::Regex(_) => "re.Pattern",
            Value::Function(_) => "function",
            Value::Rule(_) => "MappingRule",
            Value::Context(_) => "Context",
            Value::Iterator(iterator) => iterator.type_name(),
            Value::Ordering(_) => "OrderingIterable",
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&repr(self))
    }
}

/// As YAQL compares.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        equal(self, other)
    }
}
