//! Lists: making them, their elements, and whatever else can be read element by element.

use std::collections::VecDeque;

use super::super::{Outcome, depth_of, flattened, to_list};
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, Evaluator, iterator};
use crate::function::{Invocation, Register, is_iterable};
use crate::value::{ListKind, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.function("list", "*args: any?", |call| {
        let items = flattened(call.evaluator, &call.rest_values())?;
        to_list(call.evaluator, Value::tuple(items))
    });
    library.function("#list", "*args: any?", build_list);
    library.method("flatten", "collection: iterable", flatten);
    library.method("toList", "collection: iterable", |call| {
        let collection = call.value(0);
        match &collection {
            Value::List(list) if list.kind() == ListKind::Tuple => Ok(collection),
            _ => Ok(Value::tuple(call.collected(0)?)),
        }
    });
    library.function("#indexer", "list: sequence, index: int", list_indexer);
    library.function("#operator_in", "value: any?, collection: iterable", |call| {
        within(call.evaluator, &call.value(0), &call.value(1)).map(Value::Bool)
    });
    library.method("contains", "collection: iterable, value: any?", |call| {
        within(call.evaluator, &call.value(1), &call.value(0)).map(Value::Bool)
    });
    library.function("#operator_+", "left: iterable, right: iterable", combine);
    library.function("#operator_*", "left: sequence, right: int", |call| repeat(call, &call.value(0), call.int(1)));
    library.function("#operator_*", "left: int, right: sequence", |call| repeat(call, &call.value(1), call.int(0)));
    library.function("isList", "arg: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::List(_)))));
    library.extension("len", "sequence: sequence", |call| match call.value(0) {
        Value::List(list) => Ok(Value::Int(list.items().len() as i128)),
        _ => Ok(Value::Int(0)),
    });
}

fn build_list(call: &mut Invocation<'_, '_>) -> Outcome {
    let items = call.rest_values();
    let sizes: Vec<_> = items.iter().map(|item| (1, item)).collect();
    call.evaluator.check_quotas(&sizes)?;
    Ok(Value::tuple(items))
}

/// Collections in collections, at any depth, as one.
fn flatten(call: &mut Invocation<'_, '_>) -> Outcome {
    let collection = call.value(0);
    let depth = depth_of(&[&collection], &[]);
    let mut open = vec![Cursor::over(&collection, call.evaluator)?];
    Ok(iterator("generator", depth, move |evaluator| {
        while let Some(inner) = open.last_mut() {
            match inner.next(evaluator)? {
                None => {
                    open.pop();
                }
                Some(item) if is_iterable(&item) => {
                    evaluator.use_memory(size_of::<Cursor>() as u64)?;
                    open.push(Cursor::over(&item, evaluator)?);
                }
                Some(item) => return Ok(Some(item)),
            }
        }
        Ok(None)
    }))
}

fn list_indexer(call: &mut Invocation<'_, '_>) -> Outcome {
    element(&call.value(0), call.int(1))
}

/// The element of a list at an index; one below zero counts from the end.
pub(in super::super) fn element(list: &Value, index: i128) -> Outcome {
    let Value::List(list) = list else { return Ok(Value::Null) };
    let length = list.items().len() as i128;
    let at = if index < 0 { index + length } else { index };
    usize::try_from(at).ok().and_then(|at| list.items().get(at)).cloned().ok_or_else(|| {
        let kind = match list.kind() {
            ListKind::Range => "range object",
            kind => kind.type_name(),
        };
        EvaluationError::new("IndexError", format!("{kind} index out of range"))
    })
}

/// The elements of a list from `start` to `end`, which may lie outside of it.
pub(in super::super) fn slice(list: &Value, start: i128, end: Option<i128>) -> Value {
    let Value::List(list) = list else { return Value::Null };
    let length = list.items().len() as i128;
    let place = |index: i128| {
        let index = if index < 0 { index + length } else { index };
        usize::try_from(index.clamp(0, length)).unwrap_or(0)
    };
    let (start, end) = (place(start), end.map_or(list.items().len(), place));
    let items = list.items().get(start..end).unwrap_or_default().to_vec();
    match list.kind() {
        ListKind::Tuple => Value::tuple(items),
        ListKind::List | ListKind::Range => Value::list(items),
    }
}

/// Whether a collection has an element; an iterator is read up to it.
pub(super) fn within(evaluator: &Evaluator<'_>, value: &Value, collection: &Value) -> Result<bool, EvaluationError> {
    match collection {
        Value::Set(set) => {
            evaluator.step(value.extent().weight)?;
            Ok(set.contains(value)?)
        }
        Value::Dict(dict) => Ok(dict.get(evaluator.key(value)?.value())?.is_some()),
        _ => {
            let mut cursor = Cursor::over(collection, evaluator)?;
            while let Some(item) = cursor.next(evaluator)? {
                if evaluator.equal(&item, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn combine(call: &mut Invocation<'_, '_>) -> Outcome {
    let (left, right) = (call.value(0), call.value(1));
    match (&left, &right) {
        (Value::List(one), Value::List(other)) if one.kind() == ListKind::Tuple && other.kind() == ListKind::Tuple => {
            call.evaluator.check_quotas(&[(1, &left), (1, &right)])?;
            Ok(Value::tuple(one.items().iter().chain(other.items()).cloned().collect()))
        }
        (Value::Set(one), Value::Set(other)) if one.frozen().is_some() && other.frozen().is_some() => {
            call.evaluator.check_quotas(&[(1, &left), (1, &right)])?;
            super::sets::union(call.evaluator, one, &right)
        }
        _ => Ok(chain(vec![left, right])),
    }
}

/// Collections one after the other.
pub(in super::super) fn chain(collections: Vec<Value>) -> Value {
    let depth = depth_of(&collections.iter().collect::<Vec<_>>(), &[]);
    let mut waiting: VecDeque<Value> = collections.into();
    let mut current: Option<Cursor> = None;
    iterator("itertools.chain", depth, move |evaluator| {
        loop {
            if let Some(cursor) = &mut current
                && let Some(item) = cursor.next(evaluator)?
            {
                return Ok(Some(item));
            }
            let Some(next) = waiting.pop_front() else { return Ok(None) };
            current = Some(Cursor::over(&next, evaluator)?);
        }
    })
}

fn repeat(call: &Invocation<'_, '_>, list: &Value, times: i128) -> Outcome {
    let Value::List(items) = list else { return Ok(Value::Null) };
    call.evaluator.check_quotas(&[(1 - times, &Value::list(Vec::new())), (times, list)])?;
    let length = u64::try_from(times.max(0)).unwrap_or(u64::MAX).saturating_mul(items.items().len() as u64);
    call.evaluator.use_memory(length.saturating_mul(size_of::<Value>() as u64))?;
    let mut repeated = Vec::new();
    for _ in 0..length.checked_div(items.items().len() as u64).unwrap_or(0) {
        repeated.extend_from_slice(items.items());
    }
    Ok(match items.kind() {
        ListKind::Tuple => Value::tuple(repeated),
        ListKind::List | ListKind::Range => Value::list(repeated),
    })
}
