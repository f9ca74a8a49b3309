//! Random workflows, driven in random ways: nothing panics, nothing is stranded, and one that is restored whenever it
//! may be goes on as one that never is.

use std::collections::BTreeMap;

use petrel_execution::Status;
use petrel_execution::workflow::{Asked, ChildEnd, Standing};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::host::Host;
use crate::conduct::PackWorkflow;
use crate::definition::Definition;
use crate::expression::Dialect;
use crate::limits::Limits;

const TASKS: usize = 6;

/// The calls after which a workflow that goes on is taken for one that never ends.
const CALLS_MAX: usize = 5_000;

fn next(own: usize) -> impl Strategy<Value = String> {
    let when = prop::sample::select(vec![
        "",
        "when: <% succeeded() %>, ",
        "when: <% failed() %>, ",
        "when: <% completed() %>, ",
        "when: <% result() = 1 %>, ",
        "when: <% ctx(nothing) %>, ",
    ]);
    let publish =
        prop::sample::select(vec!["", "publish: [{v: <% result() %>}], ", "publish: [{m: {k: <% ctx(v) %>}}], "]);
    let to = prop_oneof![
        8 => (1..TASKS).prop_map(|task| format!("t{task}")),
        1 => prop::sample::select(vec!["fail", "noop", "continue", "retry"]).prop_map(str::to_owned),
        4 => Just(format!("t{}", (own + 1).min(TASKS - 1))),
    ];
    (when, publish, prop::collection::btree_set(to, 1..3))
        .prop_map(|(when, publish, to)| format!("{{{when}{publish}do: [{}]}}", Vec::from_iter(to).join(", ")))
}

fn task(own: usize) -> impl Strategy<Value = String> {
    let one_of = |texts: Vec<&'static str>| prop::sample::select(texts);
    let action = one_of(vec![
        "action: x",
        "action: x",
        "action: x",
        "action: x",
        "action: x n=<% ctx(n) %>",
        "delay: 1",
        "action: <% ctx(n) %>",
        "action: x, input: <% ctx(n) %>",
        "action: x, input: {n: <% ctx(nothing) %>}",
    ]);
    let with = one_of(vec![
        "",
        "",
        "",
        "with: i in <% list() %>, ",
        "with: i in <% range(3) %>, ",
        "with: {items: i in <% range(5) %>, concurrency: 2}, ",
        "with: {items: i in <% range(4) %>, concurrency: 1}, ",
    ]);
    let join = if own == 0 { one_of(vec![""]) } else { one_of(vec!["", "", "join: all, ", "join: 1, ", "join: 2, "]) };
    let retry = one_of(vec!["", "", "", "retry: {count: 1}, ", "retry: {count: 2, delay: 1, when: <% failed() %>}, "]);
    let nexts = prop::collection::vec(next(own), 0..3);
    (action, with, join, retry, nexts).prop_map(move |(action, with, join, retry, nexts)| {
        format!("  t{own}: {{{with}{join}{retry}{action}, next: [{}]}}\n", nexts.join(", "))
    })
}

fn text() -> impl Strategy<Value = String> {
    let output = prop::sample::select(vec!["<% ctx(v) %>", "<% ctx(v) %>", "<% ctx(nothing) %>"]);
    let tasks = (task(0), task(1), task(2), task(3), task(4), task(5));
    (output, tasks).prop_map(|(output, (a, b, c, d, e, f))| {
        format!("version: 1.0\nvars: [{{v: 0}}, {{n: 5}}]\noutput: [{{v: {output}}}]\ntasks:\n{a}{b}{c}{d}{e}{f}")
    })
}

/// Workflows with mistakes in them are run as well, as far as they can be.
pub(super) fn begin_in(dialect: Dialect, text: &str) -> Host {
    let definition = Definition::read(text, dialect).unwrap_or_else(|error| panic!("{error} in {text}"));
    let limits = Limits { runs_max: 60, children_max: 150, ..Limits::default() };
    let workflow = PackWorkflow::uninspected(definition, dialect).with_limits(limits);
    Host::begin(workflow, &json!({}))
}

