//! Scenarios with times that pass, questions that are answered and freezes that are decided about.

use std::sync::Arc;

use super::*;
use crate::Definition;
use crate::expression::Dialect;

/// The differences of the first test of a file of tests of a native workflow.
fn tested(workflow: &str, text: &str) -> Vec<String> {
    let definition = Definition::read(&format!("version: 1.0\n{workflow}"), Dialect::Native);
    let definition = Arc::new(definition.unwrap_or_else(|error| panic!("{error}")));
    let file = read(&format!("workflow: web.x\n{text}")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let Tests::Scenarios(scenarios) = file.tests else { panic!("no scenarios") };
    test(&definition, &scenarios[0])
}

#[test]
fn a_task_that_takes_longer_than_its_time_ends_with_it() {
    let workflow = "tasks:\n  a: {action: x, timeout: 15m, next: [{on: timeout, do: call}, {on: succeeded, do: mail}]}\n  call: \
                    {action: y}\n  mail: {action: z}\n";
    let late = "mocks: {a: {takes: 1h}}\nexpect: {path: [a, call], takes: 15m, errors: [TaskTimeout]}\n";
    assert_eq!(tested(workflow, late), [""; 0]);
    // What ends just in time has ended.
    let in_time = "mocks: {a: {takes: 15m}}\nexpect: {path: [a, mail], takes: 15m, errors: []}\n";
    assert_eq!(tested(workflow, in_time), [""; 0]);
}

#[test]
fn a_workflow_that_takes_longer_than_its_time_is_undone() {
    let workflow = "timeout: 2h\nfinally: [{action: f}]\ntasks:\n  a: {action: x, undo: {action: u}, next: [{do: b}]}\n  b: \
                    {action: y}\n";
    let text = "mocks: {a: {takes: 1h}, b: {takes: 3h}}\nexpect:\n  status: timeout\n  path: [a, b]\n  takes: 2h\n  calls: [{task: \
                a}, {task: b}, {task: undo/0/a, action: u}, {task: finally/0, action: f}]\n";
    assert_eq!(tested(workflow, text), [""; 0]);
}

const QUESTION: &str = "tasks:\n  ask:\n    approve: {question: go?, expires: 1h, notify: {action: chat.post, input: {a: 1}}, remind: \
                        {every: 25m, action: chat.again}}\n    next:\n      - when: <% succeeded() and result() %>\n        do: \
                        work\n      - on: timeout\n        do: late\n  work: {action: x}\n  late: {action: x}\n";

#[test]
fn mocks_answer_questions_or_nobody_does() {
    let answered = "mocks: {ask: {answer: true, takes: 30m}}\nexpect:\n  path: [ask, work]\n  takes: 30m\n  calls: [{task: \
                    ask/notify, action: chat.post, input: {a: 1}}, {task: ask/notify, action: chat.again}, {task: work}]\n";
    assert_eq!(tested(QUESTION, answered), [""; 0]);
    let late = "expect: {path: [ask, late], takes: 1h}\n";
    assert_eq!(tested(QUESTION, late), [""; 0]);
    let unasked = "mocks: {ask: {status: failed}}\nexpect: {status: failed, path: [ask]}\n";
    assert_eq!(tested(QUESTION, unasked), [""; 0]);
    let for_ever = QUESTION.replace(" expires: 1h,", "");
    let waits = "expect: {status: pending, path: [ask], takes: 0s}\n";
    assert_eq!(tested(&for_ever, waits), [""; 0]);
    assert_eq!(
        tested(QUESTION, "mocks: {ask: {result: true}, work: {attempts: [{answer: 1}]}}\nexpect: {}\n"),
        [
            "the task \"ask\" asks people: say what they answer with `answer`",
            "the task \"work\" asks nobody: only one with `approve` has an answer"
        ]
    );
}

#[test]
fn an_answer_that_does_not_fit_its_question_is_none() {
    let question = "tasks:\n  ask:\n    approve: {question: go?, schema: {type: object, properties: {go: {type: boolean}}, \
                    required: [go]}}\n";
    assert_eq!(tested(question, "mocks: {ask: {answer: {go: true}}}\nexpect: {path: [ask]}\n"), [""; 0]);
    let text = "mocks: {ask: {answer: {go: please}}}\nexpect: {path: [ask]}\n";
    let expected = "the answer of the task \"ask\" does not fit the schema of its question: /go: the value is not of type \
                    \"boolean\"";
    assert_eq!(tested(question, text), [expected]);
}

const FREEZE: &str = "on_error: pause\non_freeze: {notify: {action: page, input: {t: <% ctx().frozen.tasks.select($.task) %>}}, \
                      remind: {every: 4m, action: page}}\ntasks:\n  evacuate: {action: x, with: i in <% range(2) %>, input: {i: <% \
                      item(i) %>}, next: [{on: succeeded, do: mail}]}\n  mail: {action: m}\n";

#[test]
fn a_freeze_is_decided_about_as_the_test_says() {
    let text = "mocks:\n  evacuate:\n    attempts:\n      - items: [{takes: 1m}, {status: failed, takes: 2m}]\n      - {takes: \
                3m}\ndecisions:\n  - {decide: retry, task: evacuate, after: 10m}\nexpect:\n  path: [evacuate, evacuate, mail]\n  takes: \
                15m\n  calls:\n    - {task: evacuate, item: 0}\n    - {task: evacuate, item: 1}\n    - {task: on_freeze/notify, input: \
                {t: [evacuate]}}\n    - {task: on_freeze/notify}\n    - {task: on_freeze/notify}\n    - {task: evacuate, item: \
                1}\n    - {task: mail}\n";
    assert_eq!(tested(FREEZE, text), [""; 0]);
    let skipped = "mocks: {evacuate: {status: failed}}\ndecisions: [{decide: skip, task: evacuate}]\nexpect: {path: [evacuate, \
                   mail], takes: 0s}\n";
    assert_eq!(tested(FREEZE, skipped), [""; 0]);
    let back = "mocks: {evacuate: {status: failed}}\ndecisions: [{decide: rollback, after: 1h}]\nexpect: {status: failed, path: \
                [evacuate], takes: 1h}\n";
    assert_eq!(tested(FREEZE, back), [""; 0]);
    let resumed = "mocks: {evacuate: {status: failed}}\ndecisions: [{decide: resume, variables: {v: 1}}]\nexpect: {path: \
                   [evacuate]}\n";
    assert_eq!(tested(FREEZE, resumed), [""; 0]);
    // Nobody decides: it rests.
    let frozen =
        "mocks: {evacuate: {status: failed, takes: 1m}}\nexpect: {status: paused, path: [evacuate], takes: 1m}\n";
    assert_eq!(tested(FREEZE, frozen), [""; 0]);
}

#[test]
fn decisions_that_do_not_fit_are_told() {
    let wrong = "mocks: {evacuate: {status: failed}}\ndecisions: [{decide: retry, task: mail}]\nexpect: {}\n";
    assert_eq!(
        tested(FREEZE, wrong),
        ["The task|route \"mail|0\" is none of those that failed and wait for a decision."]
    );
    let unasked = "decisions: [{decide: rollback}]\nexpect: {path: [evacuate, mail]}\n";
    let told = ["decisions: nobody was asked for the last 1 of them", "it went evacuate → mail"];
    assert_eq!(tested(FREEZE, unasked), told);
    for (decision, mistake) in [
        ("{after: 1m}", "a decision needs \"decide\", one of resume, skip, retry, rollback"),
        ("{decide: hope}", "a decision needs \"decide\", one of resume, skip, retry, rollback"),
        ("{decide: skip}", "the decision \"skip\" needs \"task\""),
        ("{decide: rollback, task: a}", "unknown key \"task\", the decision \"rollback\" has decide, after"),
        ("{decide: retry, task: a, input: 5}", "\"input\" must be a mapping"),
    ] {
        let mistakes = read(&format!("workflow: web.x\ndecisions: [{decision}]\nexpect: {{}}\n")).unwrap_err();
        assert!(mistakes.iter().any(|one| one.message == mistake), "{decision}: {mistakes:?}");
    }
}

#[test]
fn reminders_without_an_end_come_to_the_limit() {
    let workflow =
        "tasks:\n  a: {action: x, timeout: 3600d}\n  ask: {approve: {question: q, remind: {every: 1m, action: m}}}\n";
    let lines = tested(workflow, "mocks: {a: {takes: 3650d}}\nexpect: {}\n");
    assert_eq!(lines, ["the workflow is not over after 200000 ends, the limit SCENARIO_ENDS_MAX"]);
}
