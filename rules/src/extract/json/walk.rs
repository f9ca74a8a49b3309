//! The way through a document along the paths of a layout.

use petrel_cel::{Arena, List, Map, Slot, SlotId, Value};

use super::build::{Builder, scalar};
use super::predict::{Next, Shape};
use super::scan::{Fail, byte, colon, deeper, fail, white};
use super::skip::skip;
use super::string::string;
use crate::extract::Layout;
use crate::extract::check::member;

/// One document on its way into slots.
pub(super) struct Walk<'a, 'l> {
    text: &'a str,
    layout: &'l Layout,
    shape: &'l mut Shape,
    slots: &'a mut [Slot<'a>],
    arena: &'a Arena,
    builder: Builder<'a>,
}

impl<'a, 'l> Walk<'a, 'l> {
    pub fn new(
        text: &'a str,
        layout: &'l Layout,
        shape: &'l mut Shape,
        slots: &'a mut [Slot<'a>],
        arena: &'a Arena,
    ) -> Self {
        Self { text, layout, shape, slots, arena, builder: Builder::new(text, arena) }
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
    #[inline(always)]
    fn value(&mut self, id: SlotId, at: usize, depth: usize) -> Result<usize, Fail> {
        if matches!(byte(self.text.as_bytes(), at), b'{' | b'[') {
            return self.container(id, at, depth);
        }
        let double = self.layout.node(id).double;
        let slot = &mut self.slots[id.index()];
        scalar(self.text, at, double, self.arena, |value| *slot = Slot::Value(value))
    }

    /// Takes an array or an object that somebody reads, at its bracket.
    fn container(&mut self, id: SlotId, at: usize, depth: usize) -> Result<usize, Fail> {
        let node = self.layout.node(id);
        let (value, end) = if node.whole {
            self.builder.value(at, depth, node.doubles.as_ref())?
        } else if byte(self.text.as_bytes(), at) == b'{' {
            self.slots[id.index()] = Slot::Object;
            return self.object(id, at, depth);
        } else {
            (Value::List(List::Values(&[])), skip(self.text, at, depth)?)
        };
        self.slots[id.index()] = Slot::Value(value);
        if let Value::Map(map) = value {
            self.spread(id, map);
        }
        Ok(end)
    }

    /// Takes an object that is not read whole, at its brace.
    fn object(&mut self, id: SlotId, at: usize, depth: usize) -> Result<usize, Fail> {
        if self.layout.node(id).children().is_empty() {
            return skip(self.text, at, depth);
        }
        let bytes = self.text.as_bytes();
        let depth = deeper(depth, at)?;
        let start = at + 1;
        let mut at = start;
        let mut place = self.shape.start(id);
        loop {
            let (next, behind, then) = match self.shape.predict(place, bytes, at) {
                Some(predicted) => predicted,
                None => {
                    let (next, behind) = self.glue(id, at, at == start)?;
                    (next, behind, self.shape.learn(place, id, &bytes[at..behind], next))
                }
            };
            let behind = white(bytes, behind);
            at = match next {
                Next::Slot(child) => {
                    self.clear(child);
                    self.value(child, behind, depth)?
                }
                Next::Unread => skip(self.text, behind, depth)?,
                Next::End => return Ok(behind),
            };
            place = then;
        }
    }

    /// Takes what stands between two values of an object, or before its first.
    fn glue(&self, id: SlotId, at: usize, first: bool) -> Result<(Next, usize), Fail> {
        let bytes = self.text.as_bytes();
        let at = white(bytes, at);
        let at = match byte(bytes, at) {
            b'}' => return Ok((Next::End, at + 1)),
            b',' if !first => white(bytes, at + 1),
            _ if !first => return fail(at, "expected , or }"),
            _ => at,
        };
        if byte(bytes, at) != b'"' {
            return fail(at, "expected a key");
        }
        let (key, behind) = string(self.text, at + 1, self.arena)?;
        let behind = colon(bytes, behind)?;
        Ok((self.layout.node(id).child(key).map_or(Next::Unread, Next::Slot), behind))
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
