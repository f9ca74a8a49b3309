//! Random covers and events, drawn from few values so that they meet.

use proptest::prelude::*;

use super::*;

const SLOTS: u32 = 5;
const TEXTS: &[&str] = &["", "a", "aa", "ab", "abc", "b", "ba", "ü", "aü", "abcabcabcabcabcabcabc"];
const NUMBERS: &[f64] = &[-1.0, 0.0, 0.1, 1.0, 1.5, 2.0, 9007199254740992.0, f64::INFINITY, f64::NEG_INFINITY];

fn a_text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(TEXTS)
}

fn a_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        6 => a_text().prop_map(text),
        2 => prop::sample::select(NUMBERS).prop_map(number),
        1 => any::<bool>().prop_map(Key::Bool),
        1 => Just(Key::Null),
    ]
}

fn a_literal() -> impl Strategy<Value = Literal> {
    let keys = || prop::collection::vec(a_key(), 1..4);
    let bound = || prop::sample::select(NUMBERS);
    (0..SLOTS).prop_flat_map(move |at| {
        prop_oneof![
            4 => keys().prop_map(move |keys| one_of(at, keys)),
            2 => keys().prop_map(move |keys| has_one_of(at, keys)),
            2 => (bound(), bound()).prop_map(move |(a, b)| Literal::Range(slot(at), a, b)),
            1 => a_text().prop_map(move |text| Literal::Prefix(slot(at), text.into())),
            1 => a_text().prop_map(move |text| Literal::Suffix(slot(at), text.into())),
            1 => prop::sample::select(&TEXTS[1..]).prop_map(move |text| Literal::Substring(slot(at), text.into())),
            1 => Just(Literal::Present(slot(at))),
            1 => Just(Literal::Absent(slot(at))),
        ]
    })
}

fn a_cover() -> impl Strategy<Value = Vec<Clause>> {
    let literals =
        prop_oneof![1 => prop::collection::vec(a_literal(), 0..2), 9 => prop::collection::vec(a_literal(), 1..5)];
    prop::collection::vec(literals.prop_map(clause), 1..4)
}

fn a_scalar() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        6 => a_text().prop_map(Value::String),
        2 => prop::sample::select(NUMBERS).prop_map(Value::Double),
        1 => (-1i64..3).prop_map(Value::Int),
        1 => Just(Value::Int(9007199254740993)),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
        1 => Just(Value::Double(f64::NAN)),
    ]
}

/// An event's value; lists and maps hold their elements.
#[derive(Debug, Clone)]
enum Given {
    Absent,
    Object,
    Scalar(Value<'static>),
    List(Vec<Value<'static>>),
    Map(Vec<(Value<'static>, Value<'static>)>),
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        2 => Just(Given::Absent),
        1 => Just(Given::Object),
        6 => a_scalar().prop_map(Given::Scalar),
        2 => prop::collection::vec(a_scalar(), 0..5).prop_map(Given::List),
        1 => prop::collection::vec((a_scalar(), a_scalar()), 0..3).prop_map(Given::Map),
    ]
}

fn slots(event: &[Given]) -> Vec<Slot<'_>> {
    event.iter().map(slot_of).collect()
}

fn slot_of(given: &Given) -> Slot<'_> {
    match given {
        Given::Absent => Slot::Absent,
        Given::Object => Slot::Object,
        Given::Scalar(value) => Slot::Value(*value),
        Given::List(values) => list(values),
        Given::Map(entries) => map(entries),
    }
}

fn compare(covers: &[Vec<Clause>], copies: usize, events: &[Vec<Given>]) {
    let all = covers.iter().cycle().take(covers.len() * copies);
    let rules: Vec<(u32, Vec<Clause>)> = (0..).zip(all.cloned()).collect();
    let index = Index::build(rules.clone());
    let mut scratch = Scratch::default();
    for event in events {
        check(&rules, &index, &slots(event), &mut scratch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn few_rules(
        covers in prop::collection::vec(a_cover(), 1..12),
        events in prop::collection::vec(prop::collection::vec(given(), SLOTS as usize), 1..12),
    ) {
        compare(&covers, 1, &events);
    }

    // Enough of them that lists are split, twice and more, and that interval trees grow.
    #[test]
    fn many_rules(
        covers in prop::collection::vec(a_cover(), 100..200),
        copies in 1..4usize,
        events in prop::collection::vec(prop::collection::vec(given(), SLOTS as usize), 1..12),
    ) {
        compare(&covers, copies, &events);
    }
}
