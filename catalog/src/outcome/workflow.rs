//! Runs the tests of workflows: on a clock of their own, with mocked actions.

use std::sync::Arc;

use petrel_execution::runner::WorkflowLanguage;
use petrel_workflow::expression::Dialect;
use petrel_workflow::rehearsal::orquesta::{Rehearsal, rehearse};
use petrel_workflow::rehearsal::{Scenario, Tests, test};
use petrel_workflow::{Definition, WorkflowSpec};
use serde_json::Value;

use super::{TestOutcome, Tested};
use crate::compile::CompiledRevision;
use crate::pack::{WorkflowTestDraft, at_of, dialect_of, known, read_tests};
use crate::problems::{At, Code, Place, Problems};

/// The outcomes of a file of tests.
pub(super) fn run(revision: &CompiledRevision, draft: &WorkflowTestDraft) -> Vec<TestOutcome> {
    match &draft.file.tests {
        Tests::Scenarios(scenarios) => {
            let one = |(index, scenario): (usize, &Scenario)| TestOutcome {
                tested: Tested::Workflow,
                subject: draft.file.workflow.clone(),
                index,
                name: scenario.name.clone().unwrap_or_else(|| format!("#{}", index + 1)),
                place: Place { path: draft.path.clone(), at: at_of(scenario.at) },
                failure: failure(&run_scenario(revision, &draft.file.workflow, scenario)),
            };
            scenarios.iter().enumerate().map(one).collect()
        }
        Tests::Rehearsal(rehearsal) => {
            let Some((path, text)) = &draft.rehearsed else { return Vec::new() };
            vec![rehearsed(draft.path.clone(), path, text, rehearsal)]
        }
    }
}

/// The differences as one text; nothing if there is none.
fn failure(differences: &[String]) -> Option<String> {
    (!differences.is_empty()).then(|| differences.join("\n"))
}

fn run_scenario(revision: &CompiledRevision, reference: &str, scenario: &Scenario) -> Vec<String> {
    let (Some(action), Some(workflow)) = (revision.action(reference), revision.workflows().get(reference)) else {
        return vec![format!("there is no workflow {reference:?}")];
    };
    let inputs = match action.resolve_parameters(&Value::Object(scenario.inputs.clone())) {
        Ok(Value::Object(inputs)) => inputs,
        Ok(_) => return vec!["the inputs are no mapping".to_owned()],
        Err(error) => return vec![error.to_string()],
    };
    match Definition::read(&workflow.text, workflow.dialect) {
        Ok(definition) => test(&Arc::new(definition), &Scenario { inputs, ..scenario.clone() }),
        Err(error) => vec![error.to_string()],
    }
}

fn rehearsed(path: Arc<str>, workflow: &str, text: &str, rehearsal: &Rehearsal) -> TestOutcome {
    let differences = match WorkflowSpec::read(text, Dialect::Orquesta) {
        Ok(spec) => rehearse(&spec, known(dialect_of(WorkflowLanguage::Orquesta)), rehearsal),
        Err(error) => vec![format!("{workflow}:{error}")],
    };
    TestOutcome {
        tested: Tested::Workflow,
        subject: workflow.to_owned(),
        index: 0,
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        place: Place { path, at: At::START },
        failure: failure(&differences),
    }
}

/// Runs one of Orquesta's rehearsals that is in no pack. `read` has the text of the workflow that it names.
///
/// # Errors
/// All that is wrong in the file, or that there is no such workflow.
pub fn rehearse_file(
    path: &str,
    text: &str,
    read: impl FnOnce(&str) -> Option<String>,
) -> Result<TestOutcome, Problems> {
    let mut problems = Problems::new();
    let file = read_tests(path, text, &mut problems);
    let Some(file) = file else { return Err(problems) };
    let at = at_of(file.workflow_at);
    let Tests::Rehearsal(rehearsal) = &file.tests else {
        let message = "this names an action of a pack: run the tests of its pack's folder";
        problems.add_at(path, at, Code::BadValue, message);
        return Err(problems);
    };
    match read(&file.workflow) {
        Some(workflow) => Ok(rehearsed(path.into(), &file.workflow, &workflow, rehearsal)),
        None => {
            problems.add_at(path, at, Code::UnknownReference, format!("there is no file {}", file.workflow));
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests;
