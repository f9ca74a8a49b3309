//! What is true, decided without any cleverness: one rule, one event as a tree of values.
//!
//! This is the slow check of the oracle ([`crate::hits`]) and of the engines in tests.

use regex::Regex;
use serde_json::Value;

use crate::render::whole_text_regex;
use crate::rule::{Literal, Rule, Test};
use crate::schema::{Field, Kind};

/// Whether the rule's criterion is exactly `true` for an event.
pub(crate) fn matches(rule: &Rule, fields: &[Field], event: &Value) -> bool {
    rule.any.iter().any(|clause| clause.iter().all(|literal| holds(literal, fields, event)))
}

fn value<'e>(event: &'e Value, field: &Field) -> Option<&'e Value> {
    field.path.iter().try_fold(event, |value, step| value.get(*step))
}

fn holds(literal: &Literal, fields: &[Field], event: &Value) -> bool {
    let field = &fields[literal.field];
    let value = value(event, field);
    let text = value.and_then(Value::as_str);
    let number = value.and_then(Value::as_f64);
    let other = || literal.test.other().and_then(|other| self::value(event, &fields[other])).and_then(Value::as_str);
    match &literal.test {
        Test::Eq(tag) if field.kind == Kind::Tags => {
            value.and_then(Value::as_array).is_some_and(|tags| tags.iter().any(|one| one == tag))
        }
        Test::Eq(wanted) => text == Some(wanted),
        Test::In(wanted) => text.is_some_and(|text| wanted.iter().any(|one| one == text)),
        Test::Ne(unwanted) | Test::NotEq(unwanted) => value.is_some_and(|value| value != unwanted),
        Test::NotIn(unwanted) => value.is_some_and(|value| unwanted.iter().all(|one| value != one)),
        Test::Range { from, below } => number
            .is_some_and(|number| from.is_none_or(|from| number >= from) && below.is_none_or(|below| number < below)),
        Test::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
        Test::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
        Test::Contains(part) => text.is_some_and(|text| text.contains(part)),
        Test::Matches(pattern) => {
            let regex = Regex::new(&whole_text_regex(pattern));
            regex.is_ok_and(|regex| text.is_some_and(|text| regex.is_match(text)))
        }
        Test::Has(expected) => value.is_some() == *expected,
        Test::Joined { left, right, .. } => {
            let joined = text.zip(other()).map(|(one, two)| format!("{one}/{two}"));
            joined == Some(format!("{left}/{right}"))
        }
        Test::Before { .. } => text.zip(other()).is_some_and(|(one, two)| one < two),
        Test::Scaled { factor, above } => number.is_some_and(|number| number * factor > *above),
        Test::Longer { than } => text.is_some_and(|text| text.chars().count() > *than),
    }
}
