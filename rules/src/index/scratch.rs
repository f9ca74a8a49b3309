//! What one thread needs to look up one event, kept for the next one.

use super::entry::{self, MARKS};
use super::table::{Postings, Table};

/// An event's atom that some rule knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    pub atom: u32,
    pub group: u32,
}

/// An event as atoms and numbers. Its memory is bounded by the groups of the index, the atoms of one event
/// that rules know, and the candidates with several clauses.
#[derive(Debug)]
pub struct Scratch {
    /// Keys to look up, hash and group, each of which can be there once.
    pub keys: Vec<(u64, u32)>,
    /// Keys to look up of lists' elements.
    pub elements: Vec<(u64, u32)>,
    /// Atoms found, so many of them; what is behind them is of earlier events.
    found: Vec<Found>,
    found_count: usize,
    /// What the atoms lead to, so many lists.
    lists: Vec<Postings>,
    lists_count: usize,
    pub seen_atoms: Seen,
    pub seen_rules: Seen,
    /// Whether an atom with that mark was found.
    marks: Box<[bool; MARKS]>,
    /// Per group the atoms found, folded to 64 bits.
    any: Vec<u64>,
    /// Per group the number, NaN if there is none.
    numbers: Vec<f64>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            elements: Vec::new(),
            found: Vec::new(),
            found_count: 0,
            lists: Vec::new(),
            lists_count: 0,
            seen_atoms: Seen::default(),
            seen_rules: Seen::default(),
            marks: Box::new([false; MARKS]),
            any: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

impl Scratch {
    /// Forgets the event before; `groups` is the number of groups of the index.
    #[inline]
    pub fn begin(&mut self, groups: usize) {
        for Found { atom, group } in &self.found[..self.found_count] {
            self.marks[usize::from(entry::mark(*atom))] = false;
            self.any[*group as usize] = 0;
        }
        (self.found_count, self.lists_count) = (0, 0);
        if self.any.len() < groups {
            self.any.resize(groups, 0);
            self.numbers.resize(groups, f64::NAN);
        }
        // Mark 0 and group 0 are those of checks that are not needed.
        self.marks[0] = true;
        self.any[0] = u64::MAX;
        self.numbers[0] = 0.0;
        self.seen_atoms.begin();
        self.seen_rules.begin();
    }

    /// Notes an atom.
    #[inline]
    pub fn find(&mut self, atom: u32, group: u32, postings: Postings) {
        self.marks[usize::from(entry::mark(atom))] = true;
        self.any[group as usize] |= entry::mask(atom);
        self.room(1);
        self.found[self.found_count] = Found { atom, group };
        self.lists[self.lists_count] = postings;
        self.found_count += 1;
        self.lists_count += usize::from(postings.count != 0);
    }

    /// Looks all keys up. Without branches that depend on what is found, so that cache misses overlap.
    #[inline]
    pub fn look_up(&mut self, dictionary: &Table) {
        self.room(self.keys.len());
        let (mut found, mut lists) = (self.found_count, self.lists_count);
        for (hash, group) in &self.keys {
            let (hit, atom, postings) = dictionary.find(*hash);
            self.found[found] = Found { atom, group: *group };
            self.lists[lists] = postings;
            found += usize::from(hit);
            lists += usize::from(hit & (postings.count != 0));
            self.marks[usize::from(entry::mark(atom))] |= hit;
            self.any[*group as usize] |= u64::from(hit) * entry::mask(atom);
        }
        (self.found_count, self.lists_count) = (found, lists);
        self.keys.clear();
    }

    /// Makes room for so many atoms and lists more.
    #[inline]
    fn room(&mut self, more: usize) {
        if self.found_count + more > self.found.len() {
            self.found.resize((self.found_count + more) * 2, Found::default());
        }
        if self.lists_count + more > self.lists.len() {
            self.lists.resize((self.lists_count + more) * 2, Postings::default());
        }
    }

    /// Adds a list to read.
    #[inline]
    pub fn add_list(&mut self, postings: Postings) {
        self.room(1);
        self.lists[self.lists_count] = postings;
        self.lists_count += 1;
    }

    /// The list of that number.
    #[inline]
    pub fn list(&self, at: usize) -> Option<Postings> {
        self.lists[..self.lists_count].get(at).copied()
    }

    /// The atom found of that number.
    #[inline]
    pub fn found(&self, at: usize) -> Option<Found> {
        self.found[..self.found_count].get(at).copied()
    }

    /// Looks up elements, of which several may be the same; `few` if not many belong to one list.
    pub fn look_up_elements(&mut self, dictionary: &Table, few: bool) {
        for i in 0..self.elements.len() {
            let (hash, group) = self.elements[i];
            let (hit, atom, postings) = dictionary.find(hash);
            if hit && self.is_new(atom, few) {
                self.find(atom, group, postings);
            }
        }
        self.elements.clear();
    }

    #[inline]
    fn is_new(&mut self, atom: u32, few: bool) -> bool {
        if !few {
            return self.seen_atoms.insert(atom);
        }
        !self.has(entry::mark(atom)) || self.found[..self.found_count].iter().all(|found| found.atom != atom)
    }

    /// Notes a number, or NaN.
    #[inline]
    pub fn set_number(&mut self, group: u32, number: f64) {
        self.numbers[group as usize] = number;
    }

    /// Whether an atom with that mark was found.
    #[inline]
    pub fn has(&self, mark: u16) -> bool {
        self.marks[usize::from(mark) % MARKS]
    }

    /// The number of a group.
    #[inline]
    pub fn number(&self, group: u16) -> f64 {
        self.numbers[usize::from(group)]
    }

    /// The atoms found of a group, folded.
    #[inline]
    pub fn any(&self, group: u16) -> u64 {
        self.any[usize::from(group)]
    }

    /// Bytes that it occupies.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + MARKS
            + (self.keys.capacity() + self.elements.capacity()) * size_of::<(u64, u32)>()
            + self.found.capacity() * size_of::<Found>()
            + self.lists.capacity() * size_of::<Postings>()
            + self.any.capacity() * size_of::<u64>()
            + self.numbers.capacity() * size_of::<f64>()
            + self.seen_atoms.bytes()
            + self.seen_rules.bytes()
    }
}

/// A set of numbers that is emptied in no time.
#[derive(Debug, Default)]
pub struct Seen {
    /// Number and round.
    places: Vec<(u32, u32)>,
    round: u32,
    count: usize,
}

impl Seen {
    /// Empties it.
    pub fn begin(&mut self) {
        self.count = 0;
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            // After 2^32 rounds old marks would count again.
            self.places.fill((0, 0));
            self.round = 1;
        }
    }

    /// Adds a number; false if it is in already.
    pub fn insert(&mut self, number: u32) -> bool {
        if self.count * 2 >= self.places.len() {
            self.grow();
        }
        let last = self.places.len() - 1;
        let mut at = number.wrapping_mul(0x9e37_79b1) as usize >> 7 & last;
        while self.places[at].1 == self.round {
            if self.places[at].0 == number {
                return false;
            }
            at = (at + 1) & last;
        }
        self.places[at] = (number, self.round);
        self.count += 1;
        true
    }

    fn grow(&mut self) {
        let room = (self.places.len() * 2).max(64);
        let old = std::mem::replace(&mut self.places, vec![(0, 0); room]);
        let round = self.round;
        self.round = 1;
        self.count = 0;
        for (number, _) in old.into_iter().filter(|place| place.1 == round && round != 0) {
            self.insert(number);
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<(u32, u32)>()
    }
}
