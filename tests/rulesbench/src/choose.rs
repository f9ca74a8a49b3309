//! Chooses the rules of a set, so that an event matches as many of them as the family says.
//!
//! Drafts are counted before they are taken. Where a rule is to match nothing, one of its values is
//! exchanged: a near miss, as plausible as the others. Sets are chosen in pieces that know nothing of each
//! other, on all cores; the result does not depend on how many there are.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::corpus::SEED;
use crate::families::Family;
use crate::hits::{estimate, hits};
use crate::random::Random;
use crate::rule::{Clause, Literal, Rule, Test};
use crate::schema::Kind;
use crate::table::Table;

/// Rules that are chosen one after the other.
const PIECE_RULES: usize = 5_000;
const DRAFTS_MAX: usize = 96;
/// For rules that match many events there are few drafts that differ.
const DRAFTS_MAX_OFTEN: usize = 240;
/// Fruitless searches after which a rule that matches nothing is taken instead.
const SEARCHES_MAX: usize = 8;
/// A draft is good enough if its hits are within this factor (a logarithm) of the goal, and within the
/// other one where counting them takes long; the rules that follow make up for it.
const NEAR: f64 = 0.5;
const NEAR_OFTEN: f64 = 1.0;
/// Hits from which it takes long.
const OFTEN_HITS: f64 = 1_000.0;

/// The rules of a set; how many hits they have in all.
pub(crate) fn rules(table: &Table, family: &Family, count: usize) -> Vec<Rule> {
    let pieces = count.div_ceil(PIECE_RULES);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Vec<Rule>)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            let size = PIECE_RULES.min(count - piece * PIECE_RULES);
            let rules = Search::new(table, family, count, piece, size).run();
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((piece, rules));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(piece, _)| *piece);
    let mut rules: Vec<Rule> = done.into_iter().flat_map(|(_, rules)| rules).collect();
    Random::new(seed(family, count)).shuffle(&mut rules);
    rules
}

fn seed(family: &Family, count: usize) -> u64 {
    let name = family.name.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    SEED.wrapping_mul(31).wrapping_add(name) ^ count as u64
}

/// The search for the rules of a piece.
struct Search<'t> {
    table: &'t Table,
    family: &'t Family,
    random: Random,
    size: usize,
    /// Hits that all rules of the piece are to have.
    total: f64,
    hits: usize,
    taken: Vec<Rule>,
    seen: HashSet<String>,
}

impl<'t> Search<'t> {
    fn new(table: &'t Table, family: &'t Family, count: usize, piece: usize, size: usize) -> Self {
        let random = Random::new(seed(family, count) ^ ((piece as u64 + 1) << 40) ^ table.corpus as u64);
        let total = family.rate * table.rows as f64 * size as f64 / count as f64;
        Self { table, family, random, size, total, hits: 0, taken: Vec::with_capacity(size), seen: HashSet::new() }
    }

    fn run(mut self) -> Vec<Rule> {
        let mut fruitless = 0;
        while self.taken.len() < self.size {
            let part = (self.taken.len() + 1) as f64 / self.size as f64;
            let lacking = self.total * part - self.hits as f64;
            let found = if lacking < 0.9 || fruitless > SEARCHES_MAX {
                self.near_miss()
            } else {
                let one = self.total / self.size as f64 * (0.3 + 1.4 * self.random.unit());
                self.matching(one.max(1.0).min(lacking * 1.5))
            };
            let taken = found.is_some_and(|(rule, hits)| self.take(rule, hits));
            fruitless = if taken { 0 } else { fruitless + 1 };
        }
        self.taken
    }

    fn take(&mut self, rule: Rule, hits: usize) -> bool {
        let too_many = (self.hits + hits) as f64 > self.total * 1.15 + 2.0;
        let is_last = self.taken.len() + 1 == self.size;
        if (hits > 0 && too_many && !is_last) || !self.seen.insert(format!("{rule:?}")) {
            return false;
        }
        self.hits += hits;
        self.taken.push(rule);
        true
    }

