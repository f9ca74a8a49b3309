//! One stream that is masked while it comes.

use std::collections::VecDeque;

use super::reading::{Finder, READINGS, Reading, Seen};
use super::{MASK, Search};

/// Masks a stream chunk by chunk. Positions count from its beginning.
pub struct MaskStream<'m>(Option<Run<'m>>);

struct Run<'m> {
    search: &'m Search,
    /// What is found in the stream as it is.
    plain: Finder,
    /// And where escapes are undone, as [`READINGS`] says.
    readings: [Reading; READINGS.len()],
    /// What the last byte has shown.
    found: Vec<(usize, usize)>,
    /// Bytes that came and were not handed out.
    held: Vec<u8>,
    /// Position of the first of them.
    held_from: usize,
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
            plain: Finder::new(search),
            readings: READINGS.map(Reading::new),
            found: Vec::new(),
            held: Vec::new(),
            held_from: 0,
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

    /// The end: appends what was held back; whether there was a secret. Of a stream that was cut off, the end may be the
    /// beginning of a secret.
    pub fn finish(self, truncated: bool, masked: &mut Vec<u8>) -> bool {
        let Some(mut run) = self.0 else { return false };
        run.finish(truncated);
        let end = run.end();
        run.hand_out(end, masked);
        run.has_masked
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
        let seen = Seen { byte, first: at, behind: at + 1 };
        let wakes = self.search.wakes(byte);
        for (number, reading) in self.readings.iter_mut().enumerate() {
            if wakes & (1 << number) != 0 || reading.is_awake() {
                reading.take(self.search, &self.plain, seen, &mut self.found);
            }
        }
        self.found.extend(self.plain.take(self.search, seen));
        self.mask_found();
    }

    fn finish(&mut self, truncated: bool) {
        if truncated {
            let begun = self.readings.iter().filter_map(Reading::begun_at).chain(self.plain.open_from()).min();
            let end = self.end();
            self.found.extend(begun.map(|first| (first, end)));
        }
        self.readings.iter_mut().for_each(|reading| reading.finish(self.search, &mut self.found));
        self.mask_found();
    }

    fn mask_found(&mut self) {
        while let Some((first, behind)) = self.found.pop() {
            self.mask(first, behind);
        }
    }

    fn mask(&mut self, mut first: usize, mut behind: usize) {
        self.has_masked = true;
        let from = self.secret.partition_point(|(_, end)| *end < first);
        let to = self.secret.partition_point(|(begin, _)| *begin <= behind);
        for (begin, end) in self.secret.drain(from..to.max(from)) {
            (first, behind) = (first.min(begin), behind.max(end));
        }
        self.secret.insert(from, (first, behind));
    }

    /// From where on it is not known yet what is clear.
    fn open_from(&self) -> usize {
        let open = self.readings.iter().filter_map(Reading::open_from).chain(self.plain.open_from());
        open.min().unwrap_or_else(|| self.end())
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
}
