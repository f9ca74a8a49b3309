//! Which conditions cannot hold: by themselves, or one beside another. "No" also means that it could not be
//! shown.

use core::cmp::Ordering;

use petrel_cel::expr::{Kind, Relation};
use petrel_cel::{OwnedValue, Paths, Slot, SlotId, Type, order};

use super::atoms::{Atom, Conjunction};
use super::implies::{Condition, VALUES_MAX, all_equal, condition, holds, is_exact};
use crate::schema::TriggerSchema;

/// Why a conjunction never holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Contradiction<'a> {
    /// The schema has no value of which it is true.
    Alone(&'a Atom),
    /// Both are never true of one event.
    Pair(&'a Atom, &'a Atom),
}

/// Finds the first contradiction of a conjunction.
pub(super) fn contradiction<'a>(
    conjunction: &'a [Atom],
    schema: &TriggerSchema,
    paths: &Paths,
) -> Option<Contradiction<'a>> {
    if let Some(atom) = conjunction.iter().find(|atom| is_never(atom, schema, paths)) {
        return Some(Contradiction::Alone(atom));
    }
    let pairs = conjunction.iter().enumerate().flat_map(|(n, a)| conjunction[n + 1..].iter().map(move |b| (a, b)));
    pairs.into_iter().find(|(a, b)| exclude(a, b, paths)).map(|(a, b)| Contradiction::Pair(a, b))
}

/// Whether some conjunction of each can hold together, as far as can be told.
pub(super) fn compatible(a: &[Conjunction], b: &[Conjunction], paths: &Paths) -> bool {
    let excluded = |a: &Conjunction, b: &Conjunction| a.iter().any(|a| b.iter().any(|b| exclude(a, b, paths)));
    a.iter().any(|a| b.iter().any(|b| !excluded(a, b)))
}

/// Whether two conditions never hold together.
fn exclude(a: &Atom, b: &Atom, paths: &Paths) -> bool {
    if a.form == b.form {
        return a.wanted != b.wanted;
    }
    if let (Some((x, a)), Some((y, b))) = (classes(a), classes(b))
        && x == y
        && !a.iter().any(|class| b.contains(class))
    {
        return true;
    }
    if rules_out(a, b, paths) || rules_out(b, a, paths) {
        return true;
    }
    match (condition(&a.expr), condition(&b.expr)) {
        (Some((x, first)), Some((y, second))) if x == y && a.wanted && b.wanted => apart(&first, &second),
        _ => false,
    }
}

/// Whether `b` holds for none of the few values that `a` leaves to a path, and reads nothing else.
fn rules_out(a: &Atom, b: &Atom, paths: &Paths) -> bool {
    let absent = match a.expr.kind {
        Kind::HasSlot(slot) if !a.wanted => Some(slot),
        _ => None,
    };
    if let Some(slot) = absent {
        return b.only_slot() == Some(slot) && !holds(b, slot, Slot::Absent, paths);
    }
    let Some((slot, values)) = a.values().filter(|(_, values)| values.len() <= VALUES_MAX) else { return false };
    if b.only_slot() != Some(slot) {
        return false;
    }
    let forms: Option<Vec<Vec<OwnedValue>>> = values.into_iter().map(all_equal).collect();
    forms.is_some_and(|forms| !forms.iter().flatten().any(|form| holds(b, slot, Slot::Value(form.value()), paths)))
}

/// Whether no value meets both.
fn apart(a: &Condition<'_>, b: &Condition<'_>) -> bool {
    match (a, b) {
        (Condition::Compared(a, c), Condition::Compared(b, d)) if is_exact(c) && is_exact(d) => {
            let Some(order) = order(&c.value(), &d.value()) else { return false };
            match (a, b) {
                (Relation::Ge, Relation::Le) => order == Ordering::Greater,
                (Relation::Le, Relation::Ge) => order == Ordering::Less,
                (Relation::Gt | Relation::Ge, Relation::Lt | Relation::Le) => order != Ordering::Less,
                (Relation::Lt | Relation::Le, Relation::Gt | Relation::Ge) => order != Ordering::Greater,
                _ => false,
            }
        }
        (Condition::Prefix(a), Condition::Prefix(b)) => !a.starts_with(b) && !b.starts_with(a),
        (Condition::Suffix(a), Condition::Suffix(b)) => !a.ends_with(b) && !b.ends_with(a),
        _ => false,
    }
}

/// Whether an event that the schema lets through never makes it true. Only types are looked at.
fn is_never(atom: &Atom, schema: &TriggerSchema, paths: &Paths) -> bool {
    let Some((slot, classes)) = classes(atom) else { return false };
    let Some(types) = schema.checked_types(&paths.steps(slot)) else { return false };
    !types.iter().any(|of| class(*of).is_some_and(|class| classes.contains(&class)))
}

/// Types of values that compare with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Null,
    Bool,
    Number,
    String,
    List,
    Map,
}

fn class(of: Type) -> Option<Class> {
    Some(match of {
        Type::Null => Class::Null,
        Type::Bool => Class::Bool,
        Type::Int | Type::Uint | Type::Double => Class::Number,
        Type::String => Class::String,
        Type::List => Class::List,
        Type::Map => Class::Map,
        _ => return None,
    })
}

/// The values of a path for which a condition can hold, by their types; nothing if that cannot be told.
fn classes(atom: &Atom) -> Option<(SlotId, Vec<Class>)> {
    if let Some((slot, values)) = atom.values() {
        let classes = values.into_iter().map(|value| class(value.value().type_of()));
        return Some((slot, classes.collect::<Option<_>>()?));
    }
    match &atom.expr.kind {
        // As a condition a value that is no bool is an error.
        Kind::Slot(slot) => return Some((*slot, vec![Class::Bool])),
        Kind::Matches(of, _) => match of.kind {
            Kind::Slot(slot) => return Some((slot, vec![Class::String])),
            _ => return None,
        },
        _ => {}
    }
    // Of other types these are errors, whether they are negated or not.
    match condition(&atom.expr)? {
        (slot, Condition::Prefix(_) | Condition::Suffix(_) | Condition::Contains(_)) => {
            Some((slot, vec![Class::String]))
        }
        (slot, Condition::Compared(Relation::Lt | Relation::Le | Relation::Gt | Relation::Ge, value)) => {
            Some((slot, vec![class(value.value().type_of())?]))
        }
        _ => None,
    }
}
