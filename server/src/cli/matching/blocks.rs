//! Input in blocks of whole lines, with bounded memory whatever the lines are.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr};

/// Some whole lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The lines, each but the very last of the input with its line end. A line over the limit stands alone
    /// at the end of its block, cut somewhere behind the limit and without a line end.
    pub bytes: Vec<u8>,
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// Bytes of the input that were read for it.
    pub read: u64,
}

/// Cuts an input into blocks.
pub struct Blocks<R> {
    input: R,
    read_bytes: usize,
    line_bytes_max: usize,
    /// The beginning of a line whose end has not been read.
    carry: Vec<u8>,
    next_line: u64,
    /// The rest of a line over the limit is being passed over.
    skipping: bool,
}

impl<R: Read> Blocks<R> {
    /// Reads `read_bytes` at a time. A line needs no more than `line_bytes_max` and one read of memory.
    pub fn new(input: R, read_bytes: usize, line_bytes_max: usize) -> Self {
        Self { input, read_bytes, line_bytes_max, carry: Vec::new(), next_line: 1, skipping: false }
    }

    /// The next block, in the memory of a used one. What a pipe has is taken at once, however little it is,
    /// as long as it has a line end.
    pub fn next(&mut self, used: Vec<u8>) -> io::Result<Option<Block>> {
        let mut bytes = used;
        bytes.clear();
        bytes.append(&mut self.carry);
        let mut read = 0;
        loop {
            let mut from = bytes.len();
            let count = read_some(&mut self.input, &mut bytes, self.read_bytes)?;
            read += count as u64;
            if count == 0 {
                let block = Block { bytes, first_line: self.next_line, read };
                return Ok(Some(block).filter(|block| !block.bytes.is_empty() || read > 0));
            }
            if self.skipping {
                let Some(end) = memchr(b'\n', &bytes) else {
                    bytes.clear();
                    continue;
                };
                bytes.drain(..=end);
                from = 0;
                self.skipping = false;
                self.next_line += 1;
            }
            let first_line = self.next_line;
            if let Some(last) = memrchr(b'\n', &bytes[from..]) {
                let end = from + last + 1;
                self.carry.extend_from_slice(&bytes[end..]);
                bytes.truncate(end);
                self.next_line += memchr_iter(b'\n', &bytes).count() as u64;
                return Ok(Some(Block { bytes, first_line, read }));
            }
            if bytes.len() > self.line_bytes_max {
                self.skipping = true;
                return Ok(Some(Block { bytes, first_line, read }));
            }
        }
    }
}

/// One read of at most `max` bytes, appended.
fn read_some(input: &mut impl Read, bytes: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    let from = bytes.len();
    bytes.resize(from + max, 0);
    let count = loop {
        match input.read(&mut bytes[from..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other,
        }
    };
    bytes.truncate(from + *count.as_ref().unwrap_or(&0));
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every (number, line) of the blocks; a line over the limit as its length's sign.
    fn lines(text: &str, read_bytes: usize, line_bytes_max: usize) -> Vec<(u64, String)> {
        let mut blocks = Blocks::new(text.as_bytes(), read_bytes, line_bytes_max);
        let (mut found, mut read) = (Vec::new(), 0);
        while let Some(block) = blocks.next(Vec::new()).unwrap() {
            assert!(block.bytes.len() <= line_bytes_max + 2 * read_bytes, "memory is bounded");
            let text = String::from_utf8(block.bytes).unwrap();
            for (number, line) in (block.first_line..).zip(text.lines()) {
                let line = if line.len() > line_bytes_max { "too long" } else { line };
                found.push((number, line.to_owned()));
            }
            read += block.read;
        }
        assert_eq!(read, text.len() as u64);
        found
    }

    #[test]
    fn lines_keep_their_numbers_whatever_the_blocks_are() {
        let long = "x".repeat(50);
        let texts = [
            String::new(),
            "\n".into(),
            "a".into(),
            "a\nb\n\nc".into(),
            "\n\nabc\nd\n".into(),
            format!("{long}\na\n"),
            format!("a\n{long}\nb\n{long}"),
            format!("{long}\n{long}\n\nab"),
            "1234567\n12345678\n123456789\n".into(),
        ];
        for text in &texts {
            let expected: Vec<(u64, String)> = (1..)
                .zip(text.lines())
                .map(|(n, line)| (n, if line.len() > 8 { "too long".into() } else { line.to_owned() }))
                .collect();
            for read_bytes in [1, 2, 3, 7, 10, 64, 4096] {
                assert_eq!(lines(text, read_bytes, 8), expected, "{text:?} by {read_bytes}");
            }
        }
    }
}
