//! From an expression to conditions over leaves.

use petrel_cel::expr::{Expr, Kind, Relation};
use petrel_cel::{OwnedValue, SlotId};
use regex::Regex;

/// A condition: true, false, or a fault. Constants are those of the expression.
#[derive(Debug)]
pub(super) enum Cond<'e> {
    Const(bool),
    Not(Box<Cond<'e>>),
    And(Vec<Cond<'e>>),
    Or(Vec<Cond<'e>>),
    If(Box<[Cond<'e>; 3]>),
    Leaf(Leaf<'e>),
}

/// A condition without conditions below it.
#[derive(Debug)]
pub(super) enum Leaf<'e> {
    /// The value at a path is the condition.
    Slot(SlotId),
    /// `has(path)`
    Has(SlotId),
    /// `path == null`
    IsNull(SlotId),
    /// `path == true`
    IsBool(SlotId, bool),
    /// `path == "text"`
    IsString(SlotId, &'e str),
    /// `path in ["text", …]`
    InStrings(SlotId, Vec<&'e str>),
    /// `path < 5`, of any relation but `in`.
    Number(SlotId, Relation, Number),
    /// `path.startsWith("text")`
    Prefix(SlotId, &'e str),
    /// `path.endsWith("text")`
    Suffix(SlotId, &'e str),
    /// `path.contains("text")`
    Contains(SlotId, &'e str),
    /// `"text" in path`
    HasString(SlotId, &'e str),
    /// `path.matches("pattern")`
    Matches(SlotId, &'e Regex),
    /// Anything else.
    General(&'e Expr),
}

/// A constant number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Uint(u64),
    Double(f64),
}

/// More constants than these are searched as a set.
const IN_STRINGS_MAX: usize = 16;

/// Lowers an expression whose value is a condition.
pub(super) fn lower(expr: &Expr) -> Cond<'_> {
    match &expr.kind {
        Kind::Const(OwnedValue::Bool(bool)) => Cond::Const(*bool),
        Kind::Not(operand) => Cond::Not(Box::new(lower(operand))),
        Kind::And(operands) => Cond::And(operands.iter().map(lower).collect()),
        Kind::Or(operands) => Cond::Or(operands.iter().map(lower).collect()),
        Kind::Cond(parts) => Cond::If(Box::new([lower(&parts[0]), lower(&parts[1]), lower(&parts[2])])),
        Kind::Compare(Relation::Ne, sides) => match equality(sides) {
            Some(leaf) => Cond::Not(Box::new(Cond::Leaf(leaf))),
            None => Cond::Leaf(comparison(Relation::Ne, sides).unwrap_or(Leaf::General(expr))),
        },
        _ => Cond::Leaf(leaf(expr).unwrap_or(Leaf::General(expr))),
    }
}

fn leaf(expr: &Expr) -> Option<Leaf<'_>> {
    match &expr.kind {
        Kind::Slot(slot) => Some(Leaf::Slot(*slot)),
        Kind::HasSlot(slot) => Some(Leaf::Has(*slot)),
        Kind::Compare(Relation::Eq, sides) => equality(sides).or_else(|| comparison(Relation::Eq, sides)),
        Kind::Compare(Relation::In, sides) => membership(sides),
        Kind::Compare(relation, sides) => comparison(*relation, sides),
        Kind::Matches(text, pattern) => Some(Leaf::Matches(slot_of(text)?, pattern)),
        Kind::Call(function, args) => {
            let [of, constant] = &args[..] else { return None };
            let (slot, text) = (slot_of(of)?, string_of(constant)?);
            match function.name {
                "startsWith" => Some(Leaf::Prefix(slot, text)),
                "endsWith" => Some(Leaf::Suffix(slot, text)),
                "contains" => Some(Leaf::Contains(slot, text)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Equality with a constant that is no number; never an error but for a missing path.
fn equality(sides: &[Expr; 2]) -> Option<Leaf<'_>> {
    let (slot, constant) = match (slot_of(&sides[0]), slot_of(&sides[1])) {
        (Some(slot), None) => (slot, &sides[1]),
        (None, Some(slot)) => (slot, &sides[0]),
        _ => return None,
    };
    match &constant.kind {
        Kind::Const(OwnedValue::Null) => Some(Leaf::IsNull(slot)),
        Kind::Const(OwnedValue::Bool(bool)) => Some(Leaf::IsBool(slot, *bool)),
        Kind::Const(OwnedValue::String(text)) => Some(Leaf::IsString(slot, text)),
        _ => None,
    }
}

/// A comparison with a constant number.
fn comparison(relation: Relation, sides: &[Expr; 2]) -> Option<Leaf<'_>> {
    match (slot_of(&sides[0]), slot_of(&sides[1])) {
        (Some(slot), None) => Some(Leaf::Number(slot, relation, number_of(&sides[1])?)),
        (None, Some(slot)) => Some(Leaf::Number(slot, flipped(relation)?, number_of(&sides[0])?)),
        _ => None,
    }
}

fn membership(sides: &[Expr; 2]) -> Option<Leaf<'_>> {
    if let Some(slot) = slot_of(&sides[1]) {
        return Some(Leaf::HasString(slot, string_of(&sides[0])?));
    }
    let slot = slot_of(&sides[0])?;
    let Kind::Const(OwnedValue::List(elements)) = &sides[1].kind else { return None };
    let texts = elements.iter().map(|e| if let OwnedValue::String(text) = e { Some(&**text) } else { None });
    let texts: Vec<&str> = texts.collect::<Option<_>>()?;
    (texts.len() <= IN_STRINGS_MAX).then_some(Leaf::InStrings(slot, texts))
}

/// The relation with its sides exchanged.
pub(crate) fn flipped(relation: Relation) -> Option<Relation> {
    Some(match relation {
        Relation::Eq => Relation::Eq,
        Relation::Ne => Relation::Ne,
        Relation::Lt => Relation::Gt,
        Relation::Le => Relation::Ge,
        Relation::Gt => Relation::Lt,
        Relation::Ge => Relation::Le,
        Relation::In => return None,
    })
}

fn slot_of(expr: &Expr) -> Option<SlotId> {
    if let Kind::Slot(slot) = expr.kind { Some(slot) } else { None }
}

fn string_of(expr: &Expr) -> Option<&str> {
    if let Kind::Const(OwnedValue::String(text)) = &expr.kind { Some(text) } else { None }
}

fn number_of(expr: &Expr) -> Option<Number> {
    match expr.kind {
        Kind::Const(OwnedValue::Int(int)) => Some(Number::Int(int)),
        Kind::Const(OwnedValue::Uint(uint)) => Some(Number::Uint(uint)),
        // Nothing is in order with NaN: that is a fault, and the evaluator's to find.
        Kind::Const(OwnedValue::Double(double)) if !double.is_nan() => Some(Number::Double(double)),
        _ => None,
    }
}
