//! Expressions as Orquesta evaluates them: vectors of our own, recorded from Orquesta with StackStorm's functions.

use std::sync::Arc;

use petrel_workflow::expression::{Dialect, Scope, Template, Value};
use serde_json::{Value as Json, json};

/// The lines of a file of vectors.
fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn template(source: &Json) -> Template {
    Template::compile(&Value::from(source.clone()), Dialect::Orquesta)
}

/// A message up to the text of Python's exception, which depends on Python.
fn head(message: &str) -> &str {
    message.find("'. ").map_or(message, |at| &message[..at + 3])
}

#[test]
fn expressions_yield_what_orquesta_yields() {
    let mut cases = lines(include_str!("vectors/evaluations.jsonl"));
    let context = Value::from(cases.remove(0)["context"].clone());
    let scope = Scope::new(Arc::new(context));
    let failures = cases.into_iter().filter_map(|case| {
        let got = template(&case["expression"]).evaluate(&scope);
        let as_recorded = match (&got, case.get("error")) {
            (Ok(value), None) => value.to_json() == case["result"],
            (Err(error), Some(recorded)) => {
                recorded["type"] == error.class()
                    && head(recorded["message"].as_str().unwrap_or_default()) == head(&error.message)
            }
            _ => false,
        };
        (!as_recorded).then(|| format!("{case}: {got:?}"))
    });
    assert_none(&failures.collect::<Vec<_>>());
}

#[test]
fn mistakes_in_jinja_are_told_in_jinjas_words() {
    let cases = lines(include_str!("vectors/jinja_mistakes.jsonl"));
    let failures = cases.into_iter().filter_map(|case| {
        let told: Json =
            template(&case["text"]).problems().into_iter().map(|told| json!([told.expression, told.message])).collect();
        (told != case["problems"]).then(|| format!("{}: {told} and not {}", case["text"], case["problems"]))
    });
    assert_none(&failures.collect::<Vec<_>>());
}
