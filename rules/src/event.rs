//! An event's payload, parsed once for every rule that looks at it.

use cel::common::value::Val;

use crate::json::{self, CelVal, InvalidJson, Shape};

/// A validated JSON document, with what a [`Shape`] keeps of it built. Borrows from the record.
#[derive(Debug)]
pub struct ParsedEvent<'e> {
    root: CelVal<'e>,
}

impl<'e> ParsedEvent<'e> {
    /// Validates the whole document and builds what `shape` keeps.
    ///
    /// # Errors
    /// What is no JSON, is nested deeper than [`crate::limits::JSON_DEPTH_MAX`], is not UTF-8, or has
    /// something behind it.
    pub fn parse(bytes: &'e [u8], shape: &Shape) -> Result<Self, InvalidJson> {
        json::parse(bytes, shape).map(|root| Self { root })
    }

    pub(crate) fn value(&self) -> &(dyn Val + 'e) {
        self.root.as_ref()
    }
}
