//! The macros that go through a list, or a map in the order of its keys.

use core::cmp::Ordering;

use bumpalo::collections::Vec as BumpVec;

use crate::eval::node::absorb;
use crate::eval::{Cx, compare};
use crate::expr::{Expr, Loop, LoopKind};
use crate::fault::Fault;
use crate::value::{List, Map, Type, Value};

/// What a loop goes through, and where its variables are.
#[derive(Clone, Copy)]
struct Turns<'a> {
    range: Range<'a>,
    two: bool,
    place: usize,
}

#[derive(Clone, Copy)]
enum Range<'a> {
    List(List<'a>),
    Map(Map<'a>),
}

impl<'a> Turns<'a> {
    fn len(self) -> usize {
        match self.range {
            Range::List(list) => list.len(),
            Range::Map(map) => map.len(),
        }
    }

    /// Index and element, or key and value.
    fn get(self, number: usize) -> (Value<'a>, Value<'a>) {
        let turn = match self.range {
            // No list has more elements than an int can count.
            Range::List(list) => list.get(number).map(|element| (Value::Int(number as i64), element)),
            Range::Map(map) => map.entry(number),
        };
        // Only numbers below `len` are asked for.
        turn.unwrap_or((Value::Null, Value::Null))
    }

    /// What the variable is where there is only one.
    fn item(self, (first, second): (Value<'a>, Value<'a>)) -> Value<'a> {
        match self.range {
            Range::List(_) => second,
            Range::Map(_) => first,
        }
    }
}

impl<'a> Cx<'a> {
    /// A macro's value.
    pub(super) fn run(&mut self, of: &'a Loop) -> Result<Value<'a>, Fault<'a>> {
        let range = match self.eval(&of.range)? {
            Value::List(list) => Range::List(list),
            Value::Map(map) if of.kind != LoopKind::SortBy => Range::Map(map),
            other => return Err(Fault::unary(name(of.kind), other.type_of())),
        };
        self.charge(1)?;
        let turns = Turns { range, two: of.two, place: self.locals.len() };
        let value = match of.kind {
            LoopKind::All => self.decide_turns(of, turns, false),
            LoopKind::Exists => self.decide_turns(of, turns, true),
            LoopKind::ExistsOne => self.exists_one(of, turns),
            LoopKind::Map | LoopKind::Filter => self.collect(of, turns),
            LoopKind::TransformMap | LoopKind::TransformMapEntry => self.collect_map(of, turns),
            LoopKind::SortBy => self.sort_by(of, turns),
        };
        self.locals.truncate(turns.place);
        value
    }

