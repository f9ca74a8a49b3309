//! Why expressions do not compile, and why they have no value.

use std::fmt;

use crate::compile::Mistake;
use crate::fault::Fault;
use crate::limits::ERROR_TEXT_BYTES_MAX;

/// A mistake in an expression or a template, or a warning about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// Where the expression stands: the rule's reference for a criterion, a JSON pointer
    /// (`/parameters/host`) for a template.
    pub at: String,
    /// Line inside that text, from 1.
    pub line: u32,
    /// Column inside that text, in characters, from 1.
    pub column: u32,
    /// What is wrong, for people, with a suggestion where there is one.
    pub message: String,
}

impl CompileError {
    /// A mistake in `source`, which stands at `at`.
    pub fn new(at: &str, source: &str, mistake: Mistake) -> Self {
        let (line, column) = position(source, mistake.offset);
        Self { at: at.to_owned(), line, column, message: mistake.message }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.at, self.line, self.column, self.message)
    }
}

impl std::error::Error for CompileError {}

/// Line and column, from 1, of a character's offset.
fn position(source: &str, offset: usize) -> (u32, u32) {
    let (mut line, mut column) = (1, 1);
    for c in source.chars().take(offset) {
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    (line, column)
}

/// Why a criterion or a parameter has no value.
///
/// The text is for people; it is the same for the same event and holds no values of the event, which may
/// be secret. The code is stable: those of [`Fault::code`], and `not_json`.
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
}

impl From<Fault<'_>> for EvalError {
    fn from(fault: Fault<'_>) -> Self {
        Self::new(fault.code(), fault.to_string())
    }
}
