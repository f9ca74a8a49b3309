//! Why an expression has no value: `Copy`, made without allocating; the text is made when somebody asks.

use std::fmt;

use crate::value::{Type, Value};

/// Why there is no value. Its text names types and functions, and never values of the event, which may
/// be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault<'a> {
    /// A field or a key is not there; holds its name, if it is a string.
    Missing(&'a str),
    /// A function or operator does not take values of these types.
    NoOverload {
        /// Its name as it is written: `+`, `size`.
        function: &'static str,
        /// Types of the first arguments, a receiver first.
        types: [Option<Type>; 3],
    },
    /// Division by zero.
    DivideByZero,
    /// Remainder of a division by zero.
    ModuloByZero,
    /// The result does not fit its type.
    Overflow(&'static str),
    /// No element of that number.
    IndexOutOfBounds,
    /// A value that the function refuses.
    InvalidArgument {
        /// Its name.
        function: &'static str,
        /// What is wrong with it, without the value.
        why: &'static str,
    },
    /// A value that cannot be the key of a map.
    UnsupportedKey(Type),
    /// A map literal has the same key twice.
    DuplicateKey,
    /// A criterion that is no bool.
    NotBool(Type),
    /// The step budget is used up ([`crate::limits::STEPS_MAX`]).
    StepsExceeded,
    /// The evaluation built more than [`crate::limits::EVAL_BYTES_MAX`].
    MemoryExceeded,
    /// The rule used up its budget too often and is not asked any more; nothing was evaluated.
    Quarantined,
}

impl<'a> Fault<'a> {
    /// No overload for one argument.
    pub fn unary(function: &'static str, of: Type) -> Self {
        Self::NoOverload { function, types: [Some(of), None, None] }
    }

    /// No overload for two arguments.
    pub fn binary(function: &'static str, left: Type, right: Type) -> Self {
        Self::NoOverload { function, types: [Some(left), Some(right), None] }
    }

    /// No overload for these arguments, a receiver first.
    pub fn overload(function: &'static str, arguments: &[Value<'_>]) -> Self {
        let of = |at: usize| arguments.get(at).map(Value::type_of);
        Self::NoOverload { function, types: [of(0), of(1), of(2)] }
    }

    /// The stable code of this kind of fault.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing_field",
            Self::NoOverload { .. } => "no_such_overload",
            Self::DivideByZero => "divide_by_zero",
            Self::ModuloByZero => "modulo_by_zero",
            Self::Overflow(_) => "overflow",
            Self::IndexOutOfBounds => "index_out_of_bounds",
            Self::InvalidArgument { .. } => "invalid_argument",
            Self::UnsupportedKey(_) => "unsupported_key",
            Self::DuplicateKey => "duplicate_key",
            Self::NotBool(_) => "not_bool",
            Self::StepsExceeded => "steps_exceeded",
            Self::MemoryExceeded => "memory_exceeded",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether the evaluation ends here whatever stands around: `&&` and `||` do not absorb it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::StepsExceeded | Self::MemoryExceeded)
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing("") => f.write_str("no such key"),
            Self::Missing(name) => write!(f, "no such field: {name}"),
            Self::NoOverload { function, types } => {
                write!(f, "{function} does not take ")?;
                for (at, of) in types.iter().flatten().enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { " and " }, of.name())?;
                }
                Ok(())
            }
            Self::DivideByZero => f.write_str("division by zero"),
            Self::ModuloByZero => f.write_str("remainder of a division by zero"),
            Self::Overflow(function) => write!(f, "overflow in {function}"),
            Self::IndexOutOfBounds => f.write_str("list index out of bounds"),
            Self::InvalidArgument { function, why } => write!(f, "invalid argument of {function}: {why}"),
            Self::UnsupportedKey(of) => write!(f, "{} is no map key", of.name()),
            Self::DuplicateKey => f.write_str("a map has the same key twice"),
            Self::NotBool(of) => write!(f, "the criterion is a {}, not a bool", of.name()),
            Self::StepsExceeded => write!(f, "more than {} steps", crate::limits::STEPS_MAX),
            Self::MemoryExceeded => write!(f, "more than {} bytes built", crate::limits::EVAL_BYTES_MAX),
            Self::Quarantined => f.write_str("the rule exceeded its budget too often and is not asked any more"),
        }
    }
}
