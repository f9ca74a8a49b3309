//! Numbers, as Python computes with them.

mod convert;
mod power;

use std::cmp::Ordering;

use super::Outcome;
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::{Value, compare_int_float};

pub(super) fn register(library: &mut Register<'_>) {
    for (name, native) in [
        ("#operator_+", plus as crate::function::Native),
        ("#operator_-", minus),
        ("#operator_*", times),
        ("#operator_/", divide),
        ("#operator_mod", modulo),
        ("#operator_>", |call| compare(call, Ordering::is_gt)),
        ("#operator_>=", |call| compare(call, Ordering::is_ge)),
        ("#operator_<", |call| compare(call, Ordering::is_lt)),
        ("#operator_<=", |call| compare(call, Ordering::is_le)),
    ] {
        library.function(name, "left: number, right: number", native);
    }
    library.function("#unary_operator_+", "op: number", |call| Ok(call.value(0)));
    library.function("#unary_operator_-", "op: number", negate);
    library.function("abs", "op: number", absolute);
    library.function("sign", "num: number", sign);
    library.function("bitwiseAnd", "left: int, right: int", |call| bitwise(call, |left, right| left & right));
    library.function("bitwiseOr", "left: int, right: int", |call| bitwise(call, |left, right| left | right));
    library.function("bitwiseXor", "left: int, right: int", |call| bitwise(call, |left, right| left ^ right));
    library.function("bitwiseNot", "arg: int", |call| Ok(Value::Int(!call.int(0))));
    library.function("shiftBitsRight", "value: int, bitsNumber: int", shift_right);
    library.function("shiftBitsLeft", "value: int, bitsNumber: int", shift_left);
    library.function("max", "a: any?, b: any?", |call| larger(call, true));
    library.function("min", "a: any?, b: any?", |call| larger(call, false));
    library.function("random", "", random);
    library.function("random", "from: any?, to: any?", random_between);
    library.function("isInteger", "value: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::Int(_)))));
    library.function("isNumber", "value: any?", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::Int(_) | Value::Float(_))))
    });
    convert::register(library);
    power::register(library);
}

/// Two numbers, both whole or both not.
enum Pair {
    Ints(i128, i128),
    Floats(f64, f64),
}

fn pair(call: &Invocation<'_, '_>) -> Pair {
    match (call.value(0), call.value(1)) {
        (Value::Int(left), Value::Int(right)) => Pair::Ints(left, right),
        (left, right) => Pair::Floats(float(&left), float(&right)),
    }
}

/// A number as a float.
#[expect(clippy::cast_precision_loss, reason = "as Python rounds")]
fn float(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        _ => 0.0,
    }
}

/// The result of whole numbers, if it is not too large for one.
pub(super) fn whole(result: Option<i128>) -> Outcome {
    result
        .map(Value::Int)
        .ok_or_else(|| EvaluationError::overflow("the result is a whole number of more than 128 bits"))
}

fn no_division(message: &str) -> EvaluationError {
    EvaluationError::new("ZeroDivisionError", message)
}

fn plus(call: &mut Invocation<'_, '_>) -> Outcome {
    match pair(call) {
        Pair::Ints(left, right) => whole(left.checked_add(right)),
        Pair::Floats(left, right) => Ok(Value::Float(left + right)),
    }
}

fn minus(call: &mut Invocation<'_, '_>) -> Outcome {
    match pair(call) {
        Pair::Ints(left, right) => whole(left.checked_sub(right)),
        Pair::Floats(left, right) => Ok(Value::Float(left - right)),
    }
}

fn times(call: &mut Invocation<'_, '_>) -> Outcome {
    match pair(call) {
        Pair::Ints(left, right) => whole(left.checked_mul(right)),
        Pair::Floats(left, right) => Ok(Value::Float(left * right)),
    }
}

/// Whole numbers are divided to the next lower one.
fn divide(call: &mut Invocation<'_, '_>) -> Outcome {
    match pair(call) {
        Pair::Ints(_, 0) => Err(no_division("integer division or modulo by zero")),
        Pair::Ints(left, right) => {
            let quotient = left.checked_div(right);
            let inexact = left.checked_rem(right).is_some_and(|rest| rest != 0);
            whole(quotient.map(|quotient| quotient - i128::from(inexact && (left < 0) != (right < 0))))
        }
        Pair::Floats(_, 0.0) => Err(no_division("float division by zero")),
        Pair::Floats(left, right) => Ok(Value::Float(left / right)),
    }
}

