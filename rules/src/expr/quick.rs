//! Decides most criteria without the interpreter, whose call costs hundreds of nanoseconds.
//!
//! Comparisons of paths and literals are decided by the interpreter's own values, everything else is
//! unknown, and so is what would be an error. `&&` and `||` absorb errors, so that one false side decides
//! the first and one true side the second whatever is unknown on the other. What stays unknown is left to
//! the interpreter: this never decides differently, it only decides sooner.

use std::cmp::Ordering;

use cel::common::ast::{CallExpr, Expr as Node, LiteralValue, operators};
use cel::common::types::{CelBool, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::Val;
use cel::parser::Expression;

use super::check::path_of;
use super::functions::HAS;
use super::{Expr, Scope};

/// The paths that quick decisions of one rule set read, each once.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    paths: Vec<(String, Vec<Box<str>>)>,
}

/// Values of the slots for one event; none is a path that is not there.
pub(crate) type SlotValues<'b> = Vec<Option<&'b dyn Val>>;

/// A criterion, or a part of one, that may be decided at once.
#[derive(Debug)]
pub(crate) enum Quick {
    And(Vec<Quick>),
    Or(Vec<Quick>),
    Not(Box<Quick>),
    /// A bool by itself.
    Is(usize),
    /// Whether a map has a key.
    Has(usize, Box<str>),
    Compare(Comparison, Operand, Operand),
    Unknown,
}

/// What stands on a side of a comparison.
#[derive(Debug)]
pub(crate) enum Operand {
    Slot(usize),
    Literal(Box<dyn Val>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    StartsWith,
    EndsWith,
    Contains,
}

impl Slots {
    /// Looks all paths up.
    pub fn read<'b>(&'b self, scope: &'b Scope<'_>) -> SlotValues<'b> {
        let value = |(root, path): &'b (String, Vec<Box<str>>)| {
            let root: &'b dyn Val = scope.get(root)?;
            path.iter().try_fold(root, |value, name| member(value, name))
        };
        self.paths.iter().map(value).collect()
    }

    fn slot(&mut self, root: &str, path: Vec<Box<str>>) -> usize {
        let root = root.strip_prefix('.').unwrap_or(root);
        self.paths.iter().position(|(r, p)| r == root && *p == path).unwrap_or_else(|| {
            self.paths.push((root.to_owned(), path));
            self.paths.len() - 1
        })
    }
}

fn member<'b>(value: &'b dyn Val, name: &'b str) -> Option<&'b dyn Val> {
    let map: &CelMap<'_> = value.downcast_ref()?;
    find(map, name)
}

fn find<'b>(map: &'b CelMap<'b>, name: &'b str) -> Option<&'b dyn Val> {
    map.inner().get(&CelMapKey::String(CelString::from(name))).map(|v| v.as_ref() as &dyn Val)
}

impl Quick {
    /// What can be decided of a checked criterion; none if nothing can.
    pub fn compile(criteria: &Expr, slots: &mut Slots) -> Option<Self> {
        let quick = Self::of(&criteria.ast, slots);
        (!quick.is_unknown()).then_some(quick)
    }

    fn of(expr: &Expression, slots: &mut Slots) -> Self {
        match &expr.expr {
            Node::Call(call) => Self::of_call(call, slots).unwrap_or(Self::Unknown),
            _ => path(expr, slots).map_or(Self::Unknown, Self::Is),
        }
    }

    fn of_call(call: &CallExpr, slots: &mut Slots) -> Option<Self> {
        let args = call.args.as_slice();
        match (call.func_name.as_str(), call.target.as_deref(), args) {
            (operators::LOGICAL_AND, None, args) => Some(Self::And(Self::flat(operators::LOGICAL_AND, args, slots))),
            (operators::LOGICAL_OR, None, args) => Some(Self::Or(Self::flat(operators::LOGICAL_OR, args, slots))),
            (operators::LOGICAL_NOT, None, [inner]) => Some(Self::Not(Box::new(Self::of(inner, slots)))),
            (HAS, None, [operand, field]) => {
                let Node::Literal(LiteralValue::String(field)) = &field.expr else { return None };
                Some(Self::Has(path(operand, slots)?, field.inner().into()))
            }
            (name, None, [left, right]) => {
                let comparison = match name {
                    operators::EQUALS => Comparison::Equal,
                    operators::NOT_EQUALS => Comparison::NotEqual,
                    operators::LESS => Comparison::Less,
                    operators::LESS_EQUALS => Comparison::LessOrEqual,
                    operators::GREATER => Comparison::Greater,
                    operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
                    operators::IN => Comparison::In,
                    _ => return None,
                };
                Some(Self::Compare(comparison, operand(left, slots)?, operand(right, slots)?))
            }
            (name, Some(target), [argument]) => {
                let comparison = match name {
                    "startsWith" => Comparison::StartsWith,
                    "endsWith" => Comparison::EndsWith,
                    "contains" => Comparison::Contains,
                    _ => return None,
                };
                Some(Self::Compare(comparison, operand(target, slots)?, operand(argument, slots)?))
            }
            _ => None,
        }
    }

