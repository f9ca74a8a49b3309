//! Recorded outcomes of YAQL 3.2.0, which every expression here must have as well.
//!
//! `tests/vectors/` holds our own expressions with what the original made of them; one JSON object a line, in the
//! format that `tests/vectors/README.md` describes. With `PETREL_YAQL_VECTORS` set to a file of the same format, that
//! file is run as well.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use petrel_yaql::{Dialect, Engine, EvaluationError, Host, Options, Value, Variables};
use serde_json::Value as Json;

/// A host with a clock that stands and numbers that are not random.
struct Fixed;

impl Host for Fixed {
    fn now(&self) -> Option<i64> {
        Some(1_700_000_000_000_000)
    }

    fn random(&self) -> Option<u64> {
        Some(0x9e37_79b9_7f4a_7c15)
    }
}

#[test]
fn our_own_vectors_hold() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    check(&folder.join("recorded.jsonl"))
}

#[test]
fn vectors_that_are_named_hold() -> Result<()> {
    match std::env::var_os("PETREL_YAQL_VECTORS") {
        Some(file) => check(Path::new(&file)),
        None => Ok(()),
    }
}

/// Runs every case of a file.
fn check(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut failures = String::new();
    let (mut cases, mut failed) = (0, 0);
    for line in text.lines() {
        let case: Json = serde_json::from_str(line)?;
        for (options, expected) in outcomes(&case) {
            cases += 1;
            let actual = outcome(&case, options);
            if !agrees(&case, expected, &actual) {
                failed += 1;
                let expected: Vec<String> = ["result", "error", "result_not_json"]
                    .iter()
                    .filter_map(|name| Some(format!("{name} {}", expected.get(name)?)))
                    .collect();
                let (name, expression) = (&case["name"], &case["expression"]);
                writeln!(failures, "{name}: {expression}\n  expected {}\n  actual   {actual}", expected.join(", "))?;
            }
        }
    }
    ensure!(cases > 0, "{} has no cases", file.display());
    ensure!(failed == 0, "{failed} of {cases} cases of {} fail:\n{failures}", file.display());
    Ok(())
}

/// The settings with which a case is to be run, and what is to come out.
fn outcomes(case: &Json) -> Vec<(Options, &Json)> {
    let mut outcomes = vec![(options(case), case)];
    match &case["default_engine"] {
        Json::String(same) if same == "same" => outcomes.push((Options::default(), case)),
        expected @ Json::Object(_) => outcomes.push((Options::default(), expected)),
        _ => {}
    }
    outcomes
}

fn options(case: &Json) -> Options {
    let given = &case["options"];
    let flag = |name: &str, default: bool| given[name].as_bool().unwrap_or(default);
    Options {
        dialect: match case["engine"].as_str() {
            Some("legacy") => Dialect::Legacy,
            Some("standard+legacy-context") => Dialect::StandardWithLegacyLibrary,
            _ => Dialect::Standard,
        },
        delegates: case["delegates"].as_bool().unwrap_or(false),
        iterator_items_max: given["yaql.limitIterators"].as_u64().and_then(|limit| usize::try_from(limit).ok()),
        memory_quota_bytes: given["yaql.memoryQuota"].as_u64(),
        convert_tuples_to_lists: flag("yaql.convertTuplesToLists", true),
        convert_sets_to_lists: flag("yaql.convertSetsToLists", false),
        convert_output_data: flag("yaql.convertOutputData", true),
        iterable_dicts: flag("yaql.iterableDicts", false),
        ..Options::default()
    }
}

/// What comes out, in the form that cases have.
fn outcome(case: &Json, options: Options) -> Json {
    let error = |class: &str, message: &str| serde_json::json!({"error": {"type": class, "message": message}});
    let expression = match Engine::new(options).parse(case["expression"].as_str().unwrap_or_default()) {
        Ok(expression) => expression,
        Err(failure) => return error(failure.class(), failure.message()),
    };
    let data = Value::from(&case["data"]);
    let mut variables = vec![("data".to_owned(), data.clone())];
    for (name, value) in case["context"].as_object().into_iter().flatten() {
        variables.push((name.trim_start_matches('$').to_owned(), Value::from(value)));
    }
    let result: Result<Value, EvaluationError> =
        expression.evaluate(data, &variables.into_iter().collect::<Variables>(), &Fixed);
    match result {
        Ok(value) => match value.to_json() {
            Ok(json) => serde_json::json!({ "result": json }),
            Err(kind) => serde_json::json!({ "result_not_json": kind.kind }),
        },
        Err(failure) => error(failure.class(), failure.message()),
    }
}

fn agrees(case: &Json, expected: &Json, actual: &Json) -> bool {
    if let Some(kind) = expected.get("result_not_json") {
        // Only the names of sets are those of the original.
        return actual.get("result_not_json").is_some_and(|actual| kind != "set" || actual == kind);
    }
    if let Some(error) = expected.get("error") {
        return actual.get("error") == Some(error);
    }
    match (expected.get("result"), actual.get("result")) {
        (Some(Json::Array(expected)), Some(Json::Array(actual))) if case["unordered"] == true => {
            let mut left = actual.clone();
            expected.len() == actual.len()
                && expected.iter().all(|wanted| {
                    left.iter().position(|item| item == wanted).map(|index| left.swap_remove(index)).is_some()
                })
        }
        (Some(expected), Some(actual)) => expected == actual,
        _ => false,
    }
}
