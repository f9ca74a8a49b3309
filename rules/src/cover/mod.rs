//! The cover of a criterion: under which conditions the index has to propose its rule.
//!
//! `when(e, true)` are clauses of which one holds whenever `e` is true, `when(e, false)` whenever it is
//! false; an error is neither. So a conjunction's clauses are those of its operands joined, a
//! disjunction's are all of theirs, and `!` exchanges the two. A clause may say less than the criterion
//! (then the rule is proposed too often, and its program says no), never more. In particular a negated
//! comparison only says that its path is there: `!(x == 'a')` is true for a number.

mod literals;
mod pattern;

use petrel_cel::expr::{Expr, Kind};
use petrel_cel::{OwnedValue, Paths};

use crate::index::{Clause, Literal};
use literals::{join, strict_reads};

/// Most clauses of one criterion; beyond it, disjunctions are not told apart any further.
pub(crate) const CLAUSES_MAX: usize = 64;

/// Most literals of one clause; necessary conditions beyond them are left to the program.
pub(crate) const LITERALS_MAX: usize = 12;

/// The clauses of a criterion: none if it can never be true, an empty one if nothing is known of it.
pub(crate) fn cover(criteria: &Expr, paths: &Paths) -> Vec<Clause> {
    when(criteria, true, paths)
}

/// Whether the conditions of two covers can hold together, as far as they tell.
pub(crate) fn compatible(a: &[Clause], b: &[Clause]) -> bool {
    a.iter().any(|a| b.iter().any(|b| join(a, b).is_some()))
}

fn when(expr: &Expr, wanted: bool, paths: &Paths) -> Vec<Clause> {
    match (&expr.kind, wanted) {
        (Kind::Const(OwnedValue::Bool(bool)), _) => {
            if *bool == wanted {
                anything()
            } else {
                Vec::new()
            }
        }
        (Kind::Not(operand), _) => when(operand, !wanted, paths),
        (Kind::And(operands), true) | (Kind::Or(operands), false) => {
            all(operands.iter().map(|operand| when(operand, wanted, paths)).collect())
        }
        (Kind::And(operands), false) | (Kind::Or(operands), true) => {
            any(operands.iter().map(|operand| when(operand, wanted, paths)))
        }
        (Kind::Cond(parts), _) => {
            let [condition, yes, no] = &**parts;
            let branch = |holds, part| all(vec![when(condition, holds, paths), when(part, wanted, paths)]);
            any([branch(true, yes), branch(false, no)].into_iter())
        }
        (kind, _) => literals::of(kind, wanted, paths).unwrap_or_else(|| vec![strict_reads(expr)]),
    }
}

/// The clause that always holds.
fn anything() -> Vec<Clause> {
    vec![Clause::default()]
}

/// Clauses of which one holds if one of each part holds. Parts of one clause are necessary in any case;
/// of the others the first few are multiplied out, the rest is left to the program.
fn all(mut parts: Vec<Vec<Clause>>) -> Vec<Clause> {
    parts.sort_by_key(Vec::len);
    let mut joined = anything();
    for part in parts {
        if joined.len() * part.len() > joined.len().max(part.len()).max(8) {
            // Too many: keep the side that tells more.
            if selectivity(&part) > selectivity(&joined) {
                joined = part;
            }
            continue;
        }
        let pairs = joined.iter().flat_map(|a| part.iter().map(move |b| join(a, b)));
        // A pair that contradicts itself never holds.
        joined = pairs.flatten().collect();
    }
    joined
}

/// Clauses of which one holds if one of any part holds.
fn any(parts: impl Iterator<Item = Vec<Clause>>) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for clause in parts.flatten() {
        if clause.literals.is_empty() {
            return anything();
        }
        if !clauses.iter_mut().any(|known| literals::unite(known, &clause)) {
            clauses.push(clause);
        }
    }
    if clauses.len() > CLAUSES_MAX { anything() } else { clauses }
}

/// How much the weakest clause tells, as a rank.
fn selectivity(clauses: &[Clause]) -> u32 {
    let rank = |literal: &Literal| match literal {
        Literal::OneOf(..) => 5,
        Literal::Prefix(..) | Literal::Suffix(..) => 4,
        Literal::HasOneOf(..) | Literal::Substring(..) => 3,
        Literal::Range(..) => 2,
        Literal::Absent(_) => 1,
        Literal::Present(_) => 0,
    };
    let clause = |clause: &Clause| clause.literals.iter().map(rank).max().map_or(0, |best| best + 1);
    clauses.iter().map(clause).min().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
