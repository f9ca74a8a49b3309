//! One value of all elements.

use super::super::{Outcome, depth_of};
use crate::error::EvaluationError;
use crate::evaluate::iterator;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.extension("len", "collection: iterator", count);
    library.method("count", "collection: iterable", count);
    library.method("sum", "collection: iterable, initial: any? = none", |call| by_function(call, "#operator_+"));
    library.method("max", "collection: iterable, initial: any? = none", |call| by_function(call, "max"));
    library.method("min", "collection: iterable, initial: any? = none", |call| by_function(call, "min"));
    for name in ["aggregate", "reduce"] {
        library.method(name, "collection: iterable, selector: lambda, seed: any? = none", aggregate);
    }
    library.method("accumulate", "collection: iterable, selector: lambda, seed: any? = none", accumulate);
}

fn count(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut cursor = call.cursor(0)?;
    let mut count = 0;
    while cursor.next(call.evaluator)?.is_some() {
        count += 1;
    }
    Ok(Value::Int(count))
}

fn reduce(call: &Invocation<'_, '_>, seed: Option<Value>, combine: impl Fn(Value, Value) -> Outcome) -> Outcome {
    let mut cursor = call.cursor(0)?;
    let mut total = match seed {
        Some(seed) => seed,
        None => cursor
            .next(call.evaluator)?
            .ok_or_else(|| EvaluationError::of_type("reduce() of empty iterable with no initial value"))?,
    };
    while let Some(item) = cursor.next(call.evaluator)? {
        total = combine(total, item)?;
    }
    Ok(total)
}

fn by_function(call: &mut Invocation<'_, '_>, name: &str) -> Outcome {
    reduce(call, call.given(1), |total, item| call.delegate(name, vec![total, item]))
}

fn aggregate(call: &mut Invocation<'_, '_>) -> Outcome {
    let selector = call.lambda(1)?;
    reduce(call, call.given(2), |total, item| selector.call(call.evaluator, &[total, item]))
}

/// Every total on the way.
fn accumulate(call: &mut Invocation<'_, '_>) -> Outcome {
    let selector = call.lambda(1)?;
    let mut seed = call.given(2);
    let seeds: Vec<&Value> = seed.iter().collect();
    let depth = depth_of(&seeds, std::slice::from_ref(&selector)).max(depth_of(&[&call.value(0)], &[]));
    let mut cursor = call.cursor(0)?;
    let mut total: Option<Value> = None;
    Ok(iterator("generator", depth, move |evaluator| {
        let next = match &total {
            None => match seed.take() {
                Some(seed) => seed,
                None => cursor
                    .next(evaluator)?
                    .ok_or_else(|| EvaluationError::of_type("accumulate() of empty sequence with no initial value"))?,
            },
            Some(total) => match cursor.next(evaluator)? {
                Some(item) => selector.call(evaluator, &[total.clone(), item])?,
                None => return Ok(None),
            },
        };
        total = Some(next.clone());
        Ok(Some(next))
    }))
}
