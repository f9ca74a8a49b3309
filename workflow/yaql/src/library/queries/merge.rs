//! Two dictionaries as one.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::{Outcome, to_list};
use crate::error::EvaluationError;
use crate::evaluate::{Evaluator, Lambda};
use crate::function::{Invocation, Register};
use crate::value::{Dict, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.method(
        "mergeWith",
        "dict: dict, another: dict, listMerger: lambda = null, itemMerger: lambda = null, maxLevels: int = 0",
        merge_with,
    );
}

fn merge_with(call: &mut Invocation<'_, '_>) -> Outcome {
    let (Value::Dict(left), Value::Dict(right)) = (call.value(0), call.value(1)) else { return Ok(Value::Null) };
    let merge = Merge { evaluator: call.evaluator, lists: call.optional_lambda(2), items: call.optional_lambda(3) };
    merge.dicts(&left, &right, call.int(4))
}

struct Merge<'e, 'h> {
    evaluator: &'e Evaluator<'h>,
    lists: Option<Lambda>,
    items: Option<Lambda>,
}

impl Merge<'_, '_> {
    /// `levels` is how deep dictionaries are merged; 0 is without an end.
    fn dicts(&self, left: &Dict, right: &Dict, levels: i128) -> Outcome {
        let mut merged = IndexMap::with_capacity(left.len());
        for (key, first) in left.entries() {
            self.evaluator.step(1)?;
            let value = match right.entries().get(key) {
                Some(second) => self.values(first, second, levels)?,
                None => first.clone(),
            };
            merged.insert(key.clone(), value);
        }
        for (key, second) in right.entries() {
            self.evaluator.step(1)?;
            if !merged.contains_key(key) {
                merged.insert(key.clone(), second.clone());
            }
        }
        Ok(Value::Dict(Arc::new(Dict::new(merged, false))))
    }

    fn values(&self, first: &Value, second: &Value, levels: i128) -> Outcome {
        let cannot = || {
            let message = format!("Cannot merge {} with {}", class(first), class(second));
            EvaluationError::of_type(message)
        };
        match second {
            Value::Dict(right) if levels != 1 => {
                let Value::Dict(left) = first else { return Err(cannot()) };
                let levels = if levels == 0 { 0 } else { levels - 1 };
                self.evaluator.nested(|_| self.dicts(left, right, levels))
            }
            Value::List(_) if levels != 1 => {
                if !matches!(first, Value::List(_)) {
                    return Err(cannot());
                }
                match &self.lists {
                    Some(merger) => merger.call(self.evaluator, &[first.clone(), second.clone()]),
                    None => self.distinct(first, second),
                }
            }
            _ => match &self.items {
                Some(merger) => merger.call(self.evaluator, &[first.clone(), second.clone()]),
                None => Ok(second.clone()),
            },
        }
    }

    /// What is in one list or the other, each once.
    fn distinct(&self, first: &Value, second: &Value) -> Outcome {
        let (Value::List(left), Value::List(right)) = (first, second) else { return Ok(Value::Null) };
        if left.kind() != right.kind() {
            let (left, right) = (left.kind().type_name(), right.kind().type_name());
            let message = format!("can only concatenate {left} (not \"{right}\") to {left}");
            return Err(EvaluationError::of_type(message));
        }
        let mut known = IndexMap::new();
        for item in left.items().iter().chain(right.items()) {
            self.evaluator.step(1)?;
            let key = self.evaluator.key(item)?;
            known.entry(key).or_insert_with(|| item.clone());
        }
        to_list(self.evaluator, Value::list(known.into_values().collect()))
    }
}

/// A kind of value as Python's messages have it.
fn class(value: &Value) -> String {
    match value {
        Value::Dict(dict) if dict.frozen() => "<class 'yaql.language.utils.FrozenDict'>".to_owned(),
        value => format!("<class '{}'>", value.type_name()),
    }
}
