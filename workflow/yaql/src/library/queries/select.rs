//! Which elements, and what of them.

use std::sync::Arc;

use indexmap::IndexSet;

use super::super::{Outcome, depth_of, memorized};
use crate::error::EvaluationError;
use crate::evaluate::{Argument, Cursor, iterator};
use crate::function::{Invocation, Register, is_iterable};
use crate::syntax::Node;
use crate::value::{Key, Value};

pub(super) fn register(library: &mut Register<'_>) {
    for name in ["where", "filter"] {
        library.method(name, "collection: iterable, predicate: lambda", filter);
    }
    for name in ["select", "map"] {
        library.method(name, "collection: iterable, selector: lambda", select);
    }
    library.function("#operator_.", "collection: iterable, attribute: keyword", attribute);
    library.method("skip", "collection: iterable, count: int", skip);
    for name in ["limit", "take"] {
        library.method(name, "collection: iterable, count: int", limit);
    }
    library.extension("distinct", "collection: iterable, keySelector: lambda = null", distinct);
    library.extension("enumerate", "collection: iterable, start: int? = 0", enumerate);
    library.method("selectMany", "collection: iterable, selector: lambda", select_many);
    library.method("takeWhile", "collection: iterable, predicate: lambda", take_while);
    library.method("skipWhile", "collection: iterable, predicate: lambda", skip_while);
    library.method("memorize", "collection: iterable", |call| Ok(memorized(call.value(0))));
    library.function("isIterable", "value: any?", |call| Ok(Value::Bool(is_iterable(&call.value(0)))));
}

