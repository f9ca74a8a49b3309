//! What must come out: for each prefix of the corpus how many matches there are, and a sum over them.
//!
//! The sum does not depend on the order of an event's matches, and those of two disjoint sets of rules add
//! up to that of both.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::hits::hits;
use crate::rule::Rule;
use crate::schema::Corpus;
use crate::table::Table;
use crate::truth;

/// Rules that one thread takes at a time.
const PIECE_RULES: usize = 1_000;
/// What the slow check covers.
const CHECKED_EVENTS: usize = 100;
const CHECKED_RULES: usize = 1_000;

/// Number and sum of matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Matches {
    pub count: u64,
    pub sum: u64,
}

impl Matches {
    pub(crate) fn add(&mut self, event: usize, rule: u32) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mixed(event as u64, rule.into()));
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self { count: self.count - other.count, sum: self.sum.wrapping_sub(other.sum) }
    }
}

/// A number that tells pairs of event and rule apart. The driver of Event Ruler computes the same.
fn mixed(event: u64, rule: u64) -> u64 {
    let event = (event + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut mixed = event.wrapping_add((rule + 1).wrapping_mul(0xC2B2_AE3D_27D4_EB4F));
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 32)
}

/// Matches of the first 0, 1, 2, ... events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oracle(Vec<Matches>);

impl Oracle {
    /// Of those rules of a set that `which` says, by their ids in the whole set.
    pub(crate) fn new(table: &Table, rules: &[Rule], which: impl Fn(&Rule) -> bool + Sync) -> Self {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut events = vec![Matches::default(); table.rows];
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                let start = piece * PIECE_RULES;
                if start >= rules.len() {
                    return events;
                }
                for (id, rule) in (start..rules.len().min(start + PIECE_RULES)).map(|id| (id, &rules[id])) {
                    if which(rule) {
                        hits(table, rule).into_iter().for_each(|row| events[row as usize].add(row as usize, id as u32));
                    }
                }
            }
        };
        let mut events = vec![Matches::default(); table.rows];
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                let found = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                events.iter_mut().zip(found).for_each(|(event, found)| *event = event.plus(found));
            }
        });
        let mut sums = vec![Matches::default()];
        let mut sum = Matches::default();
        for event in events {
            sum = sum.plus(event);
            sums.push(sum);
        }
        Self(sums)
    }

    /// Of the first `events`.
    pub(crate) fn of(&self, events: usize) -> Matches {
        self.0[events]
    }

    /// Checks a part of it against [`truth`].
    pub(crate) fn check(&self, corpus: Corpus, lines: &str, rules: &[Rule]) -> Result<()> {
        if rules.len() > CHECKED_RULES {
            // Its own rules only: the sums of a part of the rules are not known.
            let table = Table::decode(corpus, &first_lines(lines, CHECKED_EVENTS))?;
            return Self::new(&table, &rules[..CHECKED_RULES], |_| true).check(corpus, lines, &rules[..CHECKED_RULES]);
        }
        let mut found = Matches::default();
        for (row, line) in lines.lines().take(CHECKED_EVENTS).enumerate() {
            let event: Value = serde_json::from_str(line)?;
            let matching = rules.iter().enumerate().filter(|(_, rule)| truth::matches(rule, corpus.fields(), &event));
            matching.for_each(|(id, _)| found.add(row, id as u32));
            ensure!(self.of(row + 1) == found, "the oracle is wrong about event {row}: {line}");
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|one| [one.count.to_le_bytes(), one.sum.to_le_bytes()]).flatten().collect()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let (pairs, _) = words.as_chunks::<2>();
        let matches =
            |[count, sum]: &[[u8; 8]; 2]| Matches { count: u64::from_le_bytes(*count), sum: u64::from_le_bytes(*sum) };
        Self(pairs.iter().map(matches).collect())
    }
}

fn first_lines(lines: &str, count: usize) -> String {
    lines.lines().take(count).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose;
    use crate::corpus;
    use crate::families::Family;

    #[test]
    fn the_oracle_says_what_is_true_of_every_prefix() {
        let lines = corpus::lines(Corpus::Ops, 300);
        let table = Table::decode(Corpus::Ops, &lines).unwrap();
        let rules = choose::rules(&table, Family::named("unindexable5").unwrap(), 60);
        let all = Oracle::new(&table, &rules, |_| true);
        all.check(Corpus::Ops, &lines, &rules).unwrap();
        assert_eq!(Oracle::from_bytes(&all.bytes()), all);
        assert_eq!(all.of(0), Matches::default());
        let part = Oracle::new(&table, &rules, Rule::is_unindexable);
        let rest = Oracle::new(&table, &rules, |rule| !rule.is_unindexable());
        assert_eq!(all.of(300).minus(part.of(300)), rest.of(300));
        assert_ne!(part.of(300), Matches::default());
        let wrong = Oracle::new(&table, &rules[1..], |_| true);
        assert!(wrong.of(300) == all.of(300) || wrong.check(Corpus::Ops, &lines, &rules).is_err());
    }
}
