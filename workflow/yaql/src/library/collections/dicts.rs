//! Dictionaries.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::Outcome;
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, Evaluator};
use crate::function::{Definition, Invocation, Register};
use crate::value::{Dict, Key, Set, Value};

pub(super) fn register(library: &mut Register<'_>) {
    let function = |definition: &mut Definition| {
        definition.is_function = true;
        definition.no_names = true;
    };
    let method = |definition: &mut Definition| {
        definition.is_method = true;
        definition.no_names = true;
    };
    library.add("dict", "*args: rule", from_rules, function);
    library.add("#map", "*args: rule", from_rules, function);
    library.add("dict", "items: iterable", |call| from_pairs(call.evaluator, &call.value(0)), function);
    library.method("toDict", "collection: iterable, keySelector: lambda, valueSelector: lambda = null", to_dict);
    library.function("#operator_.", "dict: dict, key: keyword", required);
    library.function("#indexer", "dict: dict, key: any?", required);
    library.function("#indexer", "dict: dict, key: any?, default: any?", get);
    library.method("get", "dict: dict, key: any?, default: any? = null", get);
    library.add("set", "dict: dict, key: any?, value: any?", set, method);
    library.add("set", "dict: dict, replacements: dict", set_many, method);
    library.add("set", "dict: dict, *args: rule", set_rules, method);
    library.method("keys", "dict: dict", |call| Ok(Value::Set(Arc::new(Set::keys(dict(call, 0))))));
    library.method("values", "dict: dict", |call| Ok(Value::Values(dict(call, 0))));
    library.method("items", "dict: dict", |call| Ok(Value::Set(Arc::new(Set::items(dict(call, 0))))));
    library.method("containsKey", "dict: dict, key: any?", |call| {
        let key = call.evaluator.key(&call.value(1))?;
        Ok(Value::Bool(dict(call, 0).entries().contains_key(&key)))
    });
    library.method("containsValue", "dict: dict, value: any?", contains_value);
    library.function("#operator_+", "left: dict, right: dict", combine);
    library.function("isDict", "arg: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::Dict(_)))));
    library.extension("len", "dict: dict", |call| Ok(Value::Int(dict(call, 0).len() as i128)));
    library.method("delete", "dict: dict, *keys: any?", |call| {
        without(call.evaluator, &dict(call, 0), &Value::tuple(call.rest_values()))
    });
    library.method("deleteAll", "dict: dict, keys: iterable", |call| {
        without(call.evaluator, &dict(call, 0), &call.value(1))
    });
}

/// The dictionary at a place.
fn dict(call: &Invocation<'_, '_>, index: usize) -> Arc<Dict> {
    match call.value(index) {
        Value::Dict(dict) => dict,
        _ => Arc::new(Dict::new(IndexMap::new(), true)),
    }
}

fn frozen(entries: IndexMap<Key, Value>) -> Value {
    Value::Dict(Arc::new(Dict::new(entries, true)))
}

/// Inserts the `key => value`s among the arguments that are left over.
fn insert_rules(call: &Invocation<'_, '_>, entries: &mut IndexMap<Key, Value>) -> Result<(), EvaluationError> {
    for rule in call.rest_values() {
        if let Value::Rule(rule) = rule {
            entries.insert(call.evaluator.key(&rule.0)?, rule.1.clone());
        }
    }
    Ok(())
}

fn from_rules(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut entries = IndexMap::new();
    insert_rules(call, &mut entries)?;
    Ok(frozen(entries))
}

/// A dictionary of keys with their values.
pub(in super::super) fn from_pairs(evaluator: &Evaluator<'_>, pairs: &Value) -> Outcome {
    let mut pairs = Cursor::over(pairs, evaluator)?;
    let mut entries = IndexMap::new();
    while let Some(pair) = pairs.next(evaluator)? {
        let mut pair = Cursor::over(&pair, evaluator)?;
        let mut next = || pair.next(evaluator)?.ok_or_else(|| EvaluationError::stop(""));
        let (key, value) = (next()?, next()?);
        entries.insert(evaluator.key(&key)?, value);
        evaluator.use_memory(2 * size_of::<Value>() as u64)?;
    }
    Ok(frozen(entries))
}

fn to_dict(call: &mut Invocation<'_, '_>) -> Outcome {
    let evaluator = call.evaluator;
    let (key_of, value_of) = (call.lambda(1)?, call.optional_lambda(2));
    let mut items = call.cursor(0)?;
    let mut entries = IndexMap::new();
    while let Some(item) = items.next(evaluator)? {
        let key = key_of.call(evaluator, std::slice::from_ref(&item))?;
        let value = match &value_of {
            Some(value_of) => value_of.call(evaluator, &[item])?,
            None => item,
        };
        entries.insert(evaluator.key(&key)?, value);
        evaluator.use_memory(2 * size_of::<Value>() as u64)?;
    }
    Ok(Value::Dict(Arc::new(Dict::new(entries, false))))
}

fn required(call: &mut Invocation<'_, '_>) -> Outcome {
    let key = call.value(1);
    let found = dict(call, 0).entries().get(&call.evaluator.key(&key)?).cloned();
    found.ok_or_else(|| Invocation::no_key(&key))
}

fn get(call: &mut Invocation<'_, '_>) -> Outcome {
    let key = call.evaluator.key(&call.value(1))?;
    Ok(dict(call, 0).entries().get(&key).cloned().unwrap_or_else(|| call.value(2)))
}

fn set(call: &mut Invocation<'_, '_>) -> Outcome {
    let (key, value) = (call.value(1), call.value(2));
    call.evaluator.check_quotas(&[(1, &call.value(0)), (1, &key), (1, &value)])?;
    let mut entries = dict(call, 0).entries().clone();
    entries.insert(call.evaluator.key(&key)?, value);
    Ok(frozen(entries))
}

fn set_many(call: &mut Invocation<'_, '_>) -> Outcome {
    call.evaluator.check_quotas(&[(1, &call.value(0)), (1, &call.value(1))])?;
    Ok(frozen(merged(&dict(call, 0), &dict(call, 1))))
}

fn set_rules(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut entries = dict(call, 0).entries().clone();
    insert_rules(call, &mut entries)?;
    Ok(frozen(entries))
}

fn merged(left: &Dict, right: &Dict) -> IndexMap<Key, Value> {
    let mut entries = left.entries().clone();
    entries.extend(right.entries().iter().map(|(key, value)| (key.clone(), value.clone())));
    entries
}

fn contains_value(call: &mut Invocation<'_, '_>) -> Outcome {
    let wanted = call.value(1);
    for value in dict(call, 0).entries().values() {
        call.evaluator.step(1)?;
        if call.evaluator.equal(value, &wanted)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn combine(call: &mut Invocation<'_, '_>) -> Outcome {
    call.evaluator.check_quotas(&[(1, &call.value(0)), (1, &call.value(1))])?;
    Ok(frozen(merged(&dict(call, 0), &dict(call, 1))))
}

fn without(evaluator: &Evaluator<'_>, dict: &Dict, keys: &Value) -> Outcome {
    let mut entries = dict.entries().clone();
    let mut keys = Cursor::over(keys, evaluator)?;
    while let Some(key) = keys.next(evaluator)? {
        evaluator.step(entries.len() as u64)?;
        entries.shift_remove(&evaluator.key(&key)?);
    }
    Ok(Value::Dict(Arc::new(Dict::new(entries, false))))
}
