//! The hand-written linear scan: a closure for each literal, a few more to combine them, one rule after
//! the other. What somebody writes who needs no engine.

use anyhow::Result;
use memchr::memmem::Finder;
use regex::Regex;

use super::Matcher;
use super::floor::{Fields, Floor, Text};
use crate::render::whole_text_regex;
use crate::rule::{Clause, Literal, Rule, Test};
use crate::schema::{Field, Kind};

type Closure = Box<dyn Fn(&Fields<'_>) -> bool>;

pub(super) fn build(rules: &[(u32, Rule)], fields: &[Field], read: &[bool]) -> Result<Matcher> {
    let compiled = rules.iter().map(|(id, rule)| Ok((*id, of_rule(rule, fields)?)));
    let compiled = compiled.collect::<Result<Vec<(u32, Closure)>>>()?;
    let floor = Floor::new(fields, read);
    Ok(Box::new(move |event, found| {
        floor.read(event, |fields| {
            found.extend(compiled.iter().filter(|(_, holds)| holds(fields)).map(|(id, _)| *id));
        })
    }))
}

fn of_rule(rule: &Rule, fields: &[Field]) -> Result<Closure> {
    let mut clauses = rule.any.iter().map(|clause| of_clause(clause, fields)).collect::<Result<Vec<_>>>()?;
    Ok(match clauses.len() {
        1 => clauses.remove(0),
        _ => Box::new(move |event| clauses.iter().any(|clause| clause(event))),
    })
}

fn of_clause(clause: &Clause, fields: &[Field]) -> Result<Closure> {
    let literals = clause.iter().map(|literal| of_literal(literal, fields)).collect::<Result<Vec<Closure>>>()?;
    Ok(match <[Closure; 1]>::try_from(literals) {
        Ok([a]) => a,
        Err(literals) => match <[Closure; 2]>::try_from(literals) {
            Ok([a, b]) => Box::new(move |event| a(event) && b(event)),
            Err(literals) => match <[Closure; 3]>::try_from(literals) {
                Ok([a, b, c]) => Box::new(move |event| a(event) && b(event) && c(event)),
                Err(literals) => Box::new(move |event| literals.iter().all(|literal| literal(event))),
            },
        },
    })
}

fn of_literal(literal: &Literal, fields: &[Field]) -> Result<Closure> {
    let field = literal.field;
    Ok(match literal.test.clone() {
        Test::Eq(tag) if fields[field].kind == Kind::Tags => {
            Box::new(move |event| event.tags.iter().any(|one| **one == *tag))
        }
        Test::Eq(value) => Box::new(move |event| event.texts[field] == Text::Is(&value)),
        Test::In(values) => of_text(field, move |text| values.iter().any(|value| value == text)),
        Test::Ne(value) | Test::NotEq(value) => {
            Box::new(move |event| event.texts[field] != Text::Missing && event.texts[field] != Text::Is(&value))
        }
        Test::NotIn(values) => Box::new(move |event| match event.texts[field] {
            Text::Missing => false,
            Text::Null => true,
            Text::Is(text) => values.iter().all(|value| value != text),
        }),
        Test::Range { from, below } => {
            let (from, below) = (from.unwrap_or(f64::NEG_INFINITY), below.unwrap_or(f64::INFINITY));
            Box::new(move |event| event.numbers[field] >= from && event.numbers[field] < below)
        }
        Test::Prefix(prefix) => of_text(field, move |text| text.starts_with(prefix.as_str())),
        Test::Suffix(suffix) => of_text(field, move |text| text.ends_with(suffix.as_str())),
        Test::Contains(part) => {
            let finder = Finder::new(part.as_bytes()).into_owned();
            of_text(field, move |text| finder.find(text.as_bytes()).is_some())
        }
        Test::Matches(pattern) => {
            let regex = Regex::new(&whole_text_regex(&pattern))?;
            of_text(field, move |text| regex.is_match(text))
        }
        Test::Has(expected) => Box::new(move |event| (event.texts[field] != Text::Missing) == expected),
        Test::Joined { other, left, right } => {
            let joined = format!("{left}/{right}");
            Box::new(move |event| match (event.texts[field], event.texts[other]) {
                (Text::Is(left), Text::Is(right)) => is_joined(&joined, left, right),
                _ => false,
            })
        }
        Test::Before { other } => Box::new(move |event| match (event.texts[field], event.texts[other]) {
            (Text::Is(left), Text::Is(right)) => left < right,
            _ => false,
        }),
        Test::Scaled { factor, above } => Box::new(move |event| event.numbers[field] * factor > above),
        Test::Longer { than } => of_text(field, move |text| text.chars().count() > than),
    })
}

fn of_text(field: usize, holds: impl Fn(&str) -> bool + 'static) -> Closure {
    Box::new(move |event| event.texts[field].text().is_some_and(&holds))
}

/// Whether `left/right` is that text, without building it.
fn is_joined(joined: &str, left: &str, right: &str) -> bool {
    let rest = joined.strip_prefix(left).and_then(|rest| rest.strip_prefix('/'));
    rest == Some(right)
}
