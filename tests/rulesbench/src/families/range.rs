//! Ranges of numbers, alone or beside one exact value.

use super::core::{count_range, cpu_range};
use super::{exact_literal, tidied};
use crate::corpus::EVENTS;
use crate::random::Random;
use crate::rule::Clause;
use crate::schema::ops;
use crate::table::Table;

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Clause {
    let row = random.below(table.rows);
    let mut clause = Clause::new();
    let alone = random.chance(0.5);
    // The share of events that the range of loads is to hold, if the rest holds in 1 % of them.
    let share = goal / EVENTS as f64 * if alone { 20.0 } else { 100.0 };
    clause.push(cpu_range(random, table, row, (share * 100.0).clamp(0.02, 60.0)));
    if alone {
        clause.push(count_range(random, table, row));
    } else {
        let field = *random.pick(&[ops::SERVICE, ops::TEAM, ops::CLUSTER, ops::DC]);
        clause.extend(exact_literal(random, table, row, field));
    }
    tidied(clause)
}
