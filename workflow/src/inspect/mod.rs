//! What is wrong with a workflow's text, as Orquesta reports it: syntax, semantics, expressions and context.

mod context;
mod expressions;
mod native;
mod schema;
mod semantics;
mod syntax;

use std::sync::Arc;

use crate::expression::Language;
use crate::spec::WorkflowSpec;
use crate::yaml::At;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The language of the expression that is wrong; none where no single one is.
    pub language: Option<Language>,
    /// The expression that is wrong; none where it is not an expression.
    pub expression: Option<String>,
    /// What is wrong.
    pub message: String,
    /// Which part of the workflow, for example `tasks.t1.next[0].do`; empty for the whole.
    pub spec_path: String,
    /// Which part of the schema, for example `properties.tasks.patternProperties.^\w+$`.
    pub schema_path: String,
    /// Where that part stands in the text.
    pub at: At,
    /// The keys that nobody knows there, if that is what is wrong.
    pub unexpected: Option<Unexpected>,
}

/// Keys that nobody knows where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unexpected {
    /// The keys, as people write them.
    pub keys: Vec<Arc<str>>,
    /// The keys that there are.
    pub known: Vec<&'static str>,
    /// Of a workflow in Orquesta's dialect, the keys that there are in native ones beside them.
    pub native: &'static [&'static str],
}

/// Everything that is wrong with a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What breaks the schema of workflows, native keys included.
    pub syntax: Vec<Finding>,
    /// Tasks that are not defined, not reachable, named like commands, or nothing to start with.
    pub semantics: Vec<Finding>,
    /// Expressions that do not parse.
    pub expressions: Vec<Finding>,
    /// Variables that nobody has assigned where they are used.
    pub context: Vec<Finding>,
    /// Joins that can never be met, which Orquesta finds only when it has run.
    pub joins: Vec<Finding>,
}

impl Inspection {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings().next().is_none()
    }

    /// All findings, with the name of their kind.
    pub fn findings(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        let kinds = [
            ("syntax", &self.syntax),
            ("semantics", &self.semantics),
            ("expressions", &self.expressions),
            ("context", &self.context),
            ("joins", &self.joins),
        ];
        kinds.into_iter().flat_map(|(kind, findings)| findings.iter().map(move |finding| (kind, finding)))
    }
}

/// Inspects a workflow. `known` are names of variables that the one who starts it brings along.
pub fn inspect(spec: &WorkflowSpec, known: &[&str]) -> Inspection {
    let mut syntax = syntax::inspect(spec);
    syntax.extend(native::inspect(spec));
    Inspection {
        syntax,
        semantics: semantics::inspect(spec),
        expressions: expressions::inspect(spec),
        context: context::inspect(spec, known),
        joins: semantics::unmet_joins(spec),
    }
}

/// The schema's part that all tasks are of.
const TASK_SCHEMA: &str = r"properties.tasks.patternProperties.^\w+$";

fn finding(spec: &WorkflowSpec, message: String, spec_path: String, schema_path: String) -> Finding {
    let at = spec.place(&spec_path);
    Finding { language: None, expression: None, message, spec_path, schema_path, at, unexpected: None }
}

#[cfg(test)]
mod tests;
