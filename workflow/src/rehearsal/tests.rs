use std::sync::Arc;

use super::orquesta::rehearse;
use super::*;
use crate::expression::Dialect;
use crate::{Definition, WorkflowSpec};

const HEAL: &str = "version: 1.0
input:
  - host
vars:
  - files: []
tasks:
  find:
    action: disk.find host=<% ctx().host %>
    delay: 30
    next:
      - when: <% succeeded() %>
        publish: [{files: <% result() %>}]
        do: clean
      - when: <% failed() %>
        do: fail
  clean:
    with:
      items: <% ctx().files %>
      concurrency: 2
    action: disk.clean file=<% item() %>
    retry: {count: 2, delay: 60}
    next:
      - when: <% succeeded() %>
        publish: [{files: <% result() %>}]
        do: report
  report:
    action: disk.report
output:
  - cleaned: <% ctx().files %>
";

fn spec() -> WorkflowSpec {
    WorkflowSpec::read(HEAL, Dialect::Orquesta).unwrap()
}

/// The differences of the first test of a file of tests of `HEAL`.
fn tested(text: &str) -> Vec<String> {
    let definition = Arc::new(Definition::compile(&spec()).unwrap());
    let file = read(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let Tests::Scenarios(scenarios) = file.tests else { panic!("no scenarios") };
    test(&definition, &scenarios[0])
}

const GOOD: &str = "workflow: disk.heal
name: frees what can be freed
inputs: {host: db-1}
mocks:
  find: {result: [a, b, c], takes: 10s}
  clean:
    attempts:
      - items: [{result: 1, takes: 5s}, {status: failed, takes: 5s}]
      - {result: done, takes: 1m}
expect:
  status: succeeded
  output: {cleaned: [done, done, done]}
  path: [find, clean, report]
  calls:
    - {task: find, action: disk.find, input: {host: db-1}}
    - {task: clean, item: 0, input: {file: a}}
    - {task: clean, item: 1}
    - {task: clean, item: 2}
    - {task: clean, item: 0}
    - {task: clean, item: 1}
    - {task: clean, item: 2}
    - {task: report}
";

#[test]
fn a_scenario_says_how_each_attempt_and_item_ends_and_the_clock_follows() {
    assert_eq!(tested(GOOD), [""; 0]);
    // 30 s of delay, 10 s for `find`; 5 s for the first items, during which the third one begins and ends at once; 60 s
    // of delay, twice 1 min.
    assert_eq!(tested(&format!("{GOOD}  takes: 225s\n")), [""; 0]);
}

#[test]
fn what_differs_is_told_with_the_path_that_was_taken() {
    let text = "workflow: disk.heal
inputs: {host: db-1}
mocks: {find: {status: timeout, result: gone}}
expect:
  output: {cleaned: [a]}
  path: [find, clean]
  calls: [{task: find, action: disk.look, input: {host: db-2}}, {task: clean}]
  errors: [other]
  takes: 5s
";
    assert_eq!(
        tested(text),
        [
            "status: expected succeeded, found failed",
            r#"output: expected {"cleaned":["a"]}, found {"cleaned":[]}"#,
            "path: expected find → clean",
            "call 1, of find: expected disk.look, found disk.find",
            r#"call 1, of find, input host: expected "db-2", found "db-1""#,
            "calls: expected 2, found 1 (find)",
            "errors: expected other, found fail: Execution failed. See result for details.",
            "takes: expected 5000 ms, found 30000 ms",
            "it went find",
        ]
    );
    let absent = "workflow: disk.heal\nmocks: {fnd: {}}\nexpect: {}\n";
    assert_eq!(tested(absent), [r#"the workflow has no task "fnd", which is mocked"#]);
}

#[test]
fn a_task_without_items_is_over_at_once_and_a_cycle_without_an_end_names_its_limit() {
    let none = "workflow: disk.heal\nmocks: {find: {result: []}}\nexpect: {path: [find, clean, report], output: {cleaned: []}}\n";
    assert_eq!(tested(none), [""; 0]);
    let text = "version: 1.0\ntasks:\n  a:\n    next: [{do: b}]\n  b:\n    next: [{do: b}]\n";
    let definition = Arc::new(Definition::read(text, Dialect::Native).unwrap());
    let file = read("workflow: disk.heal\nexpect: {status: failed, errors: [RUNS_MAX]}\n").unwrap();
    let Tests::Scenarios(scenarios) = file.tests else { panic!("no scenarios") };
    let lines = test(&definition, &scenarios[0]);
    assert!(lines.is_empty(), "{:?}", lines.iter().map(|line| &line[..line.len().min(300)]).collect::<Vec<_>>());
}

const REHEARSAL: &str = "---
workflow: ./workflows/heal.yaml
inputs:
  host: db-1
expected_task_sequence:
  - find
  - clean
  - report
  - continue
mock_action_executions:
  - task_id: find
    result: [a, b]
  - task_id: clean
    item_id: 0
    result: 1
  - task_id: clean
    item_id: 1
    result: 2
expected_output:
  cleaned: [1, 2]
";

#[test]
fn a_rehearsal_of_orquesta_runs_as_it_is() {
    let rehearsed = |text: &str| match read(text).unwrap().tests {
        Tests::Rehearsal(rehearsal) => rehearse(&spec(), &[], &rehearsal),
        Tests::Scenarios(_) => panic!("no rehearsal"),
    };
    let taken = REHEARSAL.replace("  - continue\n", "");
    assert_eq!(rehearsed(&taken), [""; 0]);
    assert_eq!(
        rehearsed(&REHEARSAL.replace("[1, 2]", "[1, 3]")),
        [
            r#"sequence: expected ["find__r0","clean__r0","report__r0","continue__r0"] and got ["find__r0","clean__r0","report__r0"]"#,
            r#"output: expected {"cleaned":[1,3]} and got {"cleaned":[1,2]}"#,
            "it went find__r0 → clean__r0 → report__r0",
        ]
    );
}

#[test]
fn mistakes_in_files_of_tests_are_located() {
    let cases = [
        (
            "[]",
            "1:1: a file of tests is a mapping with workflow, tests, name, inputs, context, mocks, decisions, expect",
        ),
        ("expect: {}\n", "1:1: a file of tests needs \"workflow\""),
        ("workflow: a.b\n", "1:1: a test needs \"expect\""),
        ("workflow: a.b\ntests: []\n", "2:1: \"tests\" has no test"),
        (
            "workflow: a.b\ninputs: {}\ntests: [{expect: {}}]\n",
            "2:1: \"inputs\" is of one test: write it into \"tests\"",
        ),
        (
            "workflow: a.b\nexpcet: {}\nexpect: {}\n",
            "2:1: unknown key \"expcet\", a file of tests has workflow, tests, name, inputs, context, mocks, decisions, expect",
        ),
        (
            "workflow: a.b\nmocks:\n  t: {status: running}\nexpect: {}\n",
            "3:7: \"status\" must be one of succeeded, failed, timeout, abandoned, canceled, found \"running\"",
        ),
        (
            "workflow: a.b\nmocks:\n  t: {takes: soon}\nexpect: {}\n",
            "3:7: \"soon\" is not a duration: write a whole number and a unit (ms, s, m, h, d), such as 10s or 7d",
        ),
        ("workflow: a.b\nexpect:\n  calls: [{}]\n", "3:11: a call needs \"task\""),
        ("workflow: x.yaml\nexpected_output: {}\n", "1:1: a rehearsal needs \"expected_task_sequence\""),
        (
            "workflow: x.yaml\nexpected_task_sequence: []\nmock_action_executions:\n  - {result: 1}\n",
            "4:5: a mocked execution needs \"task_id\"",
        ),
    ];
    for (text, wanted) in cases {
        let told: Vec<String> = read(text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(told, [wanted], "{text}");
    }
    let deep = "workflow: a.b\nmocks:\n  t: {items: [{attempts: [{items: [{}]}]}]}\nexpect: {}\n";
    assert!(read(deep).unwrap_err()[0].message.contains("no others within these"));
}
