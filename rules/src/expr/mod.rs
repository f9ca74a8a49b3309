//! One CEL expression: parsed by the crate `cel`, checked by us, evaluated by the crate's interpreter.
//!
//! Where crate `cel` 0.15 departs from the language, or has no limit, we put functions of our own in:
//! `matches` compiles its pattern at every call there, so ours takes a literal, compiled once and limited;
//! comprehensions have no budget there and go through maps in a random order, so ours count their steps
//! and go through maps in the order of their keys; `has` of a scalar's field is an error there; and
//! `timestamp` takes more than RFC 3339, with accessors that answer in the text's own offset.
//! Left as they are: no protobuf messages and types, no optional syntax, no backtick identifiers, no
//! extension libraries. A step of a comprehension may copy a value of the event: steps are limited, the
//! bytes that they build are not.

mod check;
mod compile;
mod error;
mod eval;
mod functions;
mod lex;
mod quick;
mod reads;
mod value;

pub use compile::CompileError;
pub(crate) use compile::{Mistake, Names, compile, on_parser_thread, position};
pub use error::EvalError;
pub(crate) use eval::Failure;
pub use eval::Scope;
pub(crate) use lex::outside_strings;
pub(crate) use quick::{Quick, Slots};
pub(crate) use reads::Reads;
pub(crate) use value::{to_json, to_text};

use cel::parser::Expression;
use functions::Pattern;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expr {
    ast: Expression,
    /// Patterns of `matches`, by the number in their name.
    patterns: Vec<Pattern>,
    reads: Reads,
}

impl Expr {
    /// What it reads of `trigger`.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }
}

#[cfg(test)]
mod tests;
