//! Candidates against the literals' meaning, taken word by word.

mod hard;
mod kinds;
mod random;

use petrel_cel::{List, Map, Slot, SlotId, Value};

use super::{Clause, Index, Key, Literal, Scratch};

fn slot(number: u32) -> SlotId {
    SlotId(number)
}

fn text(text: &str) -> Key {
    Key::String(text.into())
}

fn number(double: f64) -> Key {
    Key::number(double).expect("not NaN")
}

fn one_of(at: u32, keys: impl IntoIterator<Item = Key>) -> Literal {
    Literal::OneOf(slot(at), keys_of(keys))
}

fn has_one_of(at: u32, keys: impl IntoIterator<Item = Key>) -> Literal {
    Literal::HasOneOf(slot(at), keys_of(keys))
}

fn keys_of(keys: impl IntoIterator<Item = Key>) -> Box<[Key]> {
    let mut keys: Vec<Key> = keys.into_iter().collect();
    keys.sort();
    keys.dedup();
    keys.into()
}

fn clause(literals: impl IntoIterator<Item = Literal>) -> Clause {
    Clause { literals: literals.into_iter().collect() }
}

/// The key that a value equals.
fn key(value: &Value<'_>) -> Option<Key> {
    match value {
        Value::Null => Some(Key::Null),
        Value::Bool(bool) => Some(Key::Bool(*bool)),
        Value::String(string) => Some(text(string)),
        other => double(other).and_then(Key::number),
    }
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Uint(uint) => Some(*uint as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    }
}

/// Whether a literal holds, as its documentation says.
fn holds(literal: &Literal, slots: &[Slot<'_>]) -> bool {
    let slot = slots.get(literal.slot().index()).copied().unwrap_or_default();
    let value = match slot {
        Slot::Value(value) => Some(value),
        _ => None,
    };
    let string = match value {
        Some(Value::String(string)) => Some(string),
        _ => None,
    };
    let among = |value: &Value<'_>, keys: &[Key]| key(value).is_some_and(|key| keys.contains(&key));
    match literal {
        Literal::OneOf(_, keys) => value.is_some_and(|value| among(&value, keys)),
        Literal::HasOneOf(_, keys) => match value {
            Some(Value::List(list)) => list.iter().any(|element| among(&element, keys)),
            Some(Value::Map(map)) => map.iter().any(|(key, _)| among(&key, keys)),
            _ => false,
        },
        Literal::Range(_, low, high) => {
            value.and_then(|value| double(&value)).is_some_and(|number| *low <= number && number <= *high)
        }
        Literal::Prefix(_, prefix) => string.is_some_and(|string| string.starts_with(&**prefix)),
        Literal::Suffix(_, suffix) => string.is_some_and(|string| string.ends_with(&**suffix)),
        Literal::Substring(_, part) => string.is_some_and(|string| string.contains(&**part)),
        Literal::Present(_) => !matches!(slot, Slot::Absent),
        Literal::Absent(_) => matches!(slot, Slot::Absent),
    }
}

fn matching(rules: &[(u32, Vec<Clause>)], slots: &[Slot<'_>]) -> Vec<u32> {
    let matches = |cover: &[Clause]| cover.iter().any(|clause| clause.literals.iter().all(|it| holds(it, slots)));
    rules.iter().filter(|(_, cover)| matches(cover)).map(|(rule, _)| *rule).collect()
}

fn candidates(index: &Index, slots: &[Slot<'_>], scratch: &mut Scratch) -> Vec<u32> {
    let mut found = Vec::new();
    index.candidates(slots, scratch, &mut |rule| found.push(rule));
    found.sort_unstable();
    found
}

/// Candidates are a superset, none of them twice; returns how many were proposed in vain.
fn check(rules: &[(u32, Vec<Clause>)], index: &Index, slots: &[Slot<'_>], scratch: &mut Scratch) -> usize {
    let found = candidates(index, slots, scratch);
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "a rule twice: {found:?}");
    let expected = matching(rules, slots);
    for rule in &expected {
        let cover = &rules.iter().find(|(number, _)| number == rule).expect("it is in").1;
        assert!(found.binary_search(rule).is_ok(), "rule {rule} is missing: {cover:?} for {slots:?}");
    }
    found.len() - expected.len()
}

fn string(text: &str) -> Slot<'_> {
    Slot::Value(Value::String(text))
}

fn int(number: i64) -> Slot<'static> {
    Slot::Value(Value::Int(number))
}

fn list<'a>(values: &'a [Value<'a>]) -> Slot<'a> {
    Slot::Value(Value::List(List::Values(values)))
}

fn map<'a>(entries: &'a [(Value<'a>, Value<'a>)]) -> Slot<'a> {
    Slot::Value(Value::Map(Map::Values(entries)))
}
