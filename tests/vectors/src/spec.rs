//! Inspections: what is wrong with a text.

use anyhow::{Context, Result};
use petrel_workflow::expression::Dialect;
use petrel_workflow::rehearsal::inspection_difference;
use petrel_workflow::{Definition, WorkflowSpec, inspect};
use serde_json::Value;

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
        Ok(spec) => Ok(inspection_difference(&row["errors"], &inspect(&spec, &known))),
        Err(error) => Ok(Some(format!("rejected: {error}"))),
    }
}
