//! A string that is written piece by piece, its length unknown before.

use std::fmt::{self, Write};

use bumpalo::collections::String as BumpString;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::strings::room;
use crate::value::Value;

/// The text so far, with what its growth is charged to.
pub(super) struct Out<'c, 'a> {
    pub cx: &'c mut Cx<'a>,
    pub text: BumpString<'a>,
    /// Why writing failed, as `fmt::Error` cannot tell it.
    fault: Option<Fault<'a>>,
}

impl Write for Out<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|fault| {
            self.fault = Some(fault);
            fmt::Error
        })
    }
}

impl<'c, 'a> Out<'c, 'a> {
    /// An empty text with room for so many bytes.
    pub fn new(cx: &'c mut Cx<'a>, bytes: usize) -> Result<Self, Fault<'a>> {
        let text = room(cx, bytes)?;
        Ok(Self { cx, text, fault: None })
    }

    pub fn push(&mut self, text: &str) -> Result<(), Fault<'a>> {
        let (length, capacity) = (self.text.len(), self.text.capacity());
        if text.len() > capacity - length {
            let more = text.len().max(capacity).max(32);
            // The old room is given up, not given back.
            self.cx.charge_bytes(capacity.saturating_add(more))?;
            self.cx.charge_length(capacity)?;
            self.text.reserve_exact(more);
        }
        self.cx.charge_length(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    pub fn write(&mut self, text: fmt::Arguments<'_>) -> Result<(), Fault<'a>> {
        // Only `push` fails, and says why.
        self.write_fmt(text).map_err(|_| self.fault.take().unwrap_or(Fault::MemoryExceeded))
    }

    /// The whole text.
    pub fn finish(self) -> Value<'a> {
        Value::String(self.text.into_bump_str())
    }
}
