//! Errors in Jinja's words: the class of the exception and its text.

use minijinja::{Error, ErrorKind};

use crate::expression::FunctionError;
use crate::expression::limits::{EXPRESSION_OUTPUT_BYTES_MAX, EXPRESSION_STEPS_MAX};
use crate::expression::python::quoted;

/// Why an expression yields nothing. `Display` is the class of Python's exception and its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub(in crate::expression) struct Failure {
    pub class: &'static str,
    pub message: String,
}

impl Failure {
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Failure { class, message: message.into() }
    }

    /// A text that Jinja's grammar refuses.
    pub fn syntax(message: String) -> Self {
        Failure::new("TemplateSyntaxError", message)
    }

    /// A result over the limit.
    pub fn too_long() -> Self {
        Failure::new("MemoryError", format!("the text would be longer than {EXPRESSION_OUTPUT_BYTES_MAX} bytes"))
    }

    /// What the engine failed with.
    pub fn of(error: &Error) -> Self {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(function) = cause.downcast_ref::<FunctionError>() {
                return Failure::new(function.class, function.message.clone());
            }
            if let Some(failure) = cause.downcast_ref::<Failure>() {
                return failure.clone();
            }
            source = cause.source();
        }
        let detail = error.detail().unwrap_or_default();
        let text = if detail.is_empty() { error.kind().to_string() } else { detail.to_owned() };
        match error.kind() {
            ErrorKind::UndefinedError => Failure::new("UndefinedError", undefined(detail)),
            ErrorKind::UnknownFunction => {
                let name = detail.split_whitespace().next().unwrap_or_default().trim_matches('`');
                Failure::new("UndefinedError", format!("{} is undefined", quoted(name)))
            }
            ErrorKind::UnknownMethod => Failure::new("UndefinedError", text),
            ErrorKind::UnknownFilter => Failure::new("TemplateAssertionError", text),
            ErrorKind::UnknownTest => Failure::new("TemplateAssertionError", text),
            ErrorKind::SyntaxError | ErrorKind::BadEscape => Failure::syntax(text),
            ErrorKind::OutOfFuel => {
                Failure::new("RuntimeError", format!("it takes more than {EXPRESSION_STEPS_MAX} steps"))
            }
            ErrorKind::CannotUnpack => Failure::new("ValueError", text),
            _ => Failure::new("TypeError", text),
        }
    }

    /// The same as an error of the engine, out of which [`Failure::of`] takes it again.
    pub fn into_error(self) -> Error {
        Error::new(ErrorKind::InvalidOperation, self.message.clone()).with_source(self)
    }
}

/// Jinja's text of what is not there, from the engine's, which names the expression: `` `ctx().y` is undefined``.
fn undefined(detail: &str) -> String {
    let named = detail.split('`').nth(1).unwrap_or_default();
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    match named.rsplit_once('.') {
        Some((_, attribute)) if is_name(attribute) => format!("'dict object' has no attribute {}", quoted(attribute)),
        _ if is_name(named) => format!("{} is undefined", quoted(named)),
        _ if detail.is_empty() => "an undefined value is used".to_owned(),
        _ => detail.to_owned(),
    }
}