    /// The draft whose hits come nearest to the goal.
    fn matching(&mut self, goal: f64) -> Option<(Rule, usize)> {
        let drafts = if goal > 50.0 { DRAFTS_MAX_OFTEN } else { DRAFTS_MAX };
        let near = if goal > OFTEN_HITS { NEAR_OFTEN } else { NEAR };
        let mut best: Option<(f64, Rule, usize)> = None;
        for _ in 0..drafts {
            let Some(draft) = self.draft(goal) else { continue };
            let guess = estimate(self.table, &draft);
            if guess > goal * 6.0 || guess < goal / 12.0 - 0.2 || self.seen.contains(&format!("{draft:?}")) {
                continue;
            }
            let hits = hits(self.table, &draft).len();
            let distance = if hits == 0 { 9.0 } else { (hits as f64 / goal).ln().abs() };
            if best.as_ref().is_none_or(|(least, ..)| distance < *least) {
                best = Some((distance, draft, hits));
            }
            if distance < near {
                break;
            }
        }
        best.map(|(_, rule, hits)| (rule, hits))
    }

    /// A rule that matches nothing, or the draft that matches least.
    fn near_miss(&mut self) -> Option<(Rule, usize)> {
        let mut best: Option<(Rule, usize)> = None;
        for _ in 0..DRAFTS_MAX {
            let Some(mut draft) = self.draft(1.0) else { continue };
            let table = self.table;
            let random = &mut self.random;
            if !draft.any.iter_mut().all(|clause| exchange_value(random, table, clause))
                || estimate(table, &draft) > 3.0
            {
                continue;
            }
            let hits = hits(table, &draft).len();
            if best.as_ref().is_none_or(|(_, least)| hits < *least) {
                best = Some((draft, hits));
            }
            if hits == 0 {
                break;
            }
        }
        best
    }

    fn draft(&mut self, goal: f64) -> Option<Rule> {
        self.family.draft(&mut self.random, self.table, goal, self.taken.len())
    }
}

/// Exchanges one value of a clause; false if it has none that can be.
fn exchange_value(random: &mut Random, table: &Table, clause: &mut Clause) -> bool {
    let exchangeable = |literal: &&mut Literal| match literal.test {
        Test::Eq(_) => table.kind(literal.field) == Kind::Text,
        Test::Prefix(_) | Test::Matches(_) | Test::Joined { .. } => true,
        _ => false,
    };
    let mut literals: Vec<&mut Literal> = clause.iter_mut().filter(exchangeable).collect();
    if literals.is_empty() {
        return false;
    }
    let at = random.below(literals.len());
    let literal = &mut literals[at];
    let field = literal.field;
    match &mut literal.test {
        Test::Eq(value) => *value = random.pick(&table.texts(field).values).to_string(),
        Test::Joined { other, right, .. } => *right = random.pick(&table.texts(*other).values).to_string(),
        // Longer than what is there.
        Test::Prefix(text) | Test::Matches(text) => text.push(*random.pick(&['q', 'x', 'z', '5', '8'])),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;
    use crate::families::FAMILIES;
    use crate::schema::Corpus;
    use crate::truth;

    #[test]
    fn sets_are_a_function_of_the_seed_and_match_as_often_as_they_are_to() {
        for corpus in Corpus::ALL {
            let table = Table::decode(corpus, &corpus::lines(corpus, 3_000)).unwrap();
            for name in ["core-m1", "core-m0"] {
                let family = Family::named(name).unwrap();
                let chosen = rules(&table, family, 60);
                assert_eq!(chosen, rules(&table, family, 60));
                let matches: usize = chosen.iter().map(|rule| hits(&table, rule).len()).sum();
                let rate = matches as f64 / 3_000.0;
                assert!((rate - family.rate).abs() <= 0.3 * family.rate + 0.001, "{corpus} {name}: {rate}");
            }
        }
    }

    #[test]
    fn hits_are_what_is_true() {
        for corpus in Corpus::ALL {
            let lines = corpus::lines(corpus, 400);
            let events: Vec<serde_json::Value> =
                lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let table = Table::decode(corpus, &lines).unwrap();
            for family in FAMILIES.iter().filter(|family| family.suits(corpus)) {
                let mut random = Random::new(4);
                let drafts = (0..300).filter_map(|number| family.draft(&mut random, &table, 40.0, number));
                let mut matches = 0;
                for rule in drafts {
                    let expected: Vec<u32> =
                        (0..400).filter(|at| truth::matches(&rule, corpus.fields(), &events[*at as usize])).collect();
                    assert_eq!(hits(&table, &rule), expected, "{corpus} {} {rule:?}", family.name);
                    matches += expected.len();
                }
                assert!(matches > 100, "{corpus} {}: {matches}", family.name);
            }
        }
    }
}