    /// The sides of a chain of one operator.
    fn flat(operator: &str, args: &[Expression], slots: &mut Slots) -> Vec<Self> {
        let mut sides = Vec::new();
        for arg in args {
            match &arg.expr {
                Node::Call(call) if call.func_name == operator && call.target.is_none() => {
                    sides.extend(Self::flat(operator, &call.args, slots));
                }
                _ => sides.push(Self::of(arg, slots)),
            }
        }
        sides
    }

    fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::And(sides) | Self::Or(sides) => sides.iter().all(Self::is_unknown),
            Self::Not(inner) => inner.is_unknown(),
            _ => false,
        }
    }

    /// The value, if it is a bool and can be told.
    pub fn decide(&self, values: &SlotValues<'_>) -> Option<bool> {
        match self {
            Self::And(sides) => decide_all(sides, values, false),
            Self::Or(sides) => decide_all(sides, values, true),
            Self::Not(inner) => inner.decide(values).map(|decided| !decided),
            Self::Is(slot) => values[*slot]?.downcast_ref::<CelBool>().map(|b| *b.inner()),
            Self::Has(slot, name) => {
                let map = values[*slot]?.downcast_ref::<CelMap<'_>>()?;
                Some(find(map, name).is_some())
            }
            Self::Compare(comparison, left, right) => compare(*comparison, left.value(values)?, right.value(values)?),
            Self::Unknown => None,
        }
    }
}

/// The value of a chain that one side of value `decisive` decides.
fn decide_all(sides: &[Quick], values: &SlotValues<'_>, decisive: bool) -> Option<bool> {
    let mut unknown = false;
    for side in sides {
        match side.decide(values) {
            Some(decided) if decided == decisive => return Some(decisive),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!decisive)
}

impl Operand {
    fn value<'b>(&'b self, values: &SlotValues<'b>) -> Option<&'b dyn Val> {
        match self {
            Self::Slot(slot) => values[*slot],
            Self::Literal(value) => Some(value.as_ref()),
        }
    }
}

fn operand(expr: &Expression, slots: &mut Slots) -> Option<Operand> {
    literal(expr).map(Operand::Literal).or_else(|| path(expr, slots).map(Operand::Slot))
}

fn literal(expr: &Expression) -> Option<Box<dyn Val>> {
    match &expr.expr {
        Node::Literal(literal) => Some(literal.to_val().into_owned()),
        Node::List(list) if list.optional_indices.is_empty() => {
            let elements: Option<Vec<_>> = list.elements.iter().map(literal).collect();
            Some(Box::new(CelList::from(elements?)))
        }
        _ => None,
    }
}

fn path(expr: &Expression, slots: &mut Slots) -> Option<usize> {
    let (root, path) = path_of(expr)?;
    let root = root.strip_prefix('.').unwrap_or(root);
    ["trigger", "kv", "now"].contains(&root).then(|| slots.slot(root, path))
}

fn compare(comparison: Comparison, left: &dyn Val, right: &dyn Val) -> Option<bool> {
    let order = || left.as_comparer()?.compare(right).ok();
    let texts =
        || Some((left.downcast_ref::<CelString<'_>>()?.inner(), right.downcast_ref::<CelString<'_>>()?.inner()));
    match comparison {
        Comparison::Equal => Some(left.equals(right)),
        Comparison::NotEqual => Some(!left.equals(right)),
        Comparison::Less => order().map(Ordering::is_lt),
        Comparison::LessOrEqual => order().map(Ordering::is_le),
        Comparison::Greater => order().map(Ordering::is_gt),
        Comparison::GreaterOrEqual => order().map(Ordering::is_ge),
        Comparison::In => right.as_container()?.contains(left).ok(),
        Comparison::StartsWith => texts().map(|(text, part)| text.starts_with(part)),
        Comparison::EndsWith => texts().map(|(text, part)| text.ends_with(part)),
        Comparison::Contains => texts().map(|(text, part)| text.contains(part)),
    }
}

#[cfg(test)]
mod tests;
