//! What people ask of workflows that run, are frozen, or are over.

use serde_json::{Map, Value, json};

use super::super::args::{FrozenTask, Output, TaskName};
use super::super::http::{Client, argument};
use super::super::{EXIT_USAGE, Failure, action, output};

/// Asks something of a workflow.
pub(super) fn order(id: &str, what: &str, body: &Value, client: &Client, format: Output) -> Result<(), Failure> {
    let answer = client.post(&["v1", "executions", id, what], body)?;
    match format {
        Output::Json => output::json(&answer),
        Output::Table => output::line(answer["message"].as_str().unwrap_or_default()),
    }
    Ok(())
}

/// The body of a resume.
pub(super) fn resume(set: &[String], variables: Option<&str>) -> Result<Value, Failure> {
    let variables = match variables {
        Some(text) => object("--variables", &json_of("--variables", text)?)?,
        None => action::parse(set)?,
    };
    Ok(if variables.is_empty() { json!({}) } else { json!({ "variables": variables }) })
}

/// The decision to try a task again.
pub(super) fn retry(task: FrozenTask, reset_items: bool, input: &[String]) -> Result<Value, Failure> {
    let mut merged = Map::new();
    for word in input {
        let more = match word.starts_with(['{', '@']) {
            true => object("--input", &json_of("--input", word)?)?,
            false => action::parse(std::slice::from_ref(word))?,
        };
        for (name, value) in more {
            if merged.contains_key(&name) {
                return Err(Failure::new(EXIT_USAGE, format!("--input gives {name} twice")));
            }
            merged.insert(name, value);
        }
    }
    about(task, json!({ "decision": "retry", "reset_items": reset_items, "input": merged }))
}

/// The decision to take a task as done.
pub(super) fn skip(task: FrozenTask, result: Option<&str>) -> Result<Value, Failure> {
    let result = result.map(|text| json_of("--result", text)).transpose()?;
    about(task, json!({ "decision": "skip", "result": result }))
}

/// The body of a rerun.
pub(super) fn rerun(tasks: Vec<TaskName>, reset_items: bool) -> Value {
    let tasks = tasks.into_iter().map(|TaskName { name, route }| {
        json!({ "task": name, "route": route.unwrap_or_default(), "reset_items": reset_items })
    });
    json!({ "tasks": tasks.collect::<Vec<_>>() })
}

fn about(FrozenTask { task, route }: FrozenTask, mut decision: Value) -> Result<Value, Failure> {
    let TaskName { name, route: named } = task;
    if named.is_some() && route.is_some() {
        return Err(Failure::new(EXIT_USAGE, "the route is given twice: in --task and as --route"));
    }
    decision["task"] = name.into();
    // The server knows on which routes the task has failed.
    if let Some(route) = named.or(route) {
        decision["route"] = route.into();
    }
    Ok(decision)
}

fn json_of(option: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_slice(&argument(text)?)
        .map_err(|error| Failure::new(EXIT_USAGE, format!("{option} is no JSON: {error}")))
}

fn object(option: &str, value: &Value) -> Result<Map<String, Value>, Failure> {
    let none = || Failure::new(EXIT_USAGE, format!("{option} takes a JSON object, name and value"));
    value.as_object().cloned().ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command, WorkflowCommand};

    /// What a command line sends: path and body.
    fn sent(words: &[&str]) -> Result<(&'static str, Value), String> {
        let line = ["petrel", "workflow"].iter().chain(words);
        let Command::Workflow(command) = Cli::try_parse_from(line).map_err(|e| e.to_string())?.command else {
            return Err("no workflow".to_owned());
        };
        let body = match command {
            WorkflowCommand::Resume { set, variables, .. } => ("resume", resume(&set, variables.as_deref())),
            WorkflowCommand::Retry { task, reset_items, input, .. } => ("decide", retry(task, reset_items, &input)),
            WorkflowCommand::Skip { task, result, .. } => ("decide", skip(task, result.as_deref())),
            WorkflowCommand::Rerun { tasks, reset_items, .. } => ("rerun", Ok(rerun(tasks, reset_items))),
            other => return Err(format!("{other:?}")),
        };
        Ok((body.0, body.1.map_err(|failure| failure.message)?))
    }

    #[test]
    fn what_is_typed_is_what_is_sent() {
        for (words, body) in [
            (&["resume", "x"][..], json!({})),
            (&["resume", "x", "--set", "a=1", "--set", "b=c"], json!({ "variables": { "a": 1, "b": "c" } })),
            (&["resume", "x", "--variables", "{\"a\": null}"], json!({ "variables": { "a": null } })),
            (
                &["retry", "x", "--task", "a"],
                json!({ "decision": "retry", "task": "a", "reset_items": false, "input": {} }),
            ),
            (
                &["retry", "x", "--task", "a~2", "--reset-items", "--input", "h=1", "--input", "{\"k\": [true]}"],
                json!({
                    "decision": "retry", "task": "a", "route": 2, "reset_items": true,
                    "input": { "h": 1, "k": [true] },
                }),
            ),
            (
                &["skip", "x", "--task", "a", "--route", "0"],
                json!({ "decision": "skip", "task": "a", "route": 0, "result": null }),
            ),
            (
                &["skip", "x", "--task", "a", "--result", "[1]"],
                json!({ "decision": "skip", "task": "a", "result": [1] }),
            ),
            (&["rerun", "x"], json!({ "tasks": [] })),
            (
                &["rerun", "x", "--task", "a", "--task", "b~1", "--reset-items"],
                json!({ "tasks": [
                    { "task": "a", "route": 0, "reset_items": true },
                    { "task": "b", "route": 1, "reset_items": true },
                ] }),
            ),
        ] {
            assert_eq!(sent(words).map(|(_, sent)| sent), Ok(body), "{words:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_sent() {
        for (words, why) in [
            (&["resume", "x", "--set", "a"][..], "name=value"),
            (&["resume", "x", "--variables", "[1]"], "JSON object"),
            (&["resume", "x", "--variables", "{"], "no JSON"),
            (&["resume", "x", "--variables", "{}", "--set", "a=1"], "cannot be used with"),
            (&["retry", "x"], "--task"),
            (&["retry", "x", "--task", "a~b"], "no number of a route"),
            (&["retry", "x", "--task", "~1"], "name of a task"),
            (&["retry", "x", "--task", "a~1", "--route", "1"], "twice"),
            (&["retry", "x", "--task", "a", "--input", "h=1", "--input", "{\"h\": 2}"], "twice"),
            (&["skip", "x", "--task", "a", "--result", "yes"], "no JSON"),
            (&["rerun", "x", "--reset-items"], "--task"),
        ] {
            let refused = sent(words).unwrap_err();
            assert!(refused.contains(why), "{words:?}: {refused}");
        }
    }

    #[test]
    fn a_decision_that_is_sent_is_one_that_is_read() {
        use petrel_execution::workflow::{Asked, Decision};
        let (path, body) = sent(&["retry", "x", "--task", "a~2", "--input", "h=1"]).unwrap();
        let input = Map::from_iter([("h".to_owned(), json!(1))]);
        let wanted = Decision::Retry { task: "a".to_owned(), route: 2, reset_items: false, input };
        assert_eq!((path, Asked::parse("decide", &body.to_string())), ("decide", Ok(Asked::Decide(wanted))));
        let (_, body) = sent(&["skip", "x", "--task", "a"]).unwrap();
        let wanted = Decision::Skip { task: "a".to_owned(), route: 0, result: Value::Null };
        assert_eq!(Asked::parse("decide", &body.to_string()), Ok(Asked::Decide(wanted)));
    }
}
