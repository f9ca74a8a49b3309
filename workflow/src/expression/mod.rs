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
