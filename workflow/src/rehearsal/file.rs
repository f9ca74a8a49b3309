//! Tests of a workflow as they stand in a file of a pack: scenarios, or one of Orquesta's rehearsals as it is.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::decisions;
use super::orquesta::{Expected, Mock as RehearsalMock, Rehearsal};
use super::reader::{Reader, entry};
use super::scenario::{Expect, ExpectedCall, ExpectedError, Mock, Scenario};
use crate::conductor::Status;
use crate::expression::{Map, Value};
use crate::yaml::{At, parse};

/// The tests of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct TestFile {
    /// The workflow: the reference of an action or, of a rehearsal, the path of a file.
    pub workflow: String,
    /// Where that stands.
    pub workflow_at: At,
    /// Its tests.
    pub tests: Tests,
}

/// What kind of tests they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Tests {
    /// Petrel's.
    Scenarios(Vec<Scenario>),
    /// Orquesta's.
    Rehearsal(Box<Rehearsal>),
}

/// Something that is wrong in a file of tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}", line = at.line, column = at.column)]
pub struct Mistake {
    /// Where.
    pub at: At,
    /// What.
    pub message: String,
}

const FILE: [&str; 8] = ["workflow", "tests", "name", "inputs", "context", "mocks", "decisions", "expect"];
const SCENARIO: [&str; 6] = ["name", "inputs", "context", "mocks", "decisions", "expect"];
const MOCK: [&str; 6] = ["status", "result", "answer", "takes", "items", "attempts"];
const EXPECT: [&str; 6] = ["status", "output", "path", "calls", "errors", "takes"];
const CALL: [&str; 4] = ["task", "item", "action", "input"];
const ERROR: [&str; 2] = ["task", "message"];
const REHEARSAL: [&str; 10] = [
    "workflow",
    "inputs",
    "expected_inspection_errors",
    "expected_routes",
    "expected_task_sequence",
    "mock_action_executions",
    "expected_term_tasks",
    "expected_workflow_status",
    "expected_errors",
    "expected_output",
];
const REHEARSAL_MOCK: [&str; 8] = ["task_id", "route", "seq_id", "item_id", "iter_id", "num_iter", "status", "result"];

/// Reads a file of tests.
///
/// # Errors
/// All that is wrong in it.
pub fn read(text: &str) -> Result<TestFile, Vec<Mistake>> {
    let document = parse(text).map_err(|error| vec![Mistake { at: error.at, message: error.message }])?;
    let mut reader = Reader::new(&document);
    let file = read_file(&mut reader, &document.value);
    match file {
        Some(file) if reader.mistakes.is_empty() => Ok(file),
        _ => Err(reader.mistakes),
    }
}

fn read_file<'d>(reader: &mut Reader<'d>, value: &'d Value) -> Option<TestFile> {
    let is_rehearsal = value.as_map().is_some_and(|map| {
        map.iter().any(|(key, _)| key.starts_with("expected_") || &**key == "mock_action_executions")
    });
    let known: &[&str] = if is_rehearsal { &REHEARSAL } else { &FILE };
    let map = reader.mapping(value, "", "a file of tests", known)?;
    let workflow = reader.text(map, "", "workflow").map(str::to_owned);
    if workflow.is_none() && map.get("workflow").is_none() {
        reader.wrong("", "a file of tests needs \"workflow\"");
    }
    let tests = if is_rehearsal {
        Tests::Rehearsal(Box::new(rehearsal(reader, map)))
    } else {
        Tests::Scenarios(scenarios(reader, map))
    };
    Some(TestFile { workflow: workflow?, workflow_at: reader.at("workflow"), tests })
}

/// The tests of a list, or the one that the file is.
fn scenarios<'d>(reader: &mut Reader<'d>, map: &'d Map) -> Vec<Scenario> {
    if map.get("tests").is_none() {
        return vec![scenario(reader, map, "")];
    }
    for key in SCENARIO.into_iter().filter(|key| map.get(key).is_some()) {
        reader.wrong(key, format!("{key:?} is of one test: write it into \"tests\""));
    }
    let mut scenarios = Vec::new();
    for (number, value) in reader.list(map, "", "tests").unwrap_or_default().iter().enumerate() {
        let path = format!("tests[{number}]");
        if let Some(map) = reader.mapping(value, &path, "a test", &SCENARIO) {
            scenarios.push(scenario(reader, map, &path));
        }
    }
    if scenarios.is_empty() && reader.mistakes.is_empty() {
        reader.wrong("tests", "\"tests\" has no test");
    }
    scenarios
}

fn scenario<'d>(reader: &mut Reader<'d>, map: &'d Map, path: &str) -> Scenario {
    let mut mocks = BTreeMap::new();
    let mocks_path = entry(path, "mocks");
    match map.get("mocks").unwrap_or(&Value::Null) {
        Value::Null => {}
        Value::Map(tasks) => {
            for (task, value) in tasks.iter() {
                mocks.insert(task.to_string(), mock(reader, value, &entry(&mocks_path, task), 0));
            }
        }
        _ => reader.wrong(&mocks_path, "\"mocks\" is a mapping from tasks to how they end"),
    }
    let expect_path = entry(path, "expect");
    let expect = match map.get("expect") {
        None => {
            reader.wrong(path, "a test needs \"expect\"");
            Expect::default()
        }
        Some(value) => expect(reader, value, &expect_path),
    };
    Scenario {
        name: reader.text(map, path, "name").map(str::to_owned),
        at: reader.at(path),
        inputs: reader.free(map, path, "inputs"),
        context: reader.free(map, path, "context"),
        mocks,
        decisions: decisions::read(reader, map, path),
        expect,
    }
}

