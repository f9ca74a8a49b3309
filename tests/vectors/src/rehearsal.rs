//! Rehearsals: a workflow whose actions are mocked, and what is expected of it.

use anyhow::{Context, Result};
use petrel_workflow::WorkflowSpec;
use petrel_workflow::conductor::{Event, Status};
use petrel_workflow::expression::{Dialect, Value as Data};
use serde_json::{Value, json};

use crate::compare;
use crate::spec;
use crate::trace::{Host, end_difference, reruns};

/// One mocked result, with how often it can still be used.
struct Mock<'row> {
    row: &'row Value,
    left: u64,
}

/// The rounds of steps after which a rehearsal is given up.
const ROUNDS_MAX: usize = 10_000;

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
    if let Some(problem) = spec::difference(inspection, &spec, &[]) {
        return Ok(Some(problem));
    }
    if inspection.as_object().is_some_and(|errors| !errors.is_empty()) {
        return Ok(None);
    }
    let mut host = match Host::start(first)? {
        Ok(host) => host,
        Err(why) => return Ok(Some(format!("cannot be run: {why}"))),
    };
    for (number, rehearsal) in rehearsals.iter().enumerate() {
        let begun = if number == 0 {
            host.conductor.request(Status::Running)
        } else {
            host.conductor.rerun(&reruns(&rehearsal["rerun_tasks"]))
        };
        let begun = begun.map_err(anyhow::Error::from).and_then(|()| rehearse(&mut host, rehearsal));
        if let Err(error) = begun {
            return Ok(Some(format!("rehearsal {number}: {error:#}")));
        }
        let end = host.end();
        let problem = end_difference(&rehearsal["observed"], &end);
        let problem = problem.or_else(|| {
            if rehearsal.get("rehearsal_error").is_some() { None } else { unexpected(&rehearsal["expected"], &end) }
        });
        if let Some(problem) = problem {
            return Ok(Some(format!("rehearsal {number}: {problem}")));
        }
    }
    Ok(None)
}

/// Starts what is offered and ends it as mocked, until nothing is offered any more.
fn rehearse(host: &mut Host, rehearsal: &Value) -> Result<()> {
    let mocks = rehearsal["mock_action_executions"].as_array().into_iter().flatten();
    let mut mocks: Vec<Mock> = mocks.map(|row| Mock { row, left: row["num_iter"].as_u64().unwrap_or(1) }).collect();
    let mut results: std::collections::BTreeMap<String, Vec<Data>> = std::collections::BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let tasks = host.conductor.next_tasks();
        host.persist()?;
        if tasks.is_empty() {
            break;
        }
        let mut running = Vec::new();
        for task in &tasks {
            let event = Event::Action { status: Status::Running, result: Data::Null };
            host.conductor.update(&task.id, task.route, event)?;
            running.push((task, host.conductor.task_run_count() - 1));
        }
        for (task, sequence) in running {
            let has_items = host.conductor.definition().has_items(&task.id);
            let mock = choose(&mut mocks, &task.id, sequence);
            let status = mock.and_then(|row| row["status"].as_str()).and_then(Status::of);
            let status = status.unwrap_or(Status::Succeeded);
            let result: Data = mock.map_or(Value::Null, |row| row["result"].clone()).into();
            let event = if has_items {
                let done = results.entry(task.id.to_string()).or_default();
                let item = mock.and_then(|row| row["item_id"].as_u64());
                let item = item.and_then(|item| usize::try_from(item).ok()).unwrap_or(done.len());
                if item >= done.len() {
                    done.resize(item + 1, Data::Null);
                }
                done[item] = result.clone();
                let accumulated = Data::List(done.iter().cloned().collect());
                Event::Item { item, status, result, accumulated }
            } else {
                Event::Action { status, result }
            };
            host.conductor.update(&task.id, task.route, event)?;
        }
    }
    host.conductor.render_output();
    Ok(())
}

/// The first mock of the task for this place in the sequence; else the first one left of it, unless that has a place.
fn choose<'row>(mocks: &mut [Mock<'row>], task: &str, sequence: usize) -> Option<&'row Value> {
    let of_task = |mock: &Mock| mock.row["task_id"] == task && mock.left > 0;
    let placed = mocks.iter().position(|mock| of_task(mock) && mock.row["seq_id"] == sequence);
    let chosen = placed.or_else(|| mocks.iter().position(of_task).filter(|at| mocks[*at].row["seq_id"].is_null()))?;
    mocks[chosen].left -= 1;
    Some(mocks[chosen].row)
}

/// Where an end is not as the rehearsal expects it.
fn unexpected(expected: &Value, end: &Value) -> Option<String> {
    let with_route = |names: &Value| -> Value {
        let name = |name: &Value| {
            let name = name.as_str().unwrap_or_default();
            if name.contains("__r") { name.to_owned() } else { format!("{name}__r0") }
        };
        names.as_array().into_iter().flatten().map(name).map(Value::from).collect()
    };
    let expected = json!({
        "status": expected["workflow_status"],
        "sequence": with_route(&expected["task_sequence"]),
        "routes": expected["routes"],
        "errors": expected["errors"],
        "output": expected["output"],
        "terminal_tasks": if expected["term_tasks"].is_null() { Value::Null } else { with_route(&expected["term_tasks"]) },
    });
    for field in ["status", "sequence", "routes", "output"] {
        if !expected[field].is_null()
            && let Some(problem) = compare::difference(&expected[field], &end[field])
        {
            return Some(format!("not as the rehearsal expects, {field}: {problem}"));
        }
    }
    for field in ["errors", "terminal_tasks"] {
        if expected[field].is_null() {
            continue;
        }
        let (wanted, got) = if field == "errors" {
            (compare::errors(&expected[field]), compare::errors(&end[field]))
        } else {
            (expected[field].clone(), end[field].clone())
        };
        if let Some(problem) = compare::difference_of_sets(&wanted, &got) {
            return Some(format!("not as the rehearsal expects, {field}: {problem}"));
        }
    }
    None
}
