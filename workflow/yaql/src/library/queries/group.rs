//! Elements that have something in common.

use indexmap::IndexMap;

use super::super::{Outcome, depth_of};
use crate::error::EvaluationError;
use crate::evaluate::{Evaluator, Lambda, iterator};
use crate::function::{Invocation, Register};
use crate::value::{Key, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.method(
        "groupBy",
        "collection: iterable, keySelector: lambda, valueSelector: lambda = null, aggregator: lambda = null",
        group_by,
    );
}

fn group_by(call: &mut Invocation<'_, '_>) -> Outcome {
    let evaluator = call.evaluator;
    let (key_of, value_of) = (call.lambda(1)?, call.optional_lambda(2));
    let mut cursor = call.cursor(0)?;
    let mut groups: IndexMap<Key, Vec<Value>> = IndexMap::new();
    while let Some(item) = cursor.next(evaluator)? {
        let value = match &value_of {
            Some(value_of) => value_of.call(evaluator, std::slice::from_ref(&item))?,
            None => item.clone(),
        };
        let key = key_of.call(evaluator, &[item])?;
        groups.entry(evaluator.key(&key)?).or_default().push(value);
        evaluator.use_memory(size_of::<Value>() as u64)?;
    }
    let groups: Vec<(Value, Value)> =
        groups.into_iter().map(|(key, values)| (key.value().clone(), Value::list(values))).collect();
    let aggregator = call.optional_lambda(3);
    let held: Vec<&Value> = groups.iter().flat_map(|(key, values)| [key, values]).collect();
    let depth = depth_of(&held, aggregator.as_slice());
    let mut groups = groups.into_iter();
    let mut aggregation = aggregator.map(|aggregator| Aggregation { aggregator, failure: None, may_fall_back: true });
    Ok(iterator("map", depth, move |evaluator| {
        let Some((key, values)) = groups.next() else { return Ok(None) };
        match &mut aggregation {
            Some(aggregation) => aggregation.apply(evaluator, key, values).map(Some),
            None => Ok(Some(Value::tuple(vec![key, values]))),
        }
    }))
}

/// What makes one value of each group. YAQL before 1.1.1 gave it the key with the values, and wanted the key back with
/// the result; who wrote it so still gets that, if it is plain from the first group on.
struct Aggregation {
    aggregator: Lambda,
    failure: Option<EvaluationError>,
    may_fall_back: bool,
}

impl Aggregation {
    fn apply(&mut self, evaluator: &Evaluator<'_>, key: Value, values: Value) -> Outcome {
        if self.failure.is_none() {
            match self.aggregator.call(evaluator, std::slice::from_ref(&values)) {
                Ok(result) => {
                    if !looks_like_a_pair(evaluator, &values, &result)? {
                        self.may_fall_back = false;
                    }
                    return Ok(Value::tuple(vec![key, result]));
                }
                Err(failure) if may_be_of_the_old_form(&failure) => self.failure = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        if self.may_fall_back {
            let pair = Value::tuple(vec![key, values]);
            match self.aggregator.call(evaluator, &[pair]) {
                Ok(result) if length(&result) == Some(2) => return Ok(result),
                Err(failure) if failure.class() == EvaluationError::BUDGET => return Err(failure),
                Ok(_) | Err(_) => {}
            }
        }
        Err(self.failure.clone().unwrap_or_else(|| EvaluationError::stop("")))
    }
}

fn may_be_of_the_old_form(failure: &EvaluationError) -> bool {
    matches!(failure.class(), "NoMatchingMethodException" | "NoMatchingFunctionException" | "IndexError")
}

/// Whether two values gave two, the first of them unchanged: as if they had been a key and its values.
fn looks_like_a_pair(evaluator: &Evaluator<'_>, values: &Value, result: &Value) -> Result<bool, EvaluationError> {
    let (Value::List(values), Value::List(result)) = (values, result) else { return Ok(false) };
    match (values.items(), result.items()) {
        ([first, _], [same, _]) => evaluator.equal(first, same),
        _ => Ok(false),
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::List(list) => Some(list.items().len()),
        Value::Dict(dict) | Value::Values(dict) => Some(dict.len()),
        Value::Set(set) => Some(set.len()),
        _ => None,
    }
}
