//! `petrel workflow validate|inspect|graph|test`: workflows without a server; the other words: with one.

mod decide;
mod file;
mod inspect;
mod tail;
mod test;

use std::path::PathBuf;

use petrel_catalog::{Problem, Revision};
use petrel_workflow::outline;
use serde_json::{Value, json};

use super::args::{ActionCommand, ActionRun, GraphFormat, Output, Runner, WorkflowCommand, WorkflowFile, WorkflowRun};
use super::http::Client;
use super::{EXIT_FAILED, EXIT_USAGE, Failure, action, output};
use crate::packs;
use file::SourceFile;

pub fn run(
    command: WorkflowCommand,
    client: &dyn Fn() -> Result<Client, Failure>,
    format: Output,
) -> Result<(), Failure> {
    match command {
        WorkflowCommand::Run(WorkflowRun { run, follow: false }) => {
            action::run(ActionCommand::Run(run), &client()?, format)
        }
        WorkflowCommand::Run(WorkflowRun { run, follow: true }) => followed(run, &client()?, format),
        WorkflowCommand::Tail { id, follow } => tail::run(&id, follow, &client()?, format),
        WorkflowCommand::Pause { id } => decide::order(&id, "pause", &json!({}), &client()?, format),
        WorkflowCommand::Resume { id, set, variables } => {
            decide::order(&id, "resume", &decide::resume(&set, variables.as_deref())?, &client()?, format)
        }
        WorkflowCommand::Retry { id, task, reset_items, input } => {
            decide::order(&id, "decide", &decide::retry(task, reset_items, &input)?, &client()?, format)
        }
        WorkflowCommand::Skip { id, task, result } => {
            decide::order(&id, "decide", &decide::skip(task, result.as_deref())?, &client()?, format)
        }
        WorkflowCommand::Rollback { id } => {
            decide::order(&id, "decide", &json!({ "decision": "rollback" }), &client()?, format)
        }
        WorkflowCommand::Rerun { id, tasks, reset_items } => {
            decide::order(&id, "rerun", &decide::rerun(tasks, reset_items), &client()?, format)
        }
        WorkflowCommand::Validate { paths, runner } => validate(&paths, runner, format),
        WorkflowCommand::Inspect { file, json } => inspect::run(&file, if json { Output::Json } else { format }),
        WorkflowCommand::Graph { file, format } => graph(&file, format),
        WorkflowCommand::Test { paths } => test::run(&paths, format),
    }
}

/// Runs it, and shows what its tasks come to.
fn followed(run: ActionRun, client: &Client, format: Output) -> Result<(), Failure> {
    let answer = action::request(run, client)?;
    let id = answer["execution_id"].as_str().unwrap_or_default();
    output::note(&format!("[execution {id}]"));
    tail::run(id, true, client, format)
}

fn validate(paths: &[PathBuf], runner: Option<Runner>, format: Output) -> Result<(), Failure> {
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.iter().cloned().partition(|path| path.is_dir());
    let mut problems: Vec<Problem> = Vec::new();
    let mut valid: Vec<String> = Vec::new();
    if !folders.is_empty() {
        let sources = packs::read(&folders).map_err(|e| Failure::new(EXIT_USAGE, format!("{e:#}")))?;
        match Revision::load(sources) {
            Ok(revision) => valid.extend(revision.compiled().workflow_names().map(str::to_owned)),
            Err(found) => problems.extend(found.as_slice().iter().cloned()),
        }
    }
    for path in &files {
        let file = SourceFile::read(path, runner)?;
        let found = file.problems();
        problems.extend(found.as_slice().iter().cloned());
        if found.is_empty() {
            valid.push(file.shown());
        }
    }
    told(&problems, &valid, format)
}

fn told(problems: &[Problem], valid: &[String], format: Output) -> Result<(), Failure> {
    if format == Output::Json {
        output::json(&json!({ "problems": problems, "valid": valid }));
        return if problems.is_empty() { Ok(()) } else { Err(Failure::new(EXIT_FAILED, "")) };
    }
    if problems.is_empty() {
        let list = if valid.is_empty() { "no workflows".to_owned() } else { valid.join(", ") };
        output::line(&format!("valid: {list}"));
        return Ok(());
    }
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(Failure::new(EXIT_FAILED, format!("{} {noun}\n{}", problems.len(), lines.join("\n"))))
}

fn graph(file: &WorkflowFile, format: GraphFormat) -> Result<(), Failure> {
    let source = SourceFile::read(&file.path, file.runner)?;
    let outline = source.spec()?.outline();
    match format {
        GraphFormat::Text => output::raw(outline::text(&outline).as_bytes()),
        GraphFormat::Dot => output::raw(outline::dot(&outline).as_bytes()),
        GraphFormat::Mermaid => output::raw(outline::mermaid(&outline).as_bytes()),
        GraphFormat::Json => output::json(&outline::json(&outline)),
    }
    if !source.problems().is_empty() {
        output::note(&format!("not all of it is right: petrel workflow validate {} says what is not", source.shown()));
    }
    Ok(())
}

/// A list of names for people.
fn names(values: &Value) -> String {
    let names: Vec<&str> = values.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(", ")
}
