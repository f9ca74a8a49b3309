//! The vectors of this repository: what real Orquesta did with workflows that were written for them.

use std::path::Path;

use petrel_vectors::{Outcome, run_case, run_folder};
use serde_json::{Value, json};

fn own() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("own")
}

#[test]
fn petrel_does_what_orquesta_did() {
    let reports = run_folder(&own()).unwrap();
    let passed: usize = reports.iter().map(|report| report.passed).sum();
    let failed: Vec<_> = reports.iter().flat_map(|report| &report.failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(reports.len() >= 3 && passed > 500, "{reports:?}");
    assert!(reports.iter().all(|report| report.skipped.is_empty()), "{reports:?}");
}

/// The rows of a file of our own.
fn rows(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(own().join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_trace_that_was_tampered_with_fails() {
    let trace = rows("traces.jsonl").remove(0);
    assert_eq!(run_case(&trace).unwrap(), Outcome::Passed);
    let last = trace["steps"].as_array().unwrap().len() - 1;
    for (path, value) in [
        ("/end/status".to_owned(), json!("failed")),
        ("/end/sequence/0".to_owned(), json!("other__r0")),
        ("/steps/0/obs/status".to_owned(), json!("paused")),
        ("/steps/1/tasks/0/actions/0/input/name".to_owned(), json!("db-2")),
        ("/steps/1/tasks/0/ctx/wait".to_owned(), json!(5.0)),
        (format!("/steps/{last}/obs/output/said"), json!("nothing")),
    ] {
        let mut tampered = trace.clone();
        *tampered.pointer_mut(&path).unwrap_or_else(|| panic!("{path}")) = value;
        assert!(matches!(run_case(&tampered).unwrap(), Outcome::Failed(_)), "{path}");
    }
}

#[test]
fn an_inspection_that_was_tampered_with_fails() {
    let row = rows("specs.jsonl").into_iter().find(|row| row["errors"]["context"].is_array()).unwrap();
    assert_eq!(run_case(&row).unwrap(), Outcome::Passed);
    let mut fewer = row.clone();
    fewer["errors"]["context"].as_array_mut().unwrap().remove(0);
    let mut other = row;
    other["errors"]["context"][0]["spec_path"] = json!("elsewhere");
    for tampered in [fewer, other] {
        assert!(matches!(run_case(&tampered).unwrap(), Outcome::Failed(_)));
    }
}

#[test]
fn what_says_nothing_about_petrel_is_skipped_with_its_reason() {
    let mut trace = rows("traces.jsonl").remove(0);
    trace["features"] = json!(["join-all", "dict-leak"]);
    assert_eq!(run_case(&trace).unwrap(), Outcome::Skipped("dict-leak"));
    trace["features"] = json!(["persist-sensitive"]);
    assert_eq!(run_case(&trace).unwrap(), Outcome::Skipped("persist-sensitive"));
    assert!(run_case(&json!({"name": "x"})).is_err());
}
