//! The way through a document along the paths of a layout.

use petrel_cel::{Arena, List, Map, Slot, SlotId, Value};

use super::build::{Builder, scalar};
use super::scan::{Fail, byte, colon, deeper, fail, white};
use super::skip::skip;
use super::string::string;
use crate::extract::Layout;

/// One document on its way into slots.
pub(super) struct Walk<'a, 'l> {
    text: &'a str,
    layout: &'l Layout,
    slots: &'a mut [Slot<'a>],
    arena: &'a Arena,
    builder: Builder<'a>,
}

impl<'a, 'l> Walk<'a, 'l> {
    pub fn new(text: &'a str, layout: &'l Layout, slots: &'a mut [Slot<'a>], arena: &'a Arena) -> Self {
        Self { text, layout, slots, arena, builder: Builder::new(text, arena) }
    }

    /// The slots, filled.
    pub fn slots(self) -> &'a [Slot<'a>] {
        self.slots
    }

    /// Takes the document.
    pub fn document(&mut self) -> Result<usize, Fail> {
        self.value(SlotId::ROOT, white(self.text.as_bytes(), 0), 0)
    }

    /// Takes a value that somebody reads, at its first byte.
    fn value(&mut self, id: SlotId, at: usize, depth: usize) -> Result<usize, Fail> {
        let node = self.layout.node(id);
        let first = byte(self.text.as_bytes(), at);
        let (value, end) = match first {
            b'{' | b'[' if node.whole => self.builder.value(at, depth, node.doubles.as_ref())?,
            b'{' => {
                self.slots[id.index()] = Slot::Object;
                return self.object(id, at, depth);
            }
            b'[' => (Value::List(List::Values(&[])), skip(self.text, at, depth)?),
            _ => scalar(self.text, at, node.double, self.arena)?,
        };
        self.slots[id.index()] = Slot::Value(value);
        if let Value::Map(map) = value {
            self.spread(id, map);
        }
        Ok(end)
    }

    /// Takes an object that is not read whole, at its brace.
    fn object(&mut self, id: SlotId, at: usize, depth: usize) -> Result<usize, Fail> {
        let node = self.layout.node(id);
        if node.children().is_empty() {
            return skip(self.text, at, depth);
        }
        let bytes = self.text.as_bytes();
        let depth = deeper(depth, at)?;
        let mut at = white(bytes, at + 1);
        if byte(bytes, at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            if byte(bytes, at) != b'"' {
                return fail(at, "expected a key");
            }
            let (key, behind) = string(self.text, at + 1, self.arena)?;
            let behind = colon(bytes, behind)?;
            let behind = match node.child(key) {
                Some(child) => {
                    self.clear(child);
                    self.value(child, behind, depth)?
                }
                None => skip(self.text, behind, depth)?,
            };
            at = white(bytes, behind);
            match byte(bytes, at) {
                b',' => at = white(bytes, at + 1),
                b'}' => return Ok(at + 1),
                _ => return fail(at, "expected , or }"),
            }
        }
    }

    /// Forgets what an earlier member of the same name left.
    #[inline(always)]
    fn clear(&mut self, id: SlotId) {
        if !matches!(self.slots[id.index()], Slot::Absent) {
            self.clear_all(id);
        }
    }

    #[cold]
    fn clear_all(&mut self, id: SlotId) {
        self.slots[id.index()] = Slot::Absent;
        for (_, child) in self.layout.node(id).children() {
            self.clear_all(*child);
        }
    }

    /// Fills the slots below a map that was read whole.
    fn spread(&mut self, id: SlotId, map: Map<'a>) {
        for (name, child) in self.layout.node(id).children() {
            let Some(value) = member(map, name) else { continue };
            let whole = self.layout.node(*child).whole;
            self.slots[child.index()] = match value {
                Value::Map(_) if !whole => Slot::Object,
                value => Slot::Value(value),
            };
            if let Value::Map(map) = value {
                self.spread(*child, map);
            }
        }
    }
}

/// The member of that name.
fn member<'a>(map: Map<'a>, name: &str) -> Option<Value<'a>> {
    let Map::Values(entries) = map else { return None };
    let key = |entry: &(Value<'a>, Value<'a>)| match entry.0 {
        Value::String(key) => key,
        _ => "",
    };
    entries.binary_search_by(|entry| key(entry).cmp(name)).ok().map(|i| entries[i].1)
}
