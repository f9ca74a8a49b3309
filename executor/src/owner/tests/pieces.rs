//! Pieces of workflows that are larger than a record.

use std::collections::BTreeMap;

use petrel_bus::{Context, Facts, MemoryStore, PartitionState};
use petrel_execution::workflow::{Changed, Piece, Workflows};
use petrel_schemas::ExecutionId;
use proptest::prelude::*;

use super::large;
use super::steps::{NOW_MS, PARTITION, id};
use crate::owner::pieces::{self, PIECE_BYTES_MAX, PieceTooLarge};
use crate::owner::workflows::{AT_HAND_BYTES_MAX, AtHand, OfStep};

/// Key and value of the largest record, in bytes.
const RECORD_BYTES: usize = 1_000;

fn state() -> PartitionState {
    PartitionState::new(Box::new(MemoryStore::default()), RECORD_BYTES)
}

fn execution() -> ExecutionId {
    ExecutionId::parse(&id(1)).unwrap()
}

fn in_context<R>(state: &mut PartitionState, f: impl FnOnce(&mut Context<'_, ()>) -> R) -> R {
    let facts = Facts { partition: PARTITION, now_ms: NOW_MS, blocked_ms: 0, is_careful: false };
    f(&mut Context::new(facts, &(), state, &mut Vec::new()))
}

fn changed(key: &str, value: Option<&str>) -> Changed {
    Changed { key: key.to_owned(), value: value.map(str::to_owned) }
}

fn write(state: &mut PartitionState, at_hand: &AtHand, key: &str, value: Option<&str>) {
    in_context(state, |context| {
        // Somebody has it at hand, as when a step is carried out.
        OfStep { context: &*context, at_hand }.keep(&execution(), large::gathered(1));
        at_hand.write(context, &execution(), &changed(key, value))?;
        at_hand.store(context, &execution())
    })
    .unwrap();
}

fn read(state: &mut PartitionState, at_hand: &AtHand) -> Result<Vec<Piece>, String> {
    in_context(state, |context| OfStep { context: &*context, at_hand }.pieces(&execution()))
}

/// The keys of all that is stored, without what they begin with.
fn keys(state: &PartitionState) -> Vec<String> {
    let prefix = pieces::prefix(&execution());
    let key = |key: &[u8]| String::from_utf8(key.strip_prefix(&*prefix).unwrap().to_vec()).unwrap();
    state.scan(b"").map(|(at, _)| key(&at)).collect()
}

fn text(bytes: usize) -> String {
    // Characters of one to four bytes, so that parts end within none.
    "aß€😀"
        .chars()
        .cycle()
        .scan(0, |length, one| {
            *length += one.len_utf8();
            (*length <= bytes).then_some(one)
        })
        .collect()
}

#[test]
fn a_piece_of_any_size_is_read_as_it_was_written() {
    let sizes = (0..40).map(|step| step * 71).chain([50_000]);
    for bytes in sizes {
        let (mut state, at_hand, text) = (state(), AtHand::default(), text(bytes));
        for key in ["context/10", "context/1", "context/2"] {
            write(&mut state, &at_hand, key, Some(&text));
        }
        let expected = ["context/1", "context/10", "context/2"];
        let read = read(&mut state, &at_hand).unwrap();
        let found: Vec<(&str, &str)> = read.iter().map(|piece| (&*piece.key, &*piece.value)).collect();
        assert_eq!(found, expected.map(|key| (key, &*text)), "{bytes}");
        assert!(state.scan(b"").all(|(key, value)| key.len() + value.len() <= RECORD_BYTES));
    }
}

#[test]
fn a_piece_that_shrinks_or_goes_leaves_no_part_whoever_wrote_it() {
    for restarts in [false, true] {
        let (mut state, mut at_hand) = (state(), AtHand::default());
        let write = |state: &mut PartitionState, at_hand: &mut AtHand, key, value: Option<&str>| {
            if restarts {
                *at_hand = AtHand::default();
                read(state, at_hand).unwrap();
            }
            write(state, at_hand, key, value);
        };
        write(&mut state, &mut at_hand, "native", Some(&text(2_500)));
        assert_eq!(keys(&state), ["native", "native/+0001", "native/+0002"]);
        write(&mut state, &mut at_hand, "workflow", Some(&text(1_200)));
        write(&mut state, &mut at_hand, "native", Some(&text(1_500)));
        assert_eq!(keys(&state), ["native", "native/+0001", "workflow", "workflow/+0001"]);
        write(&mut state, &mut at_hand, "native", Some(&text(3_400)));
        write(&mut state, &mut at_hand, "workflow", None);
        assert_eq!(keys(&state), ["native", "native/+0001", "native/+0002", "native/+0003"]);
        write(&mut state, &mut at_hand, "native", Some("{}"));
        assert_eq!(keys(&state), ["native"]);
        write(&mut state, &mut at_hand, "native", None);
        assert!(state.is_empty());
    }
}

#[test]
fn what_is_missing_of_a_piece_is_told() {
    let cases = [
        ("native", "of the piece native the first record is missing, its part 1 is there"),
        ("native/+0001", "stored in 3 parts behind its first record, the part 1 is missing"),
        ("native/+0002", "stored in 3 parts behind its first record, the part 2 is missing"),
        ("native/+0003", "stored in 3 parts behind its first record, the part 3 is missing"),
    ];
    for (gone, expected) in cases {
        let (mut state, at_hand) = (state(), AtHand::default());
        write(&mut state, &at_hand, "native", Some(&text(3_400)));
        write(&mut state, &at_hand, "workflow", Some("{}"));
        let mut key = pieces::prefix(&execution());
        key.extend(gone.bytes());
        state.delete(&key);
        let error = read(&mut state, &at_hand).unwrap_err();
        assert!(error.ends_with(expected), "{gone}: {error}");
    }
    let (mut state, at_hand) = (state(), AtHand::default());
    let mut key = pieces::prefix(&execution());
    key.extend(b"native");
    state.put(&key, b"damaged".to_vec()).unwrap();
    let error = read(&mut state, &at_hand).unwrap_err();
    assert!(error.contains("/w/native cannot be read: not an Avro single-object record"), "{error}");
}

#[test]
fn what_no_parts_can_hold_is_refused_and_changes_nothing() {
    let (mut state, at_hand) = (PartitionState::default(), AtHand::default());
    write(&mut state, &at_hand, "native", Some("{}"));
    let write = |state: &mut PartitionState, bytes: usize| {
        let changed = changed("native", Some(&"x".repeat(bytes)));
        in_context(state, |context| at_hand.write(context, &execution(), &changed))
    };
    let error = write(&mut state, PIECE_BYTES_MAX + 1).unwrap_err();
    assert_eq!(error, PieceTooLarge::Piece { key: "native".to_owned(), bytes: PIECE_BYTES_MAX + 1 });
    assert!(error.to_string().ends_with("the limit PIECE_BYTES_MAX is 16777216"), "{error}");
    assert_eq!(read(&mut state, &at_hand).unwrap()[0].value, "{}");
    assert_eq!(write(&mut state, PIECE_BYTES_MAX), Ok(()));
    // Records without room for anything.
    let mut small = PartitionState::new(Box::new(MemoryStore::default()), 200);
    assert!(matches!(write(&mut small, 500), Err(PieceTooLarge::Record(_))));
    assert!(small.is_empty());
}

#[test]
fn what_is_at_hand_is_bounded_by_what_it_has_gathered() {
    let (mut state, at_hand) = (state(), AtHand::default());
    let ids: Vec<ExecutionId> = (1..=4).map(|number| ExecutionId::parse(&id(number)).unwrap()).collect();
    in_context(&mut state, |context| {
        let workflows = OfStep { context: &*context, at_hand: &at_hand };
        for id in &ids {
            workflows.keep(id, large::gathered(AT_HAND_BYTES_MAX / 3));
        }
        let left: Vec<bool> = ids.iter().map(|id| workflows.take(id).is_some()).collect();
        assert_eq!(left, [false, true, true, true], "the one that was asked longest ago makes room");
        // One that is over the limit by itself stays until another one comes.
        workflows.keep(&ids[0], large::gathered(2 * AT_HAND_BYTES_MAX));
        assert!(workflows.take(&ids[0]).is_some());
        workflows.keep(&ids[0], large::gathered(2 * AT_HAND_BYTES_MAX));
        workflows.keep(&ids[1], large::gathered(1));
        let left: Vec<bool> = ids.iter().map(|id| workflows.take(id).is_some()).collect();
        assert_eq!(left, [false, true, false, false]);
    });
}

const KEYS: [&str; 3] = ["context/1", "context/10", "native"];

#[derive(Debug, Clone)]
enum Step {
    /// A piece has so many bytes, or is gone.
    Write(usize, Option<usize>),
    Commit,
    Abort,
    /// Another process goes on.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS.len(), prop::option::weighted(0.8, 0..4_000_usize)).prop_map(|(key, bytes)| Step::Write(key, bytes)),
        1 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_and_undone_is_read_and_nothing_else_is_stored(steps in prop::collection::vec(step(), 1..40)) {
        let (mut state, mut at_hand) = (state(), AtHand::default());
        let (mut model, mut committed) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            let goes_on_anew = matches!(step, Step::Abort | Step::Restart);
            match step {
                Step::Write(key, bytes) => {
                    let (key, value) = (KEYS[key], bytes.map(text));
                    write(&mut state, &at_hand, key, value.as_deref());
                    match value {
                        Some(value) => model.insert(key.to_owned(), value),
                        None => model.remove(key),
                    };
                }
                Step::Commit => {
                    state.commit(NOW_MS).unwrap();
                    committed = model.clone();
                }
                Step::Abort => {
                    state.abort();
                    at_hand.clear();
                    model = committed.clone();
                }
                Step::Restart => at_hand = AtHand::default(),
            }
            if goes_on_anew {
                read(&mut state, &at_hand).unwrap();
            }
            let stored = in_context(&mut state, |context| pieces::read(context, &execution())).unwrap();
            let records = stored.pieces.len() + stored.parts.values().sum::<usize>();
            let found: BTreeMap<String, String> =
                stored.pieces.into_iter().map(|piece| (piece.key, piece.value)).collect();
            prop_assert_eq!(&found, &model);
            prop_assert_eq!(keys(&state).len(), records);
        }
    }
}
