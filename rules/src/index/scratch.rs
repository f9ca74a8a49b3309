//! What one thread needs to look up one event, kept for the next one.

use super::entry::{self, BITS};
use super::table::Postings;

/// An event's atom that some rule knows.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub atom: u32,
    pub group: u32,
    pub postings: Postings,
}

/// An event as atoms and numbers. Its memory is bounded by the groups of the index, the atoms of one event
/// that rules know, and the candidates with several clauses.
#[derive(Debug)]
pub struct Scratch {
    /// Keys to look up: hash and group.
    pub keys: Vec<(u64, u32)>,
    pub found: Vec<Found>,
    /// Nodes still to visit.
    pub nodes: Vec<u32>,
    pub seen_atoms: Seen,
    pub seen_rules: Seen,
    bits: [u64; BITS as usize / 64],
    /// Per group the atoms found, folded to 64 bits.
    any: Vec<u64>,
    /// Per group the number, NaN if there is none.
    numbers: Vec<f64>,
}

impl Default for Scratch {
    fn default() -> Self {
        let mut bits = [0; BITS as usize / 64];
        bits[0] = 1;
        Self {
            keys: Vec::new(),
            found: Vec::new(),
            nodes: Vec::new(),
            seen_atoms: Seen::default(),
            seen_rules: Seen::default(),
            bits,
            any: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

impl Scratch {
    /// Forgets the event before; `groups` is the number of groups of the index.
    pub fn begin(&mut self, groups: usize) {
        for found in self.found.drain(..) {
            self.bits[usize::from(entry::bit(found.atom)) / 64] = 0;
        }
        self.bits[0] = 1;
        self.any.clear();
        self.any.resize(groups, 0);
        self.numbers.clear();
        self.numbers.resize(groups, f64::NAN);
        // Group 0 is that of checks that are not needed.
        if let (Some(any), Some(number)) = (self.any.first_mut(), self.numbers.first_mut()) {
            *any = u64::MAX;
            *number = 0.0;
        }
        self.keys.clear();
        self.nodes.clear();
        self.seen_atoms.begin();
        self.seen_rules.begin();
    }

    /// Notes an atom.
    #[inline]
    pub fn find(&mut self, atom: u32, group: u32, postings: Postings) {
        let bit = usize::from(entry::bit(atom));
        self.bits[bit / 64] |= 1 << (bit % 64);
        self.any[group as usize] |= entry::mask(atom);
        self.found.push(Found { atom, group, postings });
    }

    /// Notes a number.
    #[inline]
    pub fn set_number(&mut self, group: u32, number: f64) {
        self.numbers[group as usize] = number;
    }

    /// Whether an atom with that bit was found.
    #[inline]
    pub fn has(&self, bit: u16) -> bool {
        self.bits[usize::from(bit) / 64 % (BITS as usize / 64)] >> (bit % 64) & 1 != 0
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
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.keys.capacity() * size_of::<(u64, u32)>()
            + self.found.capacity() * size_of::<Found>()
            + self.nodes.capacity() * size_of::<u32>()
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
            at = at + 1 & last;
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

    fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<(u32, u32)>()
    }
}
