//! Regular expressions of the common dialect, half of them with an exact value beside them.

use super::exact_literal;
use crate::random::Random;
use crate::rule::{Clause, Literal, Test};
use crate::schema::{Corpus, city, ops};
use crate::table::Table;

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
    let row = random.below(table.rows);
    let (field, low) = match table.corpus {
        Corpus::City => (*random.pick(&[city::STREET, city::LOT]), city::ODD_EVEN),
        Corpus::Ops => (*random.pick(&[ops::HOST, ops::SERVICE]), ops::SEVERITY),
    };
    let text = table.texts(field).text(row)?;
    let mut clause = vec![Literal::new(field, Test::Matches(pattern(random, text, goal)))];
    if random.chance(0.5) {
        clause.extend(exact_literal(random, table, row, low));
    }
    clause.sort_by_key(|literal| literal.field);
    Some(clause)
}

/// A pattern that this text matches: some of its letters and digits become classes, its middle any text.
fn pattern(random: &mut Random, text: &str, goal: f64) -> String {
    let looser = if goal < 20.0 { 0.08 } else { 0.3 };
    let gap = random.chance(0.6).then(|| 2 + random.below(text.len().saturating_sub(4).max(1)));
    let gap_end = gap.map_or(0, |start| start + 1 + random.below(3));
    let mut pattern = String::new();
    for (at, letter) in text.chars().enumerate() {
        if gap == Some(at) {
            pattern.push_str(".*");
        }
        if gap.is_some_and(|start| (start..gap_end).contains(&at)) {
            continue;
        }
        match letter {
            '.' => pattern.push_str("[.]"),
            digit if digit.is_ascii_digit() && random.chance(looser) => pattern.push_str("[0-9]"),
            lower if lower.is_ascii_lowercase() && random.chance(looser) => pattern.push_str("[a-z]"),
            upper if upper.is_ascii_uppercase() && random.chance(looser) => pattern.push_str("[A-Z]"),
            other => pattern.push(other),
        }
    }
    pattern
}
