//! Collections out of nothing.

use std::collections::{HashSet, VecDeque};

use super::super::{Outcome, depth_of};
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, iterator};
use crate::function::{Invocation, Register};
use crate::value::{Key, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.function("range", "stop: int", |call| range(0, call.int(0), 1));
    library
        .function("range", "start: int, stop: int, step: int = 1", |call| range(call.int(0), call.int(1), call.int(2)));
    library.function("sequence", "start: int = 0, step: int = 1", |call| Ok(counted(call.int(0), call.int(1))));
    library.method("repeat", "value: any?, times: int = -1", repeat);
    library.method("cycle", "collection: iterable", cycle);
    library.function(
        "generate",
        "initial: any?, predicate: lambda, producer: lambda, selector: lambda = null, decycle: bool = false",
        generate,
    );
    library.function(
        "generateMany",
        "initial: any?, producer: lambda, selector: lambda = null, decycle: bool = false, depthFirst: bool = false",
        generate_many,
    );
}

fn range(start: i128, stop: i128, step: i128) -> Outcome {
    if step == 0 {
        return Err(EvaluationError::of_value("range() arg 3 must not be zero"));
    }
    let mut next = start;
    Ok(iterator("range_iterator", 0, move |_| {
        let within = if step > 0 { next < stop } else { next > stop };
        let current = within.then_some(Value::Int(next));
        next = next.saturating_add(step);
        Ok(current)
    }))
}

/// Numbers without an end.
pub(in super::super) fn counted(start: i128, step: i128) -> Value {
    let mut next = Some(start);
    iterator("itertools.count", 0, move |_| {
        let Some(current) = next else { return Err(EvaluationError::overflow("the number has more than 128 bits")) };
        next = current.checked_add(step);
        Ok(Some(Value::Int(current)))
    })
}

fn repeat(call: &mut Invocation<'_, '_>) -> Outcome {
    let value = call.value(0);
    let times = call.int(1);
    let mut given = 0;
    Ok(iterator("itertools.repeat", depth_of(&[&value], &[]), move |_| {
        if times >= 0 && given >= times {
            return Ok(None);
        }
        given += 1;
        Ok(Some(value.clone()))
    }))
}

/// The elements again and again.
fn cycle(call: &mut Invocation<'_, '_>) -> Outcome {
    let depth = depth_of(&[&call.value(0)], &[]);
    let mut cursor = Some(call.cursor(0)?);
    let mut known: Vec<Value> = Vec::new();
    let mut at = 0;
    Ok(iterator("itertools.cycle", depth, move |evaluator| {
        if let Some(first) = &mut cursor {
            if let Some(item) = first.next(evaluator)? {
                evaluator.use_memory(size_of::<Value>() as u64)?;
                known.push(item.clone());
                return Ok(Some(item));
            }
            cursor = None;
        }
        let item = known.get(at).cloned();
        at = (at + 1) % known.len().max(1);
        Ok(item)
    }))
}

/// Each value from the one before, as long as the predicate holds.
fn generate(call: &mut Invocation<'_, '_>) -> Outcome {
    let (predicate, producer, selector) = (call.lambda(1)?, call.lambda(2)?, call.optional_lambda(3));
    let lambdas: Vec<_> = [predicate.clone(), producer.clone()].into_iter().chain(selector.clone()).collect();
    let depth = depth_of(&[&call.value(0)], &lambdas);
    let mut known: Option<HashSet<Key>> = call.flag(4).then(HashSet::new);
    let mut current = call.value(0);
    let mut first = true;
    Ok(iterator("generator", depth, move |evaluator| {
        evaluator.step(1)?;
        if !first {
            current = producer.call(evaluator, std::slice::from_ref(&current))?;
        }
        first = false;
        if !predicate.call(evaluator, std::slice::from_ref(&current))?.is_true() {
            return Ok(None);
        }
        if let Some(known) = &mut known {
            evaluator.use_memory(size_of::<Value>() as u64)?;
            if !known.insert(evaluator.key(&current)?) {
                return Ok(None);
            }
        }
        match &selector {
            Some(selector) => selector.call(evaluator, std::slice::from_ref(&current)).map(Some),
            None => Ok(Some(current.clone())),
        }
    }))
}

/// Several values from each, those of one before those of another, or deep ones first.
fn generate_many(call: &mut Invocation<'_, '_>) -> Outcome {
    let (producer, selector) = (call.lambda(1)?, call.optional_lambda(2));
    let lambdas: Vec<_> = [producer.clone()].into_iter().chain(selector.clone()).collect();
    let depth = depth_of(&[&call.value(0)], &lambdas);
    let mut known: Option<HashSet<Key>> = call.flag(3).then(HashSet::new);
    let depth_first = call.flag(4);
    let mut waiting = VecDeque::from([call.value(0)]);
    let mut given: Option<Value> = None;
    Ok(iterator("generator", depth, move |evaluator| {
        if let Some(item) = given.take() {
            let produced = producer.call(evaluator, &[item])?;
            let mut cursor = Cursor::over(&produced, evaluator)?;
            let mut more = Vec::new();
            while let Some(item) = cursor.next(evaluator)? {
                evaluator.use_memory(size_of::<Value>() as u64)?;
                more.push(item);
            }
            if depth_first {
                more.into_iter().rev().for_each(|item| waiting.push_front(item));
            } else {
                waiting.extend(more);
            }
        }
        while let Some(item) = waiting.pop_front() {
            evaluator.step(1)?;
            if let Some(known) = &mut known {
                evaluator.use_memory(size_of::<Value>() as u64)?;
                if !known.insert(evaluator.key(&item)?) {
                    continue;
                }
            }
            given = Some(item.clone());
            return match &selector {
                Some(selector) => selector.call(evaluator, &[item]).map(Some),
                None => Ok(Some(item)),
            };
        }
        Ok(None)
    }))
}
