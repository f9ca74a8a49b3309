//! Collections in pieces.

use super::super::collections::slice;
use super::super::{Outcome, depth_of, to_list};
use super::select::count;
use crate::evaluate::iterator;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.method("slice", "collection: iterable, length: int", pieces);
    library.method("splitWhere", "collection: iterable, predicate: lambda", split_where);
    library.method("sliceWhere", "collection: iterable, predicate: lambda", slice_where);
    library.method("splitAt", "collection: iterable, index: int", split_at);
}

/// Pieces of the same length; the last may be shorter.
fn pieces(call: &mut Invocation<'_, '_>) -> Outcome {
    let length = count(call, 1, "Stop argument for islice()");
    let depth = depth_of(&[&call.value(0)], &[]);
    let mut cursor = call.cursor(0)?;
    Ok(iterator("generator", depth, move |evaluator| {
        let length = length.clone()?;
        let mut piece = Vec::new();
        while piece.len() < length {
            let Some(item) = cursor.next(evaluator)? else { break };
            evaluator.use_memory(size_of::<Value>() as u64)?;
            piece.push(item);
        }
        if piece.is_empty() {
            return Ok(None);
        }
        to_list(evaluator, Value::list(piece)).map(Some)
    }))
}

/// Pieces between elements that the predicate wants, which are in none.
fn split_where(call: &mut Invocation<'_, '_>) -> Outcome {
    let predicate = call.lambda(1)?;
    let depth = depth_of(&[&call.value(0)], std::slice::from_ref(&predicate));
    let collection = call.value(0);
    let mut list: Option<Value> = None;
    let (mut start, mut end) = (0, 0);
    Ok(iterator("generator", depth, move |evaluator| {
        let list = match &list {
            Some(list) => list.clone(),
            None => list.insert(to_list(evaluator, collection.clone())?).clone(),
        };
        let Value::List(items) = &list else { return Ok(None) };
        while let Some(item) = items.items().get(end) {
            evaluator.step(1)?;
            let found = predicate.call(evaluator, std::slice::from_ref(item))?.is_true();
            end += 1;
            if found {
                let piece = slice(&list, start, Some(end as i128 - 1));
                start = end as i128;
                return Ok(Some(piece));
            }
        }
        let piece = (start != end as i128).then(|| slice(&list, start, None));
        start = end as i128;
        Ok(piece)
    }))
}

/// Pieces of which the predicate says the same.
fn slice_where(call: &mut Invocation<'_, '_>) -> Outcome {
    let predicate = call.lambda(1)?;
    let depth = depth_of(&[&call.value(0)], std::slice::from_ref(&predicate));
    let collection = call.value(0);
    let mut list: Option<Value> = None;
    let (mut start, mut end) = (0, 0);
    let mut said: Option<Value> = None;
    Ok(iterator("generator", depth, move |evaluator| {
        let list = match &list {
            Some(list) => list.clone(),
            None => list.insert(to_list(evaluator, collection.clone())?).clone(),
        };
        let Value::List(items) = &list else { return Ok(None) };
        while let Some(item) = items.items().get(end) {
            evaluator.step(1)?;
            let says = predicate.call(evaluator, std::slice::from_ref(item))?;
            let differs = match &said {
                Some(said) => !evaluator.equal(said, &says)?,
                None => false,
            };
            said = Some(says);
            end += 1;
            if differs {
                let piece = slice(&list, start, Some(end as i128 - 1));
                start = end as i128 - 1;
                return Ok(Some(piece));
            }
        }
        let piece = (start != end as i128).then(|| slice(&list, start, None));
        start = end as i128;
        Ok(piece)
    }))
}

fn split_at(call: &mut Invocation<'_, '_>) -> Outcome {
    let list = to_list(call.evaluator, call.value(0))?;
    let index = call.int(1);
    Ok(Value::list(vec![slice(&list, 0, Some(index)), slice(&list, index, None)]))
}
