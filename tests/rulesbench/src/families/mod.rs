//! Families of rules: what their rules look like, and how many of them an event matches.
//!
//! A rule is drafted from an event of the corpus, so that popular values attract more rules, as they do
//! where people write rules about what they see. The goal, a number of hits, only steers how selective
//! the fields are; [`crate::choose`] counts the hits and decides.

mod core;
mod exact;
mod negation;
mod prefix;
mod range;
mod regex;
mod unindexable;

use crate::random::Random;
use crate::rule::{Clause, Literal, Rule, Test};
use crate::schema::{Corpus, Kind, city, ops};
use crate::table::Table;

/// A family and its goal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    pub name: &'static str,
    /// What its rules consist of, for tables.
    pub title: &'static str,
    /// Matches per event that are aimed at.
    pub rate: f64,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Core,
    Strings,
    Exact,
    Three,
    Prefix,
    Range,
    Negation,
    Regex,
    Unindexable,
}

const MIXED: &str = "eq, in, !=, has, OR; ops also ranges and tags";

/// All families, in the order of the report.
pub(crate) static FAMILIES: [Family; 13] = [
    Family { name: "core-m1", title: MIXED, rate: 1.0, shape: Shape::Core },
    Family { name: "core-m0", title: MIXED, rate: 0.0, shape: Shape::Core },
    Family { name: "core-m001", title: MIXED, rate: 0.01, shape: Shape::Core },
    Family { name: "core-m10", title: MIXED, rate: 10.0, shape: Shape::Core },
    Family { name: "core-m1000", title: MIXED, rate: 1000.0, shape: Shape::Core },
    Family { name: "eq-m1", title: "one or two exact values", rate: 1.0, shape: Shape::Exact },
    Family { name: "and3", title: "three exact values", rate: 1.0, shape: Shape::Three },
    Family { name: "prefix", title: "a prefix, half of them with an exact value", rate: 1.0, shape: Shape::Prefix },
    Family { name: "range", title: "ranges of numbers", rate: 1.0, shape: Shape::Range },
    Family {
        name: "str-m1",
        title: "core, half of them with a prefix, suffix or substring",
        rate: 1.0,
        shape: Shape::Strings,
    },
    Family {
        name: "negation",
        title: "exact values and !=, !(a == b), !(x in [...]), !has",
        rate: 1.0,
        shape: Shape::Negation,
    },
    Family { name: "regex1", title: "core, 1 % with matches()", rate: 1.0, shape: Shape::Regex },
    Family { name: "unindexable5", title: "core, 5 % that no index can help", rate: 1.0, shape: Shape::Unindexable },
];

impl Family {
    pub(crate) fn named(name: &str) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| family.name == name)
    }

    /// Whether it is one of the mixed families that the headline is about.
    pub(crate) fn is_core(&self) -> bool {
        self.shape == Shape::Core
    }

    /// Whether the corpus has what it takes.
    pub(crate) fn suits(&self, corpus: Corpus) -> bool {
        // All properties of a lot are texts, and few clauses that hold for 10 % of the lots differ.
        let only_ops = self.shape == Shape::Range || self.rate > 100.0;
        !only_ops || corpus == Corpus::Ops
    }

    /// How many rules one special rule comes with: regular expressions, what no index helps.
    fn special_every(&self) -> Option<usize> {
        match self.shape {
            Shape::Regex => Some(100),
            Shape::Unindexable => Some(20),
            _ => None,
        }
    }

    /// A rule that matches about `goal` events, or something that is not: none if the event that was
    /// drawn does not lend itself. `number` is the rule's place in its set.
    pub(crate) fn draft(&self, random: &mut Random, table: &Table, goal: f64, number: usize) -> Option<Rule> {
        if self.special_every().is_some_and(|every| number % every == every / 2) {
            return Some(Rule { any: vec![self.special(random, table, goal)?] });
        }
        let may_be_or = !matches!(self.shape, Shape::Exact | Shape::Three | Shape::Prefix | Shape::Range);
        let clauses = if may_be_or && random.chance(0.1) { 2 } else { 1 };
        let any = (0..clauses).map(|_| self.clause(random, table, goal)).collect::<Option<Vec<Clause>>>()?;
        any.iter().all(|clause| !clause.is_empty()).then_some(Rule { any })
    }

    fn clause(&self, random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
        match self.shape {
            Shape::Core | Shape::Regex | Shape::Unindexable => Some(core::clause(random, table, goal)),
            Shape::Strings => core::clause_with_strings(random, table, goal),
            Shape::Exact => Some(exact::clause(random, table, goal)),
            Shape::Three => exact::three(random, table, goal),
            Shape::Prefix => prefix::clause(random, table, goal),
            Shape::Range => Some(range::clause(random, table, goal)),
            Shape::Negation => Some(negation::clause(random, table, goal)),
        }
    }

    fn special(&self, random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
        match self.shape {
            Shape::Regex => regex::clause(random, table, goal),
            _ => unindexable::clause(random, table, goal),
        }
    }
}

