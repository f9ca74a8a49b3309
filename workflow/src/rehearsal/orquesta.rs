//! Orquesta's rehearsals: mocked results in a list, and the sequence of tasks that is expected.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::stage::{Stage, StageError};
use super::{compare, inspection_difference};
use crate::conductor::{Event, Start, Status};
use crate::definition::Definition;
use crate::expression::{List, Value as Data};
use crate::inspect::inspect;
use crate::limits::REHEARSAL_ROUNDS_MAX;
use crate::spec::WorkflowSpec;

/// One mocked result of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Mock {
    /// The task.
    pub task: String,
    /// Its place in the sequence of tasks, from 0, if it is for one place alone.
    pub sequence: Option<usize>,
    /// The number of the item, of a task with items; without one the next that has no result.
    pub item: Option<usize>,
    /// How often it can be used.
    pub times: u64,
    /// How it ends.
    pub status: Status,
    /// What it results in.
    pub result: Data,
}

/// What is expected once nothing is offered any more; what is none is not looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// Names in the order in which they began, with `__r` and a route or, of route 0, without.
    pub sequence: Option<Vec<String>>,
    /// The routes.
    pub routes: Option<Value>,
    /// Names of the tasks that nothing comes behind, as in `sequence`.
    pub terminal: Option<Vec<String>>,
    /// The workflow's status.
    pub status: Option<String>,
    /// Its errors, in Orquesta's form.
    pub errors: Option<Value>,
    /// Its output.
    pub output: Option<Value>,
}

/// A whole rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// The workflow's parameters, a JSON object.
    pub inputs: Value,
    /// The findings of its inspection, in Orquesta's form; if there are any, nothing is run.
    pub inspection: Value,
    /// The mocked results.
    pub mocks: Vec<Mock>,
    /// What is expected.
    pub expected: Expected,
}

/// Runs a rehearsal of a workflow, and says where it differs: a line each, and then the sequence that was taken. None if
/// nothing differs.
pub fn rehearse(spec: &WorkflowSpec, known: &[&str], rehearsal: &Rehearsal) -> Vec<String> {
    let inspection = inspect(spec, known);
    if let Some(difference) = inspection_difference(&rehearsal.inspection, &inspection) {
        return vec![format!("inspection, {difference}")];
    }
    if rehearsal.inspection.as_object().is_some_and(|errors| !errors.is_empty()) {
        return Vec::new();
    }
    let mocked = rehearsal.mocks.iter().map(|mock| &mock.task);
    let absent: Vec<String> = mocked.filter(|task| !spec.tasks.contains_key(task.as_str())).cloned().collect();
    if !absent.is_empty() {
        return absent.iter().map(|task| format!("the workflow has no task {task:?}, which is mocked")).collect();
    }
    match begin(spec, &rehearsal.inputs).and_then(|mut stage| play(&mut stage, &rehearsal.mocks).map(|()| stage.end()))
    {
        Err(error) => vec![error.to_string()],
        Ok(end) => {
            let mut differences = rehearsal.expected.differences(&end);
            if !differences.is_empty() {
                let names = end["sequence"].as_array().into_iter().flatten().filter_map(Value::as_str);
                differences.push(format!("it went {}", names.collect::<Vec<_>>().join(" → ")));
            }
            differences
        }
    }
}

/// A workflow that has begun with these parameters.
fn begin(spec: &WorkflowSpec, inputs: &Value) -> Result<Stage, StageError> {
    let definition = Definition::compile(spec).map_err(StageError::NotRunnable)?;
    let inputs = Data::from(inputs.clone()).as_map().cloned().unwrap_or_default();
    let mut stage = Stage::set(Arc::new(definition), Start { inputs, ..Start::default() })?;
    stage.conductor.request(Status::Running)?;
    Ok(stage)
}

/// Starts what is offered and ends it as mocked, in rounds, until nothing is offered any more.
///
/// # Errors
/// What the conductor refuses, and [`REHEARSAL_ROUNDS_MAX`].
pub fn play(stage: &mut Stage, mocks: &[Mock]) -> Result<(), StageError> {
    let mut left: Vec<u64> = mocks.iter().map(|mock| mock.times).collect();
    let mut results: BTreeMap<String, Vec<Data>> = BTreeMap::new();
    for _ in 0..REHEARSAL_ROUNDS_MAX {
        let tasks = stage.conductor.next_tasks();
        stage.persist()?;
        if tasks.is_empty() {
            stage.conductor.render_output();
            return Ok(());
        }
        let mut running = Vec::new();
        for task in &tasks {
            let event = Event::Action { status: Status::Running, result: Data::Null };
            stage.conductor.update(&task.id, task.route, event)?;
            running.push((task, stage.conductor.task_run_count() - 1));
        }
        for (task, sequence) in running {
            let has_items = stage.conductor.definition().has_items(&task.id);
            let mock = choose(mocks, &mut left, &task.id, sequence);
            let status = mock.map_or(Status::Succeeded, |mock| mock.status);
            let result = mock.map(|mock| mock.result.clone()).unwrap_or_default();
            let event = if has_items {
                let done = results.entry(task.id.to_string()).or_default();
                let item = mock.and_then(|mock| mock.item).unwrap_or(done.len());
                if item >= done.len() {
                    done.resize(item + 1, Data::Null);
                }
                done[item] = result.clone();
                let accumulated = Data::List(done.iter().cloned().collect::<List>());
                Event::Item { item, status, result, accumulated }
            } else {
                Event::Action { status, result }
            };
            stage.conductor.update(&task.id, task.route, event)?;
        }
    }
    Err(StageError::TooLong { count: REHEARSAL_ROUNDS_MAX, what: "rounds", limit: "REHEARSAL_ROUNDS_MAX" })
}

/// The first mock of the task for this place in the sequence; else the first one left of it, unless that has a place.
fn choose<'m>(mocks: &'m [Mock], left: &mut [u64], task: &str, sequence: usize) -> Option<&'m Mock> {
    let is_left = |at: &usize| mocks[*at].task == task && left[*at] > 0;
    let placed = (0..mocks.len()).find(|at| is_left(at) && mocks[*at].sequence == Some(sequence));
    let first = || (0..mocks.len()).find(is_left).filter(|at| mocks[*at].sequence.is_none());
    let chosen = placed.or_else(first)?;
    left[chosen] -= 1;
    Some(&mocks[chosen])
}

impl Expected {
    /// Where an end, as [`Stage::end`] has it, is not as expected: a line each.
    pub fn differences(&self, end: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, expected: Option<Value>, field: &str| {
            let difference = expected.and_then(|expected| compare::difference(&expected, &end[field]));
            differences.extend(difference.map(|difference| format!("{what}: {difference}")));
        };
        compare("status", self.status.as_deref().map(Value::from), "status");
        compare("sequence", self.sequence.as_deref().map(with_routes), "sequence");
        compare("routes", self.routes.clone(), "routes");
        compare("output", self.output.clone(), "output");
        let sets = [
            ("errors", self.errors.as_ref().map(compare::errors), compare::errors(&end["errors"])),
            ("terminal_tasks", self.terminal.as_deref().map(with_routes), end["terminal_tasks"].clone()),
        ];
        for (what, expected, got) in sets {
            let difference = expected.and_then(|expected| compare::difference_of_sets(&expected, &got));
            differences.extend(difference.map(|difference| format!("{what}: {difference}")));
        }
        differences
    }
}

fn with_routes(names: &[String]) -> Value {
    let name = |name: &String| if name.contains("__r") { name.clone() } else { format!("{name}__r0") };
    names.iter().map(name).map(Value::from).collect()
}
