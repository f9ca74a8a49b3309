//! The language of the crate `wirefilter-engine` 0.6: bytes, 32-bit integers and booleans.
//!
//! A float is an integer of hundredths, tags are one text `|a|b|`, and presence is a field of its own.

use super::{any_of, list, quoted, sides, whole_text_regex};
use crate::rule::{Literal, Rule, Test};
use crate::schema::{Field, Kind};

pub(crate) fn wirefilter(rule: &Rule, fields: &[Field]) -> Option<String> {
    let clause = |clause: &Vec<Literal>| -> Option<String> {
        Some(clause.iter().map(|one| literal(one, fields)).collect::<Option<Vec<_>>>()?.join(" && "))
    };
    Some(any_of(rule.any.iter().map(clause).collect::<Option<_>>()?, " || "))
}

fn literal(literal: &Literal, fields: &[Field]) -> Option<String> {
    let field = &fields[literal.field];
    let name = field.flat();
    Some(match &literal.test {
        Test::Eq(tag) if field.kind == Kind::Tags => format!("{name} contains \"|{tag}|\""),
        Test::Eq(value) => format!("{name} == {}", quoted(value)),
        Test::In(values) => format!("{name} in {{{}}}", list(values, " ")),
        Test::Ne(value) => format!("{name} != {}", quoted(value)),
        Test::NotEq(value) => format!("not ({name} == {})", quoted(value)),
        Test::NotIn(values) => format!("not ({name} in {{{}}})", list(values, " ")),
        Test::Range { from, below } => {
            let scale = if field.kind == Kind::Float { 100.0 } else { 1.0 };
            let bound = |bound: &Option<f64>| bound.map(|bound| format!("{}", (bound * scale).round() as i64));
            sides(bound(from), bound(below), &name, " && ")
        }
        Test::Prefix(text) => format!("{name} matches \"^{}\"", literal_regex(text)),
        Test::Suffix(text) => format!("{name} matches \"{}$\"", literal_regex(text)),
        Test::Contains(text) => format!("{name} contains {}", quoted(text)),
        Test::Matches(pattern) => format!("{name} matches {}", quoted(&whole_text_regex(pattern))),
        Test::Has(true) => format!("has_{name}"),
        Test::Has(false) => format!("not has_{name}"),
        _ => return None,
    })
}

/// A regular expression for exactly this text.
fn literal_regex(text: &str) -> String {
    text.replace('.', "[.]")
}
