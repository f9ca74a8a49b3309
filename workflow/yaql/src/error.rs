//! What can go wrong, by the names that YAQL gives it.

use thiserror::Error;

use crate::value::Unhashable;

/// A text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ParseError {
    class: &'static str,
    message: String,
    position: Option<usize>,
}

impl ParseError {
    /// `YaqlLexicalException` or `YaqlGrammarException`, as YAQL calls it, or the name of a limit.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// What is wrong, in YAQL's words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it is wrong, in characters from the start; `None` if the text ends too early.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.position
    }

    pub(crate) fn new(class: &'static str, message: String, position: Option<usize>) -> ParseError {
        ParseError { class, message, position }
    }

    pub(crate) fn lexical(character: char, position: usize) -> ParseError {
        let message = format!("Lexical error: illegal character '{character}' at position {position}");
        ParseError::new("YaqlLexicalException", message, Some(position))
    }

    pub(crate) fn unexpected(token: &str, position: usize, expression: &str) -> ParseError {
        let message = format!("Parse error: unexpected '{token}' at position {position} of expression '{expression}'");
        ParseError::new("YaqlGrammarException", message, Some(position))
    }

    pub(crate) fn end() -> ParseError {
        ParseError::new("YaqlGrammarException", "Parse error: unexpected end of statement".to_owned(), None)
    }

    pub(crate) fn limit(message: String) -> ParseError {
        ParseError::new(EvaluationError::BUDGET, message, None)
    }
}

/// An expression that has no value for its input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EvaluationError {
    class: String,
    message: String,
}

impl EvaluationError {
    /// The class of errors by which an evaluation ends that needs more than a limit of [`crate::Limits`] allows.
    pub const BUDGET: &str = "BudgetExceededException";

    /// An error as a function of the host gives it: `class` is what YAQL would call an exception class.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> EvaluationError {
        EvaluationError { class: class.into(), message: message.into() }
    }

    /// The name of the exception that YAQL would raise: `NoMatchingFunctionException`, `KeyError` …
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// What is wrong, in YAQL's words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn of_type(message: impl Into<String>) -> EvaluationError {
        EvaluationError::new("TypeError", message)
    }

    pub(crate) fn of_value(message: impl Into<String>) -> EvaluationError {
        EvaluationError::new("ValueError", message)
    }

    pub(crate) fn overflow(message: impl Into<String>) -> EvaluationError {
        EvaluationError::new("OverflowError", message)
    }

    pub(crate) fn budget(message: impl Into<String>) -> EvaluationError {
        EvaluationError::new(EvaluationError::BUDGET, message)
    }

    /// What an empty collection gives for its first element.
    pub(crate) fn stop(message: impl Into<String>) -> EvaluationError {
        EvaluationError::new("StopIteration", message)
    }
}

impl From<Unhashable> for EvaluationError {
    fn from(error: Unhashable) -> EvaluationError {
        EvaluationError::of_type(error.to_string())
    }
}

/// A value that JSON cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a value of the kind \"{kind}\" has no JSON form: convert it in the expression, for example with toList() or str()"
)]
pub struct NotJson {
    /// The name of the kind: `set`, `datetime`, `function` …
    pub kind: &'static str,
}
