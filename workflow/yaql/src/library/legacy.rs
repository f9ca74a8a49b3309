//! The functions of YAQL 0.2, where they differ.

use std::sync::Arc;

use super::queries::counted;
use super::{Outcome, depth_of};
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, iterator};
use crate::function::{Bound, Definition, Invocation, Layer, Register};
use crate::syntax::Node;
use crate::value::{List, ListKind, Value};

/// What is a method in the standard library and both here, or the other way round.
const EXTENSIONS: [&str; 10] = ["get", "list", "bool", "int", "float", "select", "where", "join", "sum", "takeWhile"];

/// The functions of YAQL 0.2, over the standard library; with `tuples` also what makes them.
pub(super) fn layer(standard: &Layer, tuples: bool) -> Layer {
    let mut layer = Layer::default();
    let mut library = Register { layer: &mut layer };
    let both = |definition: &mut Definition| {
        definition.is_function = true;
        definition.is_method = true;
        definition.no_names = true;
    };
    if tuples {
        library.function("#operator_=>", "left: expression, right: any?", build_tuple);
        library.method("toList", "collection: iterable", |call| Ok(Value::list(call.collected(0)?)));
        library.function("tuple", "*args: any?", |call| Ok(Value::tuple(call.rest_values())));
    }
    library.add("dict", "*tuples: tuple", dict, both);
    library.add("#map", "*tuples: tuple", dict, both);
    library.function("#indexer", "collection: iterable, indexExpression: lambda", indexer);
    library.extension("range", "start: int, stop: int? = null", range);
    library.add("switch", "value: any?, *conditions: scoped", switch, both);
    library.function("#operator_.", "receiver: context, expr: scopedmethod", dot_context);
    library.add("as", "receiver: any?, *mappings: lambda", as_, |definition| {
        definition.is_method = true;
        definition.no_names = true;
        definition.scoped = true;
    });
    library.function("#operator_.", "dict: dict, key: keyword", |call| match call.value(0) {
        Value::Dict(dict) => Ok(dict.get(&call.value(1))?.cloned().unwrap_or_default()),
        _ => Ok(Value::Null),
    });
    for name in EXTENSIONS {
        for definition in standard.group(name).iter().flat_map(|group| &group.definitions) {
            if !(definition.is_function && definition.is_method) {
                layer.add(Definition { is_function: true, is_method: true, ..Definition::clone(definition) });
            }
        }
    }
    layer.make_exclusive("#indexer");
    layer.make_exclusive("switch");
    layer
}

/// `1 => 2 => 3` is one tuple of three.
fn build_tuple(call: &mut Invocation<'_, '_>) -> Outcome {
    let Some(left) = call.node(0) else { return Ok(Value::Null) };
    let value = call.evaluator.evaluate(&left, None, &call.context)?;
    let mut items = match (&*left, &value) {
        (Node::Call(inner), Value::List(list)) if &*inner.name == "#operator_=>" => list.items().to_vec(),
        _ => vec![value],
    };
    items.push(call.value(1));
    Ok(Value::tuple(items))
}

/// The standard library's `dict()`, of the tuples.
fn dict(call: &mut Invocation<'_, '_>) -> Outcome {
    super::collections::from_pairs(call.evaluator, &Value::tuple(call.rest_values()))
}

fn indexer(call: &mut Invocation<'_, '_>) -> Outcome {
    let collection = call.value(0);
    let index = call.lambda(1)?;
    if let Value::List(_) = &collection
        && let Value::Int(index) = index.call(call.evaluator, &[])?
    {
        return super::collections::element(&collection, index);
    }
    let depth = depth_of(&[&collection], std::slice::from_ref(&index));
    let mut cursor = Cursor::over(&collection, call.evaluator)?;
    Ok(iterator("filter", depth, move |evaluator| {
        while let Some(item) = cursor.next(evaluator)? {
            if index.call(evaluator, std::slice::from_ref(&item))?.is_true() {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }))
}

fn range(call: &mut Invocation<'_, '_>) -> Outcome {
    if call.value(1).is_null() {
        return Ok(counted(call.int(0), 1));
    }
    let (start, stop) = (call.int(0), call.int(1));
    let length = u64::try_from(stop.saturating_sub(start).max(0)).unwrap_or(u64::MAX);
    call.evaluator.use_memory(length.saturating_mul(size_of::<Value>() as u64))?;
    let numbers = (start..stop).map(Value::Int).collect();
    Ok(Value::List(Arc::new(List::new(numbers, ListKind::Range))))
}

/// The two of a tuple or of a rule.
fn two_of(value: &Value, wrong_tuple: &str, wrong_kind: &str) -> Result<(Value, Value), EvaluationError> {
    match value {
        Value::Rule(rule) => Ok((rule.0.clone(), rule.1.clone())),
        Value::List(list) if list.kind() == ListKind::Tuple => match list.items() {
            [first, second] => Ok((first.clone(), second.clone())),
            _ => Err(EvaluationError::of_value(wrong_tuple)),
        },
        _ => Err(EvaluationError::of_value(wrong_kind)),
    }
}

fn switch(call: &mut Invocation<'_, '_>) -> Outcome {
    let context = call.context.child();
    context.set("", call.value(0));
    for condition in call.rest_lambdas() {
        let case = condition.call_in(call.evaluator, &context, &[])?;
        let wrong_kind = "switch() must have tuple or mapping parameters";
        let (condition, value) = two_of(&case, "switch() tuples must be of size 2", wrong_kind)?;
        if condition.is_true() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

/// A method of what the scope was made for, within the scope.
fn dot_context(call: &mut Invocation<'_, '_>) -> Outcome {
    let Value::Context(context) = call.value(0) else { return Ok(Value::Null) };
    call.lambda(1)?.call_on(call.evaluator, &context.get("0"), Some(&context))
}

fn as_(call: &mut Invocation<'_, '_>) -> Outcome {
    let receiver = call.value(0);
    for bound in call.rest() {
        let Bound::Lambda(mapping) = bound else { continue };
        let pair = mapping.call(call.evaluator, std::slice::from_ref(&receiver))?;
        let (value, name) = two_of(&pair, "as() tuples must be of size 2", "as() must have tuple parameters")?;
        let Some(name) = name.as_str() else {
            return Err(Invocation::no_attribute(&name, "startswith"));
        };
        call.context.set(name, value);
    }
    call.context.set("0", receiver);
    Ok(Value::Context(Arc::clone(&call.context)))
}
