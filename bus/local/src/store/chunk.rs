//! Consecutive records of one partition as one value of the store.
//!
//! `version: u8 = 1, count: u32, newest_ms: i64`, then per record `timestamp_ms: i64, key: i32 length
//! or -1, value: i32 length or -1`, the key's bytes, the value's bytes. Little endian. Offsets follow
//! from the chunk's key in the store, which holds the last one.

use fjall::Slice;
use petrel_bus::{Block, Record};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 13;
const RECORD_HEADER_BYTES: usize = 16;

/// Bytes that a record takes in a chunk.
pub(crate) fn record_bytes(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    RECORD_HEADER_BYTES + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)
}

/// Most bytes that a record takes: it may be a chunk of its own.
pub(crate) fn record_bytes_max(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    HEADER_BYTES + record_bytes(key, value)
}

/// A chunk in the making.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    bytes: Vec<u8>,
    count: u32,
    newest_ms: i64,
}

impl ChunkWriter {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEADER_BYTES], count: 0, newest_ms: i64::MIN }
    }

    pub(crate) fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        // Records are far below 2 GiB: `record_bytes_max` is checked before.
        let length = |part: Option<&[u8]>| part.map_or(-1, |p| p.len() as i32).to_le_bytes();
        self.bytes.extend_from_slice(&timestamp_ms.to_le_bytes());
        self.bytes.extend_from_slice(&length(key));
        self.bytes.extend_from_slice(&length(value));
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.count += 1;
        self.newest_ms = self.newest_ms.max(timestamp_ms);
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[0] = VERSION;
        self.bytes[1..5].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[5..HEADER_BYTES].copy_from_slice(&self.newest_ms.to_le_bytes());
        self.bytes
    }
}

/// A chunk that was read and found whole.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Slice,
    first: i64,
    newest_ms: i64,
}

impl Chunk {
    /// Checks the lengths; none if they do not fit.
    pub(crate) fn parse(bytes: Slice, last: i64) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (newest, mut rest) = rest.split_first_chunk::<8>()?;
        let count = u32::from_le_bytes(*count);
        for _ in 0..count {
            rest = split_record(rest, 0)?.1;
        }
        let first = last + 1 - i64::from(count);
        let is_whole = *version == VERSION && count > 0 && first >= 0 && rest.is_empty();
        let newest_ms = i64::from_le_bytes(*newest);
        is_whole.then_some(Self { bytes, first, newest_ms })
    }

    /// Offset of its first record.
    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The newest timestamp in it, in milliseconds since the epoch.
    pub(crate) fn newest_ms(&self) -> i64 {
        self.newest_ms
    }
}

impl Block for Chunk {
    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = &self.bytes[HEADER_BYTES..];
        let mut offset = self.first;
        std::iter::from_fn(move || {
            let (record, behind) = split_record(rest, offset)?;
            (rest, offset) = (behind, offset + 1);
            Some(record)
        })
    }
}

fn split_record(bytes: &[u8], offset: i64) -> Option<(Record<'_>, &[u8])> {
    let (timestamp, rest) = bytes.split_first_chunk::<8>()?;
    let (key, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = split_part(rest, i32::from_le_bytes(*key))?;
    let (value, rest) = split_part(rest, i32::from_le_bytes(*value))?;
    Some((Record { offset, timestamp_ms: i64::from_le_bytes(*timestamp), key, value }, rest))
}

fn split_part(bytes: &[u8], length: i32) -> Option<(Option<&[u8]>, &[u8])> {
    if length == -1 {
        return Some((None, bytes));
    }
    let (part, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Some(part), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_record_comes_back_and_no_cut_is_accepted() {
        type Shape = (i64, Option<&'static [u8]>, Option<&'static [u8]>);
        let shapes: [Shape; 4] =
            [(5, Some(b"k"), Some(b"v")), (9, None, Some(b"")), (7, Some(b""), None), (i64::MIN, None, None)];
        let mut writer = ChunkWriter::new();
        for (timestamp_ms, key, value) in shapes {
            writer.push(timestamp_ms, key, value);
        }
        let bytes = writer.finish();
        let chunk = Chunk::parse(bytes.clone().into(), 13).unwrap();
        assert_eq!(chunk.newest_ms(), 9);
        let records: Vec<_> = chunk.records().map(|r| (r.offset, r.timestamp_ms, r.key, r.value)).collect();
        let wanted: Vec<_> = (10..).zip(shapes).map(|(offset, (t, k, v))| (offset, t, k, v)).collect();
        assert_eq!(records, wanted);
        for cut in 0..bytes.len() {
            assert!(Chunk::parse(bytes[..cut].into(), 13).is_none(), "cut at {cut}");
        }
        assert!(Chunk::parse([bytes, vec![0]].concat().into(), 13).is_none(), "something behind it");
    }
}
