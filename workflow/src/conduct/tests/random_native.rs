//! Random native workflows: with times, questions, freezes, what undoes tasks and what runs at the end, decided about and
//! run again in random ways.

use petrel_execution::workflow::{Asked, Decision, RerunTask, Standing};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::host::Host;
use super::random::{Do, begin_in, comes_to_its_end, drive, ends, finish, goes_on_when_restored, status};
use crate::expression::Dialect;

const TASKS: usize = 5;

fn one_of(texts: Vec<&'static str>) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

fn next(own: usize) -> impl Strategy<Value = String> {
    let on = one_of(vec!["", "", "on: succeeded, ", "on: failed, ", "on: timeout, ", "on: completed, "]);
    let publish = one_of(vec!["", "", "publish: [{v: <% result() %>}], "]);
    let to = prop_oneof![
        6 => (own + 1..TASKS + 1).prop_map(|task| format!("t{}", task.min(TASKS - 1))),
        2 => (1..TASKS).prop_map(|task| format!("t{task}")),
        1 => one_of(vec!["fail", "noop", "retry"]).prop_map(str::to_owned),
    ];
    (on, publish, to).prop_map(|(on, publish, to)| format!("{{{on}{publish}do: {to}}}"))
}

fn task(own: usize) -> impl Strategy<Value = String> {
    let does = one_of(vec![
        "action: x",
        "action: x",
        "action: x, timeout: 30s",
        "action: x, retry: {count: 1}",
        "action: x, undo: {action: u, input: {r: <% result() %>}}",
        "action: x, on_error: fail",
        "action: x, with: i in <% range(3) %>, undo: {action: u, input: {i: <% item() %>}}",
        "action: x, with: {items: \"i in ${[1, 2, 3]}\", concurrency: 1}, timeout: 50s",
        "action: x, map: {items: [1, 2, 3, 4], chunk: 2, concurrency: 2, failures_max: 1}",
        "approve: {question: q}",
        "approve: {question: q, expires: 90s, default: 1, notify: {action: n}, remind: {every: 60s, action: r}}",
        "approve: {question: q, expires: 40s, notify: {action: n, input: {v: <% ctx().v %>}}}",
    ]);
    let join = if own == 0 { one_of(vec![""]) } else { one_of(vec!["", "", "join: all, ", "join: 1, "]) };
    let nexts = prop::collection::vec(next(own), 0..3);
    (does, join, nexts)
        .prop_map(move |(does, join, nexts)| format!("  t{own}: {{{join}{does}, next: [{}]}}\n", nexts.join(", ")))
}

fn text() -> impl Strategy<Value = String> {
    let whole = one_of(vec![
        "",
        "on_error: pause\n",
        "on_error: pause\non_freeze: {notify: {action: p, input: {f: <% ctx().frozen.tasks %>}}}\n",
        "on_error: pause\non_freeze: {notify: {action: p}, remind: {every: 60s, action: p}}\n",
    ]);
    let more =
        one_of(vec!["", "timeout: 200s\n", "finally: [{action: f}]\n", "rollback: on_fail\nfinally: [{action: f}]\n"]);
    let tasks = (task(0), task(1), task(2), task(3), task(4));
    (whole, more, tasks).prop_map(|(whole, more, (a, b, c, d, e))| {
        format!("version: 1.0\n{whole}{more}vars: [{{v: 0}}]\noutput: [{{v: <% ctx(v) %>}}]\ntasks:\n{a}{b}{c}{d}{e}")
    })
}

fn task_name() -> impl Strategy<Value = String> {
    (0..TASKS).prop_map(|task| format!("t{task}"))
}

fn decision() -> impl Strategy<Value = Decision> {
    let variables: Map<String, Value> = Map::from_iter([("v".to_owned(), json!(7))]);
    let some = variables.clone();
    let route = || prop_oneof![4 => Just(0_u32), 1 => Just(1)];
    prop_oneof![
        1 => prop::bool::ANY.prop_map(move |all| Decision::Resume { variables: if all { some.clone() } else { Map::new() } }),
        4 => (task_name(), route()).prop_map(|(task, route)| Decision::Skip { task, route, result: json!(5) }),
        6 => (task_name(), route(), prop::bool::ANY).prop_map(move |(task, route, reset_items)| {
            Decision::Retry { task, route, reset_items, input: variables.clone() }
        }),
        1 => Just(Decision::Rollback),
    ]
}

fn rerun() -> impl Strategy<Value = Vec<RerunTask>> {
    let task = (task_name(), prop::bool::ANY).prop_map(|(task, reset_items)| RerunTask { task, route: 0, reset_items });
    prop::collection::vec(task, 0..2)
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        2 => Just(Asked::Pause),
        3 => Just(Asked::Resume),
        1 => Just(Asked::Cancel),
        1 => Just(Asked::Answer(json!(1))),
        9 => decision().prop_map(Asked::Decide),
        4 => rerun().prop_map(Asked::Rerun),
    ]
}

fn action() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => (0..5_usize).prop_map(Do::Starts),
        8 => (any::<usize>(), status(), 0..3_u8).prop_map(|(which, status, result)| Do::End(which, status, result)),
        1 => (0..40_u32).prop_map(Do::EndNobody),
        4 => asked().prop_map(Do::Ask),
        2 => Just(Do::Wait),
    ]
}

fn begin(text: &str) -> Host {
    begin_in(Dialect::Native, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_in_any_order_do_no_harm_and_nothing_is_stranded(
        text in text(), actions in prop::collection::vec(action(), 0..80), ends in ends(),
    ) {
        comes_to_its_end(begin(&text), &actions, &ends)?;
    }

    #[test]
    fn restored_at_every_call_it_goes_on_as_if_nothing_had_been(
        text in text(), actions in prop::collection::vec(action(), 0..80), ends in ends(),
    ) {
        goes_on_when_restored(|| begin(&text), &actions, &ends)?;
    }

    #[test]
    fn what_is_over_runs_again_to_another_end(text in text(), ends in ends(), again in ends()) {
        let mut host = begin(&text);
        finish(&mut host, &ends, &[]);
        host.restore();
        if host.conduct.ask(&Asked::Rerun(Vec::new())).is_ok() {
            finish(&mut host, &again, &[true]);
        } else {
            let is_over = matches!(host.standing(), Standing::Over { .. });
            prop_assert!(is_over);
        }
    }

    #[test]
    fn a_frozen_workflow_takes_a_decision_about_each_of_its_tasks(
        text in text(), actions in prop::collection::vec(action(), 0..80), retries in prop::bool::ANY, ends in ends(),
    ) {
        let (_, mut host) = drive(begin(&text), &actions, &[]);
        let frozen = host.conduct.frozen().filter(|_| host.standing() == Standing::Paused);
        for task in frozen.iter().filter_map(|frozen| frozen["tasks"].as_array()).flatten() {
            let name = task["task"].as_str().unwrap_or_default().to_owned();
            let route = u32::try_from(task["route"].as_u64().unwrap_or_default()).unwrap_or_default();
            let decision = if retries {
                Decision::Retry { task: name, route, reset_items: false, input: Map::new() }
            } else {
                Decision::Skip { task: name, route, result: json!(1) }
            };
            let told = host.conduct.ask(&Asked::Decide(decision));
            prop_assert_eq!(told, Ok(()), "{}", task);
            host.restore();
            if host.conduct.frozen().is_none() {
                // What follows the last one, or `fail` behind any, has ended the workflow.
                break;
            }
        }
        prop_assert!(frozen.is_none() || host.conduct.frozen().is_none());
        finish(&mut host, &ends, &[]);
    }
}
