//! Whether a criterion follows from another. "No" also means that it could not be shown.

use core::cmp::Ordering;

use petrel_cel::expr::{Expr, Kind, Relation};
use petrel_cel::{Arena, Cx, OwnedValue, Paths, Slot, SlotId, Value, equal, order};

use super::atoms::{Atom, Conjunction};

/// From here on doubles leave out integers, and comparisons between the types of numbers may round.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Most values of an `in` that are tried one by one.
pub(super) const VALUES_MAX: usize = 256;

/// Whether all of `b` holds whenever all of `a` does.
pub(super) fn implies(a: &[Conjunction], b: &[Conjunction], paths: &Paths) -> bool {
    a.iter().all(|a| b.iter().any(|b| b.iter().all(|b| a.iter().any(|a| atom(a, b, paths)))))
}

fn atom(a: &Atom, b: &Atom, paths: &Paths) -> bool {
    if a.wanted == b.wanted && a.form == b.form {
        return true;
    }
    if let Some((slot, values)) = a.values() {
        return values.len() <= VALUES_MAX && b.only_slot() == Some(slot) && holds_for(b, slot, &values, paths);
    }
    if !a.wanted || !b.wanted {
        return false;
    }
    match (condition(&a.expr), condition(&b.expr)) {
        (Some((x, _)), _) if matches!(b.expr.kind, Kind::HasSlot(y) if x == y) => true,
        (Some((x, a)), Some((y, b))) if x == y => follows(&a, &b),
        _ => false,
    }
}

/// What an atom says of a path.
pub(super) enum Condition<'e> {
    Compared(Relation, &'e OwnedValue),
    Prefix(&'e str),
    Suffix(&'e str),
    Contains(&'e str),
}

pub(super) fn condition(expr: &Expr) -> Option<(SlotId, Condition<'_>)> {
    match &expr.kind {
        Kind::Compare(relation, sides) => match (&sides[0].kind, &sides[1].kind) {
            (Kind::Slot(slot), Kind::Const(value)) => Some((*slot, Condition::Compared(*relation, value))),
            (Kind::Const(value), Kind::Slot(slot)) => {
                Some((*slot, Condition::Compared(crate::program::flipped(*relation)?, value)))
            }
            _ => None,
        },
        Kind::Call(function, args) => match &args[..] {
            [Expr { kind: Kind::Slot(slot), .. }, Expr { kind: Kind::Const(OwnedValue::String(text)), .. }] => {
                let condition = match function.name {
                    "startsWith" => Condition::Prefix(text),
                    "endsWith" => Condition::Suffix(text),
                    "contains" => Condition::Contains(text),
                    _ => return None,
                };
                Some((*slot, condition))
            }
            _ => None,
        },
        _ => None,
    }
}

fn follows(a: &Condition<'_>, b: &Condition<'_>) -> bool {
    match (a, b) {
        (Condition::Compared(a, c), Condition::Compared(b, d)) => {
            is_exact(c) && is_exact(d) && within(*a, *b, order(&c.value(), &d.value()))
        }
        (Condition::Prefix(a), Condition::Prefix(b)) => a.starts_with(b),
        (Condition::Suffix(a), Condition::Suffix(b)) => a.ends_with(b),
        (Condition::Prefix(a) | Condition::Suffix(a) | Condition::Contains(a), Condition::Contains(b)) => a.contains(b),
        _ => false,
    }
}

/// Whether `x b d` follows from `x a c`, where `c` and `d` are so ordered.
fn within(a: Relation, b: Relation, order: Option<Ordering>) -> bool {
    let Some(order) = order else { return false };
    match (a, b) {
        (Relation::Gt, Relation::Gt | Relation::Ge) | (Relation::Ge, Relation::Ge) => order != Ordering::Less,
        (Relation::Ge, Relation::Gt) => order == Ordering::Greater,
        (Relation::Lt, Relation::Lt | Relation::Le) | (Relation::Le, Relation::Le) => order != Ordering::Greater,
        (Relation::Le, Relation::Lt) => order == Ordering::Less,
        _ => false,
    }
}

/// Whether comparing with it never rounds: a string, or a number that every type of numbers holds.
pub(super) fn is_exact(value: &OwnedValue) -> bool {
    match value {
        OwnedValue::String(_) => true,
        number => as_double(number).is_some_and(|double| double.abs() < EXACT_MAX),
    }
}

fn as_double(value: &OwnedValue) -> Option<f64> {
    match value {
        OwnedValue::Int(int) => Some(*int as f64),
        OwnedValue::Uint(uint) => Some(*uint as f64),
        OwnedValue::Double(double) => Some(*double),
        _ => None,
    }
}

/// Whether an atom holds for each of these values of the only path that it reads.
fn holds_for(atom: &Atom, slot: SlotId, values: &[&OwnedValue], paths: &Paths) -> bool {
    let forms: Option<Vec<Vec<OwnedValue>>> = values.iter().map(|value| all_equal(value)).collect();
    forms.is_some_and(|forms| forms.iter().flatten().all(|form| holds(atom, slot, Slot::Value(form.value()), paths)))
}

/// Whether an atom holds if the only path that it reads has this value, or none.
pub(super) fn holds(atom: &Atom, slot: SlotId, value: Slot<'_>, paths: &Paths) -> bool {
    let mut slots = vec![Slot::Absent; paths.len()];
    let mut above = slot;
    while above != SlotId::ROOT {
        above = paths.get(above).parent;
        slots[above.index()] = Slot::Object;
    }
    slots[slot.index()] = value;
    let arena = Arena::new();
    let found = Cx::new(&arena, paths, &slots, &[]).eval(&atom.expr);
    matches!(found, Ok(Value::Bool(bool)) if bool == atom.wanted)
}

/// Every value of an event that equals a constant: `x == 1` holds for `1.0` too. Nothing if not all are known.
pub(super) fn all_equal(value: &OwnedValue) -> Option<Vec<OwnedValue>> {
    match value {
        OwnedValue::Null | OwnedValue::Bool(_) | OwnedValue::String(_) => Some(vec![value.clone()]),
        number => {
            let double = as_double(number).filter(|double| double.abs() < EXACT_MAX)?;
            let forms = [
                OwnedValue::Int(double as i64),
                OwnedValue::Uint(double as u64),
                OwnedValue::Double(double),
                // Equal to 0.0, but not by what divides by it.
                OwnedValue::Double(if double == 0.0 { -0.0 } else { double }),
                OwnedValue::Double(if double == 0.0 { 0.0 } else { double }),
            ];
            Some(forms.into_iter().filter(|form| equal(&form.value(), &value.value())).collect())
        }
    }
}
