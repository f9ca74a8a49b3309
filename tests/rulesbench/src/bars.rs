//! The goals of the rule engine, computed from the results.

use serde_json::{Value, json};

use crate::cell::Cell;
use crate::engines::{Engine, Role};
use crate::families::Family;
use crate::result::Outcomes;
use crate::schema::Corpus;

const BEHIND_MAX: f64 = 1.05;
const AHEAD_MIN: f64 = 10.0;
/// Rules from which the geometric mean counts.
const AHEAD_FROM_RULES: usize = 1_000;
/// Times the floor, by the number of rules.
const FLOOR_MAX: [(usize, f64); 4] = [(1_000, 2.0), (10_000, 4.0), (100_000, 10.0), (1_000_000, 25.0)];
/// What 100,000 rules may cost, in what 100 cost.
const GROWTH_MAX: f64 = 3.0;
const GROWING: [&str; 3] = ["eq-m1", "prefix", "and3"];
const PARTS_MAX: f64 = 1.2;
const WITH_PARTS: [&str; 2] = ["regex1", "unindexable5"];

/// A goal and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub name: String,
    pub goal: String,
    pub measured: String,
    /// None if a cell that it needs was not measured.
    pub met: Option<bool>,
}

impl Bar {
    pub(crate) fn json(&self) -> Value {
        json!({"name": self.name, "goal": self.goal, "measured": self.measured, "met": self.met})
    }

    /// A goal of a ratio that must not be above `most`.
    pub(crate) fn at_most(name: String, ratio: Option<f64>, most: f64) -> Self {
        Self {
            name,
            goal: format!("≤ {most} ×"),
            measured: ratio.map_or("not measured".to_owned(), |ratio| format!("{ratio:.2} ×")),
            met: ratio.map(|ratio| ratio <= most),
        }
    }
}

/// All bars that stand on cells.
pub(crate) fn verdicts(outcomes: &Outcomes) -> Vec<Bar> {
    let mut bars = vec![
        never_behind(outcomes, "never behind the best finisher of the others", best_rival),
        never_behind(outcomes, "never behind the closure scan", |outcomes, cell| {
            Some((Engine::Closures, outcomes.ns(cell, Engine::Closures)?))
        }),
        ahead(outcomes),
    ];
    bars.extend(floor(outcomes));
    bars.extend(growth(outcomes));
    bars.extend(parts(outcomes));
    bars
}

/// The fastest of the engines that others wrote that finished the cell.
pub(crate) fn best_rival(outcomes: &Outcomes, cell: Cell) -> Option<(Engine, f64)> {
    let rivals = Engine::ALL.into_iter().filter(|engine| engine.role() == Role::Rival);
    let finished = rivals.filter_map(|engine| Some((engine, outcomes.ns(cell, engine)?)));
    finished.min_by(|one, other| one.1.total_cmp(&other.1))
}

fn never_behind(outcomes: &Outcomes, name: &str, other: impl Fn(&Outcomes, Cell) -> Option<(Engine, f64)>) -> Bar {
    let compared: Vec<(Cell, Engine, f64)> = outcomes
        .cells()
        .into_iter()
        .filter_map(|cell| {
            let (engine, ns) = other(outcomes, cell)?;
            Some((cell, engine, outcomes.ns(cell, Engine::Petrel)? / ns))
        })
        .collect();
    let behind: Vec<String> = compared
        .iter()
        .filter(|(_, _, ratio)| *ratio > BEHIND_MAX)
        .map(|(cell, engine, ratio)| format!("{cell} ({ratio:.2} × {})", engine.name()))
        .collect();
    let worst = compared.iter().max_by(|one, other| one.2.total_cmp(&other.2));
    let measured = match worst {
        None => "not measured".to_owned(),
        Some((cell, engine, ratio)) if behind.is_empty() => {
            format!("in {} cells, at worst {ratio:.2} × {} ({cell})", compared.len(), engine.name())
        }
        Some(_) => format!("behind in {} of {} cells: {}", behind.len(), compared.len(), behind.join(", ")),
    };
    let met = (!compared.is_empty()).then_some(behind.is_empty());
    Bar { name: name.to_owned(), goal: format!("≤ {BEHIND_MAX} × in every cell"), measured, met }
}

