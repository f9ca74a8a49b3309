//! Which kind a row is, and how it went.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{expression, rehearsal, spec, state, trace, yaql};

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As recorded.
    Passed,
    /// Otherwise; what was different.
    Failed(String),
    /// It says nothing about Petrel, for this reason.
    Skipped(&'static str),
}

/// Tags of cases in which Orquesta shares what it should have copied.
const SHARING: [&str; 2] = ["dict-leak", "persist-sensitive"];

/// Why a case is not counted in which data holds the text of an expression: Orquesta evaluates such, Petrel never does.
const EXPRESSION_IN_DATA: &str = "an expression in data, which Petrel never evaluates";

/// Runs one case.
///
/// # Errors
/// A row that is of no known kind, or lacks what its kind has.
pub fn run_case(row: &Value) -> Result<Outcome> {
    let features = row["features"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for feature in features {
        if let Some(reason) = SHARING.into_iter().find(|reason| *reason == feature) {
            return Ok(Outcome::Skipped(reason));
        }
    }
    let has = |field: &str| row.get(field).is_some();
    let problem = if has("steps") {
        trace::run(row)?
    } else if has("rehearsals") {
        rehearsal::run(row)?
    } else if has("kind") {
        state::run(row)?
    } else if has("op") {
        expression::run(row)?
    } else if has("engine") {
        yaql::run(row)?
    } else if has("definition") {
        spec::run(row)?
    } else {
        bail!("a row of no known kind");
    };
    Ok(match problem {
        None => Outcome::Passed,
        Some(_) if data_holds_expression(row) => Outcome::Skipped(EXPRESSION_IN_DATA),
        Some(problem) => Outcome::Failed(problem),
    })
}

/// Whether what a workflow is given, or what its tasks result in, holds the text of an expression.
fn data_holds_expression(row: &Value) -> bool {
    let events = row["steps"].as_array().into_iter().flatten().map(|step| &step["event"]);
    let results = events.flat_map(|event| [&event["result"], &event["accumulated_result"]]);
    let rehearsals = row["rehearsals"].as_array().into_iter().flatten();
    let rehearsed = rehearsals.flat_map(|one| [&one["inputs"], &one["mock_action_executions"]]);
    let is_workflow = row.get("steps").is_some() || row.get("rehearsals").is_some();
    let given = [&row["inputs"], &row["context"]].into_iter().filter(|_| is_workflow);
    let given_to_expression = [&row["context"]].into_iter().filter(|_| row["op"] == "evaluate");
    given.chain(results).chain(rehearsed).chain(given_to_expression).any(holds_expression)
}

fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("<%") || text.contains("{{") || text.contains("{%"),
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(entries) => entries.values().any(holds_expression),
        _ => false,
    }
}
