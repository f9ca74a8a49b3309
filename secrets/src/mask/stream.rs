//! One stream that is masked while it comes.

use std::collections::VecDeque;

use aho_corasick::automaton::{Automaton, StateID};

use super::forms::is_line_end;
use super::{MASK, Search};

/// Masks a stream chunk by chunk. Positions count from its beginning.
pub struct MaskStream<'m>(Option<Run<'m>>);

struct Run<'m> {
    search: &'m Search,
    state: StateID,
    /// Bytes that came and were not handed out.
    held: Vec<u8>,
    /// Position of the first of them.
    held_from: usize,
    /// Positions of the latest bytes that are no line end, as many as the longest form has.
    solid: VecDeque<usize>,
    /// No secret of which a part has come began earlier.
    may_begin_at: usize,
    /// Line ends since the last other byte.
    line_ends: usize,
    /// What is to be masked of the held bytes: (first, behind the last), in order, none touching another.
    secret: VecDeque<(usize, usize)>,
    /// Whether the last byte that was handed out was masked.
    was_masked: bool,
    has_masked: bool,
}

impl<'m> MaskStream<'m> {
    pub(super) fn new(search: Option<&'m Search>) -> Self {
        Self(search.map(|search| Run {
            search,
            state: search.start(),
            held: Vec::new(),
            held_from: 0,
            solid: VecDeque::new(),
            may_begin_at: 0,
            line_ends: 0,
            secret: VecDeque::new(),
            was_masked: false,
            has_masked: false,
        }))
    }

    /// Takes a chunk, and appends to `masked` what is known to be clear by now.
    pub fn push(&mut self, chunk: &[u8], masked: &mut Vec<u8>) {
        let Some(run) = &mut self.0 else { return masked.extend_from_slice(chunk) };
        for byte in chunk {
            run.take(*byte);
        }
        run.hand_out(run.open_from(), masked);
    }

    /// The end: appends what was held back. Of a stream that was cut off, the end may be the beginning of a secret.
    pub fn finish(self, truncated: bool, masked: &mut Vec<u8>) {
        let Some(mut run) = self.0 else { return };
        if truncated {
            run.mask_beginning();
        }
        let end = run.end();
        run.hand_out(end, masked);
    }

    /// Whether there was a secret so far.
    pub fn has_masked(&self) -> bool {
        self.0.as_ref().is_some_and(|run| run.has_masked)
    }
}

impl Run<'_> {
    /// Behind the last byte that came.
    fn end(&self) -> usize {
        self.held_from + self.held.len()
    }

    fn take(&mut self, byte: u8) {
        let at = self.end();
        self.held.push(byte);
        if is_line_end(byte) {
            self.line_ends += 1;
            if self.line_ends > self.search.line_ends_max {
                self.state = self.search.start();
                self.solid.clear();
            }
            return;
        }
        self.line_ends = 0;
        if self.state == self.search.start() {
            self.may_begin_at = at;
        }
        self.solid.push_back(at);
        if self.solid.len() > self.search.longest {
            self.solid.pop_front();
        }
        let automaton = &self.search.automaton;
        self.state = automaton.next_state(aho_corasick::Anchored::No, self.state, byte);
        if automaton.is_match(self.state) {
            let lengths = (0..automaton.match_len(self.state))
                .map(|index| automaton.pattern_len(automaton.match_pattern(self.state, index)));
            let longest = lengths.max().unwrap_or(0);
            if let Some(first) = self.solid.len().checked_sub(longest).and_then(|index| self.solid.get(index)) {
                self.mask(*first, at + 1);
            }
        }
    }

    fn mask(&mut self, mut first: usize, behind: usize) {
        self.has_masked = true;
        while let Some((earlier, end)) = self.secret.back().copied() {
            if end < first {
                break;
            }
            first = first.min(earlier);
            self.secret.pop_back();
        }
        self.secret.push_back((first, behind));
    }

    /// From where on it is not known yet what is clear.
    fn open_from(&self) -> usize {
        match self.solid.front() {
            Some(oldest) if self.state != self.search.start() => self.may_begin_at.max(*oldest),
            _ => self.end(),
        }
    }

    fn hand_out(&mut self, until: usize, masked: &mut Vec<u8>) {
        let mut at = self.held_from;
        while at < until {
            let (first, behind) = self.secret.front().copied().unwrap_or((until, until));
            if at < first {
                let clear = first.min(until);
                masked.extend_from_slice(&self.held[at - self.held_from..clear - self.held_from]);
                (at, self.was_masked) = (clear, false);
                continue;
            }
            if !std::mem::replace(&mut self.was_masked, true) {
                masked.extend_from_slice(MASK.as_bytes());
            }
            at = behind.min(until);
            self.secret.pop_front();
            if behind > until {
                self.secret.push_front((until, behind));
            }
        }
        self.held.drain(..at.saturating_sub(self.held_from));
        self.held_from = at.max(self.held_from);
    }

    /// Masks the longest end of what came that a form begins with.
    fn mask_beginning(&mut self) {
        let from = self.open_from();
        let open: Vec<usize> = self.solid.iter().copied().filter(|at| *at >= from).collect();
        let bytes: Vec<u8> = open.iter().map(|at| self.held[at - self.held_from]).collect();
        let begins = |from: &usize| self.search.forms.iter().any(|form| form.starts_with(&bytes[*from..]));
        if let Some(first) = (0..bytes.len()).find(begins) {
            let (first, end) = (open[first], self.end());
            self.mask(first, end);
        }
    }
}
