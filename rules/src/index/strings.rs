//! Prefixes, suffixes and substrings of an event's strings that rules ask for.

use aho_corasick::{AhoCorasick, MatchKind};

use super::hash::{self, Rolling};

/// The prefixes that rules ask for at one slot, or the suffixes, read from the end.
#[derive(Debug)]
pub struct Affixes {
    pub group: u32,
    seed: u64,
    /// Whether a text of that many bytes is asked for: a bit each.
    lengths: Vec<u64>,
    longest: usize,
}

impl Affixes {
    pub fn new(group: u16, lengths: impl Iterator<Item = usize> + Clone) -> Self {
        let longest = lengths.clone().max().unwrap_or(0);
        let mut bits = vec![0u64; longest / 64 + 1];
        lengths.for_each(|length| bits[length / 64] |= 1 << (length % 64));
        Self { group: group.into(), seed: hash::seed(group.into()), lengths: bits, longest }
    }

    /// The hashes of the text's beginnings that have a length asked for.
    #[inline]
    pub fn each(&self, text: impl Iterator<Item = u8>, mut on: impl FnMut(u64)) {
        let mut rolling = Rolling::new(self.seed);
        if self.asked(0) {
            on(rolling.finish());
        }
        for (i, byte) in text.take(self.longest).enumerate() {
            rolling.push(byte);
            if self.asked(i + 1) {
                on(rolling.finish());
            }
        }
    }

    #[inline]
    fn asked(&self, length: usize) -> bool {
        self.lengths[length / 64] >> (length % 64) & 1 != 0
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.lengths.capacity() * size_of::<u64>()
    }
}

/// The substrings that rules ask for at one slot.
#[derive(Debug)]
pub struct Substrings {
    pub group: u32,
    /// Absent if it would be too large: then all of them are taken as found.
    automaton: Option<AhoCorasick>,
    /// Atoms by the number of the pattern.
    atoms: Vec<u32>,
}

impl Substrings {
    /// Of patterns with their atoms.
    pub fn new(group: u16, patterns: &[(&[u8], u32)]) -> Self {
        let texts = patterns.iter().map(|(text, _)| text);
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(texts).ok();
        Self { group: group.into(), automaton, atoms: patterns.iter().map(|(_, atom)| *atom).collect() }
    }

    /// The atoms of all patterns in the text; an atom may come several times.
    #[inline]
    pub fn each(&self, text: &str, mut on: impl FnMut(u32)) {
        match &self.automaton {
            Some(automaton) => {
                for found in automaton.find_overlapping_iter(text) {
                    on(self.atoms[found.pattern().as_usize()]);
                }
            }
            None => self.atoms.iter().copied().for_each(on),
        }
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        let automaton = self.automaton.as_ref().map_or(0, AhoCorasick::memory_usage);
        automaton + self.atoms.capacity() * size_of::<u32>()
    }
}
