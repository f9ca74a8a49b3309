//! Which paths of an event rules read, and how many rules do: what a schema is checked for depends on it
//! and on nothing else, however a rule set came about.

use petrel_cel::expr::Expr;
use petrel_cel::{Paths, SlotId};

/// A path that a rule reads: its number, and in the lowest bit whether its value is read or only its presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read(u32);

impl Read {
    /// The path.
    pub fn slot(self) -> SlotId {
        SlotId(self.0 >> 1)
    }

    /// Whether the value is read.
    pub fn whole(self) -> bool {
        self.0 & 1 == 1
    }
}

/// What each of some rules reads.
#[derive(Debug, Default)]
pub struct RuleReads {
    reads: Vec<Read>,
    /// Where those of each rule end.
    ends: Vec<u32>,
}

impl RuleReads {
    /// Adds a rule by its criterion, if it has one.
    pub fn push(&mut self, criteria: Option<&Expr>) {
        let start = self.reads.len();
        if let Some(criteria) = criteria {
            criteria.each_path(&mut |slot, whole| self.reads.push(Read(slot.0 << 1 | u32::from(whole))));
        }
        self.reads[start..].sort_unstable();
        // Each once.
        let mut end = start;
        for at in start..self.reads.len() {
            if at == start || self.reads[at] != self.reads[end - 1] {
                self.reads[end] = self.reads[at];
                end += 1;
            }
        }
        self.reads.truncate(end);
        self.ends.push(u32::try_from(self.reads.len()).unwrap_or(u32::MAX));
    }

    /// Gives back memory that was kept for growing.
    pub fn shrink(&mut self) {
        self.reads.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Of all rules.
    pub fn all(&self) -> &[Read] {
        &self.reads
    }

    /// Of one rule.
    pub fn of(&self, rule: usize) -> &[Read] {
        let start = rule.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.reads[start as usize..self.ends[rule] as usize]
    }
}

/// How many rules read each path.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// By the path's number.
    counts: Vec<Count>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// The path or one below it.
    any: u32,
    /// Its value.
    whole: u32,
}

impl Reads {
    /// Counts reads of paths.
    pub fn add(&mut self, reads: &[Read], paths: &Paths) {
        self.counts.resize(self.counts.len().max(paths.len()), Count::default());
        self.change(reads, paths, |count| *count += 1);
    }

    /// Takes back reads that were counted.
    pub fn remove(&mut self, reads: &[Read], paths: &Paths) {
        self.change(reads, paths, |count| *count -= 1);
    }

    fn change(&mut self, reads: &[Read], paths: &Paths, by: impl Fn(&mut u32)) {
        for read in reads {
            let mut at = read.slot();
            if read.whole() {
                by(&mut self.counts[at.index()].whole);
            }
            loop {
                by(&mut self.counts[at.index()].any);
                if at == SlotId::ROOT {
                    break;
                }
                at = paths.get(at).parent;
            }
        }
    }

    /// Whether anybody reads the path or one below it.
    pub fn any(&self, slot: SlotId) -> bool {
        self.counts.get(slot.index()).is_some_and(|count| count.any > 0)
    }

    /// Whether anybody reads the value at the path.
    pub fn whole(&self, slot: SlotId) -> bool {
        self.counts.get(slot.index()).is_some_and(|count| count.whole > 0)
    }
}

#[cfg(test)]
impl Reads {
    /// Somebody reads all of these paths.
    pub fn all_of(paths: &Paths) -> Self {
        let reads: Vec<Read> = paths.iter().map(|(slot, path)| Read(slot.0 << 1 | u32::from(path.whole))).collect();
        let mut all = Self::default();
        // The root is read in any case if something below it is.
        all.add(if paths.get(SlotId::ROOT).whole { &reads } else { &reads[1..] }, paths);
        all
    }
}
