//! A function that an expression can call.

use std::sync::Arc;

use super::binding::Invocation;
use super::signature::Signature;
use crate::error::EvaluationError;
use crate::evaluate::Lambda;
use crate::value::Value;

/// A function that an expression can call.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) name: Arc<str>,
    pub(crate) signature: Signature,
    /// Whether `f(x)` means it.
    pub(crate) is_function: bool,
    /// Whether `x.f()` means it.
    pub(crate) is_method: bool,
    /// Whether `a => b` is an argument of its own, and no name and value.
    pub(crate) no_names: bool,
    /// Whether a call has a scope of its own, in which it leaves variables.
    pub(crate) scoped: bool,
    pub(crate) payload: Payload,
}

/// What a function does.
#[derive(Clone)]
pub(crate) enum Payload {
    /// One of the library.
    Native(fn(&mut Invocation<'_, '_>) -> Result<Value, EvaluationError>),
    /// One that the host has.
    Host,
    /// One that the expression defined with `def()`.
    Defined(Arc<Lambda>),
}

impl Definition {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
