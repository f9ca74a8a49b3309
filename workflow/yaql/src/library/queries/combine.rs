//! Several collections as one.

use super::super::collections::chain;
use super::super::{Outcome, depth_of, memorized};
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, Evaluator, iterator};
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.extension("append", "collection: iterable, *args: any?", |call| {
        Ok(chain(vec![call.value(0), Value::tuple(call.rest_values())]))
    });
    library.extension("concat", "*collections: iterable", |call| Ok(chain(call.rest_values())));
    library.method("zip", "*collections: iterable", zip);
    library.method("zipLongest", "*collections: iterable, **kwargs: any?", zip_longest);
    library.method("join", "collection1: iterable, collection2: iterable, predicate: lambda, selector: lambda", join);
    library.method("defaultIfEmpty", "collection: iterable, default: iterable", default_if_empty);
}

fn cursors(call: &Invocation<'_, '_>) -> Result<(Vec<Cursor>, u32), EvaluationError> {
    let collections = call.rest_values();
    let depth = depth_of(&collections.iter().collect::<Vec<_>>(), &[]);
    let cursors = collections.iter().map(|collection| Cursor::over(collection, call.evaluator));
    Ok((cursors.collect::<Result<_, _>>()?, depth))
}

fn zip(call: &mut Invocation<'_, '_>) -> Outcome {
    let (mut cursors, depth) = cursors(call)?;
    Ok(iterator("zip", depth, move |evaluator| {
        let mut row = Vec::with_capacity(cursors.len());
        for cursor in &mut cursors {
            match cursor.next(evaluator)? {
                Some(item) => row.push(item),
                None => return Ok(None),
            }
        }
        Ok((!row.is_empty()).then(|| Value::tuple(row)))
    }))
}

fn zip_longest(call: &mut Invocation<'_, '_>) -> Outcome {
    let (mut cursors, depth) = cursors(call)?;
    let fill = call.named_values().into_iter().find(|(name, _)| &**name == "default").map(|(_, value)| value);
    let fill = fill.unwrap_or_default();
    Ok(iterator("itertools.zip_longest", depth.max(depth_of(&[&fill], &[])), move |evaluator| {
        let mut any = false;
        let mut row = Vec::with_capacity(cursors.len());
        for cursor in &mut cursors {
            let item = cursor.next(evaluator)?;
            any |= item.is_some();
            row.push(item.unwrap_or_else(|| fill.clone()));
        }
        Ok(any.then(|| Value::tuple(row)))
    }))
}

/// For each element of the first, each of the second that fits.
fn join(call: &mut Invocation<'_, '_>) -> Outcome {
    let second = memorized(call.value(1));
    let lambdas = [call.lambda(2)?, call.lambda(3)?];
    let depth = depth_of(&[&call.value(0), &second], &lambdas);
    let [predicate, selector] = lambdas;
    let mut first = call.cursor(0)?;
    let mut current: Option<(Value, Cursor)> = None;
    Ok(iterator("generator", depth, move |evaluator: &Evaluator<'_>| {
        loop {
            if let Some((item, others)) = &mut current {
                while let Some(other) = others.next(evaluator)? {
                    let pair = [item.clone(), other];
                    if predicate.call(evaluator, &pair)?.is_true() {
                        return selector.call(evaluator, &pair).map(Some);
                    }
                }
            }
            let Some(item) = first.next(evaluator)? else { return Ok(None) };
            current = Some((item, Cursor::over(&second, evaluator)?));
        }
    }))
}

fn default_if_empty(call: &mut Invocation<'_, '_>) -> Outcome {
    let collection = memorized(call.value(0));
    let first = Cursor::over(&collection, call.evaluator)?.next(call.evaluator)?;
    Ok(if first.is_some() { collection } else { call.value(1) })
}
