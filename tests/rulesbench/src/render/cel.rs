//! CEL, as Petrel's rules are written: the event is `trigger`.

use super::{any_of, list, number, quoted, sides, whole_text_regex};
use crate::rule::{Literal, Rule, Test};
use crate::schema::{Field, Kind};

pub(crate) fn cel(rule: &Rule, fields: &[Field]) -> String {
    let clause = |clause: &Vec<Literal>| clause.iter().map(|one| literal(one, fields)).collect::<Vec<_>>().join(" && ");
    any_of(rule.any.iter().map(clause).collect(), " || ")
}

fn literal(literal: &Literal, fields: &[Field]) -> String {
    let field = &fields[literal.field];
    let path = |field: &Field| format!("trigger.{}", field.dotted());
    let name = path(field);
    match &literal.test {
        Test::Eq(tag) if field.kind == Kind::Tags => format!("{} in {name}", quoted(tag)),
        Test::Eq(value) => format!("{name} == {}", quoted(value)),
        Test::In(values) => format!("{name} in [{}]", list(values, ", ")),
        Test::Ne(value) => format!("{name} != {}", quoted(value)),
        Test::NotEq(value) => format!("!({name} == {})", quoted(value)),
        Test::NotIn(values) => format!("!({name} in [{}])", list(values, ", ")),
        Test::Range { from, below } => {
            let bound = |bound: &Option<f64>| bound.map(|bound| number(field, bound));
            sides(bound(from), bound(below), &name, " && ")
        }
        Test::Prefix(text) => format!("{name}.startsWith({})", quoted(text)),
        Test::Suffix(text) => format!("{name}.endsWith({})", quoted(text)),
        Test::Contains(text) => format!("{name}.contains({})", quoted(text)),
        Test::Matches(pattern) => format!("{name}.matches({})", quoted(&whole_text_regex(pattern))),
        Test::Has(true) => format!("has({name})"),
        Test::Has(false) => format!("!has({name})"),
        Test::Joined { other, left, right } => {
            format!("{name} + \"/\" + {} == \"{left}/{right}\"", path(&fields[*other]))
        }
        Test::Before { other } => format!("{name} < {}", path(&fields[*other])),
        Test::Scaled { factor, above } => format!("{name} * {factor:?} > {above:?}"),
        Test::Longer { than } => format!("size({name}) > {than}"),
    }
}
