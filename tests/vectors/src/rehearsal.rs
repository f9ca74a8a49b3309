//! Rehearsals: a workflow whose actions are mocked, and what is expected of it.

use anyhow::{Context, Result};
use petrel_workflow::conductor::Status;
use petrel_workflow::expression::{Dialect, Value as Data};
use petrel_workflow::rehearsal::orquesta::{Expected, Mock, play};
use petrel_workflow::rehearsal::{Stage, inspection_difference};
use petrel_workflow::{WorkflowSpec, inspect};
use serde_json::Value;

use crate::trace::{end_difference, reruns, start};

/// Runs the rehearsals of a row, each on what the one before has left, and says where one differs.
pub(crate) fn run(row: &Value) -> Result<Option<String>> {
    let rehearsals = row["rehearsals"].as_array().context("no rehearsals")?;
    let first = rehearsals.first().context("no rehearsal")?;
    let text = first["definition"].as_str().context("no definition")?;
    let spec = match WorkflowSpec::read_unversioned(text, Dialect::Orquesta) {
        Ok(spec) => spec,
        Err(error) => return Ok(Some(format!("rejected: {error}"))),
    };
    let inspection = &first["expected"]["inspection_errors"];
    if let Some(problem) = inspection_difference(inspection, &inspect(&spec, &[])) {
        return Ok(Some(problem));
    }
    if inspection.as_object().is_some_and(|errors| !errors.is_empty()) {
        return Ok(None);
    }
    let mut stage = match start(first)? {
        Ok(stage) => stage,
        Err(why) => return Ok(Some(format!("cannot be run: {why}"))),
    };
    for (number, rehearsal) in rehearsals.iter().enumerate() {
        if let Err(error) = rehearse(&mut stage, rehearsal, number == 0) {
            return Ok(Some(format!("rehearsal {number}: {error:#}")));
        }
        let end = stage.end();
        let problem = end_difference(&rehearsal["observed"], &end);
        let problem = problem.or_else(|| {
            let is_as_expected = rehearsal.get("rehearsal_error").is_none();
            let differences = is_as_expected.then(|| expected(&rehearsal["expected"]).differences(&end));
            differences?.into_iter().next().map(|difference| format!("not as the rehearsal expects, {difference}"))
        });
        if let Some(problem) = problem {
            return Ok(Some(format!("rehearsal {number}: {problem}")));
        }
    }
    Ok(None)
}

fn rehearse(stage: &mut Stage, rehearsal: &Value, is_first: bool) -> Result<()> {
    if is_first {
        stage.conductor.request(Status::Running)?;
    } else {
        stage.conductor.rerun(&reruns(&rehearsal["rerun_tasks"]))?;
    }
    let mocks = rehearsal["mock_action_executions"].as_array().into_iter().flatten();
    Ok(play(stage, &mocks.map(mock).collect::<Vec<_>>())?)
}

fn mock(row: &Value) -> Mock {
    let count = |field: &str| row[field].as_u64().and_then(|number| usize::try_from(number).ok());
    Mock {
        task: row["task_id"].as_str().unwrap_or_default().to_owned(),
        sequence: count("seq_id"),
        item: count("item_id"),
        times: row["num_iter"].as_u64().unwrap_or(1),
        status: row["status"].as_str().and_then(Status::of).unwrap_or(Status::Succeeded),
        result: Data::from(row["result"].clone()),
    }
}

fn expected(row: &Value) -> Expected {
    let given = |field: &str| row.get(field).filter(|value| !value.is_null()).cloned();
    let names = |field: &str| {
        let names = given(field)?;
        Some(names.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    Expected {
        sequence: names("task_sequence"),
        routes: given("routes"),
        terminal: names("term_tasks"),
        status: row["workflow_status"].as_str().map(str::to_owned),
        errors: given("errors"),
        output: given("output"),
    }
}