fn mock<'d>(reader: &mut Reader<'d>, value: &'d Value, path: &str, depth: usize) -> Mock {
    let Some(map) = reader.mapping(value, path, "a mock", &MOCK) else { return Mock::default() };
    let mut several = |key: &str| {
        let list = reader.list(map, path, key).unwrap_or_default();
        if depth > 1 && !list.is_empty() {
            reader.wrong(&entry(path, key), "a mock has items and attempts, and no others within these");
            return Vec::new();
        }
        let of = |(number, value): (usize, &'d Value)| {
            mock(reader, value, &format!("{}[{number}]", entry(path, key)), depth + 1)
        };
        list.iter().enumerate().map(of).collect()
    };
    let (items, attempts) = (several("items"), several("attempts"));
    Mock {
        status: reader.status(map, path, "status", Status::is_completed).unwrap_or(Status::Succeeded),
        result: map.get("result").cloned().unwrap_or_default(),
        answer: map.get("answer").cloned(),
        takes_ms: reader.duration_ms(map, path, "takes").unwrap_or_default(),
        items,
        attempts,
    }
}

fn expect<'d>(reader: &mut Reader<'d>, value: &'d Value, path: &str) -> Expect {
    let Some(map) = reader.mapping(value, path, "\"expect\"", &EXPECT) else { return Expect::default() };
    let calls = reader.list(map, path, "calls").map(|list| {
        let of = |(number, value)| call(reader, value, &format!("{path}.calls[{number}]"));
        list.iter().enumerate().map(of).collect()
    });
    let errors = reader.list(map, path, "errors").map(|list| {
        let of = |(number, value)| error(reader, value, &format!("{path}.errors[{number}]"));
        list.iter().enumerate().map(of).collect()
    });
    let any = |status: Status| status.is_completed() || matches!(status, Status::Paused | Status::Pending);
    Expect {
        status: reader.status(map, path, "status", any).unwrap_or(Status::Succeeded),
        output: map.get("output").map(Value::to_json),
        path: reader.texts(map, path, "path"),
        calls,
        errors,
        takes_ms: reader.duration_ms(map, path, "takes"),
    }
}

fn call<'d>(reader: &mut Reader<'d>, value: &'d Value, path: &str) -> ExpectedCall {
    let Some(map) = reader.mapping(value, path, "a call", &CALL) else { return ExpectedCall::default() };
    let task = reader.text(map, path, "task").unwrap_or_default().to_owned();
    if task.is_empty() {
        reader.wrong(path, "a call needs \"task\"");
    }
    ExpectedCall {
        task,
        item: reader.count(map, path, "item"),
        action: reader.text(map, path, "action").map(str::to_owned),
        input: reader.free(map, path, "input"),
    }
}

fn error<'d>(reader: &mut Reader<'d>, value: &'d Value, path: &str) -> ExpectedError {
    if let Some(message) = value.as_str() {
        return ExpectedError { task: None, message: message.to_owned() };
    }
    let Some(map) = reader.mapping(value, path, "an error", &ERROR) else { return ExpectedError::default() };
    ExpectedError {
        task: reader.text(map, path, "task").map(str::to_owned),
        message: reader.text(map, path, "message").unwrap_or_default().to_owned(),
    }
}

fn rehearsal<'d>(reader: &mut Reader<'d>, map: &'d Map) -> Rehearsal {
    let mut mocks = Vec::new();
    for (number, value) in reader.list(map, "", "mock_action_executions").unwrap_or_default().iter().enumerate() {
        mocks.extend(rehearsal_mock(reader, value, &format!("mock_action_executions[{number}]")));
    }
    let sequence = reader.texts(map, "", "expected_task_sequence");
    let json = |key: &str| map.get(key).filter(|value| !value.is_null()).map(Value::to_json);
    let inspection = json("expected_inspection_errors").unwrap_or_else(|| json!({}));
    let has_inspection = inspection.as_object().is_some_and(|errors| !errors.is_empty());
    if sequence.is_none() && !has_inspection && map.get("expected_task_sequence").is_none() {
        reader.wrong("", "a rehearsal needs \"expected_task_sequence\"");
    }
    // What is not said has Orquesta's defaults.
    let expected = Expected {
        sequence,
        routes: Some(json("expected_routes").unwrap_or_else(|| json!([[]]))),
        terminal: reader.texts(map, "", "expected_term_tasks"),
        status: Some(reader.text(map, "", "expected_workflow_status").unwrap_or("succeeded").to_owned()),
        errors: json("expected_errors"),
        output: json("expected_output"),
    };
    Rehearsal { inputs: Json::Object(reader.free(map, "", "inputs")), inspection, mocks, expected }
}

fn rehearsal_mock<'d>(reader: &mut Reader<'d>, value: &'d Value, path: &str) -> Option<RehearsalMock> {
    let map = reader.mapping(value, path, "a mocked execution", &REHEARSAL_MOCK)?;
    let task = reader.text(map, path, "task_id").map(str::to_owned);
    if task.is_none() {
        reader.wrong(path, "a mocked execution needs \"task_id\"");
    }
    let status = reader.status(map, path, "status", |_| true).unwrap_or(Status::Succeeded);
    let times = reader.count(map, path, "num_iter").and_then(|times| u64::try_from(times).ok()).unwrap_or(1);
    let (sequence, item) = (reader.count(map, path, "seq_id"), reader.count(map, path, "item_id"));
    let result = map.get("result").cloned().unwrap_or_default();
    Some(RehearsalMock { task: task?, sequence, item, times, status, result })
}
