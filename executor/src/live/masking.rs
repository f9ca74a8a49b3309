//! What is queued, masked, in runs without a gap.

use std::sync::Arc;

use petrel_secrets::{Mask, OwnMaskStream};

use super::queue::{Ended, Piece};

/// Bytes of a stream that are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// 0 is standard output, 1 standard error.
    pub(super) stream: usize,
    /// Where it stands in the masked stream: behind what was told before, unless something was left out.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// Masks both streams of an attempt.
pub(super) struct Masking {
    mask: Arc<Mask>,
    streams: [One; 2],
}

/// One of them.
struct One {
    /// Nothing before its first bytes.
    stream: Option<OwnMaskStream>,
    /// Place behind the last byte that came, as it was written.
    written: u64,
    /// Place behind the last byte that was told or left out, as it is told.
    told: u64,
    /// Bytes that are yet to be looked at only, behind a gap.
    lead_left: usize,
}

impl Masking {
    pub(super) fn new(mask: Arc<Mask>) -> Self {
        let one = || One { stream: None, written: 0, told: 0, lead_left: 0 };
        Self { mask, streams: [one(), one()] }
    }

    /// Masks what came; what may yet be the beginning of a secret is held back.
    pub(super) fn take(&mut self, pieces: Vec<Piece>) -> Vec<Told> {
        let mut told = Vec::new();
        for Piece { stream, offset, bytes } in pieces {
            let one = &mut self.streams[stream];
            let mut out = |offset, bytes| add(&mut told, stream, offset, bytes);
            if offset > one.written {
                one.gap(&self.mask, offset - one.written, &mut out);
            }
            one.push(&self.mask, &bytes, &mut out);
        }
        told
    }

    /// The end of the attempt: what was held back. A gap at the end of a stream is told by an empty run behind it.
    pub(super) fn finish(mut self, ended: Ended) -> Vec<Told> {
        let mut told = Vec::new();
        for (number, one) in self.streams.iter_mut().enumerate() {
            let written = ended.written_bytes.map_or(one.written, |all| all[number].max(one.written));
            let left_out = written - one.written;
            let mut masked = Vec::new();
            if let Some(stream) = one.stream.take() {
                stream.finish(left_out > 0 || !ended.is_whole, &mut masked);
            }
            if !masked.is_empty() {
                let at = one.told;
                one.told += masked.len() as u64;
                add(&mut told, number, at, masked);
            }
            if left_out > 0 {
                one.told += left_out;
                told.push(Told { stream: number, offset: one.told, bytes: Vec::new() });
            }
        }
        if told.is_empty() {
            told.push(Told { stream: 0, offset: self.streams[0].told, bytes: Vec::new() });
        }
        told
    }
}

impl One {
    fn push(&mut self, mask: &Arc<Mask>, bytes: &[u8], out: &mut dyn FnMut(u64, Vec<u8>)) {
        let lead_bytes = self.lead_left;
        let stream = self.stream.get_or_insert_with(|| OwnMaskStream::new(mask.clone(), lead_bytes));
        let mut masked = Vec::new();
        stream.push(bytes, &mut masked);
        self.written += bytes.len() as u64;
        // What is only looked at is left out.
        let lead = self.lead_left.min(bytes.len());
        self.lead_left -= lead;
        self.told += lead as u64;
        if !masked.is_empty() {
            let at = self.told;
            self.told += masked.len() as u64;
            out(at, masked);
        }
    }

    /// Something was left out. What stood before it may end with the beginning of a secret, and what comes begin with the
    /// end of one.
    fn gap(&mut self, mask: &Arc<Mask>, bytes: u64, out: &mut dyn FnMut(u64, Vec<u8>)) {
        let mut masked = Vec::new();
        if let Some(stream) = self.stream.take() {
            stream.finish(true, &mut masked);
        }
        if !masked.is_empty() {
            let at = self.told;
            self.told += masked.len() as u64;
            out(at, masked);
        }
        (self.written, self.told) = (self.written + bytes, self.told + bytes);
        self.lead_left = mask.lead_bytes();
    }
}

/// Puts bytes behind those of the same stream, if they follow them.
fn add(told: &mut Vec<Told>, stream: usize, offset: u64, bytes: Vec<u8>) {
    let last = told.iter_mut().rev().find(|told| told.stream == stream);
    match last.filter(|told| told.offset + told.bytes.len() as u64 == offset) {
        Some(last) => last.bytes.extend(bytes),
        None => told.push(Told { stream, offset, bytes }),
    }
}
