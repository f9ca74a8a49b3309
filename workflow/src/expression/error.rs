//! How an expression fails, and what a validation finds.

use std::fmt;

/// The language of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `${…}`
    Cel,
    /// `{{ … }}` and `{% … %}`
    Jinja,
    /// `<% … %>`
    Yaql,
}

impl Language {
    /// The name that inspections report: `cel`, `jinja` or `yaql`.
    pub fn name(self) -> &'static str {
        match self {
            Language::Cel => "cel",
            Language::Jinja => "jinja",
            Language::Yaql => "yaql",
        }
    }

    /// The class of its evaluation errors, with which Orquesta begins the messages that it logs.
    fn evaluation_exception(self) -> &'static str {
        match self {
            Language::Cel => "CelEvaluationException",
            Language::Jinja => "JinjaEvaluationException",
            Language::Yaql => "YaqlEvaluationException",
        }
    }
}

/// An expression that could not be evaluated. `Display` is what a workflow's log says:
/// `YaqlEvaluationException: Unable to evaluate expression '<% … %>'. …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", language.evaluation_exception())]
pub struct EvaluationError {
    /// The language that the expression is written in.
    pub language: Language,
    /// The expression with its delimiters.
    pub expression: String,
    /// The message, without the class of the error; it names the expression.
    pub message: String,
}

impl EvaluationError {
    /// The name of the error's class in Orquesta, for example `JinjaEvaluationException`.
    pub fn class(&self) -> &'static str {
        self.language.evaluation_exception()
    }
}

/// A mistake in an expression's text, as an inspection reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The language, or none where a text mixes several.
    pub language: Option<Language>,
    /// The expression with its delimiters, or the whole text where the whole is wrong.
    pub expression: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in expression '{}'", self.message, self.expression)
    }
}
