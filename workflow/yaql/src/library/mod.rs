//! The functions of YAQL 3.2, a file for each of its groups.

mod boolean;
mod branching;
mod collections;
mod common;
mod datetime;
mod legacy;
mod math;
mod queries;
mod regex;
mod strings;
mod system;

use crate::error::EvaluationError;
use crate::evaluate::{Cursor, Evaluator, Lambda};
use crate::function::{Layer, Register};
use crate::options::Dialect;
use crate::value::{ListKind, Value};
use system::memorized;

/// What a function gives.
type Outcome = Result<Value, EvaluationError>;

/// The standard library.
pub(crate) fn standard(delegates: bool) -> Layer {
    let mut layer = Layer::default();
    let mut library = Register { layer: &mut layer };
    system::register(&mut library, delegates);
    common::register(&mut library);
    boolean::register(&mut library);
    math::register(&mut library);
    collections::register(&mut library);
    queries::register(&mut library);
    branching::register(&mut library);
    strings::register(&mut library);
    regex::register(&mut library);
    datetime::register(&mut library);
    layer
}

/// What is tried when nothing in the standard library takes the arguments.
pub(crate) fn fallbacks() -> Layer {
    let mut layer = Layer::default();
    system::register_fallbacks(&mut Register { layer: &mut layer });
    layer
}

/// The functions of YAQL 0.2.
pub(crate) fn legacy(standard: &Layer, tuples: bool) -> Layer {
    legacy::layer(standard, tuples)
}

/// How deep the deepest of what an iterator holds is.
fn depth_of(values: &[&Value], lambdas: &[Lambda]) -> u32 {
    let values = values.iter().map(|value| value.extent().depth);
    values.chain(lambdas.iter().map(Lambda::depth)).max().unwrap_or(0)
}

/// A collection as the function `toList` makes a list of it: a tuple, or in YAQL 0.2 a list.
fn to_list(evaluator: &Evaluator<'_>, collection: Value) -> Outcome {
    let collection = evaluator.limited(collection)?;
    match &collection {
        _ if evaluator.options().dialect == Dialect::Legacy => Ok(Value::list(evaluator.collect(&collection)?)),
        Value::List(list) if list.kind() == ListKind::Tuple => Ok(collection),
        _ => Ok(Value::tuple(evaluator.collect(&collection)?)),
    }
}

/// Values, with the elements of iterators in their places.
fn flattened(evaluator: &Evaluator<'_>, values: &[Value]) -> Result<Vec<Value>, EvaluationError> {
    let mut items = Vec::new();
    for value in values {
        if !matches!(value, Value::Iterator(_)) {
            items.push(value.clone());
            continue;
        }
        let limited = evaluator.limited(value.clone())?;
        let mut cursor = Cursor::over(&limited, evaluator)?;
        while let Some(item) = cursor.next(evaluator)? {
            evaluator.use_memory(size_of::<Value>() as u64)?;
            match item {
                Value::Iterator(_) => {
                    items.extend(evaluator.nested(|evaluator| flattened(evaluator, &[item]))?);
                }
                item => items.push(item),
            }
        }
    }
    Ok(items)
}
