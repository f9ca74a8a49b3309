//! Evaluates a compiled expression.

pub(crate) mod compare;

use crate::arena::Arena;
use crate::expr::Expr;
use crate::fault::Fault;
use crate::limits::{EVAL_BYTES_MAX, STEPS_MAX};
use crate::paths::Paths;
use crate::slot::Slot;
use crate::value::{List, Map, Value};

/// Sees the value of every node that is evaluated (explain).
pub trait Trace {
    /// A node's value, by the number in [`Expr::id`]; a node in a loop is seen once per turn.
    fn value(&mut self, id: u64, value: &Result<Value<'_>, Fault<'_>>);
}

/// One evaluation: what it sees, and what it may still spend.
pub struct Cx<'a> {
    arena: &'a Arena,
    paths: &'a Paths,
    slots: &'a [Slot<'a>],
    vars: &'a [Value<'a>],
    locals: Vec<Value<'a>>,
    steps_left: u64,
    bytes_left: usize,
}

impl<'a> Cx<'a> {
    /// An evaluation over an event's slots, numbered as in `paths`, and the other variables.
    pub fn new(arena: &'a Arena, paths: &'a Paths, slots: &'a [Slot<'a>], vars: &'a [Value<'a>]) -> Self {
        Self { arena, paths, slots, vars, locals: Vec::new(), steps_left: STEPS_MAX, bytes_left: EVAL_BYTES_MAX }
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// Why it has no value.
    pub fn eval(&mut self, _expr: &'a Expr) -> Result<Value<'a>, Fault<'a>> {
        Err(Fault::IndexOutOfBounds)
    }

    /// Spends steps.
    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), Fault<'a>> {
        self.steps_left = self.steps_left.checked_sub(steps as u64).ok_or(Fault::StepsExceeded)?;
        Ok(())
    }

    /// Spends what going through so many bytes or elements costs.
    pub(crate) fn charge_length(&mut self, length: usize) -> Result<(), Fault<'a>> {
        self.charge(length / 64)
    }

    /// Spends memory, before it is allocated.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<(), Fault<'a>> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Fault::MemoryExceeded)?;
        Ok(())
    }

    /// Copies a text into the arena.
    pub(crate) fn string(&mut self, text: &str) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(text.len())?;
        Ok(Value::String(self.arena.str(text)))
    }

    /// Copies bytes into the arena.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(bytes.len())?;
        Ok(Value::Bytes(self.arena.slice(bytes)))
    }

    /// Makes a list.
    pub(crate) fn list(&mut self, elements: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(size_of_val(elements))?;
        Ok(Value::List(List::Values(self.arena.slice(elements))))
    }

    /// Makes a map; sorts the entries. The same key twice, or a key that cannot be one, is a fault.
    pub(crate) fn map(&mut self, entries: &mut [(Value<'a>, Value<'a>)]) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(size_of_val(entries))?;
        entries.sort_by(|(a, _), (b, _)| compare::key_order(a, b));
        Ok(Value::Map(Map::Values(self.arena.slice(entries))))
    }

    /// Makes an optional.
    pub(crate) fn some(&mut self, value: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(size_of::<Value<'a>>())?;
        Ok(Value::Optional(Some(self.arena.store(value))))
    }
}
