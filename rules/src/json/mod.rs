//! JSON text into CEL values, by Petrel's own rules (DESIGN §4, "Numbers" and "Validation").
//!
//! The whole document is validated whatever a [`Shape`] asks to keep: what is malformed does not
//! depend on which rules exist. The last of duplicate keys wins. A number without fraction or exponent
//! is an int if it fits 64 bits, else a uint if it fits, else a double; at a path that a schema calls
//! `number` it is always a double. Strings without escapes are borrowed from the text.
//!
//! It is a scanner of our own because the libraries at hand lose what these rules need: `serde_json`
//! gives `-0` as a double and neither it nor `sonic-rs` validates the values that it skips as strictly
//! as those that it reads.

mod build;
mod scan;
mod shape;

use std::borrow::Cow;
use std::fmt;

use cel::common::types::CelString;
use cel::common::value::Val;

pub use shape::Shape;
pub(crate) use shape::{Doubles, Keep};

/// A CEL value that borrows from `'v`.
pub(crate) type CelVal<'v> = Box<dyn Val + 'v>;

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
    fn at(bytes: &[u8], offset: usize, message: &'static str) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        Self { message, offset, line, column }
    }
}

/// Validates a document and builds what `shape` keeps of it; strings borrow from `bytes`.
pub(crate) fn parse<'e>(bytes: &'e [u8], shape: &Shape) -> Result<CelVal<'e>, InvalidJson> {
    parse_with(bytes, shape, CelString::from)
}

/// Validates a document and builds all of it, borrowing nothing.
pub(crate) fn parse_owned(bytes: &[u8]) -> Result<CelVal<'static>, InvalidJson> {
    parse_with(bytes, &Shape::everything(), |text| CelString::from(text.into_owned()))
}

fn parse_with<'e, 'v>(
    bytes: &'e [u8],
    shape: &Shape,
    string: fn(Cow<'e, str>) -> CelString<'v>,
) -> Result<CelVal<'v>, InvalidJson> {
    let text = std::str::from_utf8(bytes).map_err(|e| InvalidJson::at(bytes, e.valid_up_to(), "invalid UTF-8"))?;
    build::document(text, shape, string).map_err(|e| InvalidJson::at(bytes, e.offset, e.message))
}

#[cfg(test)]
mod tests;
