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

    /// Takes bytes, for the hash alone.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0xFF]) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// FNV-1a over everything.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
