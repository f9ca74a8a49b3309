//! Why bytes are no JSON document.

use std::fmt;

/// Why bytes are no JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidJson {
    /// What was wrong, for people.
    pub message: &'static str,
    /// Offset of the byte where it showed, from 0.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in bytes, from 1.
    pub column: usize,
}

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} (line {}, column {})", self.message, self.offset, self.line, self.column)
    }
}

impl std::error::Error for InvalidJson {}

impl InvalidJson {
    #[cold]
    pub(super) fn at(bytes: &[u8], offset: usize, message: &'static str) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        Self { message, offset, line, column }
    }
}
