//! Sets.

use std::sync::Arc;

use indexmap::IndexSet;

use super::super::{Outcome, flattened};
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, Evaluator};
use crate::function::{Definition, Invocation, Register};
use crate::value::{Key, Set, Unhashable, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.function("isSet", "arg: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::Set(_)))));
    library.function("set", "*args: any?", |call| {
        let items = flattened(call.evaluator, &call.rest_values())?;
        let items = call.evaluator.limited(Value::tuple(items))?;
        new_set(elements(call.evaluator, &items)?)
    });
    library.method("toSet", "collection: iterable", |call| new_set(elements(call.evaluator, &call.value(0))?));
    library.extension("len", "set: set", |call| Ok(Value::Int(set(call, 0).len() as i128)));
    library.function("#operator_<", "left: set, right: set", |call| compared(call, less));
    library.function("#operator_<=", "left: set, right: set", |call| compared(call, Set::within));
    library.function("#operator_>", "left: set, right: set", |call| compared(call, |left, right| less(right, left)));
    library.function("#operator_>=", "left: set, right: set", |call| compared(call, |left, right| right.within(left)));
    library.method("add", "set: set, *values: any?", |call| {
        union(call.evaluator, &*frozen(call, "union")?, &Value::tuple(call.rest_values()))
    });
    library.method("remove", "set: set, *values: any?", |call| {
        let taken = elements(call.evaluator, &Value::tuple(call.rest_values()))?;
        kept(&*frozen(call, "difference")?, |element| !taken.contains(element))
    });
    library.method("union", "left: set, right: set", |call| {
        union(call.evaluator, &*frozen(call, "union")?, &call.value(1))
    });
    library.method("intersect", "left: set, right: set", intersect);
    library.method("difference", "left: set, right: set", difference);
    library.add("#operator_-", "left: set, right: set", difference, |definition: &mut Definition| {
        definition.is_function = true;
    });
    library.method("symmetricDifference", "left: set, right: set", symmetric_difference);
}

type Compare = fn(&Set, &Set) -> Result<bool, Unhashable>;

/// The set at a place.
fn set(call: &Invocation<'_, '_>, index: usize) -> Arc<Set> {
    match call.value(index) {
        Value::Set(set) => set,
        _ => Arc::new(Set::new(IndexSet::new())),
    }
}

/// The set at the first place, unless it is a view of a dictionary, which has no such method.
fn frozen(call: &Invocation<'_, '_>, method: &str) -> Result<Arc<Set>, EvaluationError> {
    let set = set(call, 0);
    if set.frozen().is_none() {
        return Err(Invocation::no_attribute(&Value::Set(set), method));
    }
    Ok(set)
}

fn new_set(elements: IndexSet<Key>) -> Outcome {
    Ok(Value::Set(Arc::new(Set::new(elements))))
}

/// The elements of a collection, each once.
fn elements(evaluator: &Evaluator<'_>, collection: &Value) -> Result<IndexSet<Key>, EvaluationError> {
    let mut cursor = Cursor::over(collection, evaluator)?;
    let mut elements = IndexSet::new();
    while let Some(item) = cursor.next(evaluator)? {
        evaluator.use_memory(2 * size_of::<Value>() as u64)?;
        elements.insert(evaluator.key(&item)?);
    }
    Ok(elements)
}

fn less(left: &Set, right: &Set) -> Result<bool, Unhashable> {
    Ok(left.len() < right.len() && left.within(right)?)
}

fn compared(call: &mut Invocation<'_, '_>, compare: Compare) -> Outcome {
    let (left, right) = (set(call, 0), set(call, 1));
    call.evaluator.step(left.extent().weight.min(right.extent().weight))?;
    Ok(Value::Bool(compare(&left, &right)?))
}

/// A set with the elements of a collection as well.
pub(super) fn union(evaluator: &Evaluator<'_>, set: &Set, more: &Value) -> Outcome {
    let mut all = set.frozen().cloned().unwrap_or_default();
    evaluator.step(all.len() as u64)?;
    all.extend(elements(evaluator, more)?);
    new_set(all)
}

fn kept(set: &Set, keep: impl Fn(&Key) -> bool) -> Outcome {
    new_set(set.frozen().into_iter().flatten().filter(|element| keep(element)).cloned().collect())
}

fn intersect(call: &mut Invocation<'_, '_>) -> Outcome {
    let other = elements(call.evaluator, &call.value(1))?;
    kept(&*frozen(call, "intersection")?, |element| other.contains(element))
}

fn difference(call: &mut Invocation<'_, '_>) -> Outcome {
    let other = elements(call.evaluator, &call.value(1))?;
    kept(&*frozen(call, "difference")?, |element| !other.contains(element))
}

fn symmetric_difference(call: &mut Invocation<'_, '_>) -> Outcome {
    let set = frozen(call, "symmetric_difference")?;
    let own = set.frozen().cloned().unwrap_or_default();
    let other = elements(call.evaluator, &call.value(1))?;
    let only = own.symmetric_difference(&other).cloned().collect();
    new_set(only)
}
