//! Values that are read whole.

use petrel_cel::{Arena, List, Map, Value};

use super::number::number;
use super::scan::{Fail, byte, colon, deeper, fail, literal, no_value, white};
use super::string::string;
use crate::extract::Doubles;

/// Builds values of a text.
pub(super) struct Builder<'a> {
    text: &'a str,
    arena: &'a Arena,
    /// Elements of the arrays, and keys and values of the objects, that are open.
    stack: Vec<Value<'a>>,
}

impl<'a> Builder<'a> {
    pub fn new(text: &'a str, arena: &'a Arena) -> Self {
        Self { text, arena, stack: Vec::new() }
    }

    /// Takes a value, white space before it included. `depth` arrays and objects are open around it.
    pub fn value(&mut self, at: usize, depth: usize, doubles: Option<&Doubles>) -> Result<(Value<'a>, usize), Fail> {
        let bytes = self.text.as_bytes();
        let at = white(bytes, at);
        match byte(bytes, at) {
            b'{' => self.object(at, depth, doubles),
            b'[' => self.array(at, depth, doubles),
            _ => scalar(self.text, at, doubles.is_some_and(|d| d.here), self.arena),
        }
    }

    fn object(&mut self, at: usize, depth: usize, doubles: Option<&Doubles>) -> Result<(Value<'a>, usize), Fail> {
        let bytes = self.text.as_bytes();
        let depth = deeper(depth, at)?;
        let bottom = self.stack.len();
        let mut at = white(bytes, at + 1);
        if byte(bytes, at) == b'}' {
            return Ok((Value::Map(Map::Values(&[])), at + 1));
        }
        loop {
            if byte(bytes, at) != b'"' {
                return fail(at, "expected a key");
            }
            let (key, behind) = string(self.text, at + 1, self.arena)?;
            let behind = colon(bytes, behind)?;
            let (value, behind) = self.value(behind, depth, doubles.and_then(|d| d.field(key)))?;
            self.stack.push(Value::String(key));
            self.stack.push(value);
            at = white(bytes, behind);
            match byte(bytes, at) {
                b',' => at = white(bytes, at + 1),
                b'}' => break,
                _ => return fail(at, "expected , or }"),
            }
        }
        let map = self.map(bottom);
        self.stack.truncate(bottom);
        Ok((Value::Map(map), at + 1))
    }

    fn array(&mut self, at: usize, depth: usize, doubles: Option<&Doubles>) -> Result<(Value<'a>, usize), Fail> {
        let bytes = self.text.as_bytes();
        let depth = deeper(depth, at)?;
        let items = doubles.and_then(|d| d.items.as_deref());
        let bottom = self.stack.len();
        let mut at = white(bytes, at + 1);
        if byte(bytes, at) == b']' {
            return Ok((Value::List(List::Values(&[])), at + 1));
        }
        loop {
            let (value, behind) = self.value(at, depth, items)?;
            self.stack.push(value);
            at = white(bytes, behind);
            match byte(bytes, at) {
                b',' => at = white(bytes, at + 1),
                b']' => break,
                _ => return fail(at, "expected , or ]"),
            }
        }
        let list = self.arena.slice(&self.stack[bottom..]);
        self.stack.truncate(bottom);
        Ok((Value::List(List::Values(list)), at + 1))
    }

    /// The map of the keys and values on the stack: sorted, of equal keys the last.
    fn map(&self, bottom: usize) -> Map<'a> {
        let pairs = &self.stack[bottom..];
        let entries = pairs.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        let entries = self.arena.bump().alloc_slice_fill_iter(entries);
        if !entries.is_sorted_by(|(a, _), (b, _)| key(a) < key(b)) {
            // Stable: the last of equal keys stays the last of them.
            entries.sort_by(|(a, _), (b, _)| key(a).cmp(key(b)));
            let mut kept = 0;
            for next in 1..entries.len() {
                if key(&entries[next].0) != key(&entries[kept].0) {
                    kept += 1;
                }
                entries[kept] = entries[next];
            }
            return Map::Values(&entries[..=kept]);
        }
        Map::Values(entries)
    }
}

/// Takes a value that is neither array nor object, at its first byte.
#[inline(always)]
pub(super) fn scalar<'a>(text: &'a str, at: usize, double: bool, arena: &'a Arena) -> Result<(Value<'a>, usize), Fail> {
    let bytes = text.as_bytes();
    match byte(bytes, at) {
        b'"' => string(text, at + 1, arena).map(|(string, end)| (Value::String(string), end)),
        b'-' | b'0'..=b'9' => number(text, at, double),
        b't' => literal(bytes, at, "true").map(|end| (Value::Bool(true), end)),
        b'f' => literal(bytes, at, "false").map(|end| (Value::Bool(false), end)),
        b'n' => literal(bytes, at, "null").map(|end| (Value::Null, end)),
        _ => no_value(bytes, at),
    }
}

/// The text of an object's key.
fn key<'a>(value: &Value<'a>) -> &'a str {
    match value {
        Value::String(key) => key,
        _ => "",
    }
}
