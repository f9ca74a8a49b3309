//! A workflow of twenty tasks whose output is a function of its input: each task goes on with what the one before made
//! of it, over a fork and a join, items and a workflow below.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use petrel_e2e_tests::write_pack;
use serde_json::{Value, json};

/// The workflow as an action.
pub(super) const ACTION: &str = "relay.run";
/// Tasks of the workflow itself.
pub(super) const TASKS: usize = 20;
/// Executions of each: itself, its tasks, of the one with items an execution an item, and the task of the workflow below.
pub(super) const EXECUTIONS: usize = 1 + TASKS - 1 + ITEMS.len() + 1;

/// Tasks in a row before the fork, in each branch of it, and at the end.
const BEFORE: usize = 6;
const BRANCH: usize = 4;
const BEHIND: usize = 3;
const ITEMS: [i64; 3] = [1, 2, 3];
/// What each task's number is taken modulo of, so that numbers stay small.
const MODULUS: i64 = 1_000_003;

const PACK: &str = "name: relay\nversion: 1.0.0\ndescription: Passes a number on from task to task\n";
const RULE: &str = "\
name: every
trigger: relay.order
criteria: trigger.n >= 0
action: { ref: relay.run, parameters: { n: \"${trigger.n}\" } }
";
const RUN: &str = "\
name: run
runner: orquesta
workflow: workflows/run.yaml
parameters: { n: { type: integer, required: true } }
";
const BELOW: &str = "\
name: below
runner: orquesta
workflow: workflows/below.yaml
parameters: { x: { type: integer, required: true } }
";
/// A process for each task, so that a kill of a worker meets some.
const STEP: &str = "\
name: step
runner: shell
script: echo $(( (x * 31 + k) % 1000003 ))
env: { x: \"${parameters.x}\", k: \"${parameters.k}\" }
parameters: { x: { type: integer, required: true }, k: { type: integer, required: true } }
timeout: 60s
delivery: at_least_once
";
const BELOW_FLOW: &str = "\
version: 1.0
input: [x]
tasks:
  only:
    action: relay.step
    input: { x: <% ctx(x) %>, k: 50 }
    next: [{ when: <% succeeded() %>, publish: [x: <% int(result().stdout) %>] }]
output: [x: <% ctx(x) %>]
";

/// Writes the pack; `source` is the source of its trigger, as YAML in flow style.
pub(super) fn write(dir: &Path, source: &str) -> Result<PathBuf> {
    let trigger = format!(
        "name: order\nsource: {source}\nschema: {{ type: object, required: [n], properties: {{ n: {{ type: integer }} }} }}\n"
    );
    let files = [
        ("pack.yaml", PACK),
        ("triggers/order.yaml", &trigger),
        ("rules/every.yaml", RULE),
        ("actions/run.yaml", RUN),
        ("actions/below.yaml", BELOW),
        ("actions/step.yaml", STEP),
        ("workflows/run.yaml", &flow()),
        ("workflows/below.yaml", BELOW_FLOW),
    ];
    write_pack(dir, "relay", &files)
}

/// The tasks in the order in which the workflow's text has them, and what follows on each.
fn tasks() -> Vec<(String, Vec<String>)> {
    let row = |name: &str, count: usize, behind: &[&str]| -> Vec<(String, Vec<String>)> {
        let next = |n: usize| match n < count {
            true => vec![format!("{name}{}", n + 1)],
            false => behind.iter().map(|next| (*next).to_owned()).collect(),
        };
        (1..=count).map(|n| (format!("{name}{n}"), next(n))).collect()
    };
    let one = |name: &str, behind: &str| vec![(name.to_owned(), vec![behind.to_owned()])];
    [
        row("s", BEFORE, &["a1", "b1"]),
        row("a", BRANCH, &["joined"]),
        row("b", BRANCH, &["joined"]),
        one("joined", "each"),
        one("each", "below"),
        one("below", "t1"),
        row("t", BEHIND, &[]),
    ]
    .concat()
}

/// The labels of tasks of which the first one ends before the second one begins. An item is labelled with its number.
pub(super) fn orders() -> Vec<(String, String)> {
    let labels = |name: &str| -> Vec<String> {
        if name == "each" { (0..ITEMS.len()).map(|n| format!("each[{n}]")).collect() } else { vec![name.to_owned()] }
    };
    let mut orders = Vec::new();
    for (task, behind) in tasks() {
        for (before, after) in behind.iter().flat_map(|next| labels(&task).into_iter().map(move |task| (task, next))) {
            orders.extend(labels(after).into_iter().map(|after| (before.clone(), after)));
        }
    }
    orders
}

/// The variable that a task goes on with, and the number that it adds.
fn step_of(task: &str) -> (&'static str, i64) {
    let number = task[1..].parse().unwrap_or(0);
    match task.as_bytes()[0] {
        b's' => ("x", number),
        b'a' => ("a", 10 + number),
        b'b' => ("b", 20 + number),
        _ => ("x", 40 + number),
    }
}

fn flow() -> String {
    let mut text = "version: 1.0\ninput: [n]\nvars: [x: <% ctx(n) %>, a: 0, b: 0, all: null]\ntasks:\n".to_owned();
    for (task, behind) in tasks() {
        let (variable, k) = step_of(&task);
        // The first of a branch goes on with what was before the fork.
        let from = if task == "a1" || task == "b1" { "x" } else { variable };
        let mut published = format!("{variable}: <% int(result().stdout) %>");
        let mut body = format!("action: relay.step\n    input: {{ x: <% ctx({from}) %>, k: {k} }}");
        match task.as_str() {
            "joined" => {
                body = "join: all\n    action: relay.step\n    input: { x: <% ctx(a) + ctx(b) %>, k: 30 }".to_owned();
                published = "x: <% int(result().stdout) %>".to_owned();
            }
            "each" => {
                body = format!(
                    "with: {{ items: 'k in <% list({}) %>', concurrency: 2 }}\n    action: relay.step\n    \
                     input: {{ x: <% ctx(x) %>, k: <% item(k) %> }}",
                    ITEMS.map(|item| item.to_string()).join(", ")
                );
                published = "all: <% result().select(int($.stdout)) %>".to_owned();
            }
            "below" => {
                body = "action: relay.below\n    input: { x: <% ctx(all).sum() %> }".to_owned();
                published = "x: <% result().output.x %>".to_owned();
            }
            _ => {}
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  {task}:\n    {body}\n    next:\n      - when: <% succeeded() %>\n        publish: [{published}]\n"
        );
        if !behind.is_empty() {
            let _ = writeln!(text, "        do: [{}]", behind.join(", "));
        }
    }
    text + "output: [n: <% ctx(n) %>, all: <% ctx(all) %>, x: <% ctx(x) %>]\n"
}

/// What the workflow results in.
pub(super) fn result(n: i64) -> Value {
    let step = |x: i64, k: i64| (x * 31 + k) % MODULUS;
    let row = |x: i64, from: i64, count: usize| (from + 1..).take(count).fold(x, step);
    let forked = row(n, 0, BEFORE);
    let joined = step(row(forked, 10, BRANCH) + row(forked, 20, BRANCH), 30);
    let all = ITEMS.map(|item| step(joined, item));
    let below = step(all.iter().sum(), 50);
    json!({ "output": { "n": n, "all": all, "x": row(below, 40, BEHIND) } })
}

#[test]
fn it_has_twenty_tasks_and_every_one_but_the_first_follows_on_another() {
    let tasks = tasks();
    assert_eq!(tasks.len(), TASKS);
    assert_eq!(EXECUTIONS, 24);
    for (task, _) in &tasks[1..] {
        assert!(tasks.iter().any(|(_, behind)| behind.contains(task)), "nothing leads to {task}");
    }
    // 19 steps from task to task beside the second one into the join, and two more for each of the two sides of the items.
    assert_eq!(orders().len(), 5 + 2 + 3 + 3 + 2 + ITEMS.len() * 2 + 1 + 2);
}