    /// Starts a turn: pays for it and gives the variables their values.
    fn turn(&mut self, turns: Turns<'a>, number: usize) -> Result<(Value<'a>, Value<'a>), Fault<'a>> {
        self.charge(1)?;
        let turn = turns.get(number);
        self.locals.truncate(turns.place);
        if turns.two {
            self.locals.push(Ok(turn.0));
            self.locals.push(Ok(turn.1));
        } else {
            self.locals.push(Ok(turns.item(turn)));
        }
        Ok(turn)
    }

    /// `all` and `exists`: the first turn that decides does so whatever stands before it.
    fn decide_turns(&mut self, of: &'a Loop, turns: Turns<'a>, decisive: bool) -> Result<Value<'a>, Fault<'a>> {
        let mut fault = None;
        for number in 0..turns.len() {
            self.turn(turns, number)?;
            let Some(filter) = &of.filter else { continue };
            let value = self.eval(filter);
            if absorb(value, name(of.kind), &mut fault)? == Some(decisive) {
                return Ok(Value::Bool(decisive));
            }
        }
        fault.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn exists_one(&mut self, of: &'a Loop, turns: Turns<'a>) -> Result<Value<'a>, Fault<'a>> {
        let mut count = 0;
        for number in 0..turns.len() {
            self.turn(turns, number)?;
            count += usize::from(self.keeps(of)?);
        }
        Ok(Value::Bool(count == 1))
    }

    fn collect(&mut self, of: &'a Loop, turns: Turns<'a>) -> Result<Value<'a>, Fault<'a>> {
        let mut values = self.vec(if of.filter.is_some() { 0 } else { turns.len() })?;
        for number in 0..turns.len() {
            let turn = self.turn(turns, number)?;
            if self.keeps(of)? {
                let value = self.value_or(of.value.as_ref(), turns.item(turn))?;
                self.push(&mut values, value)?;
            }
        }
        Ok(Value::List(List::Values(values.into_bump_slice())))
    }

    fn collect_map(&mut self, of: &'a Loop, turns: Turns<'a>) -> Result<Value<'a>, Fault<'a>> {
        let mut entries = BumpVec::new_in(self.arena.bump());
        for number in 0..turns.len() {
            let (key, item) = self.turn(turns, number)?;
            if !self.keeps(of)? {
                continue;
            }
            let value = self.value_or(of.value.as_ref(), item)?;
            match (of.kind, value) {
                (LoopKind::TransformMap, value) => self.push(&mut entries, (key, value))?,
                (_, Value::Map(map)) => {
                    self.charge_length(map.len())?;
                    for entry in map.iter() {
                        self.push(&mut entries, entry)?;
                    }
                }
                (kind, other) => return Err(Fault::unary(name(kind), other.type_of())),
            }
        }
        // Keys of a range are in order already, and indexes are.
        if of.kind == LoopKind::TransformMapEntry {
            self.check_entries(&mut entries)?;
        }
        Ok(Value::Map(Map::Values(entries.into_bump_slice())))
    }

    fn sort_by(&mut self, of: &'a Loop, turns: Turns<'a>) -> Result<Value<'a>, Fault<'a>> {
        let mut pairs = self.vec(turns.len())?;
        for number in 0..turns.len() {
            let (_, item) = self.turn(turns, number)?;
            let key = self.value_or(of.value.as_ref(), item)?;
            pairs.push((key, item));
        }
        self.sort_pairs(name(of.kind), &mut pairs)?;
        let mut values = self.vec(pairs.len())?;
        values.extend(pairs.iter().map(|(_, item)| *item));
        Ok(Value::List(List::Values(values.into_bump_slice())))
    }

    /// Sorts by the first of each pair, which must be of one type that has an order; those of equal keys keep
    /// their order among each other.
    pub(crate) fn sort_pairs(
        &mut self,
        function: &'static str,
        pairs: &mut [(Value<'a>, Value<'a>)],
    ) -> Result<(), Fault<'a>> {
        let mut of: Option<Type> = None;
        for (key, _) in pairs.iter() {
            let first = *of.get_or_insert(key.type_of());
            if first != key.type_of() {
                return Err(Fault::binary(function, first, key.type_of()));
            }
            // What does not equal itself in order has none; NaN neither.
            if compare::order(key, key) != Some(Ordering::Equal) {
                return Err(Fault::unary(function, first));
            }
            self.charge_length(match key {
                Value::String(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 1,
            })?;
        }
        let depth = pairs.len().checked_ilog2().unwrap_or(0) as usize;
        self.charge_length(pairs.len().saturating_mul(depth))?;
        // The standard library's stable sort takes memory for a while; this one sorts in place.
        let mut order = self.vec::<usize>(pairs.len())?;
        order.extend(0..pairs.len());
        order.sort_unstable_by(|a, b| {
            compare::order(&pairs[*a].0, &pairs[*b].0).unwrap_or(Ordering::Equal).then(a.cmp(b))
        });
        let mut sorted = self.vec(pairs.len())?;
        sorted.extend(order.iter().map(|at| pairs[*at]));
        pairs.copy_from_slice(&sorted);
        Ok(())
    }

    /// Whether a turn counts: it has no filter, or its filter is true.
    fn keeps(&mut self, of: &'a Loop) -> Result<bool, Fault<'a>> {
        match &of.filter {
            None => Ok(true),
            Some(filter) => match self.eval(filter)? {
                Value::Bool(bool) => Ok(bool),
                other => Err(Fault::unary(name(of.kind), other.type_of())),
            },
        }
    }

    fn value_or(&mut self, expr: Option<&'a Expr>, default: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        expr.map_or(Ok(default), |expr| self.eval(expr))
    }
}

/// A macro's name, for faults.
fn name(kind: LoopKind) -> &'static str {
    match kind {
        LoopKind::All => "all",
        LoopKind::Exists => "exists",
        LoopKind::ExistsOne => "exists_one",
        LoopKind::Map => "map",
        LoopKind::Filter => "filter",
        LoopKind::TransformMap => "transformMap",
        LoopKind::TransformMapEntry => "transformMapEntry",
        LoopKind::SortBy => "sortBy",
    }
}