fn begin(text: &str) -> Host {
    begin_in(Dialect::Orquesta, text)
}

#[derive(Debug, Clone)]
pub(super) enum Do {
    Starts(usize),
    End(usize, Status, u8),
    EndNobody(u32),
    Ask(Asked),
    Wait,
}

pub(super) fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        6 => Just(Status::Succeeded),
        2 => Just(Status::Failed),
        1 => prop::sample::select(vec![Status::Timeout, Status::Canceled, Status::Abandoned, Status::Running]),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![4 => Just(Asked::Pause), 6 => Just(Asked::Resume), 1 => Just(Asked::Cancel)]
}

fn action() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => (0..5_usize).prop_map(Do::Starts),
        8 => (any::<usize>(), status(), 0..3_u8).prop_map(|(which, status, result)| Do::End(which, status, result)),
        1 => (0..400_u32).prop_map(Do::EndNobody),
        2 => asked().prop_map(Do::Ask),
    ]
}

/// What can be seen of a call.
fn act(host: &mut Host, action: &Do) -> String {
    host.tick();
    let seen = match action {
        Do::Starts(most) => {
            let starts = host.starts(*most);
            assert!(starts.len() <= *most, "{} of {most} started", starts.len());
            format!("{starts:?} {}", host.conduct.has_more())
        }
        Do::End(which, status, result) => {
            let open = host.conduct.open();
            let Some(number) = open.get(which % open.len().max(1)) else { return String::new() };
            end(host, *number, *status, json!(result))
        }
        Do::EndNobody(number) => {
            let is_open = host.conduct.open().contains(number);
            let told = end(host, *number, Status::Failed, Value::Null);
            assert_eq!(is_open, told.contains("Ok"), "{number}: {told}");
            told
        }
        Do::Ask(asked) => {
            host.store();
            let told = host.conduct.ask(asked);
            if told.is_err() {
                // A cancel that comes too late still ends what runs.
                let ends = |key: &str| *asked == Asked::Cancel && key.starts_with("child/");
                let changed = host.store();
                assert!(changed.iter().all(|key| ends(key)), "{told:?} {changed:?}");
            }
            format!("{told:?}")
        }
        Do::Wait => {
            host.wait();
            String::new()
        }
    };
    let stops = host.conduct.take_stops();
    let (standing, open, due_ms) = (host.standing(), host.conduct.open(), host.conduct.due_ms());
    format!("{action:?}: {seen} {standing:?} {open:?} {stops:?} {due_ms:?} {:?}", host.conduct.frozen())
}

fn end(host: &mut Host, number: u32, status: Status, result: Value) -> String {
    format!("{:?}", host.conduct.child_ended(number, ChildEnd { status, result }))
}

/// Drives a workflow in the given way, restored behind the calls that are told, and says what was seen.
pub(super) fn drive(mut host: Host, actions: &[Do], restores: &[bool]) -> (Vec<String>, Host) {
    let mut seen = Vec::new();
    let mut over = None;
    for (number, action) in actions.iter().enumerate() {
        if restores.get(number % restores.len().max(1)).is_some_and(|restores| *restores) {
            host.restore();
        }
        let told = act(&mut host, action);
        if matches!(action, Do::Ask(Asked::Rerun(_))) && told.contains("Ok(())") {
            over = None;
        }
        seen.push(told);
        host.store();
        if let Some(over) = &over {
            assert_eq!(over, &host.standing(), "behind {action:?}");
        } else if let standing @ Standing::Over { .. } = host.standing() {
            over = Some(standing);
        }
    }
    (seen, host)
}

