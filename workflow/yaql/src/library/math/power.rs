//! Powers.

use super::super::Outcome;
use super::{Pair, float, no_division, pair, whole};
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.function("pow", "a: number, b: number, c: number? = null", pow);
}

fn pow(call: &mut Invocation<'_, '_>) -> Outcome {
    if !call.value(2).is_null() {
        return modular(call);
    }
    match pair(call) {
        Pair::Ints(base, exponent) if exponent >= 0 => whole(match (base, u32::try_from(exponent)) {
            (0 | 1, _) => Some(if exponent == 0 { 1 } else { base }),
            (-1, _) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
            (_, Ok(exponent)) => base.checked_pow(exponent),
            (_, Err(_)) => None,
        }),
        Pair::Ints(..) => floats(float(&call.value(0)), float(&call.value(1))),
        Pair::Floats(base, exponent) => floats(base, exponent),
    }
}

fn floats(base: f64, exponent: f64) -> Outcome {
    if base == 0.0 && exponent < 0.0 {
        return Err(no_division("0.0 cannot be raised to a negative power"));
    }
    let power = base.powf(exponent);
    if power.is_nan() && !base.is_nan() && !exponent.is_nan() {
        let message = "a negative number to a fractional power is a complex number, which is not supported";
        return Err(EvaluationError::of_value(message));
    }
    if power.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(EvaluationError::overflow("(34, 'Numerical result out of range')"));
    }
    Ok(Value::Float(power))
}

/// `a` to the power of `b`, modulo `c`.
fn modular(call: &Invocation<'_, '_>) -> Outcome {
    let (Value::Int(base), Value::Int(exponent), Value::Int(modulus)) = (call.value(0), call.value(1), call.value(2))
    else {
        let message = "pow() 3rd argument not allowed unless all arguments are integers";
        return Err(EvaluationError::of_type(message));
    };
    if modulus == 0 {
        return Err(EvaluationError::of_value("pow() 3rd argument cannot be 0"));
    }
    let size = modulus.unsigned_abs();
    // The product of two of these fits.
    if size > u128::from(u64::MAX) {
        return Err(EvaluationError::overflow("the modulus of pow() has more than 64 bits"));
    }
    let reduced = base.rem_euclid(size as i128).unsigned_abs();
    let (base, exponent) = match exponent {
        0.. => (reduced, exponent.unsigned_abs()),
        _ => (inverse(reduced, size)?, exponent.unsigned_abs()),
    };
    let power = power_modulo(base, exponent, size) as i128;
    Ok(Value::Int(if modulus < 0 && power != 0 { power + modulus } else { power }))
}

fn power_modulo(mut base: u128, mut exponent: u128, modulus: u128) -> u128 {
    let mut power = 1 % modulus;
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    power
}

/// What gives 1 if it is multiplied with `value`.
fn inverse(value: u128, modulus: u128) -> Result<u128, EvaluationError> {
    let size = modulus as i128;
    let (mut rest, mut next_rest) = (size, value as i128);
    let (mut factor, mut next_factor) = (0_i128, 1_i128);
    while next_rest != 0 {
        let quotient = rest / next_rest;
        (rest, next_rest) = (next_rest, rest - quotient * next_rest);
        (factor, next_factor) = (next_factor, factor - quotient * next_factor);
    }
    if rest != 1 {
        return Err(EvaluationError::of_value("base is not invertible for the given modulus"));
    }
    Ok(factor.rem_euclid(size).unsigned_abs())
}
