//! One CEL expression: parsed by the crate `cel`, checked by us, evaluated by the crate's interpreter.
//!
//! Where crate `cel` 0.15 departs from the language (the indexed engine of a later release replaces its
//! interpreter): `matches` there compiles its pattern at every call and lets it be any size, so ours
//! takes a literal, compiled once and limited; comprehensions there have no budget and go through maps
//! in a random order, so ours count their steps and go through maps in the order of their keys. Left
//! as it is: a `string()` of a double with an exponent, and the range of a `duration()`.

mod check;
mod compile;
mod error;
mod eval;
mod functions;
mod lex;
mod reads;
mod value;

pub use compile::CompileError;
pub(crate) use compile::{Mistake, Names, compile, on_parser_thread, position};
pub use error::EvalError;
pub(crate) use eval::Failure;
pub use eval::Scope;
pub(crate) use lex::outside_strings;
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
