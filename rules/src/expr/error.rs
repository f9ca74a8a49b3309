//! Why an evaluation failed: stable codes, and texts that name types and never values.

use cel::{ExecutionError, Value};

use super::functions::{MATCHES, RANGE};
use crate::limits::{CRITERIA_STEPS_MAX, ERROR_TEXT_BYTES_MAX};

/// Why a criterion or a parameter has no value.
///
/// The text is for people; it is the same for the same event (no order of a hash map in it) and holds no
/// values of the event, which may be secret. The code is stable: `divide_by_zero`, `modulo_by_zero`,
/// `overflow`, `no_such_overload`, `index_out_of_bounds`, `invalid_argument`, `unsupported_key`,
/// `duplicate_key`, `not_bool`, `not_json`, `missing_field`, `steps_exceeded`, `internal`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct EvalError {
    /// Stable code.
    pub code: &'static str,
    /// What went wrong, for people; at most [`crate::limits::ERROR_TEXT_BYTES_MAX`] bytes.
    pub text: String,
}

impl EvalError {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        Self { code, text }
    }

    /// A field that the event does not have, where a value is needed.
    pub(crate) fn missing_field(name: &str) -> Self {
        Self::new("missing_field", format!("no such field: {name}"))
    }
}

/// Translates an error of the interpreter; a missing key is not one of them.
pub(super) fn translate(error: ExecutionError) -> EvalError {
    use ExecutionError as E;
    match error {
        E::DivisionByZero(_) => EvalError::new("divide_by_zero", "division by zero"),
        E::RemainderByZero(_) => EvalError::new("modulo_by_zero", "remainder of a division by zero"),
        E::Overflow(operator, left, right) => {
            EvalError::new("overflow", format!("overflow in {operator} of {} and {}", name(&left), name(&right)))
        }
        E::IndexOutOfBounds(_) => EvalError::new("index_out_of_bounds", "list index out of bounds"),
        E::DuplicateKey(_) => EvalError::new("duplicate_key", "a map literal has the same key twice"),
        E::UnsupportedKeyType(key) => EvalError::new("unsupported_key", format!("{} is no map key", name(&key))),
        E::NoSuchOverload(overload) => EvalError::new("no_such_overload", overload.to_string()),
        E::UnsupportedBinaryOperator(operator, left, right) => {
            overload(format!("{operator} does not take {} and {}", name(&left), name(&right)))
        }
        E::ValuesNotComparable(left, right) => overload(format!("{} and {} have no order", name(&left), name(&right))),
        E::UnsupportedIndex(index, of) => overload(format!("{} does not index {}", name(&index), name(&of))),
        E::UnexpectedType { got, want } => overload(format!("expected {want}, found {got}")),
        E::UnsupportedTargetType { target } => overload(format!("not supported on {}", name(&target))),
        E::NotSupportedAsMethod { method, target } => overload(format!("{method} is no function of {}", name(&target))),
        E::InvalidArgumentCount { expected, actual } => {
            overload(format!("expected {expected} arguments, found {actual}"))
        }
        E::FunctionError { function, .. } if function == RANGE => {
            EvalError::new("steps_exceeded", format!("more than {CRITERIA_STEPS_MAX} steps in comprehensions"))
        }
        E::FunctionError { function, .. } => {
            let function = if function == MATCHES { "matches" } else { function.as_str() };
            EvalError::new("invalid_argument", format!("invalid argument of {function}"))
        }
        // What else there is cannot come from an expression that was checked.
        E::UndeclaredReference(what) => EvalError::new("internal", format!("unknown name {what}")),
        _ => EvalError::new("internal", "internal error of the interpreter"),
    }
}

fn overload(text: String) -> EvalError {
    EvalError::new("no_such_overload", text)
}

fn name(value: &Value) -> String {
    value.type_of().to_string()
}