/// Ends what is open and starts what there is, until the workflow is over and no child is open.
pub(super) fn finish(host: &mut Host, ends: &[(usize, Status)], restores: &[bool]) -> Vec<String> {
    let mut seen = Vec::new();
    for call in 0..CALLS_MAX {
        if restores.get(call % restores.len().max(1)).is_some_and(|restores| *restores) {
            host.restore();
        }
        host.tick();
        let starts = host.starts(3);
        seen.push(format!("{starts:?} {:?}", host.conduct.take_stops()));
        host.store();
        let open = host.conduct.open();
        let (which, status) = ends[call % ends.len()];
        let status = if status.is_final() { status } else { Status::Succeeded };
        match (host.standing(), open.is_empty()) {
            (over @ Standing::Over { .. }, true) => {
                seen.push(format!("{over:?}"));
                return seen;
            }
            (Standing::Paused, _) => host.ask(Asked::Resume),
            (_, false) => host.end(open[which % open.len()], status, json!(which % 3)),
            (standing, true) => {
                assert!(host.conduct.has_more() || !starts.is_empty(), "stranded, {standing:?}: {:?}", host.stored);
            }
        }
    }
    panic!("not over after {CALLS_MAX} calls, {:?}", host.standing())
}

pub(super) fn ends() -> impl Strategy<Value = Vec<(usize, Status)>> {
    prop::collection::vec((any::<usize>(), status()), 1..30)
}

/// What was seen of a workflow, and what is stored of it in the end.
type Seen = (Vec<String>, BTreeMap<String, String>);

fn same(one: Seen, other: Seen) -> Result<(), TestCaseError> {
    for (one, other) in one.0.iter().zip(&other.0) {
        prop_assert_eq!(one, other);
    }
    prop_assert_eq!(one.0.len(), other.0.len());
    prop_assert_eq!(renumbered(&one.1), renumbered(&other.1));
    Ok(())
}

/// A workflow that is driven in the given way comes to its end, and nothing that ran was unknown when it ended.
pub(super) fn comes_to_its_end(host: Host, actions: &[Do], ends: &[(usize, Status)]) -> Result<(), TestCaseError> {
    let (_, mut host) = drive(host, actions, &[]);
    finish(&mut host, ends, &[]);
    let Standing::Over { result, .. } = host.standing() else { panic!("not over, {:?}", host.standing()) };
    prop_assert!(!result.to_string().contains("is not offered"), "{}", result);
    Ok(())
}

/// A workflow that is driven in the given way and restored at every call goes on as one that never is.
pub(super) fn goes_on_when_restored(
    begin: impl Fn() -> Host,
    actions: &[Do],
    ends: &[(usize, Status)],
) -> Result<(), TestCaseError> {
    let run = |restores: &[bool]| {
        let (mut seen, mut host) = drive(begin(), actions, restores);
        seen.extend(finish(&mut host, ends, restores));
        (seen, host.stored)
    };
    same(run(&[]), run(&[true]))
}

/// Pieces with the numbers of staged tasks replaced by their ranks: what is restored goes on behind the last one that is
/// stored, and the numbers tell nothing but an order.
fn renumbered(stored: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let number = |key: &str| key.split('/').nth(1).and_then(|number| number.parse::<u32>().ok()).unwrap_or_default();
    let mut staged: Vec<u32> = stored.keys().filter(|key| key.starts_with("staged/")).map(|key| number(key)).collect();
    staged.sort_unstable();
    let renumbered = |(key, value): (&String, &String)| {
        let mut parts: Vec<String> = key.split('/').map(str::to_owned).collect();
        if matches!(parts[0].as_str(), "staged" | "items") {
            parts[1] = format!("{:?}", staged.binary_search(&number(key)));
        }
        (parts.join("/"), value.clone())
    };
    stored.iter().map(renumbered).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_in_any_order_do_no_harm_and_nothing_is_stranded(
        text in text(), actions in prop::collection::vec(action(), 0..60), ends in ends(),
    ) {
        comes_to_its_end(begin(&text), &actions, &ends)?;
    }

    #[test]
    fn restored_at_every_call_it_goes_on_as_if_nothing_had_been(
        text in text(), actions in prop::collection::vec(action(), 0..60), ends in ends(),
    ) {
        goes_on_when_restored(|| begin(&text), &actions, &ends)?;
    }

    #[test]
    fn restored_now_and_then_it_comes_to_the_same_end(
        text in text(), ends in ends(), restores in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let run = |restores: &[bool]| {
            let mut host = begin(&text);
            (finish(&mut host, &ends, restores), host.stored)
        };
        same(run(&[]), run(&restores))?;
    }
}
