//! What no index can help: fields compared with each other, arithmetic, sizes, and nothing beside it.

use crate::random::Random;
use crate::rule::{Clause, Literal, Test};
use crate::schema::{Corpus, city, ops};
use crate::table::Table;

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
    let row = random.below(table.rows);
    let (fields, sized) = match table.corpus {
        Corpus::City => {
            (pair(random, goal, &[city::BLOCK_NUM, city::STREET], &[city::LOT_NUM, city::ST_TYPE]), city::STREET)
        }
        Corpus::Ops => (pair(random, goal, &[ops::HOST, ops::SERVICE], &[ops::SEVERITY, ops::TEAM]), ops::MESSAGE),
    };
    let text = |field: usize| table.texts(field).text(row);
    let (left, right) = (text(fields.0)?.to_owned(), text(fields.1)?.to_owned());
    let mut clause = vec![Literal::new(fields.0, Test::Joined { other: fields.1, left, right })];
    match random.below(3) {
        0 => {
            let than = text(sized)?.chars().count().saturating_sub(1 + random.below(4));
            clause.push(Literal::new(sized, Test::Longer { than }));
        }
        1 if table.corpus == Corpus::Ops => {
            let factor = (1 + random.below(4)) as f64 * 0.5;
            let cpu = table.numbers(ops::CPU).cells[row];
            let above = ((cpu * factor - 1.0).max(0.0) * 100.0).floor() / 100.0;
            clause.push(Literal::new(ops::CPU, Test::Scaled { factor, above }));
        }
        1 => clause.push(Literal::new(city::LOT_NUM, Test::Before { other: city::STREET })),
        _ => {}
    }
    Some(clause)
}

/// Two fields whose values together are as rare as the goal asks.
fn pair(random: &mut Random, goal: f64, rare: &[usize], common: &[usize]) -> (usize, usize) {
    if goal < 50.0 { (*random.pick(rare), *random.pick(common)) } else { (rare[1], *random.pick(common)) }
}
