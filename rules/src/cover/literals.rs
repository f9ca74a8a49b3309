//! What a comparison says of the path that it is about.

use petrel_cel::expr::{Expr, Kind, Loop, LoopKind, Relation};
use petrel_cel::{OwnedValue, Paths, SlotId};

use super::LITERALS_MAX;
use super::pattern::pattern_literal;
use crate::index::{Clause, Key, Literal};

/// The clauses of a node that is no `&&`, `||`, `!` or `?:`; nothing if only its reads are known.
pub(super) fn of(kind: &Kind, wanted: bool, paths: &Paths) -> Option<Vec<Clause>> {
    let literal = match kind {
        Kind::Slot(slot) => one_of(*slot, [Key::Bool(wanted)]),
        Kind::HasSlot(slot) if wanted => Literal::Present(*slot),
        Kind::HasSlot(slot) => return Some(vec![absence(*slot, paths)]),
        Kind::Compare(relation, sides) => return comparison(*relation, sides, wanted),
        Kind::InSet(value, set) => {
            let slot = slot_of(value)?;
            if wanted { one_of_values(slot, set)? } else { Literal::Present(slot) }
        }
        Kind::Matches(text, pattern) => {
            let slot = slot_of(text)?;
            if wanted { pattern_literal(slot, pattern.as_str()) } else { Literal::Present(slot) }
        }
        Kind::Call(function, args) => {
            let [of, constant] = &args[..] else { return None };
            let slot = slot_of(of)?;
            let Kind::Const(OwnedValue::String(text)) = &constant.kind else { return None };
            match function.name {
                _ if !matches!(function.name, "startsWith" | "endsWith" | "contains") => return None,
                _ if !wanted || text.is_empty() => Literal::Present(slot),
                "startsWith" => Literal::Prefix(slot, text.clone()),
                "endsWith" => Literal::Suffix(slot, text.clone()),
                _ => Literal::Substring(slot, text.clone()),
            }
        }
        Kind::Loop(each) => return looped(each, wanted),
        _ => return None,
    };
    Some(vec![Clause { literals: vec![literal] }])
}

/// `!has(a.b)`: nothing there, but something above it, or it is an error.
fn absence(slot: SlotId, paths: &Paths) -> Clause {
    let parent = paths.get(slot).parent;
    let above = (parent != SlotId::ROOT).then_some(Literal::Present(parent));
    Clause { literals: std::iter::once(Literal::Absent(slot)).chain(above).collect() }
}

fn comparison(relation: Relation, sides: &[Expr; 2], wanted: bool) -> Option<Vec<Clause>> {
    let (slot, constant, relation) = match (slot_of(&sides[0]), slot_of(&sides[1])) {
        (Some(slot), None) => (slot, constant_of(&sides[1])?, relation),
        (None, Some(slot)) => match crate::program::flipped(relation) {
            Some(flipped) => (slot, constant_of(&sides[0])?, flipped),
            None => return element(slot, constant_of(&sides[0])?, wanted),
        },
        _ => return None,
    };
    let present = || Some(vec![Clause { literals: vec![Literal::Present(slot)] }]);
    let number = as_double(constant);
    let literal = match (relation, wanted) {
        (Relation::Eq, true) | (Relation::Ne, false) => match key_of(constant) {
            Some(key) => one_of(slot, [key]),
            // NaN equals nothing; for lists and maps there is no key.
            None if number.is_some() => return Some(Vec::new()),
            None => return present(),
        },
        (Relation::In, true) => match constant {
            OwnedValue::List(elements) if elements.is_empty() => return Some(Vec::new()),
            OwnedValue::List(elements) => one_of_values(slot, elements).unwrap_or(Literal::Present(slot)),
            _ => return present(),
        },
        (Relation::Gt | Relation::Ge, true) => match number {
            Some(bound) if !bound.is_nan() => Literal::Range(slot, bound, f64::INFINITY),
            _ => return present(),
        },
        (Relation::Lt | Relation::Le, true) => match number {
            Some(bound) if !bound.is_nan() => Literal::Range(slot, f64::NEG_INFINITY, bound),
            _ => return present(),
        },
        // Also `!(x < 5)`, which is true for NaN.
        _ => return present(),
    };
    Some(vec![Clause { literals: vec![literal] }])
}