/// The geometric mean over the core cells in which another engine finished.
fn ahead(outcomes: &Outcomes) -> Bar {
    let cells = outcomes.cells().into_iter();
    let core = cells.filter(|cell| cell.family.is_core() && cell.rules >= AHEAD_FROM_RULES);
    let ratios: Vec<f64> =
        core.filter_map(|cell| Some(best_rival(outcomes, cell)?.1 / outcomes.ns(cell, Engine::Petrel)?)).collect();
    let mean =
        (!ratios.is_empty()).then(|| (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp());
    Bar {
        name: "ahead of the best of the others, core cells from 1,000 rules on, geometric mean".to_owned(),
        goal: format!("≥ {AHEAD_MIN} ×"),
        measured: mean.map_or("not measured".to_owned(), |mean| format!("{mean:.1} × ({} cells)", ratios.len())),
        met: mean.map(|mean| mean >= AHEAD_MIN),
    }
}

fn floor(outcomes: &Outcomes) -> Vec<Bar> {
    let mut bars = Vec::new();
    for corpus in Corpus::ALL {
        for (rules, most) in FLOOR_MAX {
            let cell = cell(corpus, "core-m1", rules);
            let ratio = cell.and_then(|cell| ratio(outcomes, cell, Engine::Floor));
            bars.push(Bar::at_most(
                format!("{corpus} core ~1 match, {} rules, against the floor", grouped(rules)),
                ratio,
                most,
            ));
        }
    }
    bars
}

fn growth(outcomes: &Outcomes) -> Vec<Bar> {
    let mut bars = Vec::new();
    for family in GROWING {
        for corpus in Corpus::ALL {
            let ns = |rules| outcomes.ns(cell(corpus, family, rules)?, Engine::Petrel);
            let ratio = ns(100_000).zip(ns(100)).map(|(many, few)| many / few);
            bars.push(Bar::at_most(format!("{corpus} {family}: 100,000 rules against 100"), ratio, GROWTH_MAX));
        }
    }
    bars
}

/// The whole set against its parts: the indexable rules, and a scan of the others whose reading of the
/// event is taken off, since the first part has read it.
fn parts(outcomes: &Outcomes) -> Vec<Bar> {
    let mut bars = Vec::new();
    for cell in outcomes.cells().into_iter().filter(|cell| WITH_PARTS.contains(&cell.family.name)) {
        let parts = || {
            let rest = outcomes.ns(cell, Engine::PetrelRest)? - outcomes.ns(cell, Engine::PetrelNothing)?;
            Some(outcomes.ns(cell, Engine::PetrelIndexable)? + rest.max(0.0))
        };
        let ratio = outcomes.ns(cell, Engine::Petrel).zip(parts()).map(|(whole, parts)| whole / parts);
        bars.push(Bar::at_most(format!("{cell}: against its indexable part and a scan of the rest"), ratio, PARTS_MAX));
    }
    bars
}

fn cell(corpus: Corpus, family: &str, rules: usize) -> Option<Cell> {
    Some(Cell { corpus, family: Family::named(family)?, rules })
}

/// Petrel's time in that of another engine.
fn ratio(outcomes: &Outcomes, cell: Cell, other: Engine) -> Option<f64> {
    Some(outcomes.ns(cell, Engine::Petrel)? / outcomes.ns(cell, other)?)
}

/// `100,000`
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Measured, Outcome, Status};

    fn outcomes(rows: &[(&str, Engine, f64)]) -> Outcomes {
        let outcome = |(cell, engine, ns): &(&str, Engine, f64)| Outcome {
            cell: Cell::named(cell).unwrap(),
            engine: *engine,
            status: if ns.is_nan() {
                Status::Stopped("too slow".into())
            } else {
                let (events, matches, bytes) = (1, 1, 1);
                Status::Measured(Measured { rounds_ns: vec![*ns], events, matches, build_s: 0.0, first_s: 0.0, bytes })
            },
        };
        Outcomes(rows.iter().map(outcome).collect())
    }

    fn bar(outcomes: &Outcomes, name: &str) -> Bar {
        let bars = verdicts(outcomes);
        bars.iter().find(|bar| bar.name.starts_with(name)).unwrap_or_else(|| panic!("{bars:?}")).clone()
    }

    #[test]
    fn only_finishers_count() {
        let outcomes = outcomes(&[
            ("ops-core-m1-1000", Engine::Petrel, 100.0),
            ("ops-core-m1-1000", Engine::Cel, 90.0),
            ("ops-core-m1-1000", Engine::ATree, f64::NAN),
            ("ops-core-m1-1000", Engine::Floor, 60.0),
            ("ops-core-m1-1000", Engine::PetrelScan, 1.0),
            ("ops-core-m1-10000", Engine::Petrel, 100.0),
            ("ops-core-m1-10000", Engine::Cel, 9_000.0),
            ("ops-core-m1-10000", Engine::Closures, 105.0),
        ]);
        let behind = bar(&outcomes, "never behind the best");
        assert_eq!(behind.met, Some(false));
        assert_eq!(behind.measured, "behind in 1 of 2 cells: ops-core-m1-1000 (1.11 × cel)");
        assert_eq!(bar(&outcomes, "never behind the closure scan").met, Some(true));
        let ahead = bar(&outcomes, "ahead");
        assert_eq!((ahead.measured.as_str(), ahead.met), ("9.0 × (2 cells)", Some(false)));
        assert_eq!(bar(&outcomes, "ops core ~1 match, 1,000 rules").measured, "1.67 ×");
        assert_eq!(bar(&outcomes, "ops core ~1 match, 10,000 rules").met, None);
        assert_eq!(bar(&outcomes, "city eq-m1").met, None);
    }

    #[test]
    fn parts_are_added_up_without_reading_twice() {
        let outcomes = outcomes(&[
            ("ops-regex1-1000", Engine::Petrel, 130.0),
            ("ops-regex1-1000", Engine::PetrelIndexable, 80.0),
            ("ops-regex1-1000", Engine::PetrelRest, 50.0),
            ("ops-regex1-1000", Engine::PetrelNothing, 30.0),
        ]);
        let bar = bar(&outcomes, "ops-regex1-1000");
        assert_eq!((bar.measured.as_str(), bar.met), ("1.30 ×", Some(false)));
    }

    #[test]
    fn large_numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
