//! A prefix of a host, service, lot or street, half of them with an exact value beside it.

use super::{exact_literal, tidied};
use crate::random::Random;
use crate::rule::{Clause, Literal, Test};
use crate::schema::{Corpus, city, ops};
use crate::table::Table;

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
    let row = random.below(table.rows);
    let long = goal < 200.0;
    let (field, exact): (usize, &[usize]) = match table.corpus {
        Corpus::City if long => (*random.pick(&[city::MAP_LOT, city::LOT]), &[city::ODD_EVEN, city::ST_TYPE]),
        Corpus::City => (*random.pick(&[city::STREET, city::FROM_ST, city::MAP_LOT]), &[city::ODD_EVEN, city::ST_TYPE]),
        Corpus::Ops => (*random.pick(&[ops::HOST, ops::SERVICE, ops::MESSAGE]), &[ops::SERVICE, ops::TEAM, ops::DC]),
    };
    let text = table.texts(field).text(row)?;
    let most = text.len().min(if long { 16 } else { 6 });
    let least = (most / 2).max(1);
    let mut end = least + random.below(most - least + 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut clause = Vec::new();
    if random.chance(0.5) || (long && table.corpus == Corpus::Ops) {
        let beside = *random.pick(exact);
        clause.extend(exact_literal(random, table, row, beside));
    }
    clause.retain(|literal: &Literal| literal.field != field);
    clause.push(Literal::new(field, Test::Prefix(text[..end].into())));
    // What is to be put between quotes in every engine's language needs no escapes.
    let plain = !text[..end].contains(['"', '\\']);
    plain.then(|| tidied(clause))
}
