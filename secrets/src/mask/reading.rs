//! A stream as somebody reads it who undoes escapes, and what is found in it.

use std::collections::VecDeque;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};

use super::Search;
use super::escapes::{Escape, Escapes, Meaning};
use super::forms::is_line_end;

/// What is undone, from the outside to the inside, for each way to read a stream beside as it is. Each escape may stand
/// within another: JSON in JSON, in a URL, in a page.
pub(super) const READINGS: [&[Escapes]; 14] = {
    use Escapes::{Backslash, Entity, Form, Url};
    [
        &[Url],
        &[Form],
        &[Url, Url],
        &[Url, Form],
        &[Backslash],
        &[Backslash, Backslash],
        &[Backslash, Backslash, Backslash],
        &[Entity],
        &[Url, Backslash],
        &[Form, Backslash],
        &[Backslash, Url],
        &[Backslash, Form],
        &[Backslash, Entity],
        &[Entity, Backslash],
    ]
};

/// A byte that was read, and where it is written in the stream: as itself, or as an escape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) byte: u8,
    pub(super) first: usize,
    pub(super) behind: usize,
}

/// Where the search for secrets is in what was read.
#[derive(Clone)]
pub(super) struct Finder {
    state: StateID,
    /// Positions of the latest bytes that are no line end: those that a form may begin with.
    written: VecDeque<usize>,
    /// Line ends since the last other byte.
    line_ends: usize,
}

impl Finder {
    pub(super) fn new(search: &Search) -> Self {
        Self { state: search.start(), written: VecDeque::new(), line_ends: 0 }
    }

    /// Takes what is read; where a secret stands that ends with it, if one does.
    pub(super) fn take(&mut self, search: &Search, seen: Seen) -> Option<(usize, usize)> {
        if is_line_end(seen.byte) {
            self.line_ends += 1;
            if self.line_ends > search.line_ends_max {
                self.state = search.start();
                self.written.clear();
            }
            return None;
        }
        self.line_ends = 0;
        self.state = search.automaton.next_state(Anchored::No, self.state, seen.byte);
        self.written.push_back(seen.first);
        let surplus = self.written.len().saturating_sub(search.depth(self.state));
        self.written.drain(..surplus);
        let longest = search.found(self.state)?;
        let first = self.written.len().checked_sub(longest).and_then(|index| self.written.get(index))?;
        Some((*first, seen.behind))
    }

    /// Where that begins which may become a secret.
    pub(super) fn open_from(&self) -> Option<usize> {
        self.written.front().copied()
    }
}

/// Undoes one way of escaping.
struct Decoder {
    escapes: Escapes,
    /// What may be an escape, or a part of one.
    pending: Vec<Seen>,
}

impl Decoder {
    fn take(&mut self, seen: Seen, each: &mut dyn FnMut(Seen)) {
        if self.pending.is_empty() && !self.escapes.begin_with(seen.byte) {
            return each(seen);
        }
        self.pending.push(seen);
        self.settle(false, each);
    }

    /// Hands on what is known by now; at the end, everything.
    fn settle(&mut self, is_over: bool, each: &mut dyn FnMut(Seen)) {
        let bytes: Vec<u8> = self.pending.iter().map(|seen| seen.byte).collect();
        let mut at = 0;
        while let Some(first) = self.pending.get(at) {
            let escape = match self.escapes.begin_with(first.byte) {
                true => self.escapes.read(&bytes[at..]),
                false => Escape::No,
            };
            match escape {
                Escape::Open if !is_over => break,
                Escape::Open | Escape::No => {
                    each(*first);
                    at += 1;
                }
                Escape::Of(meaning, length) => {
                    let behind = self.pending[at + length - 1].behind;
                    let mut utf8 = [0; 4];
                    let bytes = match &meaning {
                        Meaning::Byte(byte) => std::slice::from_ref(byte),
                        Meaning::Char(c) => c.encode_utf8(&mut utf8).as_bytes(),
                    };
                    bytes.iter().for_each(|byte| each(Seen { byte: *byte, first: first.first, behind }));
                    at += length;
                }
            }
        }
        self.pending.drain(..at);
    }
}

/// One way to read a stream. While it reads the same as without undoing anything, and nothing has begun, it sleeps.
pub(super) struct Reading {
    decoders: Vec<Decoder>,
    /// Nothing while it sleeps.
    finder: Option<Finder>,
}

impl Reading {
    pub(super) fn new(escapes: &[Escapes]) -> Self {
        let decoder = |escapes: &Escapes| Decoder { escapes: *escapes, pending: Vec::new() };
        Self { decoders: escapes.iter().map(decoder).collect(), finder: None }
    }

    /// Takes the next byte of the stream. `plain` has read what was before it as it is: what a reading that sleeps has
    /// missed was no escape, so the two are the same.
    pub(super) fn take(&mut self, search: &Search, plain: &Finder, seen: Seen, found: &mut Vec<(usize, usize)>) {
        let finder = self.finder.get_or_insert_with(|| plain.clone());
        feed(&mut self.decoders, seen, &mut |seen| found.extend(finder.take(search, seen)));
        if self.open_from().is_none() {
            self.finder = None;
        }
    }

    pub(super) fn is_awake(&self) -> bool {
        self.finder.is_some()
    }

    /// The stream is over: what was not known to be an escape is none.
    pub(super) fn finish(&mut self, search: &Search, found: &mut Vec<(usize, usize)>) {
        let Some(finder) = &mut self.finder else { return };
        let mut decoders = &mut self.decoders[..];
        while let Some((first, rest)) = std::mem::take(&mut decoders).split_first_mut() {
            first.settle(true, &mut |seen| feed(rest, seen, &mut |seen| found.extend(finder.take(search, seen))));
            decoders = rest;
        }
    }

    /// From where on it is not known yet what is clear.
    pub(super) fn open_from(&self) -> Option<usize> {
        let pending = self.decoders.iter().filter_map(|decoder| decoder.pending.first()).map(|seen| seen.first);
        pending.chain(self.begun_at()).min()
    }

    /// Where that begins which may become a secret.
    pub(super) fn begun_at(&self) -> Option<usize> {
        self.finder.as_ref().and_then(Finder::open_from)
    }
}

fn feed(decoders: &mut [Decoder], seen: Seen, each: &mut dyn FnMut(Seen)) {
    match decoders.split_first_mut() {
        None => each(seen),
        Some((first, rest)) => first.take(seen, &mut |seen| feed(rest, seen, each)),
    }
}
