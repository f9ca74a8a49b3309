//! Collections with elements put in, taken out or replaced.

use super::super::{Outcome, depth_of};
use crate::evaluate::{Cursor, iterator};
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.method("delete", "collection: iterable, position: int, count: int = 1", delete);
    library.method("replace", "collection: iterable, position: int, value: any?, count: int = 1", replace);
    library.method(
        "replaceMany",
        "collection: iterable, position: int, values: iterable, count: int = 1",
        replace_many,
    );
    library.method("insert", "collection: noset, position: int, value: any?", insert);
    library.method("insert", "collection: sequence, position: int, value: any?", insert_into_list);
    library.method("insertMany", "collection: iterable, position: int, values: iterable", insert_many);
}

/// Whether an index is one of `count` from `position` on; a count below zero means all.
fn covered(index: i128, position: i128, count: i128) -> bool {
    index >= position && (count < 0 || index < position.saturating_add(count))
}

fn delete(call: &mut Invocation<'_, '_>) -> Outcome {
    let (position, count) = (call.int(1), call.int(2));
    let depth = depth_of(&[&call.value(0)], &[]);
    let mut cursor = call.cursor(0)?;
    let mut index = -1;
    Ok(iterator("generator", depth, move |evaluator| {
        loop {
            let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
            index += 1;
            if !covered(index, position, count) {
                return Ok(Some(item));
            }
        }
    }))
}

fn replace(call: &mut Invocation<'_, '_>) -> Outcome {
    let values = Value::tuple(vec![call.value(2)]);
    replaced(call, values, call.int(3))
}

fn replace_many(call: &mut Invocation<'_, '_>) -> Outcome {
    replaced(call, call.value(2), call.int(3))
}

fn replaced(call: &Invocation<'_, '_>, values: Value, count: i128) -> Outcome {
    let position = call.int(1);
    let depth = depth_of(&[&call.value(0), &values], &[]);
    let mut cursor = call.cursor(0)?;
    let mut index = -1;
    let mut values = Some(values);
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
            index += 1;
            if !covered(index, position, count) {
                return Ok(Some(item));
            }
            if let Some(values) = values.take() {
                open = Some(Cursor::over(&values, evaluator)?);
            }
        }
    }))
}

fn insert(call: &mut Invocation<'_, '_>) -> Outcome {
    inserted(call, Value::tuple(vec![call.value(2)]), false)
}

fn insert_many(call: &mut Invocation<'_, '_>) -> Outcome {
    inserted(call, call.value(2), true)
}

/// Behind the end, what is to be put in comes last; before the start, nowhere, or first.
fn inserted(call: &Invocation<'_, '_>, values: Value, at_start: bool) -> Outcome {
    let position = call.int(1);
    let depth = depth_of(&[&call.value(0), &values], &[]);
    let mut cursor = call.cursor(0)?;
    let mut index: i128 = -1;
    let mut held: Option<Value> = None;
    let mut open = if at_start && position < 0 { Some(Cursor::over(&values, call.evaluator)?) } else { None };
    let mut ended = false;
    Ok(iterator("generator", depth, move |evaluator| {
        loop {
            if let Some(inner) = &mut open {
                match inner.next(evaluator)? {
                    Some(item) => return Ok(Some(item)),
                    None => open = None,
                }
            }
            if let Some(item) = held.take() {
                return Ok(Some(item));
            }
            if ended {
                return Ok(None);
            }
            match cursor.next(evaluator)? {
                Some(item) => {
                    index += 1;
                    if index != position {
                        return Ok(Some(item));
                    }
                    held = Some(item);
                    open = Some(Cursor::over(&values, evaluator)?);
                }
                None => {
                    ended = true;
                    if position > index {
                        open = Some(Cursor::over(&values, evaluator)?);
                    }
                }
            }
        }
    }))
}

fn insert_into_list(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut items = call.collected(0)?;
    let length = items.len() as i128;
    let position = call.int(1);
    let at = if position < 0 { position + length } else { position }.clamp(0, length);
    items.insert(usize::try_from(at).unwrap_or(0), call.value(2));
    Ok(Value::list(items))
}
