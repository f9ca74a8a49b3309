//! One of several expressions, by conditions.

use super::{Outcome, depth_of};
use crate::evaluate::iterator;
use crate::function::{Bound, Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.add("switch", "*args: mapping", switch, |definition| {
        definition.is_function = true;
        definition.no_names = true;
    });
    library.function("selectCase", "*args: lambda", select_case);
    library.function("selectAllCases", "*args: lambda", select_all_cases);
    library.function("examine", "*args: lambda", examine);
    library.method("switchCase", "case: int, *args: lambda", switch_case);
    library.function("coalesce", "*args: lambda", coalesce);
}

fn switch(call: &mut Invocation<'_, '_>) -> Outcome {
    for rule in call.rest() {
        if let Bound::Rule(rule) = rule
            && rule.source(call.evaluator)?.is_true()
        {
            return rule.destination(call.evaluator);
        }
    }
    Ok(Value::Null)
}

fn select_case(call: &mut Invocation<'_, '_>) -> Outcome {
    let conditions = call.rest_lambdas();
    for (index, condition) in conditions.iter().enumerate() {
        if condition.call(call.evaluator, &[])?.is_true() {
            return Ok(Value::Int(index as i128));
        }
    }
    Ok(Value::Int(conditions.len() as i128))
}

fn select_all_cases(call: &mut Invocation<'_, '_>) -> Outcome {
    let conditions = call.rest_lambdas();
    let depth = depth_of(&[], &conditions);
    let mut next = 0;
    Ok(iterator("generator", depth, move |evaluator| {
        while let Some(condition) = conditions.get(next) {
            next += 1;
            if condition.call(evaluator, &[])?.is_true() {
                return Ok(Some(Value::Int(next as i128 - 1)));
            }
        }
        Ok(None)
    }))
}

fn examine(call: &mut Invocation<'_, '_>) -> Outcome {
    let conditions = call.rest_lambdas();
    let depth = depth_of(&[], &conditions);
    let mut conditions = conditions.into_iter();
    Ok(iterator("generator", depth, move |evaluator| match conditions.next() {
        Some(condition) => Ok(Some(Value::Bool(condition.call(evaluator, &[])?.is_true()))),
        None => Ok(None),
    }))
}

fn switch_case(call: &mut Invocation<'_, '_>) -> Outcome {
    let cases = call.rest_lambdas();
    let case = usize::try_from(call.int(0)).ok().and_then(|case| cases.get(case)).or(cases.last());
    match case {
        Some(case) => case.call(call.evaluator, &[]),
        None => Ok(Value::Null),
    }
}

fn coalesce(call: &mut Invocation<'_, '_>) -> Outcome {
    for alternative in call.rest_lambdas() {
        let value = alternative.call(call.evaluator, &[])?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}
