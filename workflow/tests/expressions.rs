//! Expressions as Orquesta evaluates them: vectors of our own, recorded from Orquesta with StackStorm's functions.

mod vectors;

use petrel_workflow::expression::{Dialect, Template, Value};
use serde_json::{Value as Json, json};

/// The lines of a file of vectors.
fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn expressions_yield_what_orquesta_yields() {
    let mut cases = lines(include_str!("vectors/evaluations.jsonl"));
    let context = cases.remove(0)["context"].clone();
    let failures = cases.into_iter().filter_map(|mut case| {
        case["op"] = json!("evaluate");
        case["context"] = context.clone();
        vectors::check(&case).err().map(|why| format!("{} {}: {why}", case["name"], case["expression"]))
    });
    assert_none(&failures.collect::<Vec<_>>());
}

#[test]
fn mistakes_in_jinja_are_told_in_jinjas_words() {
    let cases = lines(include_str!("vectors/jinja_mistakes.jsonl"));
    let failures = cases.into_iter().filter_map(|case| {
        let template = Template::compile(&Value::from(case["text"].clone()), Dialect::Orquesta);
        let told: Json = template.problems().into_iter().map(|told| json!([told.expression, told.message])).collect();
        (told != case["problems"]).then(|| format!("{}: {told} and not {}", case["text"], case["problems"]))
    });
    assert_none(&failures.collect::<Vec<_>>());
}

#[test]
fn cases_that_evaluate_a_result_again_are_known_by_their_data() {
    let case = |context: Json| json!({"op": "evaluate", "expression": "{{ ctx().a }}", "context": context});
    assert!(vectors::evaluates_twice(&case(json!({"a": "{{ ctx().b }}"}))));
    assert!(!vectors::evaluates_twice(&case(json!({"a": "b"}))));
}