/// The rest has the sign of the divisor.
fn modulo(call: &mut Invocation<'_, '_>) -> Outcome {
    match pair(call) {
        Pair::Ints(_, 0) => Err(no_division("integer modulo by zero")),
        Pair::Ints(_, -1) => Ok(Value::Int(0)),
        Pair::Ints(left, right) => {
            let rest = left % right;
            Ok(Value::Int(if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest }))
        }
        Pair::Floats(_, 0.0) => Err(no_division("float modulo")),
        Pair::Floats(left, right) => {
            let rest = left % right;
            let rest = if rest == 0.0 {
                0.0_f64.copysign(right)
            } else if (rest < 0.0) != (right < 0.0) {
                rest + right
            } else {
                rest
            };
            Ok(Value::Float(rest))
        }
    }
}

fn compare(call: &mut Invocation<'_, '_>, holds: fn(Ordering) -> bool) -> Outcome {
    let order = match (call.value(0), call.value(1)) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
        (Value::Int(left), Value::Float(right)) => compare_int_float(left, right),
        (Value::Float(left), Value::Int(right)) => compare_int_float(right, left).map(Ordering::reverse),
        (left, right) => float(&left).partial_cmp(&float(&right)),
    };
    Ok(Value::Bool(order.is_some_and(holds)))
}

fn negate(call: &mut Invocation<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Int(value) => whole(value.checked_neg()),
        value => Ok(Value::Float(-float(&value))),
    }
}

fn absolute(call: &mut Invocation<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Int(value) => whole(value.checked_abs()),
        value => Ok(Value::Float(float(&value).abs())),
    }
}

fn sign(call: &mut Invocation<'_, '_>) -> Outcome {
    let value = call.value(0);
    let sign = match value {
        Value::Int(value) => value.signum(),
        value if float(&value) > 0.0 => 1,
        value if float(&value) < 0.0 => -1,
        _ => 0,
    };
    Ok(Value::Int(sign))
}

/// Truths stay truths.
fn bitwise(call: &mut Invocation<'_, '_>, combine: fn(i128, i128) -> i128) -> Outcome {
    let combined = combine(call.int(0), call.int(1));
    match (call.value(0), call.value(1)) {
        (Value::Bool(_), Value::Bool(_)) => Ok(Value::Bool(combined != 0)),
        _ => Ok(Value::Int(combined)),
    }
}

fn shift_right(call: &mut Invocation<'_, '_>) -> Outcome {
    let bits = call.int(1);
    if bits < 0 {
        return Err(EvaluationError::of_value("negative shift count"));
    }
    let value = call.int(0);
    Ok(Value::Int(u32::try_from(bits).ok().and_then(|bits| value.checked_shr(bits)).unwrap_or(value >> 127)))
}

fn shift_left(call: &mut Invocation<'_, '_>) -> Outcome {
    let (value, bits) = (call.int(0), call.int(1));
    if bits < 0 {
        return Err(EvaluationError::of_value("negative shift count"));
    }
    if value == 0 {
        return Ok(Value::Int(0));
    }
    let shifted = u32::try_from(bits).ok().and_then(|bits| value.checked_shl(bits).filter(|s| s >> bits == value));
    whole(shifted)
}

fn larger(call: &mut Invocation<'_, '_>, larger: bool) -> Outcome {
    let (first, second) = (call.value(0), call.value(1));
    let second_is_larger = call.delegate("#operator_>", vec![second.clone(), first.clone()])?.is_true();
    Ok(if second_is_larger == larger { second } else { first })
}

fn random_bits(call: &Invocation<'_, '_>) -> Result<u64, EvaluationError> {
    call.evaluator.host().random().ok_or_else(|| {
        EvaluationError::new("NotSupportedException", "random() is refused: there are no random numbers here")
    })
}

#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn random(call: &mut Invocation<'_, '_>) -> Outcome {
    const FRACTION_BITS: u32 = 53;
    Ok(Value::Float((random_bits(call)? >> (64 - FRACTION_BITS)) as f64 / (1_u64 << FRACTION_BITS) as f64))
}

fn random_between(call: &mut Invocation<'_, '_>) -> Outcome {
    let (Value::Int(from), Value::Int(to)) = (call.value(0), call.value(1)) else {
        let message = format!("'{}' object cannot be interpreted as an integer", call.value(0).type_name());
        return Err(EvaluationError::of_type(message));
    };
    let width = to.checked_sub(from).and_then(|width| width.checked_add(1));
    match width {
        Some(width) if width > 0 => Ok(Value::Int(from + i128::from(random_bits(call)?) % width)),
        _ => Err(EvaluationError::of_value(format!(
            "empty range for randrange() ({from}, {}, {})",
            to + 1,
            to - from + 1
        ))),
    }
}
