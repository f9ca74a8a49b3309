//! Which test to find a clause by: the one that the fewest events satisfy, as far as finding by it pays.

use super::atoms::{Kind, Test, What};
use super::build::{Builder, Item};

/// What a look-up of a child costs, in entries read.
const PROBE_COST: f32 = 6.0;
/// What a look-up in an interval tree costs, in entries read.
const TREE_COST: f32 = 24.0;
/// A test that so many events satisfy is no way to find a clause.
const CHANCE_MAX: f32 = 0.85;
/// How much better a range must be than an atom: it cannot be split further.
const RANGE_PENALTY: f32 = 2.0;
/// How many clauses of a node the guess for all events weighs as much as.
const WEIGHT: f32 = 4.0;
/// A clause has at most this many copies, unless nothing better finds it than an `in` with more keys.
const COPIES_MAX: u32 = 32;
/// What such an `in` counts as.
const MANY_CHANCE: f32 = 0.5;
/// A test, and how likely an event satisfies it.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    pub test: usize,
    pub chance: f32,
}

impl Builder<'_> {
    /// For every clause the test to find it by, if it pays.
    pub(super) fn choose(&mut self, items: &[Item], root: bool) -> Vec<Option<Choice>> {
        // At the root the shares here are those of all clauses.
        if !root {
            self.count(items, 1);
        }
        let mut choices: Vec<Option<Choice>> = items.iter().map(|item| self.best(*item, root, false)).collect();
        for (item, choice) in items.iter().zip(&choices) {
            if let Some(choice) = choice {
                let group = usize::from(self.tests(*item)[choice.test].group);
                self.gains[group] += 1.0 - choice.chance;
            }
        }
        for (item, choice) in items.iter().zip(&mut choices) {
            if choice.is_some_and(|choice| !self.pays(self.tests(*item)[choice.test].group, root)) {
                *choice = self.best(*item, root, true);
            }
        }
        self.gains.fill(0.0);
        if !root {
            self.count(items, 0);
        }
        choices
    }

    fn pays(&self, group: u16, root: bool) -> bool {
        let gain = self.gains[usize::from(group)];
        match self.atoms.kind(group) {
            Kind::Range => gain > TREE_COST,
            Kind::Element => root || gain > 3.0 * PROBE_COST,
            _ => root || gain > PROBE_COST,
        }
    }

    /// Counts what the clauses ask for here, or forgets it.
    fn count(&mut self, items: &[Item], one: u32) {
        for item in items {
            for (i, test) in self.tests(*item).iter().enumerate() {
                let What::Any { from, count } = test.what else { continue };
                if item.used >> i & 1 != 0 {
                    continue;
                }
                let total = &mut self.totals[usize::from(test.group)];
                *total = if one == 0 { 0 } else { *total + count };
                for atom in &self.atoms.pool[from as usize..(from + count) as usize] {
                    let count = &mut self.counts[*atom as usize];
                    *count = if one == 0 { 0 } else { *count + 1 };
                }
            }
        }
    }

    /// The most selective test of a clause that may be used here.
    fn best(&self, item: Item, root: bool, paying: bool) -> Option<Choice> {
        let mut best: Option<Choice> = None;
        let chances = &self.chances[self.clause(item).from as usize..];
        for (test, Test { group, what }) in self.tests(item).iter().enumerate() {
            if item.used >> test & 1 != 0 || paying && !self.pays(*group, root) {
                continue;
            }
            let chance = match what {
                What::Range { .. } => chances[test] * RANGE_PENALTY,
                What::Any { from, count } => {
                    let many = *count > 1 && item.copies.saturating_mul(*count) > COPIES_MAX;
                    if root {
                        chances[test].max(if many { MANY_CHANCE } else { 0.0 })
                    } else if many {
                        continue;
                    } else {
                        let any = &self.atoms.pool[*from as usize..(*from + *count) as usize];
                        any.iter().map(|atom| self.chance(*atom, *group)).sum()
                    }
                }
            };
            if chance < best.map_or(CHANCE_MAX, |best| best.chance) {
                best = Some(Choice { test, chance });
            }
        }
        if root { best.or_else(|| self.there(item)) } else { best }
    }

    /// Presence or absence, where nothing else finds a clause: it costs nothing to ask, and events may be of
    /// many shapes.
    fn there(&self, item: Item) -> Option<Choice> {
        let kinds = self.tests(item).iter().map(|test| self.atoms.kind(test.group));
        let test = kinds.enumerate().find(|(_, kind)| matches!(kind, Kind::Present | Kind::Absent))?.0;
        Some(Choice { test, chance: CHANCE_MAX })
    }

    /// The chance of an atom in events that come here: its share among the clauses here, blended with the
    /// guess for all events.
    fn chance(&self, atom: u32, group: u16) -> f32 {
        let all = self.estimates.atom(atom);
        if matches!(self.atoms.kind(group), Kind::Present | Kind::Absent) {
            return all;
        }
        let share = self.counts[atom as usize] as f32;
        let here = (share + WEIGHT * all) / (self.totals[usize::from(group)] as f32 + WEIGHT);
        match self.atoms.kind(group) {
            Kind::Equal => here,
            _ => here.max(all),
        }
    }
}