fn filter(call: &mut Invocation<'_, '_>) -> Outcome {
    let predicate = call.optional_lambda(1);
    let depth = depth_of(&[&call.value(0)], predicate.as_slice());
    let mut cursor = call.cursor(0)?;
    Ok(iterator("filter", depth, move |evaluator| {
        while let Some(item) = cursor.next(evaluator)? {
            let wanted = match &predicate {
                Some(predicate) => predicate.call(evaluator, std::slice::from_ref(&item))?.is_true(),
                None => item.is_true(),
            };
            if wanted {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }))
}

fn select(call: &mut Invocation<'_, '_>) -> Outcome {
    let selector = call.lambda(1)?;
    let depth = depth_of(&[&call.value(0)], std::slice::from_ref(&selector));
    let mut cursor = call.cursor(0)?;
    Ok(iterator("map", depth, move |evaluator| match cursor.next(evaluator)? {
        Some(item) => Ok(Some(selector.call(evaluator, &[item])?)),
        None => Ok(None),
    }))
}

/// `collection.name` is that of each element.
fn attribute(call: &mut Invocation<'_, '_>) -> Outcome {
    let name = Arc::new(Node::Keyword(call.text(1)));
    let context = Arc::clone(&call.context);
    let depth = depth_of(&[&call.value(0)], &[]).max(context.depth());
    let mut cursor = call.cursor(0)?;
    Ok(iterator("map", depth, move |evaluator| {
        let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
        let arguments = vec![Argument::Value(item), Argument::Node(Arc::clone(&name))];
        evaluator.call("#operator_.", &context, None, arguments, Vec::new()).map(Some)
    }))
}

/// A number of elements, which Python does not take below zero.
pub(super) fn count(call: &Invocation<'_, '_>, index: usize, name: &str) -> Result<usize, EvaluationError> {
    usize::try_from(call.int(index)).map_err(|_| {
        let message = format!("{name} must be None or an integer: 0 <= x <= sys.maxsize.");
        EvaluationError::of_value(message)
    })
}

fn skip(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut left = count(call, 1, "Indices for islice()")?;
    let depth = depth_of(&[&call.value(0)], &[]);
    let mut cursor = call.cursor(0)?;
    Ok(iterator("itertools.islice", depth, move |evaluator| {
        while left > 0 {
            left -= 1;
            if cursor.next(evaluator)?.is_none() {
                return Ok(None);
            }
        }
        cursor.next(evaluator)
    }))
}

fn limit(call: &mut Invocation<'_, '_>) -> Outcome {
    let left = count(call, 1, "Stop argument for islice()")?;
    Ok(first_of(call.cursor(0)?, depth_of(&[&call.value(0)], &[]), left))
}

/// The next elements of what is read, as many as there are or `left`.
fn first_of(mut cursor: Cursor, depth: u32, mut left: usize) -> Value {
    iterator("itertools.islice", depth, move |evaluator| {
        if left == 0 {
            return Ok(None);
        }
        left -= 1;
        cursor.next(evaluator)
    })
}

fn distinct(call: &mut Invocation<'_, '_>) -> Outcome {
    let key_of = call.optional_lambda(1);
    let depth = depth_of(&[&call.value(0)], key_of.as_slice());
    let mut cursor = call.cursor(0)?;
    let mut known: IndexSet<Key> = IndexSet::new();
    Ok(iterator("generator", depth, move |evaluator| {
        while let Some(item) = cursor.next(evaluator)? {
            let key = match &key_of {
                Some(key_of) => key_of.call(evaluator, std::slice::from_ref(&item))?,
                None => item.clone(),
            };
            if known.insert(evaluator.key(&key)?) {
                evaluator.use_memory(2 * size_of::<Value>() as u64)?;
                return Ok(Some(item));
            }
        }
        Ok(None)
    }))
}

fn enumerate(call: &mut Invocation<'_, '_>) -> Outcome {
    if call.value(1).is_null() {
        return Err(EvaluationError::of_type("'NoneType' object cannot be interpreted as an integer"));
    }
    let mut number = call.int(1);
    let depth = depth_of(&[&call.value(0)], &[]);
    let mut cursor = call.cursor(0)?;
    Ok(iterator("generator", depth, move |evaluator| {
        let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
        number += 1;
        Ok(Some(Value::list(vec![Value::Int(number - 1), item])))
    }))
}

fn select_many(call: &mut Invocation<'_, '_>) -> Outcome {
    let selector = call.lambda(1)?;
    let depth = depth_of(&[&call.value(0)], std::slice::from_ref(&selector));
    let mut cursor = call.cursor(0)?;
    let mut open: Option<Cursor> = None;
    Ok(iterator("generator", depth, move |evaluator| {
        loop {
            if let Some(inner) = &mut open {
                match inner.next(evaluator)? {
                    Some(item) => return Ok(Some(item)),
                    None => open = None,
                }
            }
            let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
            let selected = selector.call(evaluator, &[item])?;
            if !is_iterable(&selected) {
                return Ok(Some(selected));
            }
            open = Some(Cursor::over(&selected, evaluator)?);
        }
    }))
}

fn take_while(call: &mut Invocation<'_, '_>) -> Outcome {
    let predicate = call.lambda(1)?;
    let depth = depth_of(&[&call.value(0)], std::slice::from_ref(&predicate));
    let mut cursor = call.cursor(0)?;
    Ok(iterator("itertools.takewhile", depth, move |evaluator| {
        let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
        let wanted = predicate.call(evaluator, std::slice::from_ref(&item))?.is_true();
        Ok(wanted.then_some(item))
    }))
}

fn skip_while(call: &mut Invocation<'_, '_>) -> Outcome {
    let predicate = call.lambda(1)?;
    let depth = depth_of(&[&call.value(0)], std::slice::from_ref(&predicate));
    let mut cursor = call.cursor(0)?;
    let mut skipping = true;
    Ok(iterator("itertools.dropwhile", depth, move |evaluator| {
        loop {
            let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
            skipping = skipping && predicate.call(evaluator, std::slice::from_ref(&item))?.is_true();
            if !skipping {
                return Ok(Some(item));
            }
        }
    }))
}
