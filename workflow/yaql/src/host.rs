//! What the program around an evaluation gives it.

use crate::error::EvaluationError;
use crate::value::Value;

/// What the program around an evaluation gives it: the functions that it declared, the time, and chance. An
/// evaluation asks for nothing else, so that with the same host it always has the same value.
pub trait Host {
    /// Calls a function that was declared with [`crate::Engine::declare`].
    ///
    /// # Errors
    ///
    /// Whatever the function finds wrong; the evaluation ends with it.
    fn call(&self, function: &str, arguments: &Arguments) -> Result<Value, EvaluationError> {
        let _ = arguments;
        Err(EvaluationError::new("NoFunctionRegisteredException", format!("Unknown function \"{function}\"")))
    }

    /// The time, in microseconds since 1970 (UTC), for `now()` and for dates without a day. `None`: expressions that
    /// ask for it are refused.
    fn now(&self) -> Option<i64> {
        None
    }

    /// 64 random bits, new ones with each call, for `random()`. `None`: expressions that ask for them are refused.
    fn random(&self) -> Option<u64> {
        None
    }
}

/// A host without functions, time and chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {}

/// The arguments of a call, in the order of the parameters that were declared.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    pub(crate) positional: Vec<Value>,
    pub(crate) rest: Vec<Value>,
}

impl Arguments {
    /// The argument of the parameter at `index`, or its default; null if there is no such parameter.
    #[must_use]
    pub fn get(&self, index: usize) -> &Value {
        self.positional.get(index).unwrap_or(&Value::Null)
    }

    /// The arguments of the parameter with the asterisk.
    #[must_use]
    pub fn rest(&self) -> &[Value] {
        &self.rest
    }
}
