//! What must be true of a run, one idea a file.

mod attempts;
mod dead_letters;
mod ends;
pub mod executions;
mod fencing;
mod gates;
mod leases;
mod matches;
pub mod people;
mod prompt;
mod requests;
mod retries;
mod rounds;
mod tables;
mod ticks;
pub mod workflows;

use crate::history::History;

/// A checker: what it found wrong.
pub type Check = fn(&History) -> Vec<String>;

/// What must never be wrong, whenever one looks.
pub const SAFETY: [(&str, Check); 22] = [
    ("requests", requests::never_too_many),
    ("dead letters", dead_letters::only_poison_and_once),
    ("ticks", ticks::none_twice),
    ("executions", executions::legal),
    ("rounds", rounds::ever_slower),
    ("one at a time", attempts::one_at_a_time),
    ("started once", attempts::each_started_once),
    ("at most once", attempts::at_most_once),
    ("fencing", fencing::nothing_stale),
    ("leases", leases::kept_by_the_unharmed),
    ("retries", retries::never_too_many),
    ("tables", tables::none_twice),
    ("prompt", prompt::decided_soon),
    ("gates", gates::never_too_many_out),
    ("gates", gates::nothing_starts_without),
    ("gates", gates::granted_once_in_order),
    ("workflows", workflows::children_once),
    ("workflows", workflows::none_outlives_its_parent),
    ("workflows", workflows::as_uninterrupted),
    ("people", people::taken_once),
    ("people", people::the_first_answer_counts),
    ("people", people::reruns_are_asked_for),
];

/// What must be done once nothing goes wrong any more.
///
/// Of one transaction some records can be seen before others, which an open transaction of somebody else
/// still holds back: what compares topics is among these.
pub const LIVENESS: [(&str, Check); 13] = [
    ("requests", requests::none_missing),
    ("matches", matches::one_row_a_request),
    ("dead letters", dead_letters::none_missing),
    ("ticks", ticks::none_missing),
    ("asked for", executions::asked_for),
    ("executions", executions::all_over),
    ("ends", ends::told_once),
    ("retries", retries::none_missing),
    ("gates", gates::none_leaked),
    ("tables", tables::complete),
    ("workflows", workflows::all_over),
    ("workflows", workflows::nothing_left),
    ("people", people::each_heard_of),
];

/// What must be done once the time is over for which owners remember what has ended.
pub const FORGOTTEN: [(&str, Check); 1] = [("workflows", workflows::all_forgotten)];

/// Runs checkers.
pub fn run(checks: &[(&str, Check)], history: &History) -> Vec<String> {
    checks
        .iter()
        .flat_map(|(name, check)| check(history).into_iter().map(move |why| format!("{name}: {why}")))
        .collect()
}
