//! Constants, folded by the evaluator itself: whatever has a value is replaced by it. What fails stays,
//! because an error may be absorbed by what stands around.

use std::sync::LazyLock;

use super::resolve::{Compiler, Typed};
use super::types::Types;
use crate::arena::Arena;
use crate::eval::{Cx, compare};
use crate::expr::{Expr, Kind, LoopKind, Relation};
use crate::owned::OwnedValue;
use crate::paths::Paths;
use crate::value::Value;

/// Largest value that a constant expression is replaced by, in bytes.
const FOLDED_BYTES_MAX: usize = 64 * 1024;

/// Most macros of one expression that are tried: each may take as many steps as an evaluation.
pub(super) const LOOPS_FOLDED_MAX: u32 = 16;

/// Fewest constants in a list that make a set of it.
const SET_ELEMENTS_MIN: usize = 8;

/// Integers from here on may be equal to a double that has another value.
const EXACT_MAX: i64 = 1 << 53;

impl Compiler<'_> {
    /// The value instead of a node of which the children are constants.
    pub fn folded(&mut self, typed: Typed, constant: bool) -> Typed {
        match if constant { value_of(&typed.expr) } else { None } {
            Some(value) => Typed::constant(typed.expr.id, value),
            None => typed,
        }
    }

    /// The value instead of a macro that reads nothing from outside.
    pub fn folded_loop(&mut self, typed: Typed) -> Typed {
        // Inside of another macro its variables would have other places.
        let constant = !typed.open && self.locals.is_empty() && self.mistakes.is_empty() && self.folds_left > 0;
        self.folds_left -= u32::from(constant);
        self.folded(typed, constant)
    }
}

fn value_of(expr: &Expr) -> Option<OwnedValue> {
    static NO_PATHS: LazyLock<Paths> = LazyLock::new(Paths::new);
    let arena = Arena::new();
    let mut cx = Cx::new(&arena, &NO_PATHS, &[], &[]);
    let value = cx.eval(expr).ok()?;
    let mut left = FOLDED_BYTES_MAX;
    owned(value, &mut left)
}

/// A copy of a value, if it has a form as a constant and is not too large.
fn owned(value: Value<'_>, left: &mut usize) -> Option<OwnedValue> {
    let bytes = match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    *left = left.checked_sub(size_of::<OwnedValue>() + bytes)?;
    Some(match value {
        Value::Null => OwnedValue::Null,
        Value::Bool(bool) => OwnedValue::Bool(bool),
        Value::Int(int) => OwnedValue::Int(int),
        Value::Uint(uint) => OwnedValue::Uint(uint),
        Value::Double(double) => OwnedValue::Double(double),
        Value::String(text) => OwnedValue::String(text.into()),
        Value::Bytes(bytes) => OwnedValue::Bytes(bytes.into()),
        Value::List(list) => OwnedValue::List(list.iter().map(|v| owned(v, left)).collect::<Option<_>>()?),
        // The entries are in order already.
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| Some((owned(key, left)?, owned(value, left)?)));
            OwnedValue::Map(entries.collect::<Option<_>>()?)
        }
        Value::Timestamp(timestamp) => OwnedValue::Timestamp(timestamp),
        Value::Duration(duration) => OwnedValue::Duration(duration),
        Value::Type(of) => OwnedValue::Type(of),
        Value::Ip(ip) => OwnedValue::Ip(ip),
        Value::Cidr(cidr) => OwnedValue::Cidr(cidr),
        Value::Semver(version) => OwnedValue::Semver(version.as_str().into()),
        Value::Optional(_) => return None,
    })
}

/// `a in b`: a list of many constants is looked up as a set.
pub(super) fn membership(id: u64, a: Typed, b: Typed) -> Typed {
    let open = a.open || b.open;
    let kind = match b.expr.kind {
        Kind::Const(OwnedValue::List(list)) if list.len() >= SET_ELEMENTS_MIN && list.iter().all(fits_set) => {
            Kind::InSet(a.expr.into(), set(list.into_vec()))
        }
        kind => Kind::Compare(Relation::In, Box::new([a.expr, Expr { id: b.expr.id, kind }])),
    };
    Typed { expr: Expr { id, kind }, types: Types::BOOL, open }
}

/// The elements in order, each once.
fn set(mut elements: Vec<OwnedValue>) -> Box<[OwnedValue]> {
    elements.sort_by(|a, b| compare::key_order(&a.value(), &b.value()));
    elements.dedup_by(|a, b| compare::key_order(&a.value(), &b.value()).is_eq());
    elements.into()
}

/// Whether equality with this constant is the same as standing at its place in the order. Large numbers are
/// none of them: an int is equal to the double that it is rounded to.
fn fits_set(value: &OwnedValue) -> bool {
    match value {
        OwnedValue::Bool(_) | OwnedValue::String(_) => true,
        OwnedValue::Int(int) => int.unsigned_abs() < EXACT_MAX.unsigned_abs(),
        OwnedValue::Uint(uint) => *uint < EXACT_MAX.unsigned_abs(),
        #[allow(clippy::cast_precision_loss)] // A power of two.
        OwnedValue::Double(double) => double.abs() < EXACT_MAX as f64,
        _ => false,
    }
}

/// Whether a node's value is a bool whenever it has one.
pub(super) fn is_bool(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Const(value) => matches!(value, OwnedValue::Bool(_)),
        Kind::HasSlot(_)
        | Kind::Has(..)
        | Kind::Not(_)
        | Kind::And(_)
        | Kind::Or(_)
        | Kind::Compare(..)
        | Kind::Matches(..)
        | Kind::InSet(..) => true,
        Kind::Cond(branches) => is_bool(&branches[1]) && is_bool(&branches[2]),
        Kind::Loop(of) => matches!(of.kind, LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne),
        _ => false,
    }
}
