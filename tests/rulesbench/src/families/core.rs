//! The ordinary mix: exact values, lists, `!=`, presence; on ops also half-open ranges and tags.

use super::{by_selectivity, exact_literal, tidied};
use crate::corpus::EVENTS;
use crate::random::Random;
use crate::rule::{Clause, Literal, Test};
use crate::schema::{Corpus, Kind, city, ops};
use crate::table::Table;

/// Fields that are compared with `!=`, and those that are asked for: never fields that may be null.
const fn differing(corpus: Corpus) -> usize {
    match corpus {
        Corpus::City => city::ODD_EVEN,
        Corpus::Ops => ops::ENV,
    }
}

pub(super) const fn optional(corpus: Corpus) -> usize {
    match corpus {
        Corpus::City => city::ST_TYPE,
        Corpus::Ops => ops::CLUSTER,
    }
}

pub(super) fn clause(random: &mut Random, table: &Table, goal: f64) -> Clause {
    let row = random.below(table.rows);
    tidied(of_row(random, table, goal, row))
}

/// Half of them with a prefix, suffix or substring, beside something that is exact.
pub(super) fn clause_with_strings(random: &mut Random, table: &Table, goal: f64) -> Option<Clause> {
    let row = random.below(table.rows);
    let mut clause = of_row(random, table, goal, row);
    if random.chance(0.55)
        && let Some(literal) = string_literal(random, table, row)
    {
        clause.retain(|other| other.field != literal.field);
        clause.push(literal);
    }
    let is_exact = |literal: &Literal| matches!(literal.test, Test::Eq(_) | Test::In(_));
    (goal >= 3000.0 || clause.iter().any(is_exact)).then(|| tidied(clause))
}

fn of_row(random: &mut Random, table: &Table, goal: f64, row: usize) -> Clause {
    let corpus = table.corpus;
    let only_ranges = corpus == Corpus::Ops && random.chance(0.03);
    let mut clause = Clause::new();
    for field in fields(random, corpus, goal) {
        if !only_ranges && let Some(literal) = literal(random, table, row, field) {
            clause.push(literal);
        }
    }
    let absent = table.texts(optional(corpus)).text(row).is_none();
    if !only_ranges && absent && random.chance(0.5) {
        clause.push(Literal::new(optional(corpus), Test::Has(false)));
    }
    if corpus == Corpus::Ops && (only_ranges || random.chance(0.5)) {
        let width = if only_ranges { (goal / EVENTS as f64).sqrt() * 100.0 } else { 60.0 };
        clause.push(cpu_range(random, table, row, width.max(0.05)));
        if only_ranges || random.chance(0.3) {
            clause.push(count_range(random, table, row));
        }
    }
    clause
}

