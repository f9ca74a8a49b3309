//! Exact values only: one or two, which automata are built for, or three.

use super::{by_selectivity, exact_literal, tidied};
use crate::random::Random;
use crate::rule::Clause;
use crate::schema::{Corpus, city, ops};
use crate::table::Table;

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Clause {
    let row = random.below(table.rows);
    let by = by_selectivity(table.corpus);
    let mut fields = Vec::new();
    if goal < 20.0 {
        fields.push(*random.pick(by.high));
        if table.corpus == Corpus::Ops || random.chance(0.3) {
            fields.push(*random.pick(by.middle));
        }
    } else if goal < 3000.0 {
        fields.push(*random.pick(by.middle));
        if random.chance(0.5) {
            fields.push(*random.pick(by.middle));
        }
    } else {
        let of = if random.chance(0.3) { by.middle } else { by.low };
        fields.push(*random.pick(of));
    }
    let literals = fields.into_iter().filter_map(|field| exact_literal(random, table, row, field));
    tidied(literals.collect())
}

/// Three fields that together are as rare as the goal asks.
pub(super) fn three(random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
    let row = random.below(table.rows);
    let by = by_selectivity(table.corpus);
    let often: &[usize] = match table.corpus {
        Corpus::City => &[city::LOT_NUM, city::ST_TYPE, city::ODD_EVEN],
        Corpus::Ops => &[ops::SEVERITY, ops::ENV, ops::DC, ops::TEAM],
    };
    let first = if goal < 20.0 && random.chance(0.6) {
        by.high
    } else if goal < 1000.0 || random.chance(0.3) {
        by.middle
    } else {
        often
    };
    let second = if goal < 300.0 { by.middle } else { often };
    let fields = [*random.pick(first), *random.pick(second), *random.pick(often)];
    let literals = fields.into_iter().filter_map(|field| exact_literal(random, table, row, field));
    let clause = tidied(literals.collect());
    (clause.len() == 3).then_some(clause)
}
