//! The language of the crate `a-tree`: flat attributes, no strings but whole ones.

use super::{any_of, list, number, quoted, sides};
use crate::rule::{Literal, Rule, Test};
use crate::schema::{Field, Kind};

pub(crate) fn a_tree(rule: &Rule, fields: &[Field]) -> Option<String> {
    let clause = |clause: &Vec<Literal>| -> Option<String> {
        Some(clause.iter().map(|one| literal(one, fields)).collect::<Option<Vec<_>>>()?.join(" and "))
    };
    Some(any_of(rule.any.iter().map(clause).collect::<Option<_>>()?, " or "))
}

fn literal(literal: &Literal, fields: &[Field]) -> Option<String> {
    let field = &fields[literal.field];
    let name = field.flat();
    Some(match &literal.test {
        Test::Eq(tag) if field.kind == Kind::Tags => format!("{name} one of [{}]", quoted(tag)),
        Test::Eq(value) => format!("{name} = {}", quoted(value)),
        Test::In(values) => format!("{name} in [{}]", list(values, ", ")),
        Test::Ne(value) | Test::NotEq(value) => format!("{name} <> {}", quoted(value)),
        Test::NotIn(values) => format!("{name} not in [{}]", list(values, ", ")),
        Test::Range { from, below } => {
            let bound = |bound: &Option<f64>| bound.map(|bound| number(field, bound));
            sides(bound(from), bound(below), &name, " and ")
        }
        Test::Has(true) => format!("{name} is not null"),
        Test::Has(false) => format!("{name} is null"),
        _ => return None,
    })
}
