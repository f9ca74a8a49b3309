//! What a worker does not claim because of a switch, or because of windows.

use petrel_execution::gate::GateId;
use petrel_execution::windows::{Span, Windows};
use petrel_execution::{NameGates, OwnTerms};
use petrel_schemas::ExecutionId;

use super::*;

/// An action may begin until 10 s after the epoch.
#[derive(Debug)]
struct Office;

impl NameGates for Office {
    fn gates(&self, _: &ExecutionId, _: Option<&str>, _: &Value) -> Result<Vec<GateId>, String> {
        unreachable!("workers ask no gates")
    }

    fn own_terms(&self, rule: Option<&str>) -> OwnTerms {
        let closed =
            Span::Once { from: "1970-01-01T00:00:10".parse().unwrap(), to: "1970-01-02T00:00".parse().unwrap() };
        let (policy, time_zone) = ("demo.hours".to_owned(), "UTC".to_owned());
        let windows = Windows { policy, time_zone, open: Vec::new(), closed: vec![closed], drops: false };
        // What a rule asks for may begin at any time.
        let windows = if rule.is_none() { vec![windows] } else { Vec::new() };
        OwnTerms { windows, ..OwnTerms::default() }
    }
}

/// `office` is a revision whose actions have windows.
pub(super) fn policies(revision: &str) -> Option<Arc<dyn NameGates>> {
    (revision == "office").then(|| Arc::new(Office) as Arc<dyn NameGates>)
}

#[test]
fn nothing_is_claimed_of_what_is_switched_off() {
    let mut worker = Worker::new(4);
    let of_rule = |execution: &str| encode(&Task { rule: Some("other.rule".to_owned()), ..task(execution, "now") });
    for scope in ["everything", "pack/demo", "pack/other", "action/demo.x", "rule/other.rule"] {
        worker.view.off = Some(scope);
        let (consumed, outputs) = worker.step(&[of_rule("a"), of_rule("b")]);
        assert_eq!((consumed, told(&outputs)), (2, ["switched_off a", "switched_off b"].map(String::from).to_vec()));
        worker.stage.committed();
        assert!(worker.handed_over().is_empty(), "{scope}");
    }
    // What is not of it starts, also what stands behind it, and so does all once its time has come.
    worker.view.off = Some("rule/other.rule");
    assert_eq!(told(&worker.step(&[of_rule("a"), now("b")]).1), ["switched_off a", "claim b"]);
    worker.now_ms = NOW_MS + 1;
    let later = Task { start_by_ms: NOW_MS + 1, rule: Some("other.rule".to_owned()), ..task("a", "now") };
    assert_eq!(told(&worker.step(&[encode(&later)]).1), ["claim a"]);
}

#[test]
fn nothing_is_claimed_while_a_switch_cannot_be_read() {
    let mut worker = Worker::new(4);
    worker.view.off = Some("unreadable");
    let (consumed, outputs) = worker.step(&[now("a"), now("b")]);
    assert_eq!((consumed, told(&outputs).len()), (0, 0));
    worker.view.off = None;
    assert_eq!(told(&worker.step(&[now("a")]).1), ["claim a"]);
}

/// Whatever else keeps it waiting: its owner is to hold it, and nobody waits behind it.
#[test]
fn what_is_switched_off_waits_for_nothing_at_a_worker() {
    let mut worker = Worker::with_slots(Slots::with_room(0, Needs { memory_bytes: 4, cpu_milli: 0 }));
    worker.view.off = Some("action/demo.x");
    worker.following = false;
    let all = ["now", "later", "noop", "secret", "needs 9"].map(|revision| encode(&task(revision, revision)));
    let wanted = ["now", "later", "noop", "secret", "needs 9"].map(|revision| format!("switched_off {revision}"));
    assert_eq!(told(&worker.step(&all).1), wanted);
    worker.slots.set_drained(Some(1));
    assert_eq!(told(&worker.step(&all[..1]).1), ["switched_off now"]);
}

#[test]
fn its_place_in_line_is_nobodys() {
    let mut worker = Worker::with_slots(Slots::with_room(4, Needs { memory_bytes: 8, cpu_milli: 0 }));
    let needs = |execution: &str, bytes: u64| encode(&task(execution, &format!("needs {bytes}")));
    worker.step(&[needs("a", 4)]);
    worker.stage.committed();
    let _running = worker.handed_over();
    assert_eq!(worker.step(&[needs("large", 8)]).0, 0);
    assert_eq!(worker.step(&[needs("b", 2)]).0, 0, "it is before it");
    worker.view.off = Some("rule/demo.rule");
    let of_rule = Task { rule: Some("demo.rule".to_owned()), ..task("large", "needs 8") };
    assert_eq!(told(&worker.step(&[encode(&of_rule), needs("b", 2)]).1), ["switched_off large", "claim b"]);
}

#[test]
fn nothing_is_claimed_once_its_windows_have_closed() {
    let mut worker = Worker::new(4);
    let office = |rule: Option<&str>| {
        let rule = rule.map(str::to_owned);
        encode(&Task { start_by_ms: 86_400_000, rule, ..task("a", "office") })
    };
    assert_eq!(told(&worker.step(&[office(None)]).1), ["claim a"]);
    worker.now_ms = 10_000;
    let (consumed, outputs) = worker.step(&[office(None), office(Some("demo.rule"))]);
    assert_eq!((consumed, told(&outputs)), (2, ["window_closed a", "claim a"].map(String::from).to_vec()));
    worker.now_ms = 86_400_000;
    assert_eq!(told(&worker.step(&[office(None)]).1), ["claim a"]);
}
