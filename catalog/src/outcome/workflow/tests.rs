use super::*;
use crate::outcome::run_tests;
use crate::pack::PackSource;
use crate::testkit::{disk_with, load, problems};

const ACTION: &str = "name: heal\nrunner: orquesta\nworkflow: workflows/heal.yaml\n";

const WORKFLOW: &str = "version: 1.0
input:
  - host
  - older: 7d
tasks:
  clean:
    action: disk.clean host=<% ctx().host %> older_than=<% ctx().older %>
    next:
      - when: <% succeeded() %>
        publish: freed=<% result().freed %>
output:
  - freed: <% ctx().freed %>
";

const REHEARSAL: &str = "---
workflow: ./workflows/heal.yaml
inputs:
  host: db-1
expected_task_sequence:
  - clean
  - continue
mock_action_executions:
  - task_id: clean
    result: { freed: 7 }
expected_output:
  freed: 7
";

fn pack(tests: &[(&'static str, &'static str)]) -> PackSource {
    let mut files = vec![("actions/heal.yaml", ACTION), ("workflows/heal.yaml", WORKFLOW)];
    files.extend(tests);
    disk_with(&files)
}

/// Outcomes of the tests of workflows, one text each.
fn shown(path: &'static str, test: &'static str) -> Vec<String> {
    let revision = load(vec![pack(&[(path, test)])]);
    let outcomes = run_tests(revision.compiled());
    let of_workflows = outcomes.iter().filter(|outcome| outcome.tested == Tested::Workflow);
    of_workflows.map(ToString::to_string).collect()
}

#[test]
fn scenarios_run_with_the_defaults_of_the_action() {
    let test = "workflow: disk.heal
tests:
  - name: frees space
    inputs: {host: db-1}
    mocks: {clean: {result: {freed: 7}}}
    expect:
      output: {freed: 7}
      calls: [{task: clean, action: disk.clean, input: {host: db-1, older_than: 7d}}]
  - inputs: {host: db-1}
    mocks: {clean: {status: failed}}
    expect: {path: [clean]}
  - inputs: {hots: db-1}
    expect: {}
";
    assert_eq!(
        shown("tests/heal.yaml", test),
        [
            "ok disk.heal: frees space",
            "FAILED disk.heal: #2 (tests/heal.yaml:9:5)\n  status: expected succeeded, found failed\n  it went clean\n  \
             error of clean: Execution failed. See result for details.\n  error: YaqlEvaluationException: Unable to resolve key \
             'freed' in expression '<% ctx().freed %>' from context.",
            "FAILED disk.heal: #3 (tests/heal.yaml:12:5)\n  disk.heal: unknown parameter \"hots\", did you mean \
             \"host\"?; parameter \"host\" is required",
        ]
    );
}

#[test]
fn rehearsals_of_orquesta_run_as_they_are() {
    assert_eq!(shown("tests/rehearsals/heal.yaml", REHEARSAL), ["ok workflows/heal.yaml: heal.yaml"]);
    let other = rehearse_file("x/heal.yaml", &REHEARSAL.replace("freed: 7 }", "freed: 8 }"), |workflow| {
        assert_eq!(workflow, "./workflows/heal.yaml");
        Some(WORKFLOW.to_owned())
    });
    assert_eq!(
        other.unwrap().to_string(),
        "FAILED ./workflows/heal.yaml: heal.yaml (x/heal.yaml:1:1)\n  output: expected {\"freed\":7} and got {\"freed\":8}\n  \
         it went clean__r0 → continue__r0"
    );
    let gone = rehearse_file("x/heal.yaml", REHEARSAL, |_| None).unwrap_err();
    assert_eq!(gone.to_string(), "x/heal.yaml:2:1: there is no file ./workflows/heal.yaml");
}

#[test]
fn what_is_wrong_in_tests_is_a_problem_of_the_pack() {
    let told = problems(vec![pack(&[
        ("tests/a.yaml", "workflow: disk.haul\nexpect: {}\n"),
        ("tests/b.yaml", "workflow: disk.heal\nexpcet: {}\nexpect: {}\n"),
        ("tests/c.yaml", "workflow: workflows/heel.yaml\nexpected_task_sequence: []\n"),
        ("tests/d.yml", "x"),
        ("tests/e.py", "x"),
    ])]);
    assert_eq!(
        told.to_string(),
        "tests/a.yaml:1:1: there is no workflow \"disk.haul\", did you mean \"disk.heal\"?\n\
         tests/b.yaml:2:1: unknown key \"expcet\", a file of tests has workflow, tests, name, inputs, context, mocks, decisions, expect\n\
         tests/c.yaml:1:1: the pack has no file workflows/heel.yaml, did you mean \"workflows/heal.yaml\"?\n\
         tests/d.yml:1:1: only *.yaml is read: rename it to tests/d.yaml\n\
         tests/e.py:1:1: tests/ holds *.yaml files only: tests of workflows"
    );
}
