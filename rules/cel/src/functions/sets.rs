//! Lists as sets: order and repetition make no difference, equality is that of `==`.

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global};
use crate::value::{List, Value};

/// `sets.contains` and its kin.
pub(super) const TABLE: &[Function] = &[
    global("sets.contains", &[2], contains),
    global("sets.equivalent", &[2], equivalent),
    global("sets.intersects", &[2], intersects),
];

/// `sets.contains(list, part)`: whether every element of `part` is in `list`.
fn contains<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list), Value::List(part)] = arguments else {
        return Err(Fault::overload("sets.contains", arguments));
    };
    Ok(Value::Bool(has_all(cx, *list, *part)?))
}

/// `sets.equivalent(a, b)`: whether each contains the other.
fn equivalent<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(a), Value::List(b)] = arguments else { return Err(Fault::overload("sets.equivalent", arguments)) };
    Ok(Value::Bool(has_all(cx, *a, *b)? && has_all(cx, *b, *a)?))
}

/// `sets.intersects(a, b)`: whether an element is in both.
fn intersects<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(a), Value::List(b)] = arguments else { return Err(Fault::overload("sets.intersects", arguments)) };
    for element in a.iter() {
        cx.charge(1)?;
        if cx.contains(*b, &element)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn has_all<'a>(cx: &mut Cx<'a>, list: List<'a>, part: List<'a>) -> Result<bool, Fault<'a>> {
    for element in part.iter() {
        cx.charge(1)?;
        if !cx.contains(list, &element)? {
            return Ok(false);
        }
    }
    Ok(true)
}
