//! A compiled expression: names resolved, macros expanded, constants folded.

use std::fmt;

use regex::Regex;

use crate::functions::Function;
use crate::owned::OwnedValue;
use crate::paths::SlotId;

/// One node. `id` is the parser's number of the node that it came from; it leads to a place in the
/// source (explain, located errors).
/// Its `Debug` form leaves the ids out: equal forms are equal expressions.
#[derive(Clone)]
pub struct Expr {
    /// The parser's number.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Expr {
    /// Every path of the event that is read anywhere in it, and whether its value is, not only its presence.
    /// A path may come several times.
    pub fn each_path(&self, on: &mut dyn FnMut(SlotId, bool)) {
        let mut below = |expr: &Self| expr.each_path(on);
        match &self.kind {
            Kind::Slot(slot) | Kind::OptSlot { slot, .. } => on(*slot, true),
            Kind::HasSlot(slot) => on(*slot, false),
            Kind::Const(_) | Kind::Var(_) | Kind::Local(_) => {}
            Kind::Select(of, _) | Kind::Has(of, _) | Kind::OptSelect(of, _) => below(of),
            Kind::Not(of) | Kind::Negate(of) | Kind::Matches(of, _) | Kind::InSet(of, _) => below(of),
            Kind::Index(pair) | Kind::OptIndex(pair) | Kind::Compare(_, pair) | Kind::Arith(_, pair) => {
                pair.iter().for_each(below);
            }
            Kind::Bind(pair) | Kind::OptMap(pair) | Kind::OptFlatMap(pair) => pair.iter().for_each(below),
            Kind::And(operands) | Kind::Or(operands) | Kind::Call(_, operands) => operands.iter().for_each(below),
            Kind::Cond(parts) => parts.iter().for_each(below),
            Kind::List(elements) => elements.iter().for_each(|element| below(&element.value)),
            Kind::Map(entries) => entries.iter().flat_map(|entry| [&entry.key, &entry.value]).for_each(below),
            Kind::Loop(each) => {
                [Some(&each.range), each.filter.as_ref(), each.value.as_ref()].into_iter().flatten().for_each(below);
            }
        }
    }
}

/// What a node computes. Children are evaluated from left to right; `And`, `Or` and `Cond` only as far
/// as needed.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A constant.
    Const(OwnedValue),
    /// The value at a path of the event; missing, or no object above it, is a fault.
    Slot(SlotId),
    /// `has()` of a path of the event.
    HasSlot(SlotId),
    /// `trigger.a.?b.c`: the optional value at a path of the event. It is none if a step below `from` is
    /// missing; `from`, what stands before the first `?`, must not be.
    OptSlot {
        /// The path.
        slot: SlotId,
        /// The path above the first step that is optional.
        from: SlotId,
    },
    /// A variable of the environment other than the event, by its number in [`crate::compile::Names`].
    Var(usize),
    /// A variable of a comprehension or of `cel.bind`, by its place on the stack of locals.
    Local(usize),
    /// `operand.field`
    Select(Box<Expr>, Box<str>),
    /// `has(operand.field)`
    Has(Box<Expr>, Box<str>),
    /// `operand.?field`
    OptSelect(Box<Expr>, Box<str>),
    /// `operand[index]`
    Index(Box<[Expr; 2]>),
    /// `operand[?index]`
    OptIndex(Box<[Expr; 2]>),
    /// `!a`
    Not(Box<Expr>),
    /// `a && b && …`, two or more; errors are absorbed by a false on either side.
    And(Box<[Expr]>),
    /// `a || b || …`, two or more; errors are absorbed by a true on either side.
    Or(Box<[Expr]>),
    /// `c ? a : b`
    Cond(Box<[Expr; 3]>),
    /// `-a`
    Negate(Box<Expr>),
    /// A comparison, `in` included.
    Compare(Relation, Box<[Expr; 2]>),
    /// `a + b` and its kin.
    Arith(Arith, Box<[Expr; 2]>),
    /// `x.matches('constant')`, compiled.
    Matches(Box<Expr>, Regex),
    /// `x in [constants]` of many, as a set: the sorted constants.
    InSet(Box<Expr>, Box<[OwnedValue]>),
    /// `[a, ?b]`
    List(Box<[Element]>),
    /// `{k: v, ?k: v}`
    Map(Box<[Entry]>),
    /// A function; a receiver is the first argument.
    Call(&'static Function, Box<[Expr]>),
    /// A macro that goes through a list or a map.
    Loop(Box<Loop>),
    /// `cel.bind(x, value, body)`: the value becomes the next local of the body, where a fault of it
    /// counts only if it is used.
    Bind(Box<[Expr; 2]>),
    /// `value.optMap(x, body)`: the body with the optional's value as the next local, wrapped.
    OptMap(Box<[Expr; 2]>),
    /// `value.optFlatMap(x, body)`: the same, not wrapped.
    OptFlatMap(Box<[Expr; 2]>),
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `in`: an element of a list, a key of a map.
    In,
}

/// Arithmetic operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arith {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}

/// An element of a list.
#[derive(Debug, Clone)]
pub struct Element {
    /// Its value.
    pub value: Expr,
    /// Whether it was written `?value`: an optional that is left out if it is none.
    pub optional: bool,
}

/// An entry of a map.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its key.
    pub key: Expr,
    /// Its value.
    pub value: Expr,
    /// Whether it was written `?key: value`.
    pub optional: bool,
}

/// A macro that goes through a list, or a map in the order of its keys.
#[derive(Debug, Clone)]
pub struct Loop {
    /// Which one.
    pub kind: LoopKind,
    /// What it goes through.
    pub range: Expr,
    /// Whether it was written with two variables: index and element, or key and value. With one it is the
    /// element, or the key. They are the next locals, in this order.
    pub two: bool,
    /// The condition, of those kinds that have one.
    pub filter: Option<Expr>,
    /// The value of a turn, of those kinds that make one.
    pub value: Option<Expr>,
}

/// What a macro makes of its turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoopKind {
    /// `all(x, filter)`: absorbs errors.
    All,
    /// `exists(x, filter)`: absorbs errors.
    Exists,
    /// `exists_one(x, filter)`, `existsOne`: does not.
    ExistsOne,
    /// `map(x, value)`, `map(x, filter, value)`, `transformList(i, x, [filter,] value)`.
    Map,
    /// `filter(x, filter)`: the elements, or keys.
    Filter,
    /// `transformMap(k, v, [filter,] value)`: a map with the same keys; of a list the indexes.
    TransformMap,
    /// `transformMapEntry(k, v, [filter,] {key: value})`: the entries merged; the same key twice is a fault.
    TransformMapEntry,
    /// `sortBy(x, value)`: the elements in the order of their values.
    SortBy,
}
