//! Every rule says what must not be, in one of four ways: `!=`, `!(a == b)`, `!(x in [...])`, `!has`.

use super::core::optional;
use super::{exact, tidied};
use crate::random::Random;
use crate::rule::{Clause, Literal, Test};
use crate::schema::{Corpus, city, ops};
use crate::table::Table;

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Clause {
    let mut clause = exact::clause(random, table, goal);
    // Never a field that may be null: engines disagree there.
    let negatable: &[usize] = match table.corpus {
        Corpus::City => &[city::STREET, city::ODD_EVEN, city::LOT_NUM, city::GEOMETRY],
        Corpus::Ops => &[ops::SEVERITY, ops::ENV, ops::DC, ops::SERVICE, ops::TEAM],
    };
    for _ in 0..1 + random.below(2) {
        if random.chance(0.2) {
            push(&mut clause, Literal::new(optional(table.corpus), Test::Has(false)));
            continue;
        }
        let field = *random.pick(negatable);
        let texts = table.texts(field);
        let some = |random: &mut Random| texts.text(random.below(table.rows)).map(str::to_owned);
        let Some(value) = some(random) else { continue };
        let test = match random.below(3) {
            0 => Test::Ne(value),
            1 => Test::NotEq(value),
            _ => {
                let mut values = vec![value];
                for _ in 0..1 + random.below(3) {
                    values.extend(some(random).filter(|other| !values.contains(other)));
                }
                Test::NotIn(values)
            }
        };
        push(&mut clause, Literal::new(field, test));
    }
    tidied(clause)
}

/// Unless the field is spoken of already.
fn push(clause: &mut Clause, literal: Literal) {
    if clause.iter().all(|other| other.field != literal.field) {
        clause.push(literal);
    }
}