/// `'v' in x`, whose path is a list or a map.
fn element(slot: SlotId, constant: &OwnedValue, wanted: bool) -> Option<Vec<Clause>> {
    let literal = match key_of(constant) {
        Some(key) if wanted => Literal::HasOneOf(slot, [key].into()),
        _ => Literal::Present(slot),
    };
    Some(vec![Clause { literals: vec![literal] }])
}

/// `x.exists(e, e == 'v')` asks as `'v' in x` does; every other loop says that what it goes through is
/// there.
fn looped(each: &Loop, wanted: bool) -> Option<Vec<Clause>> {
    let slot = slot_of(&each.range)?;
    let keys = match (&each.kind, &each.filter) {
        (LoopKind::Exists, Some(filter)) if wanted && !each.two => element_keys(filter),
        _ => None,
    };
    let literal = keys.map_or(Literal::Present(slot), |keys| Literal::HasOneOf(slot, keys));
    Some(vec![Clause { literals: vec![literal] }])
}

/// The keys that the loop's variable is compared with.
fn element_keys(filter: &Expr) -> Option<Box<[Key]>> {
    let is_local = |expr: &Expr| matches!(expr.kind, Kind::Local(_));
    match &filter.kind {
        Kind::Compare(Relation::Eq, sides) if is_local(&sides[0]) => Some([key_of(constant_of(&sides[1])?)?].into()),
        Kind::Compare(Relation::Eq, sides) if is_local(&sides[1]) => Some([key_of(constant_of(&sides[0])?)?].into()),
        Kind::Compare(Relation::In, sides) if is_local(&sides[0]) => match constant_of(&sides[1])? {
            OwnedValue::List(elements) => keys_of(elements).filter(|keys| !keys.is_empty()),
            _ => None,
        },
        _ => None,
    }
}

/// What an expression reads in any case: without it there is no value, only an error.
pub(super) fn strict_reads(expr: &Expr) -> Clause {
    let mut clause = Clause::default();
    add_strict_reads(expr, &mut clause);
    clause
}

fn add_strict_reads(expr: &Expr, clause: &mut Clause) {
    match &expr.kind {
        Kind::Slot(slot) => add_present(*slot, clause),
        // What stands before the first `?` must be there.
        Kind::OptSlot { from, .. } => add_present(*from, clause),
        Kind::Select(of, _) | Kind::Has(of, _) | Kind::Not(of) | Kind::Negate(of) => add_strict_reads(of, clause),
        Kind::Matches(of, _) | Kind::InSet(of, _) => add_strict_reads(of, clause),
        Kind::Index(pair) | Kind::Compare(_, pair) | Kind::Arith(_, pair) => {
            pair.iter().for_each(|side| add_strict_reads(side, clause));
        }
        // `or` and `orValue` look at their argument only if they need it.
        Kind::Call(function, args) if matches!(function.name, "or" | "orValue") => add_strict_reads(&args[0], clause),
        Kind::Call(_, args) => args.iter().for_each(|arg| add_strict_reads(arg, clause)),
        Kind::List(elements) => elements.iter().for_each(|e| add_strict_reads(&e.value, clause)),
        Kind::Map(entries) => {
            for entry in entries {
                add_strict_reads(&entry.key, clause);
                add_strict_reads(&entry.value, clause);
            }
        }
        Kind::Cond(parts) => add_strict_reads(&parts[0], clause),
        Kind::Loop(each) => add_strict_reads(&each.range, clause),
        Kind::OptMap(pair) | Kind::OptFlatMap(pair) => add_strict_reads(&pair[0], clause),
        // `&&` and `||` absorb errors; a binding that nobody uses is not evaluated.
        _ => {}
    }
}

