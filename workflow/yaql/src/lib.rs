//! YAQL, the expression language of Orquesta's workflows: the language and the whole library of YAQL 3.2.
//!
//! An [`Engine`] reads texts into [`Expression`]s; an expression is evaluated with data (`$`), [`Variables`] (`$name`)
//! and a [`Host`], which has the functions that the engine was told of. Reading order: `value` (what an expression
//! computes with), `syntax` (from text to a tree), `function` (which function a call means), `evaluate` (from a tree
//! to a value), `library` (the functions).
//!
//! Semantics are those of the Python original, also where they surprise: a tuple equals no list, `/` of whole numbers
//! rounds down, `not(x)` is a call of a function `not`. What can be computed without an end, or in too much memory,
//! ends at one of the [`Limits`].
//!
//! Pure: no clock, no I/O, no random numbers but those that the host gives.

mod engine;
mod error;
mod evaluate;
mod function;
mod host;
mod library;
mod options;
mod syntax;
mod value;

pub use engine::{Engine, Expression};
pub use error::{EvaluationError, NotJson, ParseError};
pub use evaluate::Variables;
pub use function::SignatureError;
pub use host::{Arguments, Host, NoHost};
pub use options::{Dialect, Limits, Options};
pub use value::{DateTime, Dict, Key, List, ListKind, Set, Timespan, Unhashable, Value};
