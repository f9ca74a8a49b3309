//! A value with expressions in it, compiled once.

use super::{EvaluationError, Language, Problem, Scope, Value};

/// Which languages a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Orquesta's: YAQL and Jinja. A text that holds both is Jinja; `${…}` is plain text, as shells write it.
    Orquesta,
    /// Native: CEL, YAQL and Jinja, one of them in each text.
    Native,
}

/// A JSON-like value that may hold expressions anywhere: in its strings, in lists, in the values and keys of maps.
/// Compiled once, evaluated often. A mistake in an expression is kept and is the error of its evaluation.
#[derive(Debug, Clone)]
pub struct Template {
    source: Value,
}

/// A variable that an expression names, as inspections of contexts ask for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// The name, for example `foo` of `ctx().foo.bar`.
    pub name: String,
    /// The language of the expression.
    pub language: Language,
    /// The whole text that the expression stands in.
    pub text: String,
}

impl Template {
    /// Compiles a value.
    pub fn compile(source: &Value, _dialect: Dialect) -> Template {
        Template { source: source.clone() }
    }

    /// The value that it was compiled of.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether anything has to be evaluated.
    pub fn has_expressions(&self) -> bool {
        unimplemented!()
    }

    /// The mistakes in its expressions, as Orquesta reports them, in the order of the value.
    pub fn problems(&self) -> Vec<Problem> {
        unimplemented!()
    }

    /// The variables that its expressions name, sorted by name, each once for each text.
    pub fn variables(&self) -> Vec<Variable> {
        unimplemented!()
    }

    /// The value with every expression replaced by what it yields. A string that is exactly one expression becomes what
    /// that yields, whatever its type; else results become text as Python's `str()` writes them.
    pub fn evaluate(&self, _scope: &Scope) -> Result<Value, EvaluationError> {
        unimplemented!()
    }

    /// As [`Template::evaluate`], for conditions: whether Python takes the result as true.
    pub fn is_true(&self, scope: &Scope) -> Result<bool, EvaluationError> {
        self.evaluate(scope).map(|value| value.is_true())
    }
}
