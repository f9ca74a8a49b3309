//! What happened, as a hash that tells whether a run was the same, and as text for people.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Lines kept for a report
const LINES_MAX: usize = 20_000;

/// Everything that happened so far.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    /// Whether lines are kept at all; a run without is faster.
    keeps_lines: bool,
    text: String,
}

impl Trace {
    /// Nothing yet.
    pub fn new(keeps_lines: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: VecDeque::new(), keeps_lines, text: String::new() }
    }

    /// Takes a line.
    pub fn note(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.clear();
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(line);
        let text = std::mem::take(&mut self.text);
        self.bytes(text.as_bytes());
        if self.keeps_lines {
            self.lines.push_back(text.clone());
            if self.lines.len() > LINES_MAX {
                self.lines.pop_front();
            }
        }
        self.text = text;
    }

    /// Takes bytes, for the hash alone, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(*word));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(last);
        self.word((bytes.len() as u64).to_le_bytes());
    }

    fn word(&mut self, word: [u8; 8]) {
        let mixed = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.hash = mixed ^ (mixed >> 32);
    }

    /// Over everything, eight bytes at a time.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
