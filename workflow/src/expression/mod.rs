//! Expressions of workflows: `<% YAQL %>`, `{{ Jinja }}` and, in native workflows, `${CEL}`.
//!
//! Reading order: `value` (what a workflow computes with), `scope` (what an expression sees), `template` (a value
//! with expressions in it, compiled once), `error` (how one fails, and what a validation finds), `limits`.
//!
//! What an expression yields is data and is never evaluated, whatever text it holds: Orquesta evaluates it again,
//! which lets an event or the output of an action run expressions.

mod accessor;
mod cel;
mod compiled;
mod error;
mod functions;
mod jinja;
pub mod limits;
mod python;
mod scope;
mod template;
mod text;
mod value;
mod variables;
mod yaql;

pub use error::{EvaluationError, Language, Problem};
pub use functions::{FunctionError, call_function};
pub use scope::{CurrentTask, NoTasks, Scope, Tasks, Variables};
pub use template::{Dialect, Template, Variable};
pub use value::{List, Map, Value};

/// The references to variables in the expressions of a text, as far as one is written without a space, sorted, each
/// once: `ctx().foo.bar`, `ctx(foo)[0]`.
pub fn references(text: &str, language: Language) -> Vec<String> {
    let delimiters = compiled::delimiters(language);
    let inside = text::expressions(text, delimiters).map(|expression| text::stripped(expression, delimiters));
    let mut references: Vec<String> = inside.flat_map(variables::references).collect();
    references.sort();
    references.dedup();
    references
}

#[cfg(test)]
mod tests;
