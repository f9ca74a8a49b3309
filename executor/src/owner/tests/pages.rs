//! Small pieces of workflows, which share records.

use std::collections::BTreeMap;

use petrel_bus::{Context, Facts, MemoryStore, PartitionState};
use petrel_execution::workflow::{Changed, Piece, Workflows};
use petrel_schemas::ExecutionId;
use proptest::prelude::*;

use super::steps::{NOW_MS, PARTITION, id};
use crate::owner::pages::{PAGE_BYTES_MAX, PAGED_BYTES_MAX};
use crate::owner::pieces;
use crate::owner::workflows::{AtHand, OfStep};

/// Key and value of the largest record, in bytes.
const RECORD_BYTES: usize = 100_000;

/// A state, and what is at hand of it.
struct Owner {
    state: PartitionState,
    at_hand: AtHand,
}

impl Owner {
    fn new() -> Self {
        Self { state: PartitionState::new(Box::new(MemoryStore::default()), RECORD_BYTES), at_hand: AtHand::default() }
    }

    fn in_context<R>(&mut self, f: impl FnOnce(&mut Context<'_, ()>, &AtHand) -> R) -> R {
        let facts = Facts { partition: PARTITION, now_ms: NOW_MS, blocked_ms: 0, is_careful: false };
        f(&mut Context::new(facts, &(), &mut self.state, &mut Vec::new()), &self.at_hand)
    }

    /// What a step changes.
    fn step(&mut self, changes: &[(String, Option<String>)]) {
        self.in_context(|context, at_hand| {
            // Somebody has it at hand, as when a step is carried out.
            OfStep { context: &*context, at_hand }.keep(&execution(), super::large::gathered(1));
            for (key, value) in changes {
                let changed = Changed { key: key.clone(), value: value.clone() };
                at_hand.write(context, &execution(), &changed).unwrap();
            }
            at_hand.store(context, &execution()).unwrap();
        });
    }

    fn commit(&mut self) {
        self.state.commit(NOW_MS).unwrap();
        self.at_hand.committed();
    }

    fn read(&mut self) -> BTreeMap<String, String> {
        let pieces = self.in_context(|context, at_hand| OfStep { context: &*context, at_hand }.pieces(&execution()));
        pieces.unwrap().into_iter().map(|Piece { key, value }| (key, value)).collect()
    }

    /// What is stored, without a change of what is at hand.
    fn stored(&mut self) -> BTreeMap<String, String> {
        let stored = self.in_context(|context, _| pieces::read(&*context, &execution())).unwrap();
        stored.pieces.into_iter().map(|Piece { key, value }| (key, value)).collect()
    }

    fn records(&self) -> usize {
        self.state.scan(b"").count()
    }
}

fn execution() -> ExecutionId {
    ExecutionId::parse(&id(1)).unwrap()
}

fn change(key: &str, value: Option<&str>) -> (String, Option<String>) {
    (key.to_owned(), value.map(str::to_owned))
}

#[test]
fn what_a_step_changes_is_one_record() {
    let mut owner = Owner::new();
    owner.step(&[change("workflow", Some("{}")), change("run/0", Some("{}")), change("next", Some("1"))]);
    assert_eq!(owner.records(), 1);
    // In the same transaction the same one.
    owner.step(&[change("run/0", Some("[]")), change("run/1", Some("{}"))]);
    assert_eq!(owner.records(), 1);
    owner.commit();
    owner.step(&[change("run/1", Some("[]")), change("run/0", None)]);
    assert_eq!(owner.records(), 2);
    let expected = [("next", "1"), ("run/1", "[]"), ("workflow", "{}")];
    assert_eq!(owner.read(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn what_comes_and_goes_in_one_transaction_leaves_nothing() {
    let mut owner = Owner::new();
    owner.step(&[change("workflow", Some("{}"))]);
    owner.commit();
    owner.step(&[change("staged/1", Some("{}"))]);
    owner.step(&[change("staged/1", None)]);
    let stored = owner.stored();
    assert_eq!(stored.keys().collect::<Vec<_>>(), ["workflow"]);
    owner.step(&[change("staged/1", None)]);
    assert_eq!(owner.stored(), stored);
}

#[test]
fn a_piece_that_grows_or_shrinks_is_never_in_two_places() {
    let mut owner = Owner::new();
    let large = "x".repeat(PAGED_BYTES_MAX + 1);
    for value in ["small", &large, "small", &large] {
        owner.step(&[change("context/1", Some(value))]);
        owner.commit();
        assert_eq!(owner.stored()["context/1"], value);
    }
    owner.step(&[change("context/1", None)]);
    owner.commit();
    assert!(owner.read().is_empty());
}

#[test]
fn pages_of_which_little_counts_are_written_together() {
    let mut owner = Owner::new();
    for step in 0..2_000 {
        owner.step(&[change("workflow", Some(&step.to_string())), change(&format!("run/{step}"), Some("{}"))]);
        owner.commit();
        if step % 7 == 0 {
            owner.step(&[change(&format!("run/{step}"), None)]);
            owner.commit();
        }
    }
    let stored = owner.stored();
    assert_eq!(stored["workflow"], "1999");
    let bytes: usize = stored.iter().map(|(key, value)| key.len() + value.len()).sum();
    let needed = bytes / (PAGE_BYTES_MAX / 2) + 1;
    assert!(owner.records() < 4 * needed + 100, "{} records of {bytes} bytes", owner.records());
}

#[derive(Debug, Clone)]
enum Step {
    /// Pieces have so many bytes, or are gone.
    Change(Vec<(usize, Option<usize>)>),
    Commit,
    Abort,
    /// Another process goes on.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![4 => 0..200_usize, 1 => PAGED_BYTES_MAX - 2..PAGED_BYTES_MAX + 3, 1 => 0..3_000_usize];
    let one = (0..30_usize, prop::option::weighted(0.7, bytes));
    prop_oneof![
        8 => prop::collection::vec(one, 1..8).prop_map(Step::Change),
        6 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_and_undone_is_what_is_read(steps in prop::collection::vec(step(), 1..250)) {
        let mut owner = Owner::new();
        let (mut model, mut committed) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Change(pieces) => {
                    let changes: Vec<(String, Option<String>)> = pieces
                        .into_iter()
                        .map(|(key, bytes)| (format!("run/{key}"), bytes.map(|bytes| "x".repeat(bytes))))
                        .collect();
                    owner.step(&changes);
                    for (key, value) in changes {
                        match value {
                            Some(value) => model.insert(key, value),
                            None => model.remove(&key),
                        };
                    }
                }
                Step::Commit => {
                    owner.commit();
                    committed = model.clone();
                }
                Step::Abort => {
                    owner.state.abort();
                    owner.at_hand.clear();
                    model = committed.clone();
                    owner.read();
                }
                Step::Restart => {
                    owner.at_hand = AtHand::default();
                    owner.read();
                }
            }
            prop_assert_eq!(owner.stored(), model.clone());
        }
    }
}