/// Fewer and less selective fields for a higher goal.
fn fields(random: &mut Random, corpus: Corpus, goal: f64) -> Vec<usize> {
    let by = by_selectivity(corpus);
    let mut fields = Vec::new();
    let high = if goal < 20.0 {
        0.7
    } else if goal < 500.0 {
        0.4
    } else {
        0.05
    };
    if random.chance(high) {
        fields.push(*random.pick(by.high));
    }
    let middle = if goal < 20.0 {
        1 + random.below(2)
    } else if goal < 3000.0 {
        random.below(3)
    } else {
        random.below(2)
    };
    fields.extend((0..middle).map(|_| *random.pick(by.middle)));
    let low = random.below(3);
    fields.extend((0..low).map(|_| *random.pick(by.low)));
    if fields.is_empty() {
        fields.push(*random.pick(by.low));
    }
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn literal(random: &mut Random, table: &Table, row: usize, field: usize) -> Option<Literal> {
    if table.kind(field) == Kind::Tags {
        return exact_literal(random, table, row, field);
    }
    let texts = table.texts(field);
    let value = texts.text(row)?.to_owned();
    if field == differing(table.corpus) && random.chance(0.5) {
        let other = random.pick(&texts.values);
        if **other != *value {
            return Some(Literal::new(field, Test::Ne(other.to_string())));
        }
    }
    if field == optional(table.corpus) && random.chance(0.3) {
        return Some(Literal::new(field, Test::Has(true)));
    }
    if !random.chance(0.25) {
        return Some(Literal::new(field, Test::Eq(value)));
    }
    let mut values = vec![value];
    for _ in 0..1 + random.below(4) {
        if let Some(other) = texts.text(random.below(table.rows))
            && !values.iter().any(|value| value == other)
        {
            values.push(other.to_owned());
        }
    }
    Some(Literal::new(field, Test::In(values)))
}

/// A range of the processor's load that the row lies in.
pub(super) fn cpu_range(random: &mut Random, table: &Table, row: usize, width: f64) -> Literal {
    let cpu = table.numbers(ops::CPU).cells[row];
    let rounded = |number: f64| (number * 100.0).round() / 100.0;
    let (from, below) = match random.below(3) {
        0 => (Some(rounded((cpu - random.unit() * width).max(1.0).min(cpu.max(1.0)))), None),
        1 => (None, Some(rounded(cpu + 0.01 + random.unit() * width))),
        _ => (
            Some(rounded((cpu - random.unit() * width / 2.0).max(0.0))),
            Some(rounded(cpu + 0.01 + random.unit() * width / 2.0)),
        ),
    };
    Literal::new(ops::CPU, Test::Range { from, below })
}

/// A range of the number of repetitions that the row lies in.
pub(super) fn count_range(random: &mut Random, table: &Table, row: usize) -> Literal {
    let count = table.numbers(ops::COUNT).cells[row];
    let (from, below) = if random.chance(0.6) {
        (count - random.below(2 + count as usize / 2) as f64, None)
    } else {
        (count - random.below(3) as f64, Some(count + 1.0 + random.below(10) as f64))
    };
    Literal::new(ops::COUNT, Test::Range { from: Some(from.max(1.0)), below })
}

fn string_literal(random: &mut Random, table: &Table, row: usize) -> Option<Literal> {
    let kind = random.unit();
    match table.corpus {
        Corpus::City => city_string(random, table, row, kind),
        Corpus::Ops => ops_string(random, table, row, kind),
    }
}

fn city_string(random: &mut Random, table: &Table, row: usize, kind: f64) -> Option<Literal> {
    let lot = table.texts(city::MAP_LOT).text(row)?;
    let street = table.texts(city::STREET).text(row)?;
    if kind < 0.6 {
        return Some(match random.below(3) {
            0 => Literal::new(city::MAP_LOT, Test::Prefix(lot[..3 + random.below(4)].into())),
            1 => Literal::new(city::STREET, Test::Prefix(street[..2 + random.below(street.len() - 2)].into())),
            _ => Literal::new(city::FROM_ST, Test::Prefix(table.texts(city::FROM_ST).text(row)?[..1].into())),
        });
    }
    if kind < 0.85 {
        return Some(if random.chance(0.5) {
            Literal::new(city::LOT, Test::Suffix(lot[lot.len() - 1 - random.below(4)..].into()))
        } else {
            Literal::new(city::STREET, Test::Suffix(street[random.below(street.len() - 1)..].into()))
        });
    }
    let from = random.below(street.len() - 2);
    let to = (from + 2 + random.below(3)).min(street.len());
    Some(Literal::new(city::STREET, Test::Contains(street[from..to].into())))
}

fn ops_string(random: &mut Random, table: &Table, row: usize, kind: f64) -> Option<Literal> {
    let host = table.texts(ops::HOST).text(row)?;
    let service = table.texts(ops::SERVICE).text(row)?;
    if kind < 0.6 {
        return Some(if random.chance(0.6) {
            let end = host.find('-')? + 1 + random.below(4);
            Literal::new(ops::HOST, Test::Prefix(host[..end].into()))
        } else {
            Literal::new(ops::SERVICE, Test::Prefix(service[..3 + random.below(service.len() - 3)].into()))
        });
    }
    if kind < 0.85 {
        return Some(if random.chance(0.5) {
            Literal::new(ops::HOST, Test::Suffix(host[host.find('.')? - random.below(3)..].into()))
        } else {
            let from = service.find('-')? - random.below(3);
            Literal::new(ops::SERVICE, Test::Suffix(service[from..].into()))
        });
    }
    let words: Vec<&str> = table.texts(ops::MESSAGE).text(row)?.split(' ').take(7).collect();
    let first = random.below(5);
    let part =
        if random.chance(0.5) { words[first].to_owned() } else { format!("{} {}", words[first], words[first + 1]) };
    Some(Literal::new(ops::MESSAGE, Test::Contains(part)))
}
