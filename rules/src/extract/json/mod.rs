//! JSON text into slots and values, by Petrel's own rules (DESIGN §4, "Numbers" and "Validation").
//!
//! The whole document is validated whatever a layout asks for: what is malformed does not depend on which
//! rules exist. The last of duplicate keys wins, at every level. A number without fraction or exponent
//! is an int if it fits 64 bits, else a uint if it fits, else a double; at a path that a schema calls
//! `number` it is always a double. Strings without escapes are borrowed from the text.
//!
//! It is a parser of our own because the libraries at hand lose what these rules need: `serde_json`
//! gives `-0` as a double and neither it nor `sonic-rs` validates the values that it skips as strictly
//! as those that it reads.
//!
//! Throughout, a function takes the offset at which its part of the text begins and gives the one behind
//! it: offsets stay in registers that way.

mod block;
mod build;
mod number;
mod scan;
mod skip;
mod string;
mod walk;

use petrel_cel::{Arena, Slot, Value};

use super::{InvalidJson, Layout};
use build::Builder;
use scan::{Fail, byte, fail, white};
use walk::Walk;

/// Makes slots of documents. One per thread.
#[derive(Debug, Default)]
pub struct Extractor {}

impl Extractor {
    /// An extractor that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Validates a document and fills the slots of a layout from it. Texts without escapes are borrowed
    /// from the document, everything else lives in the arena.
    ///
    /// # Errors
    /// What is no JSON, is nested deeper than [`crate::limits::JSON_DEPTH_MAX`], is not UTF-8, holds a
    /// number out of range, or has something behind it.
    pub fn extract<'a>(
        &mut self,
        layout: &Layout,
        bytes: &'a [u8],
        arena: &'a Arena,
    ) -> Result<&'a [Slot<'a>], InvalidJson> {
        let text = text(bytes)?;
        let slots = arena.bump().alloc_slice_fill_copy(layout.slots(), Slot::Absent);
        let mut walk = Walk::new(text, layout, slots, arena);
        let end = walk.document().and_then(|at| nothing_behind(bytes, at));
        end.map_err(|fail| InvalidJson::at(bytes, fail.offset, fail.message))?;
        Ok(walk.slots())
    }
}

/// Validates a document and builds all of it, numbers as they are written.
///
/// # Errors
/// As [`Extractor::extract`].
pub fn document<'a>(bytes: &'a [u8], arena: &'a Arena) -> Result<Value<'a>, InvalidJson> {
    let text = text(bytes)?;
    let built = Builder::new(text, arena).value(0, 0, None);
    let ended = built.and_then(|(value, at)| nothing_behind(bytes, at).map(|()| value));
    ended.map_err(|fail| InvalidJson::at(bytes, fail.offset, fail.message))
}

fn text(bytes: &[u8]) -> Result<&str, InvalidJson> {
    std::str::from_utf8(bytes).map_err(|e| InvalidJson::at(bytes, e.valid_up_to(), "invalid UTF-8"))
}

fn nothing_behind(bytes: &[u8], at: usize) -> Result<(), Fail> {
    let at = white(bytes, at);
    match byte(bytes, at) {
        0 if at == bytes.len() => Ok(()),
        _ => fail(at, "something behind the document"),
    }
}
