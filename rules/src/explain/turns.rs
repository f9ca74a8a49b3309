//! What stands inside a loop: its values turn by turn.

use std::collections::HashMap;

use petrel_cel::expr::{Expr, Kind, Loop};
use petrel_cel::{Cx, Fault, Trace, Value};

use super::{Outcome, Seen, Step, children, outcome};

/// Values of one node inside a loop that are kept.
const TURNS_MAX: usize = 5;

/// The first values of each node, by its number.
#[derive(Default)]
struct Turns(HashMap<u64, Vec<Outcome>>);

impl Trace for Turns {
    fn value(&mut self, id: u64, value: &Result<Value<'_>, Fault<'_>>) {
        let values = self.0.entry(id).or_default();
        if values.len() < TURNS_MAX {
            values.push(outcome(*value));
        }
    }
}

/// Runs a loop once more, watched, and adds a step for each node of its body that had a value.
pub(super) fn walk(seen: &Seen<'_>, expr: &Expr, each: &Loop, depth: usize, steps: &mut Vec<Step>) {
    let mut turns = Turns::default();
    // Its outcome is known already.
    let _ = Cx::new(seen.arena, seen.paths, seen.slots, seen.vars).with_trace(&mut turns).eval(expr);
    for body in each.filter.iter().chain(&each.value) {
        add(seen, &turns, body, depth, steps);
    }
}

fn add(seen: &Seen<'_>, turns: &Turns, expr: &Expr, depth: usize, steps: &mut Vec<Step>) {
    if let Some(values) = turns.0.get(&expr.id)
        && let Some(last) = values.last()
    {
        steps.push(Step { depth, source: seen.source(expr), value: last.clone(), turns: values.clone() });
    }
    let inner: Vec<&Expr> = match &expr.kind {
        Kind::Loop(each) => children(expr).into_iter().chain(&each.filter).chain(&each.value).collect(),
        _ => children(expr),
    };
    for child in inner.into_iter().filter(|child| !matches!(child.kind, Kind::Const(_))) {
        add(seen, turns, child, depth + 1, steps);
    }
}
