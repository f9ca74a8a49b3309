//! Aborted and crashed steps, done again, write what they would have written.

use std::collections::HashMap;

use petrel_bus::PartitionState;
use petrel_execution::Status;
use petrel_schemas::{AuditRecord, ExecutionChanged};
use proptest::prelude::*;

use super::harness::{Do, LEASE_MS, Owner};

/// What becomes of a step before it is committed.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    /// Aborted, then done again.
    Aborted,
    /// The process dies; another one restores the state and does it again.
    Crashed,
}

fn step() -> impl Strategy<Value = Do> {
    let execution = 0..3_u8;
    let action = prop::sample::select(vec!["demo.ok", "demo.once", "demo.broken", "demo.missing"]);
    let revision = prop::sample::select(vec!["now", "now", "later"]);
    let ended = prop::sample::select(vec!["succeeded", "failed", "timeout", "canceled", "abandoned"]);
    let report = (execution.clone(), 1..4_i64);
    prop_oneof![
        3 => (execution.clone(), action, revision).prop_map(|(n, action, revision)| Do::Request(n, action, revision)),
        4 => report.clone().prop_map(|(n, token)| Do::Claim(n, token)),
        2 => report.clone().prop_map(|(n, token)| Do::Beat(n, token)),
        3 => (report, ended).prop_map(|((n, token), status)| Do::Result(n, token, status)),
        1 => (execution.clone(), 1..4_i64).prop_map(|(n, token)| Do::Decline(n, token)),
        1 => execution.prop_map(Do::Cancel),
        3 => (0..2 * LEASE_MS, any::<bool>()).prop_map(|(ms, caught_up)| Do::Wait(ms, caught_up)),
        1 => Just(Do::Pause),
        1 => Just(Do::Resume),
        1 => Just(Do::Arrive),
        1 => any::<bool>().prop_map(Do::Rubbish),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Fate::Committed), 1 => Just(Fate::Aborted), 1 => Just(Fate::Crashed)]
}

/// The committed outputs of all steps. A crash is a change of the member in either run; with
/// `undisturbed` it comes after the commit of the step before.
fn run(steps: &[(Do, Fate)], undisturbed: bool) -> (Vec<petrel_bus::Output>, Owner) {
    let mut owner = Owner::new();
    let mut changelog: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    let mut written = Vec::new();
    for (what, fate) in steps {
        let (now_ms, view) = (owner.now_ms, owner.view.clone());
        match fate {
            Fate::Committed => {}
            Fate::Aborted if undisturbed => {}
            Fate::Aborted => {
                owner.step(what);
                owner.abort();
                (owner.now_ms, owner.view) = (now_ms, view);
            }
            Fate::Crashed => {
                if !undisturbed {
                    owner.step(what);
                    owner.outputs.clear();
                    (owner.now_ms, owner.view) = (now_ms, view);
                }
                owner.state = PartitionState::default();
                for (key, value) in &changelog {
                    owner.state.restore(key, value.as_deref());
                }
                owner.state.restored(0, now_ms).unwrap();
                owner.restart();
            }
        }
        owner.step(what);
        changelog.extend(owner.state.changes().map(|(key, value)| (key.to_vec(), value)));
        written.append(&mut owner.outputs);
        owner.commit();
    }
    (written, owner)
}

/// Rows of an execution are numbered without a gap, and nothing follows a final one, unless the execution was
/// forgotten and asked for again.
fn check_history(rows: &[ExecutionChanged]) {
    let mut expected = 1;
    for row in rows {
        assert_eq!(row.sequence, expected, "{rows:#?}");
        expected = if Status::parse(&row.status).unwrap().is_final() { 1 } else { expected + 1 };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn done_again_is_done_once(steps in prop::collection::vec((step(), fate()), 1..60)) {
        let (disturbed, owner) = run(&steps, false);
        let (undisturbed, expected) = run(&steps, true);
        prop_assert_eq!(&disturbed, &undisturbed);
        let snapshot = |owner: &Owner| -> Vec<(Vec<u8>, Vec<u8>)> {
            owner.state.scan(b"").map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
        };
        prop_assert_eq!(snapshot(&owner), snapshot(&expected));

        let mut histories: HashMap<String, Vec<ExecutionChanged>> = HashMap::new();
        for output in disturbed.iter().filter(|o| o.topic.ends_with("audit")) {
            if let Ok(AuditRecord::ExecutionChanged(row)) = AuditRecord::decode(output.value.as_deref().unwrap()) {
                histories.entry(row.execution_id.clone()).or_default().push(row);
            }
        }
        histories.values().for_each(|rows| check_history(rows));
    }
}
