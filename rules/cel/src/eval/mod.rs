//! Evaluates a compiled expression: `node` goes through the tree, `access` reads fields, `arith` computes,
//! `loops` are the macros, `compare` is equality and order.

mod access;
mod arith;
pub(crate) mod compare;
mod loops;
mod node;

use core::fmt::{self, Write as _};

use bumpalo::collections::{String as BumpString, Vec as BumpVec};

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

/// A variable of a comprehension or of a binding. What a binding failed with matters only where it is used.
type Local<'a> = Result<Value<'a>, Fault<'a>>;

/// Elements or bytes that a function may go through for one step.
const LENGTH_PER_STEP: u64 = 64;

/// One evaluation, or one after another: what it sees, and what it may still spend.
pub struct Cx<'a> {
    arena: &'a Arena,
    paths: &'a Paths,
    slots: &'a [Slot<'a>],
    vars: &'a [Value<'a>],
    locals: BumpVec<'a, Local<'a>>,
    steps_left: u64,
    bytes_left: usize,
    trace: Option<&'a mut (dyn Trace + 'a)>,
}

impl<'a> Cx<'a> {
    /// An evaluation over an event's slots, numbered as in `paths`, and the other variables.
    pub fn new(arena: &'a Arena, paths: &'a Paths, slots: &'a [Slot<'a>], vars: &'a [Value<'a>]) -> Self {
        let locals = BumpVec::new_in(arena.bump());
        let (steps_left, bytes_left) = (STEPS_MAX, EVAL_BYTES_MAX);
        Self { arena, paths, slots, vars, locals, steps_left, bytes_left, trace: None }
    }

    /// The same evaluation, watched.
    #[must_use]
    pub fn with_trace(mut self, trace: &'a mut (dyn Trace + 'a)) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Evaluates a criterion with a budget of its own, whatever was evaluated before.
    ///
    /// # Errors
    /// Why it has no value, or that it is no bool.
    pub fn criterion(&mut self, expr: &'a Expr) -> Result<bool, Fault<'a>> {
        self.renew();
        match self.eval(expr)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(Fault::NotBool(other.type_of())),
        }
    }

    /// Starts over with a whole budget: the next expression is another evaluation.
    pub fn renew(&mut self) {
        self.steps_left = STEPS_MAX;
        self.bytes_left = EVAL_BYTES_MAX;
        self.locals.clear();
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// Why it has no value.
    pub fn eval(&mut self, expr: &'a Expr) -> Result<Value<'a>, Fault<'a>> {
        let value = self.node(&expr.kind);
        if let Some(trace) = &mut self.trace {
            trace.value(expr.id, &value);
        }
        value
    }

    /// The memory of this evaluation; charge what you take, before.
    pub(crate) fn arena(&self) -> &'a Arena {
        self.arena
    }

    /// Spends steps.
    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), Fault<'a>> {
        match self.steps_left.checked_sub(steps as u64) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => {
                self.steps_left = 0;
                Err(Fault::StepsExceeded)
            }
        }
    }

    /// Spends what going through so many bytes or elements costs.
    pub(crate) fn charge_length(&mut self, length: usize) -> Result<(), Fault<'a>> {
        self.charge(length / 64)
    }

    /// Spends memory, before it is allocated.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<(), Fault<'a>> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => {
                self.bytes_left = 0;
                Err(Fault::MemoryExceeded)
            }
        }
    }

    /// Copies a text into the arena.
    pub(crate) fn string(&mut self, text: &str) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(text.len())?;
        Ok(Value::String(self.arena.str(text)))
    }

    /// Writes something into the arena.
    pub(crate) fn display(&mut self, of: &dyn fmt::Display) -> Result<Value<'a>, Fault<'a>> {
        let mut text = BumpString::new_in(self.arena.bump());
        // A string takes all that is written.
        let _ = write!(text, "{of}");
        self.charge_bytes(text.len())?;
        Ok(Value::String(text.into_bump_str()))
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
        self.check_entries(entries)?;
        Ok(Value::Map(Map::Values(self.arena.slice(entries))))
    }

    /// Makes an optional.
    pub(crate) fn some(&mut self, value: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        self.charge_bytes(size_of::<Value<'a>>())?;
        Ok(Value::Optional(Some(self.arena.store(value))))
    }

    /// An empty vector in the arena with room for so many things, charged.
    pub(crate) fn vec<T>(&mut self, capacity: usize) -> Result<BumpVec<'a, T>, Fault<'a>> {
        self.charge_bytes(capacity.saturating_mul(size_of::<T>()))?;
        Ok(BumpVec::with_capacity_in(capacity, self.arena.bump()))
    }

    /// Adds to a vector in the arena; charges the room that it takes anew.
    pub(crate) fn push<T>(&mut self, items: &mut BumpVec<'a, T>, item: T) -> Result<(), Fault<'a>> {
        if items.len() == items.capacity() {
            let more = items.capacity().max(4);
            // The old room is given up, not given back.
            self.charge_bytes((items.capacity() + more).saturating_mul(size_of::<T>()))?;
            items.reserve_exact(more);
        }
        items.push(item);
        Ok(())
    }

    /// Equality that pays for what it goes through.
    pub(crate) fn equal(&mut self, a: &Value<'a>, b: &Value<'a>) -> Result<bool, Fault<'a>> {
        let before = self.steps_left.saturating_mul(LENGTH_PER_STEP).saturating_add(LENGTH_PER_STEP - 1);
        let mut left = before;
        let same = compare::same(a, b, &mut left);
        self.charge(usize::try_from((before - left) / LENGTH_PER_STEP).unwrap_or(usize::MAX))?;
        same.ok_or(Fault::StepsExceeded)
    }

    /// Whether a list has an element that is equal; pays for what it goes through.
    pub(crate) fn contains(&mut self, list: List<'a>, value: &Value<'a>) -> Result<bool, Fault<'a>> {
        self.charge_length(list.len())?;
        for element in list.iter() {
            if self.equal(value, &element)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sorts the entries of a map and checks their keys.
    fn check_entries(&mut self, entries: &mut [(Value<'a>, Value<'a>)]) -> Result<(), Fault<'a>> {
        self.charge_length(entries.len())?;
        for (key, _) in entries.iter() {
            if !compare::can_be_key(key) {
                return Err(Fault::UnsupportedKey(key.type_of()));
            }
        }
        // No two keys of a valid map are equal, so that their order among each other cannot matter.
        entries.sort_unstable_by(|(a, _), (b, _)| compare::key_order(a, b));
        if entries.windows(2).any(|pair| compare::key_order(&pair[0].0, &pair[1].0).is_eq()) {
            return Err(Fault::DuplicateKey);
        }
        Ok(())
    }
}
