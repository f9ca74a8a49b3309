//! A clause in a posting list: its rule, and what can be checked of it without leaving the list.

use super::scratch::Scratch;

/// Bits of an event's atoms. Several atoms may share one, so that a check is passed too often, never too rarely.
pub const BITS: u32 = 8192;

/// The rest of a clause, half a cache line. A check that is not needed is one that always holds.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub struct Entry {
    /// Its rule.
    pub rule: u32,
    /// Group of the number that must be within `low` and `high`; [`Entry::REPEATS`] is in the highest bit.
    number: u16,
    /// Group of which an atom must be among `any`.
    any_group: u16,
    /// Bits of four atoms that must be there.
    all: [u16; 4],
    pub low: f32,
    pub high: f32,
    any: u64,
}

/// The bit of an atom among those of an event; bit 0 is always set.
#[inline]
pub fn bit(atom: u32) -> u16 {
    (1 + atom % (BITS - 1)) as u16
}

/// The bit of an atom among those of its group.
#[inline]
pub fn mask(atom: u32) -> u64 {
    1 << (atom & 63)
}

impl Entry {
    const REPEATS: u16 = 1 << 15;

    /// Nothing is checked.
    pub fn new(rule: u32, repeats: bool) -> Self {
        let number = if repeats { Self::REPEATS } else { 0 };
        Self { rule, number, any_group: 0, all: [0; 4], low: f32::NEG_INFINITY, high: f32::INFINITY, any: u64::MAX }
    }

    /// Adds an atom that must be there; false if there is no room.
    pub fn require(&mut self, atom: u32) -> bool {
        let free = self.all.iter_mut().find(|bit| **bit == 0);
        if let Some(place) = free {
            *place = bit(atom);
            return true;
        }
        false
    }

    /// Adds atoms of a group of which one must be there; false if there is no room.
    pub fn require_any(&mut self, group: u16, atoms: &[u32]) -> bool {
        if self.any_group != 0 {
            return false;
        }
        self.any_group = group;
        self.any = atoms.iter().fold(0, |all, atom| all | mask(*atom));
        true
    }

    /// Adds the bounds of a number; false if there is no room.
    pub fn require_range(&mut self, group: u16, low: f32, high: f32) -> bool {
        if self.number & !Self::REPEATS != 0 {
            return false;
        }
        self.number |= group;
        (self.low, self.high) = (low, high);
        true
    }

    /// Whether the rule may be found in several ways in one event.
    #[inline]
    pub fn repeats(&self) -> bool {
        self.number & Self::REPEATS != 0
    }

    /// Whether an event passes all checks. Without branches: most fail, and which one is nothing to predict.
    #[inline]
    pub fn passes(&self, event: &Scratch) -> bool {
        let all = event.has(self.all[0]) & event.has(self.all[1]) & event.has(self.all[2]) & event.has(self.all[3]);
        let number = event.number(self.number & !Self::REPEATS);
        let within = (number >= f64::from(self.low)) & (number <= f64::from(self.high));
        all & within & (event.any(self.any_group) & self.any != 0)
    }
}