/// The fields of a corpus by how selective an exact value of them is.
struct Selectivity {
    high: &'static [usize],
    middle: &'static [usize],
    low: &'static [usize],
}

fn by_selectivity(corpus: Corpus) -> Selectivity {
    match corpus {
        Corpus::City => Selectivity {
            high: &[city::MAP_LOT, city::LOT],
            middle: &[city::BLOCK_NUM, city::STREET, city::FROM_ST, city::TO_ST],
            low: &[city::LOT_NUM, city::ST_TYPE, city::ODD_EVEN, city::GEOMETRY],
        },
        Corpus::Ops => Selectivity {
            high: &[ops::HOST],
            middle: &[ops::SERVICE, ops::TAGS, ops::CLUSTER, ops::TEAM],
            low: &[ops::SEVERITY, ops::ENV, ops::DC],
        },
    }
}

/// The exact value that a row has there; none if it is null or missing.
fn exact_literal(random: &mut Random, table: &Table, row: usize, field: usize) -> Option<Literal> {
    let value = match table.kind(field) {
        Kind::Text => table.texts(field).text(row)?.to_owned(),
        Kind::Tags => {
            let tags = table.tags(field);
            tags.values[*random.pick(&tags.cells[row]) as usize].to_string()
        }
        Kind::Float | Kind::Int => return None,
    };
    Some(Literal::new(field, Test::Eq(value)))
}

/// In the order of the fields, one literal a field: some engines take no more.
fn tidied(mut clause: Clause) -> Clause {
    clause.sort_by_key(|literal| literal.field);
    clause.dedup_by_key(|literal| literal.field);
    clause
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn drafts_are_what_their_family_says() {
        for corpus in Corpus::ALL {
            let table = Table::decode(corpus, &corpus::lines(corpus, 2_000)).unwrap();
            for family in FAMILIES.iter().filter(|family| family.suits(corpus)) {
                let mut random = Random::new(9);
                let drafts: Vec<Rule> =
                    (0..400).filter_map(|number| family.draft(&mut random, &table, 4.0, number)).collect();
                assert!(drafts.len() > 100, "{corpus} {}: {}", family.name, drafts.len());
                let share = |is: fn(&Test) -> bool| {
                    let with = drafts.iter().filter(|rule| rule.literals().any(|literal| is(&literal.test)));
                    with.count() as f64 / drafts.len() as f64
                };
                let regex = share(|test| matches!(test, Test::Matches(_)));
                assert_eq!(regex > 0.0, family.name == "regex1", "{corpus} {}", family.name);
                let unindexable = drafts.iter().filter(|rule| rule.is_unindexable()).count();
                assert_eq!(unindexable > 0, family.name == "unindexable5", "{corpus} {}", family.name);
                let negated = share(|test| matches!(test, Test::NotEq(_) | Test::NotIn(_) | Test::Has(false)));
                assert!(family.name != "negation" || negated > 0.5, "{corpus}: {negated}");
            }
        }
    }
}
