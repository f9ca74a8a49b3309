use super::*;
use crate::expression::Dialect;

/// The findings of a workflow as `kind line path: message`.
fn found(text: &str) -> Vec<String> {
    let spec = WorkflowSpec::read(text, Dialect::Orquesta).unwrap();
    let inspection = inspect(&spec, &[]);
    let line = |(kind, finding): (&str, &Finding)| {
        format!("{kind} {} {}: {}", finding.at.line, finding.spec_path, finding.message)
    };
    inspection.findings().map(line).collect()
}

#[test]
fn what_breaks_the_schema_is_located() {
    let text = "version: 1.0\ntasks:\n  a:\n    action: ''\n    extra: 1\n    join: All\n    next:\n      - when: 5\n";
    assert_eq!(
        found(text),
        [
            "syntax 5 tasks.a: Additional properties are not allowed ('extra' was unexpected)".replace("5 ", "3 "),
            "syntax 6 tasks.a.join: 'All' is not valid under any of the given schemas".to_owned(),
            "syntax 4 tasks.a.action: '' should be non-empty".to_owned(),
            "syntax 8 tasks.a.next[0].when: 5 is not of type 'string'".to_owned(),
        ]
    );
}

#[test]
fn tasks_that_are_not_there_or_misnamed_are_found() {
    let text = "version: 1.0\ntasks:\n  noop:\n    action: x\n  a:\n    action: x\n    next:\n      - do: [noop, b]\n";
    assert_eq!(
        found(text),
        [
            "semantics 3 tasks.noop: The task name \"noop\" is reserved with special function.",
            "semantics 8 tasks.a.next[0].do: The task \"b\" is not defined.",
        ]
    );
    let cycle = "version: 1.0\ntasks:\n  a:\n    next: [{do: a}]\n";
    assert!(found(cycle)[0].contains("Unable to identify any tasks to start the workflow"));
}

#[test]
fn a_join_that_can_never_be_met_is_found() {
    let text = "version: 1.0\ntasks:\n  a:\n    next: [{do: c}]\n  b:\n    next: [{do: c}]\n  c:\n    join: 3\n    action: x\n";
    assert_eq!(
        found(text),
        ["joins 8 tasks.c.join: The join task \"c\" waits for 3 tasks, but only 2 lead to it: it can never be met."]
    );
}

#[test]
fn a_join_behind_different_splits_is_ambiguous() {
    let text = "version: 1.0\ntasks:\n  a:\n    next: [{do: s}]\n  b:\n    next: [{do: [s, j]}]\n  s:\n    next: [{do: j}]\n  \
                j:\n    join: all\n    action: x\n";
    let found = found(text);
    assert!(
        found.len() == 1 && found[0].starts_with("semantics 9 tasks.j: The join task \"j\" is unreachable"),
        "{found:?}"
    );
}

#[test]
fn more_ways_than_can_be_inspected_name_the_limit() {
    // Each layer publishes something different on its two ways, and nothing joins them.
    let mut text = "version: 1.0\ntasks:\n".to_owned();
    for layer in 0..24 {
        let next = layer + 1;
        for side in ["a", "b"] {
            text += &format!(
                "  {side}{layer}:\n    next:\n      - publish: {side}{layer}=1\n        do: a{next}\n      - publish: \
                 {side}x{layer}=1\n        do: b{next}\n"
            );
        }
    }
    text += "  a24: {action: x}\n  b24: {action: x}\n";
    assert!(found(&text).iter().any(|line| line.contains("INSPECTION_STEPS_MAX")));
}
