//! Single elements and their places.

use super::super::Outcome;
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.extension("any", "collection: iterable, predicate: lambda = null", any);
    library.extension("all", "collection: iterable, predicate: lambda = null", all);
    library.method("first", "collection: iterable, default: any? = none", first);
    library.method("single", "collection: iterable", single);
    library.method("last", "collection: iterable, default: any? = none", last);
    library.method("indexOf", "collection: iterable, item: any?", |call| index_of(call, false));
    library.method("lastIndexOf", "collection: iterable, item: any?", |call| index_of(call, true));
    library.method("indexWhere", "collection: iterable, predicate: lambda", |call| index_where(call, false));
    library.method("lastIndexWhere", "collection: iterable, predicate: lambda", |call| index_where(call, true));
}

/// The first element that is, or is not, as the predicate wants it.
fn find(call: &Invocation<'_, '_>, wanted: bool) -> Result<bool, EvaluationError> {
    let predicate = call.optional_lambda(1);
    let mut cursor = call.cursor(0)?;
    while let Some(item) = cursor.next(call.evaluator)? {
        let holds = match &predicate {
            Some(predicate) => predicate.call(call.evaluator, &[item])?.is_true(),
            None => item.is_true(),
        };
        if holds == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any(call: &mut Invocation<'_, '_>) -> Outcome {
    // Without a predicate any element will do, also one that is false.
    if call.optional_lambda(1).is_none() {
        return Ok(Value::Bool(call.cursor(0)?.next(call.evaluator)?.is_some()));
    }
    find(call, true).map(Value::Bool)
}

fn all(call: &mut Invocation<'_, '_>) -> Outcome {
    find(call, false).map(|found| Value::Bool(!found))
}

fn first(call: &mut Invocation<'_, '_>) -> Outcome {
    match call.cursor(0)?.next(call.evaluator)? {
        Some(item) => Ok(item),
        None => call.given(1).ok_or_else(|| EvaluationError::stop("")),
    }
}

fn single(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut cursor = call.cursor(0)?;
    let item = cursor.next(call.evaluator)?.ok_or_else(|| EvaluationError::stop(""))?;
    match cursor.next(call.evaluator)? {
        None => Ok(item),
        Some(_) => Err(EvaluationError::stop("Collection contains more than one item")),
    }
}

fn last(call: &mut Invocation<'_, '_>) -> Outcome {
    let found = match call.value(0) {
        Value::List(list) => list.items().last().cloned(),
        _ => {
            let mut cursor = call.cursor(0)?;
            let mut last = None;
            while let Some(item) = cursor.next(call.evaluator)? {
                last = Some(item);
            }
            last
        }
    };
    found.or_else(|| call.given(1)).ok_or_else(|| EvaluationError::stop(""))
}

fn index_of(call: &mut Invocation<'_, '_>, last: bool) -> Outcome {
    let wanted = call.value(1);
    index(call, last, |item| call.evaluator.equal(&item, &wanted))
}

fn index_where(call: &mut Invocation<'_, '_>, last: bool) -> Outcome {
    let predicate = call.lambda(1)?;
    index(call, last, |item| Ok(predicate.call(call.evaluator, &[item])?.is_true()))
}

fn index(call: &Invocation<'_, '_>, last: bool, wanted: impl Fn(Value) -> Result<bool, EvaluationError>) -> Outcome {
    let mut cursor = call.cursor(0)?;
    let mut found = -1;
    let mut at = 0;
    while let Some(item) = cursor.next(call.evaluator)? {
        if wanted(item)? {
            found = at;
            if !last {
                break;
            }
        }
        at += 1;
    }
    Ok(Value::Int(found))
}
