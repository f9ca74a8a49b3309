//! What must be true of a run, one idea a file.

mod dead_letters;
mod matches;
mod requests;
mod ticks;

use crate::history::History;

/// A checker: what it found wrong.
pub type Check = fn(&History) -> Vec<String>;

/// What must never be wrong, whenever one looks.
pub const SAFETY: [(&str, Check); 3] = [
    ("requests", requests::never_too_many),
    ("dead letters", dead_letters::only_poison_and_once),
    ("ticks", ticks::none_twice),
];

/// What must be done once nothing goes wrong any more.
///
/// Of one transaction some records can be seen before others, which an open transaction of somebody else
/// still holds back: what compares topics is among these.
pub const LIVENESS: [(&str, Check); 4] = [
    ("ticks", ticks::none_missing),
    ("requests", requests::none_missing),
    ("matches", matches::one_row_a_request),
    ("dead letters", dead_letters::none_missing),
];

/// Runs checkers.
pub fn run(checks: &[(&str, Check)], history: &History) -> Vec<String> {
    checks
        .iter()
        .flat_map(|(name, check)| check(history).into_iter().map(move |why| format!("{name}: {why}")))
        .collect()
}