fn add_present(slot: SlotId, clause: &mut Clause) {
    let present = Literal::Present(slot);
    if slot != SlotId::ROOT && clause.literals.len() < LITERALS_MAX && !clause.literals.contains(&present) {
        clause.literals.push(present);
    }
}

/// Both clauses at once; nothing if they contradict each other.
pub(super) fn join(a: &Clause, b: &Clause) -> Option<Clause> {
    let mut joined = a.clone();
    for literal in &b.literals {
        let mut merged = false;
        for known in &mut joined.literals {
            match (&mut *known, literal) {
                (Literal::OneOf(slot, keys), Literal::OneOf(other, more)) if slot == other => {
                    *keys = keys.iter().filter(|key| more.contains(key)).cloned().collect();
                    if keys.is_empty() {
                        return None;
                    }
                    merged = true;
                }
                (Literal::Range(slot, low, high), Literal::Range(other, from, to)) if slot == other => {
                    (*low, *high) = (low.max(*from), high.min(*to));
                    if low > high {
                        return None;
                    }
                    merged = true;
                }
                (Literal::Present(slot), Literal::Absent(other)) | (Literal::Absent(slot), Literal::Present(other))
                    if slot == other =>
                {
                    return None;
                }
                (known, literal) => merged |= known == literal,
            }
        }
        if !merged && joined.literals.len() < LITERALS_MAX {
            joined.literals.push(literal.clone());
        }
    }
    Some(joined)
}

/// Adds `other` to a clause if the two together are one literal; whether they are.
pub(super) fn unite(clause: &mut Clause, other: &Clause) -> bool {
    if clause == other {
        return true;
    }
    let ([known], [literal]) = (&mut clause.literals[..], &other.literals[..]) else { return false };
    let (keys, more) = match (known, literal) {
        (Literal::OneOf(slot, keys), Literal::OneOf(other, more)) if slot == other => (keys, more),
        (Literal::HasOneOf(slot, keys), Literal::HasOneOf(other, more)) if slot == other => (keys, more),
        _ => return false,
    };
    let mut all: Vec<Key> = keys.iter().chain(more).cloned().collect();
    all.sort();
    all.dedup();
    *keys = all.into();
    true
}

fn one_of<const N: usize>(slot: SlotId, keys: [Key; N]) -> Literal {
    Literal::OneOf(slot, Box::new(keys))
}

fn one_of_values(slot: SlotId, values: &[OwnedValue]) -> Option<Literal> {
    keys_of(values).filter(|keys| !keys.is_empty()).map(|keys| Literal::OneOf(slot, keys))
}

/// The keys of constants, sorted; nothing if one of them has no key and may be equal to something.
fn keys_of(values: &[OwnedValue]) -> Option<Box<[Key]>> {
    let mut keys = Vec::with_capacity(values.len());
    for value in values {
        match key_of(value) {
            Some(key) => keys.push(key),
            None if as_double(value).is_some() => {}
            None => return None,
        }
    }
    keys.sort();
    keys.dedup();
    Some(keys.into())
}

fn key_of(value: &OwnedValue) -> Option<Key> {
    match value {
        OwnedValue::Null => Some(Key::Null),
        OwnedValue::Bool(bool) => Some(Key::Bool(*bool)),
        OwnedValue::String(text) => Some(Key::String(text.clone())),
        number => as_double(number).and_then(Key::number),
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

fn slot_of(expr: &Expr) -> Option<SlotId> {
    if let Kind::Slot(slot) = expr.kind { Some(slot) } else { None }
}

fn constant_of(expr: &Expr) -> Option<&OwnedValue> {
    if let Kind::Const(value) = &expr.kind { Some(value) } else { None }
}
