//! A cell of the benchmark: a corpus, a family of rules and how many of them.

use std::fmt;

use anyhow::{Context, Result};

use crate::families::Family;
use crate::schema::Corpus;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub corpus: Corpus,
    pub family: &'static Family,
    pub rules: usize,
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        (self.corpus, self.family.name, self.rules) == (other.corpus, other.family.name, other.rules)
    }
}

impl fmt::Display for Cell {
    /// `city-core-m1-1000`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.corpus, self.family.name, self.rules)
    }
}

impl Cell {
    /// The cell of that name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let parsed = || {
            let (corpus, rest) = name.split_once('-')?;
            let (family, rules) = rest.rsplit_once('-')?;
            Some(Self { corpus: Corpus::named(corpus)?, family: Family::named(family)?, rules: rules.parse().ok()? })
        };
        parsed().with_context(|| format!("no cell is named {name}; one is city-core-m1-1000"))
    }
}

/// Counts of rules by family, of a full run.
const FULL: [(&str, &[usize]); 13] = [
    ("core-m1", &[10, 100, 1_000, 10_000, 100_000, 1_000_000]),
    ("core-m0", &[1_000, 100_000]),
    ("core-m001", &[10, 100, 1_000, 10_000, 100_000]),
    ("core-m10", &[1_000, 10_000, 100_000]),
    ("core-m1000", &[10_000]),
    ("eq-m1", &[10, 100, 1_000, 10_000, 100_000, 1_000_000]),
    ("and3", &[100, 1_000, 10_000, 100_000]),
    ("prefix", &[100, 1_000, 10_000, 100_000]),
    ("range", &[100, 1_000, 10_000, 100_000]),
    ("str-m1", &[10, 100, 1_000, 10_000, 100_000]),
    ("negation", &[100, 1_000, 10_000, 100_000]),
    ("regex1", &[100, 1_000, 10_000, 100_000]),
    ("unindexable5", &[100, 1_000, 10_000, 100_000]),
];

/// And of a quick one.
const QUICK: [(&str, &[usize]); 11] = [
    ("core-m1", &[10, 1_000, 10_000, 100_000]),
    ("core-m001", &[1_000]),
    ("core-m10", &[1_000]),
    ("eq-m1", &[100, 10_000]),
    ("and3", &[100, 10_000]),
    ("prefix", &[100, 10_000]),
    ("range", &[1_000]),
    ("str-m1", &[1_000]),
    ("negation", &[1_000]),
    ("regex1", &[10_000]),
    ("unindexable5", &[1_000]),
];

/// The cells of a run, in the order in which they are measured: counts of one family ascend, so that an
/// engine that was stopped is not tried with more.
pub(crate) fn cells(quick: bool) -> Vec<Cell> {
    let families: &[(&str, &[usize])] = if quick { &QUICK } else { &FULL };
    let mut cells = Vec::new();
    for (name, counts) in families {
        let Some(family) = Family::named(name) else { continue };
        for corpus in Corpus::ALL.into_iter().filter(|corpus| family.suits(*corpus)) {
            // One cell of 100,000 rules shows in a quick run what scale does; a second shows no more.
            let counted = |rules: &&usize| !quick || **rules < 100_000 || corpus == Corpus::Ops;
            cells.extend(counts.iter().filter(counted).map(|rules| Cell { corpus, family, rules: *rules }));
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_cells() {
        for quick in [true, false] {
            let cells = cells(quick);
            assert!(cells.len() > 20);
            for cell in cells {
                assert_eq!(Cell::named(&cell.to_string()).unwrap(), cell);
            }
        }
        for wrong in ["city", "city-core-m1", "town-core-m1-10", "city-nothing-10", "city-core-m1-x"] {
            assert!(Cell::named(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_family_is_measured() {
        let cells = cells(false);
        for family in &crate::families::FAMILIES {
            assert!(cells.iter().any(|cell| cell.family.name == family.name), "{}", family.name);
        }
        assert!(cells.iter().any(|cell| cell.to_string() == "ops-core-m1-1000000"));
        assert!(!cells.iter().any(|cell| cell.to_string() == "city-range-1000"));
    }
}
