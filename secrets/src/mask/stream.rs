//! One stream that is masked while it comes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::reading::{Finder, READINGS, Reading, Seen};
use super::{MASK, Mask, Search};

/// Masks a stream chunk by chunk. Positions count from its beginning.
pub struct MaskStream<'m>(Option<(&'m Search, Run)>);

/// The same for whoever keeps it beside the mask.
pub struct OwnMaskStream {
    mask: Arc<Mask>,
    run: Option<Run>,
}

struct Run {
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
    /// Position of the first byte that is handed out at all: what is before it is only looked at.
    shown_from: usize,
    /// Whether the last byte that was handed out was masked.
    was_masked: bool,
    has_masked: bool,
}

impl<'m> MaskStream<'m> {
    pub(super) fn new(search: Option<&'m Search>, shown_from: usize) -> Self {
        Self(search.map(|search| (search, Run::new(search, shown_from))))
    }

    /// Takes a chunk, and appends to `masked` what is known to be clear by now.
    pub fn push(&mut self, chunk: &[u8], masked: &mut Vec<u8>) {
        match &mut self.0 {
            Some((search, run)) => run.push(search, chunk, masked),
            None => masked.extend_from_slice(chunk),
        }
    }

    /// The end: appends what was held back; whether there was a secret. Of a stream that was cut off, the end may be the
    /// beginning of a secret.
    pub fn finish(self, truncated: bool, masked: &mut Vec<u8>) -> bool {
        self.0.is_some_and(|(search, run)| run.finish(search, truncated, masked))
    }
}

impl OwnMaskStream {
    /// A stream that has not begun, whose first bytes, so many, are only looked at: they lead to what is to be masked.
    pub fn new(mask: Arc<Mask>, lead_bytes: usize) -> Self {
        let run = mask.search().map(|search| Run::new(search, lead_bytes));
        Self { mask, run }
    }

    /// As [`MaskStream::push`].
    pub fn push(&mut self, chunk: &[u8], masked: &mut Vec<u8>) {
        match (&mut self.run, self.mask.search()) {
            (Some(run), Some(search)) => run.push(search, chunk, masked),
            _ => masked.extend_from_slice(chunk),
        }
    }

    /// As [`MaskStream::finish`].
    pub fn finish(self, truncated: bool, masked: &mut Vec<u8>) -> bool {
        match (self.run, self.mask.search()) {
            (Some(run), Some(search)) => run.finish(search, truncated, masked),
            _ => false,
        }
    }
}

impl Run {
    fn new(search: &Search, shown_from: usize) -> Self {
        Self {
            plain: Finder::new(search),
            readings: READINGS.map(Reading::new),
            found: Vec::new(),
            held: Vec::new(),
            held_from: 0,
            secret: VecDeque::new(),
            shown_from,
            was_masked: false,
            has_masked: false,
        }
    }

    fn push(&mut self, search: &Search, chunk: &[u8], masked: &mut Vec<u8>) {
        for byte in chunk {
            self.take(search, *byte);
        }
        self.hand_out(self.open_from(), masked);
    }

    fn finish(mut self, search: &Search, truncated: bool, masked: &mut Vec<u8>) -> bool {
        self.close(search, truncated);
        let end = self.end();
        self.hand_out(end, masked);
        self.has_masked
    }

    /// Behind the last byte that came.
    fn end(&self) -> usize {
        self.held_from + self.held.len()
    }

    fn take(&mut self, search: &Search, byte: u8) {
        let at = self.end();
        self.held.push(byte);
        let seen = Seen { byte, first: at, behind: at + 1 };
        let wakes = search.wakes(byte);
        for (number, reading) in self.readings.iter_mut().enumerate() {
            if wakes & (1 << number) != 0 || reading.is_awake() {
                reading.take(search, &self.plain, seen, &mut self.found);
            }
        }
        self.found.extend(self.plain.take(search, seen));
        self.mask_found();
    }

    fn close(&mut self, search: &Search, truncated: bool) {
        if truncated {
            let begun = self.readings.iter().filter_map(Reading::begun_at).chain(self.plain.open_from()).min();
            let end = self.end();
            self.found.extend(begun.map(|first| (first, end)));
        }
        self.readings.iter_mut().for_each(|reading| reading.finish(search, &mut self.found));
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
                let shown = at.max(self.shown_from).min(clear);
                masked.extend_from_slice(&self.held[shown - self.held_from..clear - self.held_from]);
                (at, self.was_masked) = (clear, false);
                continue;
            }
            at = behind.min(until);
            if at > self.shown_from && !std::mem::replace(&mut self.was_masked, true) {
                masked.extend_from_slice(MASK.as_bytes());
            }
            self.secret.pop_front();
            if behind > until {
                self.secret.push_front((until, behind));
            }
        }
        self.held.drain(..at.saturating_sub(self.held_from));
        self.held_from = at.max(self.held_from);
    }
}
