//! Optional values. `optMap` and `optFlatMap` are macros.

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, bad_element, global, invalid, member};
use crate::time::Timestamp;
use crate::value::{List, Value};

/// `optional.of` and its kin.
pub(super) const TABLE: &[Function] = &[
    member("hasValue", &[0], has_value),
    global("optional.none", &[0], none),
    global("optional.of", &[1], of),
    global("optional.ofNonZeroValue", &[1], of_non_zero_value),
    global("optional.unwrap", &[1], |cx, list| unwrap(cx, "optional.unwrap", list)),
    member("or", &[1], or),
    member("orValue", &[1], or_value),
    member("unwrapOpt", &[0], |cx, list| unwrap(cx, "unwrapOpt", list)),
    member("value", &[0], value),
];

fn none<'a>(_: &mut Cx<'a>, _: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Optional(None))
}

fn of<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [value] = arguments else { return Err(Fault::overload("optional.of", arguments)) };
    cx.some(*value)
}

/// `optional.ofNonZeroValue(value)`: none of a value that is null, false, zero or empty.
fn of_non_zero_value<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [value] = arguments else { return Err(Fault::overload("optional.ofNonZeroValue", arguments)) };
    if is_zero(value) { Ok(Value::Optional(None)) } else { cx.some(*value) }
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(bool) => !bool,
        Value::Int(int) => *int == 0,
        Value::Uint(uint) => *uint == 0,
        Value::Double(double) => *double == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        // Go's zero is the first instant of all.
        Value::Timestamp(timestamp) => *timestamp == Timestamp { seconds: Timestamp::SECONDS_MIN, nanos: 0 },
        Value::Duration(duration) => duration.nanos == 0,
        Value::Optional(_) | Value::Type(_) | Value::Ip(_) | Value::Cidr(_) | Value::Semver(_) => false,
    }
}

fn has_value<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Optional(value)] = arguments else { return Err(Fault::overload("hasValue", arguments)) };
    Ok(Value::Bool(value.is_some()))
}

fn value<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Optional(value)] = arguments else { return Err(Fault::overload("value", arguments)) };
    value.copied().ok_or_else(|| invalid("value", "there is no value"))
}

/// What `a.or(b)` and `a.orValue(b)` answer without a look at `b`, which is not evaluated then.
#[inline]
pub(crate) fn answered_by<'a>(function: &Function, a: Value<'a>) -> Option<Value<'a>> {
    let Value::Optional(Some(value)) = a else { return None };
    match function.name {
        "or" => Some(a),
        "orValue" => Some(*value),
        _ => None,
    }
}

/// `a.or(b)`
fn or<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    match arguments {
        [some @ Value::Optional(Some(_)), _] => Ok(*some),
        [Value::Optional(None), other @ Value::Optional(_)] => Ok(*other),
        _ => Err(Fault::overload("or", arguments)),
    }
}

/// `a.orValue(b)`
fn or_value<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    match arguments {
        [Value::Optional(value), other] => Ok(value.copied().unwrap_or(*other)),
        _ => Err(Fault::overload("orValue", arguments)),
    }
}

/// The values of a list of optionals that have one.
fn unwrap<'a>(cx: &mut Cx<'a>, name: &'static str, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list)] = arguments else { return Err(Fault::overload(name, arguments)) };
    cx.charge_length(list.len())?;
    let mut values = cx.vec(list.len())?;
    for element in list.iter() {
        let Value::Optional(value) = element else { return Err(bad_element(name, &element)) };
        values.extend(value.copied());
    }
    Ok(Value::List(List::Values(values.into_bump_slice())))
}
