//! True and false.

use super::Outcome;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.function("#operator_and", "left: lambda, right: lambda", and);
    library.function("#operator_or", "left: lambda, right: lambda", or);
    library.function("#unary_operator_not", "arg: any?", |call| Ok(Value::Bool(!call.value(0).is_true())));
    library.function("bool", "value: any?", |call| Ok(Value::Bool(call.value(0).is_true())));
    library.function("isBoolean", "value: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::Bool(_)))));
}

fn and(call: &mut Invocation<'_, '_>) -> Outcome {
    let left = call.lambda(0)?.call(call.evaluator, &[])?;
    if left.is_true() { call.lambda(1)?.call(call.evaluator, &[]) } else { Ok(left) }
}

fn or(call: &mut Invocation<'_, '_>) -> Outcome {
    let left = call.lambda(0)?.call(call.evaluator, &[])?;
    if left.is_true() { Ok(left) } else { call.lambda(1)?.call(call.evaluator, &[]) }
}
