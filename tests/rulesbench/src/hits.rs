//! Which events a rule matches, rule by rule: the oracle.
//!
//! It works the other way round than every engine measured: a rule's rarest literal gives a list of
//! events, and the others are checked on those. [`crate::truth`] is the slow check of this one.

use regex::Regex;

use crate::render::whole_text_regex;
use crate::rule::{Clause, Literal, Rule, Test};
use crate::schema::Kind;
use crate::table::{MISSING, Numbers, Table, Tags, Texts};

/// Rows that are looked at to guess how often a test without a list of rows is true.
const SAMPLE_ROWS: usize = 400;
/// Hits of a pattern that holds for none of them.
const RARE_HITS: f64 = 2.0;

/// A literal, resolved against a table.
enum Check<'t> {
    /// Never true.
    Never,
    Value(&'t [u32], u32),
    Values(&'t [u32], Vec<u32>),
    /// There, null included, and none of these.
    Not(&'t [u32], Vec<u32>),
    ValuesFrom(&'t [u32], std::ops::Range<u32>),
    Text(&'t Texts, Box<dyn Fn(&str) -> bool + 't>),
    Range(&'t Numbers, f64, f64),
    Tag(&'t Tags, u32),
    Has(&'t [u32], bool),
    Both((&'t [u32], u32), (&'t [u32], u32)),
    Before(&'t Texts, &'t Texts),
    Scaled(&'t Numbers, f64, f64),
}

impl<'t> Check<'t> {
    fn new(table: &'t Table, literal: &'t Literal) -> Self {
        let field = literal.field;
        match table.kind(field) {
            Kind::Tags => Self::of_tags(table.tags(field), &literal.test),
            Kind::Float | Kind::Int => Self::of_numbers(table.numbers(field), &literal.test),
            Kind::Text => Self::of_texts(table, field, &literal.test),
        }
    }

    fn of_tags(tags: &'t Tags, test: &Test) -> Self {
        match test {
            Test::Eq(tag) => tags.number(tag).map_or(Self::Never, |number| Self::Tag(tags, number)),
            other => panic!("{other:?} is no test of tags"),
        }
    }

    fn of_numbers(numbers: &'t Numbers, test: &Test) -> Self {
        match test {
            Test::Range { from, below } => {
                Self::Range(numbers, from.unwrap_or(f64::NEG_INFINITY), below.unwrap_or(f64::INFINITY))
            }
            Test::Scaled { factor, above } => Self::Scaled(numbers, *factor, *above),
            other => panic!("{other:?} is no test of numbers"),
        }
    }

    fn of_texts(table: &'t Table, field: usize, test: &'t Test) -> Self {
        let texts = table.texts(field);
        let numbers = |values: &[String]| {
            let mut numbers: Vec<u32> = values.iter().filter_map(|value| texts.number(value)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        let one = |texts: &'t Texts, value: &str| texts.number(value).map(|number| (texts.cells.as_slice(), number));
        match test {
            Test::Eq(value) => one(texts, value).map_or(Self::Never, |(cells, number)| Self::Value(cells, number)),
            Test::In(values) => Self::Values(&texts.cells, numbers(values)),
            Test::Ne(value) | Test::NotEq(value) => Self::Not(&texts.cells, numbers(std::slice::from_ref(value))),
            Test::NotIn(values) => Self::Not(&texts.cells, numbers(values)),
            Test::Prefix(prefix) => Self::ValuesFrom(&texts.cells, texts.prefixed(prefix)),
            Test::Suffix(suffix) => Self::Text(texts, Box::new(|text| text.ends_with(suffix.as_str()))),
            Test::Contains(part) => {
                let finder = memchr::memmem::Finder::new(part.as_bytes());
                Self::Text(texts, Box::new(move |text| finder.find(text.as_bytes()).is_some()))
            }
            Test::Matches(pattern) => match Regex::new(&whole_text_regex(pattern)) {
                Ok(regex) => Self::Text(texts, Box::new(move |text| regex.is_match(text))),
                Err(_) => Self::Never,
            },
            Test::Has(expected) => Self::Has(&texts.cells, *expected),
            Test::Joined { other, left, right } => match (one(texts, left), one(table.texts(*other), right)) {
                (Some(left), Some(right)) => Self::Both(left, right),
                _ => Self::Never,
            },
            Test::Before { other } => Self::Before(texts, table.texts(*other)),
            Test::Longer { than } => Self::Text(texts, Box::new(move |text| text.chars().count() > *than)),
            Test::Range { .. } | Test::Scaled { .. } => panic!("{test:?} is no test of texts"),
        }
    }

    fn holds(&self, row: u32) -> bool {
        let row = row as usize;
        match self {
            Self::Never => false,
            Self::Value(cells, value) => cells[row] == *value,
            Self::Values(cells, values) => values.contains(&cells[row]),
            Self::Not(cells, values) => cells[row] != MISSING && !values.contains(&cells[row]),
            Self::ValuesFrom(cells, values) => values.contains(&cells[row]),
            Self::Text(texts, holds) => texts.text(row).is_some_and(holds),
            Self::Range(numbers, from, below) => (*from..*below).contains(&numbers.cells[row]),
            Self::Tag(tags, tag) => tags.cells[row].contains(tag),
            Self::Has(cells, expected) => (cells[row] != MISSING) == *expected,
            Self::Both(left, right) => left.0[row] == left.1 && right.0[row] == right.1,
            Self::Before(left, right) => match (left.text(row), right.text(row)) {
                (Some(left), Some(right)) => left < right,
                _ => false,
            },
            Self::Scaled(numbers, factor, above) => numbers.cells[row] * factor > *above,
        }
    }

    /// The rows on which it may hold, if there is a list of them, in pieces.
    fn rows(&self, table: &'t Table, literal: &Literal) -> Option<Vec<&'t [u32]>> {
        let texts = || table.texts(literal.field);
        Some(match self {
            Self::Never => Vec::new(),
            Self::Value(_, value) => vec![texts().rows(*value..*value + 1)],
            Self::Values(_, values) => values.iter().map(|value| texts().rows(*value..*value + 1)).collect(),
            Self::ValuesFrom(_, values) => vec![texts().rows(values.clone())],
            Self::Tag(tags, tag) => vec![tags.rows(*tag)],
            Self::Both(left, right) => {
                let right_rows = literal.test.other().map(|other| table.texts(other).rows(right.1..right.1 + 1));
                let left_rows = texts().rows(left.1..left.1 + 1);
                vec![right_rows.filter(|rows| rows.len() < left_rows.len()).unwrap_or(left_rows)]
            }
            _ => return None,
        })
    }
}

/// The rows on which a clause holds, ascending.
fn clause_hits(table: &Table, clause: &Clause) -> Vec<u32> {
    let checks: Vec<Check<'_>> = clause.iter().map(|literal| Check::new(table, literal)).collect();
    let holds = |row: &u32| checks.iter().all(|check| check.holds(*row));
    let lists = checks.iter().zip(clause).filter_map(|(check, literal)| check.rows(table, literal));
    let shortest = lists.min_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
    let mut hits: Vec<u32> = if let Some(lists) = shortest {
        lists.into_iter().flatten().copied().filter(holds).collect()
    } else if let Some(rows) = narrow_range(&checks) {
        rows.iter().map(|(_, row)| *row).filter(holds).collect()
    } else if let Some((texts, text)) = checks.iter().find_map(|check| match check {
        // Far fewer values than rows: ask each value once.
        Check::Text(texts, holds) if texts.values.len() * 4 < table.rows => Some((texts, holds)),
        _ => None,
    }) {
        let values = (0..texts.values.len() as u32).filter(|value| text(&texts.values[*value as usize]));
        values.flat_map(|value| texts.rows(value..value + 1)).copied().filter(holds).collect()
    } else {
        (0..table.rows as u32).filter(holds).collect()
    };
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// The rows of the range that holds least often.
fn narrow_range<'t>(checks: &[Check<'t>]) -> Option<&'t [(f64, u32)]> {
    let ranges = checks.iter().filter_map(|check| match check {
        Check::Range(numbers, from, below) => Some(numbers.range(*from, *below)),
        _ => None,
    });
    ranges.min_by_key(|rows| rows.len())
}

/// The events that a rule matches, ascending.
pub(crate) fn hits(table: &Table, rule: &Rule) -> Vec<u32> {
    let [first, rest @ ..] = rule.any.as_slice() else { return Vec::new() };
    let mut hits = clause_hits(table, first);
    if !rest.is_empty() {
        hits.extend(rest.iter().flat_map(|clause| clause_hits(table, clause)));
        hits.sort_unstable();
        hits.dedup();
    }
    hits
}

/// About how many events a rule matches, as if its literals had nothing to do with each other.
pub(crate) fn estimate(table: &Table, rule: &Rule) -> f64 {
    let share = |literal: &Literal| {
        let check = Check::new(table, literal);
        let rows = table.rows as f64;
        if let Check::Range(numbers, from, below) = check {
            return numbers.range(from, below).len() as f64 / rows;
        }
        if let Check::Both(left, right) = check {
            let other = literal.test.other().unwrap_or(literal.field);
            let left = table.texts(literal.field).rows(left.1..left.1 + 1).len() as f64 / rows;
            return left * table.texts(other).rows(right.1..right.1 + 1).len() as f64 / rows;
        }
        if let Some(lists) = check.rows(table, literal) {
            return lists.iter().map(|list| list.len()).sum::<usize>() as f64 / rows;
        }
        let sample = SAMPLE_ROWS.min(table.rows);
        let held = (0..sample as u32).filter(|row| check.holds(*row)).count();
        match (&literal.test, held) {
            // Patterns are made from one text and hold for few others: the sample tells too little.
            (Test::Matches(_), 0) => RARE_HITS / rows,
            _ => (held as f64 + 0.3) / sample as f64,
        }
    };
    let clause = |clause: &Clause| clause.iter().map(share).product::<f64>();
    rule.any.iter().map(clause).sum::<f64>() * table.rows as f64
}
