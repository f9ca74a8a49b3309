//! A block of events through the rules, on one thread.

use std::io::Write;
use std::sync::mpsc::{SendError, SyncSender};

use memchr::memchr_iter;
use petrel_rules::{EventReader, Matcher, RuleIndex, Verdict};

use super::blocks::Block;
use super::subject::Subject;

/// Output is handed on once it has this many bytes, however many matches a block has.
const PIECE_BYTES: usize = 256 * 1024;

/// Bad lines that are told of one block; no more are told of all of them.
pub const BAD_LINES_TOLD_MAX: usize = 10;

/// A line that no rule saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub what: String,
}

/// Some of what became of a block. Those of one block come in order.
#[derive(Debug, Default)]
pub struct Piece {
    /// Matches, one JSON object a line.
    pub output: Vec<u8>,
    /// The first bad lines.
    pub bad: Vec<BadLine>,
}

/// What a worker counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Lines that are not blank.
    pub events: u64,
    /// Lines that are no JSON.
    pub malformed: u64,
    /// Lines over the limit.
    pub too_large: u64,
    /// Events that the trigger's schema refuses.
    pub refused: u64,
    /// Matches by rule.
    pub matches: Vec<u64>,
    /// Errors by rule.
    pub errors: Vec<u64>,
}

impl Tally {
    /// Nothing counted yet of so many rules.
    pub fn new(rules: usize) -> Self {
        Self { matches: vec![0; rules], errors: vec![0; rules], ..Self::default() }
    }

    /// Adds what another worker counted of the same rules.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.malformed += other.malformed;
        self.too_large += other.too_large;
        self.refused += other.refused;
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        add(&mut self.matches, &other.matches);
        add(&mut self.errors, &other.errors);
    }
}

/// Runs blocks, one after the other.
pub struct Worker<'s> {
    subject: &'s Subject,
    line_bytes_max: usize,
    /// What follows a line's number in the output, by rule; none are written where it is empty.
    endings: &'s [Box<[u8]>],
    reader: EventReader,
    matcher: Matcher,
    matched: Vec<RuleIndex>,
    piece: Piece,
    /// What it counted so far.
    pub tally: Tally,
}

impl<'s> Worker<'s> {
    /// A worker that writes a match as its line's number between `{"line":` and the rule's ending.
    pub fn new(subject: &'s Subject, line_bytes_max: usize, endings: &'s [Box<[u8]>]) -> Self {
        let tally = Tally::new(subject.rules().len());
        let (reader, matcher) = (EventReader::new(), Matcher::new());
        let (matched, piece) = (Vec::new(), Piece::default());
        Self { subject, line_bytes_max, endings, reader, matcher, matched, piece, tally }
    }

    /// Runs a block and hands on what comes of it; an error means that nobody takes it any more.
    pub fn run(&mut self, block: &Block, pieces: &SyncSender<Piece>) -> Result<(), SendError<Piece>> {
        let mut start = 0;
        let ends = memchr_iter(b'\n', &block.bytes).chain([block.bytes.len()]);
        for (line, end) in (block.first_line..).zip(ends) {
            let text = &block.bytes[start..end];
            start = end + 1;
            if text.trim_ascii().is_empty() {
                continue;
            }
            self.line(line, text);
            if self.piece.output.len() >= PIECE_BYTES {
                pieces.send(std::mem::take(&mut self.piece))?;
            }
        }
        pieces.send(std::mem::take(&mut self.piece))
    }

    fn line(&mut self, line: u64, text: &[u8]) {
        self.tally.events += 1;
        if let Err(bad) = self.decide(text) {
            let what = match bad {
                Bad::TooLarge => format!("more than {} bytes", self.line_bytes_max),
                Bad::Malformed(why) => format!("no JSON: {why}"),
                Bad::Refused(why) => format!("refused by the trigger's schema: {why}"),
            };
            if self.piece.bad.len() < BAD_LINES_TOLD_MAX {
                self.piece.bad.push(BadLine { line, what });
            }
            return;
        }
        if self.endings.is_empty() {
            return;
        }
        let out = &mut self.piece.output;
        for index in &self.matched {
            // Writing to memory does not fail.
            let _ = write!(out, "{{\"line\":{line}");
            out.extend_from_slice(&self.endings[index.0]);
        }
    }

    /// Leaves the rules that match in `matched`, in order.
    fn decide(&mut self, text: &[u8]) -> Result<(), Bad> {
        let Self { subject, reader, matcher, matched, tally, .. } = self;
        if text.len() > self.line_bytes_max {
            tally.too_large += 1;
            return Err(Bad::TooLarge);
        }
        let rules = subject.rules();
        let event = reader.read(text, rules.layout()).map_err(|e| {
            tally.malformed += 1;
            // The line is told by its number in the file; in it every error stands on line 1.
            Bad::Malformed(format!("{}, column {}", e.message, e.column))
        })?;
        let checked = rules.check(&event).map_err(|e| e.to_string()).and_then(|()| subject.check_full(text));
        checked.map_err(|why| {
            tally.refused += 1;
            Bad::Refused(why)
        })?;
        matched.clear();
        matcher.run_parsed(rules, &event, subject.now_ms, &subject.kv, &mut |index, verdict| match verdict {
            Verdict::True => matched.push(index),
            Verdict::Error(_) => tally.errors[index.0] += 1,
            Verdict::False | Verdict::Missing(_) => {}
        });
        // The engine may find candidates in any order.
        matched.sort_unstable();
        matched.iter().for_each(|index| tally.matches[index.0] += 1);
        Ok(())
    }
}

/// Why no rule saw a line.
enum Bad {
    TooLarge,
    Malformed(String),
    Refused(String),
}
