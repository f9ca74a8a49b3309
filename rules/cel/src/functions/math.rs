//! Numbers. Rounding and its kin take doubles only, bits take ints or uints but not both.

use std::cmp::Ordering;

use crate::eval::Cx;
use crate::eval::compare;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, bad_element, global, invalid};
use crate::value::{List, Value};

/// Numbers of arguments of `math.greatest` and `math.least`; more go into a list.
const MANY: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// `math.abs` and its kin.
pub(super) const TABLE: &[Function] = &[
    global("math.abs", &[1], abs),
    global("math.bitAnd", &[2], |_, of| bits("math.bitAnd", of, |a, b| a & b)),
    global("math.bitNot", &[1], bit_not),
    global("math.bitOr", &[2], |_, of| bits("math.bitOr", of, |a, b| a | b)),
    global("math.bitShiftLeft", &[2], |_, of| shift("math.bitShiftLeft", of, u64::checked_shl)),
    global("math.bitShiftRight", &[2], |_, of| shift("math.bitShiftRight", of, u64::checked_shr)),
    global("math.bitXor", &[2], |_, of| bits("math.bitXor", of, |a, b| a ^ b)),
    global("math.ceil", &[1], |_, of| rounded("math.ceil", of, f64::ceil)),
    global("math.floor", &[1], |_, of| rounded("math.floor", of, f64::floor)),
    global("math.greatest", MANY, |cx, of| extreme(cx, "math.greatest", of, Ordering::Greater)),
    global("math.isFinite", &[1], |_, of| property("math.isFinite", of, f64::is_finite)),
    global("math.isInf", &[1], |_, of| property("math.isInf", of, f64::is_infinite)),
    global("math.isNaN", &[1], |_, of| property("math.isNaN", of, f64::is_nan)),
    global("math.least", MANY, |cx, of| extreme(cx, "math.least", of, Ordering::Less)),
    // Halves go away from zero.
    global("math.round", &[1], |_, of| rounded("math.round", of, f64::round)),
    global("math.sign", &[1], sign),
    global("math.sqrt", &[1], sqrt),
    global("math.trunc", &[1], |_, of| rounded("math.trunc", of, f64::trunc)),
];

fn rounded<'a>(name: &'static str, arguments: &[Value<'a>], round: fn(f64) -> f64) -> Answer<'a> {
    let [Value::Double(double)] = arguments else { return Err(Fault::overload(name, arguments)) };
    Ok(Value::Double(round(*double)))
}

fn property<'a>(name: &'static str, arguments: &[Value<'a>], has: fn(f64) -> bool) -> Answer<'a> {
    let [Value::Double(double)] = arguments else { return Err(Fault::overload(name, arguments)) };
    Ok(Value::Bool(has(*double)))
}

fn abs<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "math.abs";
    match arguments {
        [Value::Int(int)] => int.checked_abs().map(Value::Int).ok_or(Fault::Overflow(NAME)),
        [Value::Uint(uint)] => Ok(Value::Uint(*uint)),
        [Value::Double(double)] => Ok(Value::Double(double.abs())),
        _ => Err(Fault::overload(NAME, arguments)),
    }
}

fn sign<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    match arguments {
        [Value::Int(int)] => Ok(Value::Int(int.signum())),
        [Value::Uint(uint)] => Ok(Value::Uint(u64::from(*uint > 0))),
        // NaN stays what it is, and no zero has a sign.
        [Value::Double(double)] if *double == 0.0 => Ok(Value::Double(0.0)),
        [Value::Double(double)] => Ok(Value::Double(double.signum())),
        _ => Err(Fault::overload("math.sign", arguments)),
    }
}

#[allow(clippy::cast_precision_loss)] // Rounded, as cel-go does.
fn sqrt<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let double = match arguments {
        [Value::Int(int)] => *int as f64,
        [Value::Uint(uint)] => *uint as f64,
        [Value::Double(double)] => *double,
        _ => return Err(Fault::overload("math.sqrt", arguments)),
    };
    Ok(Value::Double(double.sqrt()))
}

fn bits<'a>(name: &'static str, arguments: &[Value<'a>], of: fn(u64, u64) -> u64) -> Answer<'a> {
    match arguments {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(of(a.cast_unsigned(), b.cast_unsigned()).cast_signed())),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(of(*a, *b))),
        _ => Err(Fault::overload(name, arguments)),
    }
}

fn bit_not<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    match arguments {
        [Value::Int(int)] => Ok(Value::Int(!int)),
        [Value::Uint(uint)] => Ok(Value::Uint(!uint)),
        _ => Err(Fault::overload("math.bitNot", arguments)),
    }
}

/// Shifts bits, those of an int without regard to its sign; 64 and more leave nothing.
fn shift<'a>(name: &'static str, arguments: &[Value<'a>], by: fn(u64, u32) -> Option<u64>) -> Answer<'a> {
    let offset = match arguments {
        [Value::Int(_) | Value::Uint(_), Value::Int(offset)] if *offset < 0 => {
            return Err(invalid(name, "the offset is negative"));
        }
        [_, Value::Int(offset)] => u32::try_from(*offset).unwrap_or(u32::MAX),
        _ => return Err(Fault::overload(name, arguments)),
    };
    match arguments[0] {
        Value::Int(int) => Ok(Value::Int(by(int.cast_unsigned(), offset).unwrap_or(0).cast_signed())),
        Value::Uint(uint) => Ok(Value::Uint(by(uint, offset).unwrap_or(0))),
        _ => Err(Fault::overload(name, arguments)),
    }
}

/// The number that comes last in this direction, of several or of a list; the first of equal ones. Beside
/// others NaN is an error, as it is in every comparison.
fn extreme<'a>(cx: &mut Cx<'a>, name: &'static str, arguments: &[Value<'a>], way: Ordering) -> Answer<'a> {
    let numbers = match arguments {
        [Value::List(list)] => *list,
        // Not a list that outlives this call: nothing in it is borrowed but the numbers.
        _ => {
            return most(name, arguments.iter().copied(), way).map_err(|fault| match fault {
                Fault::InvalidArgument { .. } => fault,
                _ => Fault::overload(name, arguments),
            });
        }
    };
    cx.charge_length(numbers.len())?;
    if matches!(numbers, List::Values([]) | List::Owned([])) {
        return Err(invalid(name, "the list is empty"));
    }
    most(name, numbers.iter(), way)
}

fn most<'a>(name: &'static str, numbers: impl Iterator<Item = Value<'a>>, way: Ordering) -> Answer<'a> {
    let mut most: Option<Value<'a>> = None;
    for number in numbers {
        if !matches!(number, Value::Int(_) | Value::Uint(_) | Value::Double(_)) {
            return Err(bad_element(name, &number));
        }
        let Some(known) = most else {
            most = Some(number);
            continue;
        };
        let order = compare::order(&number, &known).ok_or_else(|| invalid(name, "NaN has no order"))?;
        if order == way {
            most = Some(number);
        }
    }
    most.ok_or_else(|| invalid(name, "the list is empty"))
}
