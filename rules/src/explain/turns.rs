//! What stands inside a loop or a binding: its values turn by turn.

use std::collections::HashMap;

use petrel_cel::expr::{Expr, Kind};
use petrel_cel::{Arena, Cx, Fault, Trace, Value};

use super::{Outcome, Seen, Step, value};

/// Values of one node inside a loop that are kept.
const TURNS_MAX: usize = 5;

/// The first values of each node, by its number, and how many there were.
#[derive(Default)]
struct Turns(HashMap<u64, (Vec<Outcome>, usize)>);

impl Trace for Turns {
    fn value(&mut self, id: u64, value: &Result<Value<'_>, Fault<'_>>) {
        let (values, count) = self.0.entry(id).or_default();
        *count += 1;
        if values.len() < TURNS_MAX {
            values.push(value::outcome(*value));
        }
    }
}

/// If the node is a loop or a binding, runs it once more, watched, and adds a step for each node of its body.
pub(super) fn walk(seen: &Seen<'_>, expr: &Expr, depth: usize, steps: &mut Vec<Step>) {
    let bodies = bodies(expr);
    if bodies.is_empty() {
        return;
    }
    let mut turns = Turns::default();
    let arena = Arena::new();
    // Its outcome is known already.
    let _ = Cx::new(&arena, seen.paths, seen.slots, seen.vars).with_trace(&mut turns).eval(expr);
    let looped = matches!(expr.kind, Kind::Loop(_));
    bodies.into_iter().for_each(|body| add(seen, &turns, body, looped, depth, steps));
}

/// The nodes of a macro that see variables of their own.
fn bodies(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        Kind::Loop(each) => each.filter.iter().chain(&each.value).collect(),
        Kind::Bind(pair) | Kind::OptMap(pair) | Kind::OptFlatMap(pair) => vec![&pair[1]],
        _ => Vec::new(),
    }
}

fn add(seen: &Seen<'_>, turns: &Turns, expr: &Expr, looped: bool, depth: usize, steps: &mut Vec<Step>) {
    let (values, count) = turns.0.get(&expr.id).map_or((&[][..], 0), |(values, count)| (&values[..], *count));
    let (source, value) = (seen.source(expr), values.last().cloned());
    let (turns_shown, turn_count) = if looped { (values.to_vec(), count) } else { (Vec::new(), 0) };
    steps.push(Step { depth, source, value, turns: turns_shown, turn_count });
    for child in seen.shown_children(expr) {
        add(seen, turns, child, looped, depth + 1, steps);
    }
    let looped = looped || matches!(expr.kind, Kind::Loop(_));
    for body in bodies(expr) {
        add(seen, turns, body, looped, depth + 1, steps);
    }
}
