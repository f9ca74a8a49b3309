//! A criterion as a disjunction of conjunctions.

use petrel_cel::expr::{Expr, Kind, Relation};
use petrel_cel::{OwnedValue, SlotId};

/// Most conjunctions of one criterion that are compared.
const DISJUNCTS_MAX: usize = 16;
/// Most conditions of one conjunction that are compared.
const ATOMS_MAX: usize = 32;

/// A condition: the expression is `wanted`. An error is neither.
#[derive(Debug, Clone)]
pub(super) struct Atom {
    pub expr: Expr,
    pub wanted: bool,
    /// Whether what is written in the source holds: of `!(x == c)` not, of `x != c` it does.
    pub as_written: bool,
    /// Equal forms are equal expressions.
    pub form: String,
}

/// Conditions that all hold.
pub(super) type Conjunction = Vec<Atom>;

/// Conjunctions of which one holds exactly when the criterion is true; nothing if there are too many.
pub(super) fn disjuncts(expr: &Expr) -> Option<Vec<Conjunction>> {
    when(expr, true)
}

fn when(expr: &Expr, wanted: bool) -> Option<Vec<Conjunction>> {
    match (&expr.kind, wanted) {
        (Kind::Const(OwnedValue::Bool(bool)), _) => Some(if *bool == wanted { vec![Vec::new()] } else { Vec::new() }),
        (Kind::Not(operand), _) => when(operand, !wanted),
        (Kind::And(operands), true) | (Kind::Or(operands), false) => {
            let mut joined: Vec<Conjunction> = vec![Vec::new()];
            for operand in operands {
                let part = when(operand, wanted)?;
                if joined.len() * part.len() > DISJUNCTS_MAX {
                    return None;
                }
                let pairs = joined.iter().flat_map(|a| part.iter().map(move |b| [a.as_slice(), b].concat()));
                joined = pairs.collect();
            }
            joined.iter().all(|conjunction| conjunction.len() <= ATOMS_MAX).then_some(joined)
        }
        (Kind::And(operands), false) | (Kind::Or(operands), true) => {
            let mut all = Vec::new();
            for operand in operands {
                all.extend(when(operand, wanted)?);
            }
            (all.len() <= DISJUNCTS_MAX).then_some(all)
        }
        _ => Some(vec![vec![Atom::new(expr, wanted)]]),
    }
}

impl Atom {
    fn new(expr: &Expr, wanted: bool) -> Self {
        let as_written = wanted;
        // `x != c` is true exactly when `x == c` is false, and the other way round.
        let (expr, wanted) = match &expr.kind {
            Kind::Compare(Relation::Ne, sides) => {
                (Expr { id: expr.id, kind: Kind::Compare(Relation::Eq, sides.clone()) }, !wanted)
            }
            _ => (expr.clone(), wanted),
        };
        Self { form: format!("{expr:?}"), expr, wanted, as_written }
    }

    /// The values of which a path must equal one, if that is what it says.
    pub(super) fn values(&self) -> Option<(SlotId, Vec<&OwnedValue>)> {
        match (&self.expr.kind, self.wanted) {
            (Kind::Compare(Relation::Eq, sides), true) => match (&sides[0].kind, &sides[1].kind) {
                (Kind::Slot(slot), Kind::Const(value)) | (Kind::Const(value), Kind::Slot(slot)) => {
                    Some((*slot, vec![value]))
                }
                _ => None,
            },
            (Kind::Compare(Relation::In, sides), true) => match (&sides[0].kind, &sides[1].kind) {
                (Kind::Slot(slot), Kind::Const(OwnedValue::List(values))) => Some((*slot, values.iter().collect())),
                _ => None,
            },
            (Kind::InSet(of, values), true) => match of.kind {
                Kind::Slot(slot) => Some((slot, values.iter().collect())),
                _ => None,
            },
            _ => None,
        }
    }

    /// The only path that is read, and by its value or presence alone; nothing if it reads anything else.
    pub(super) fn only_slot(&self) -> Option<SlotId> {
        let mut found = None;
        only(&self.expr, &mut found).then_some(found).flatten()
    }
}

/// Whether an expression reads the one path alone. Loops and what is rare are not looked into.
fn only(expr: &Expr, found: &mut Option<SlotId>) -> bool {
    match &expr.kind {
        Kind::Const(_) => true,
        Kind::Slot(slot) | Kind::HasSlot(slot) => *found.get_or_insert(*slot) == *slot,
        Kind::Not(of) | Kind::Negate(of) | Kind::Matches(of, _) | Kind::InSet(of, _) => only(of, found),
        Kind::Compare(_, pair) | Kind::Arith(_, pair) => pair.iter().all(|side| only(side, found)),
        Kind::Call(_, operands) | Kind::And(operands) | Kind::Or(operands) => {
            operands.iter().all(|operand| only(operand, found))
        }
        Kind::Cond(parts) => parts.iter().all(|part| only(part, found)),
        _ => false,
    }
}
