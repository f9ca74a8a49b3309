//! Inspections: what is wrong with a text.

use anyhow::{Context, Result};
use petrel_workflow::expression::Dialect;
use petrel_workflow::{Definition, Finding, WorkflowSpec, inspect};
use serde_json::{Value, json};

use crate::compare::difference_of_sets;

/// Runs an inspection, and says where it differs.
pub(crate) fn run(row: &Value) -> Result<Option<String>> {
    let text = row["definition"].as_str().context("no definition")?;
    let app_context = row["app_context"].as_object();
    let known: Vec<&str> = app_context.into_iter().flat_map(|context| context.keys().map(String::as_str)).collect();
    // What was inspected need not have a version; only who reads a whole file asks for one.
    let spec = if row.get("exception").is_some() {
        WorkflowSpec::read(text, Dialect::Orquesta)
    } else {
        WorkflowSpec::read_unversioned(text, Dialect::Orquesta)
    };
    if let Some(exception) = row.get("exception") {
        let rejected = match &spec {
            Ok(spec) => !inspect(spec, &known).is_clean() || Definition::compile(spec).is_err(),
            Err(_) => true,
        };
        return Ok((!rejected).then(|| format!("not rejected, expected {exception}")));
    }
    match spec {
        Ok(spec) => Ok(difference(&row["errors"], &spec, &known)),
        Err(error) => Ok(Some(format!("rejected: {error}"))),
    }
}

/// Where the findings of an inspection differ from those recorded.
pub(crate) fn difference(expected: &Value, spec: &WorkflowSpec, known: &[&str]) -> Option<String> {
    let found = inspect(spec, known);
    let kinds = [
        ("syntax", &found.syntax),
        ("semantics", &found.semantics),
        ("expressions", &found.expressions),
        ("context", &found.context),
    ];
    for (kind, findings) in kinds {
        let expected = expected[kind].as_array().into_iter().flatten().map(|error| comparable(kind, error));
        let got = findings.iter().map(|finding| comparable(kind, &finding_json(finding)));
        let problem = difference_of_sets(&distinct(expected), &distinct(got));
        if let Some(problem) = problem {
            return Some(format!("{kind}: {problem}"));
        }
    }
    None
}

fn distinct(errors: impl Iterator<Item = Value>) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for error in errors {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    distinct.into()
}

/// An error without what only Python says in these words: the message about what breaks the schema.
fn comparable(kind: &str, error: &Value) -> Value {
    let message = if kind == "syntax" { Value::Null } else { error["message"].clone() };
    let path = |field: &str| error[field].as_str().filter(|path| !path.is_empty()).map(str::to_owned);
    json!({
        "type": error["type"],
        "expression": error["expression"],
        "message": message,
        "spec_path": path("spec_path"),
        "schema_path": path("schema_path"),
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "type": finding.language.map(|language| language.name()),
        "expression": finding.expression,
        "message": finding.message,
        "spec_path": finding.spec_path,
        "schema_path": finding.schema_path,
    })
}
