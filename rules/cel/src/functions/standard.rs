//! The standard library without conversions and time: sizes, texts, types.

use memchr::memmem;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::{Function, regex};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    Function { name: "size", global: &[1], member: &[0], call: size },
    Function { name: "contains", global: &[], member: &[1], call: contains },
    Function { name: "startsWith", global: &[], member: &[1], call: starts_with },
    Function { name: "endsWith", global: &[], member: &[1], call: ends_with },
    Function { name: "matches", global: &[2], member: &[1], call: matches },
    Function { name: "dyn", global: &[1], member: &[], call: |_, arguments| Ok(arguments[0]) },
    Function { name: "type", global: &[1], member: &[], call: |_, arguments| Ok(Value::Type(arguments[0].type_of())) },
];

fn size<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let size = match arguments {
        [Value::String(text)] => {
            cx.charge_length(text.len())?;
            text.chars().count()
        }
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(list)] => list.len(),
        [Value::Map(map)] => map.len(),
        _ => return Err(Fault::overload("size", arguments)),
    };
    // Nothing in memory has more parts than an int can count.
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn contains<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let (text, part) = texts(cx, "contains", arguments)?;
    Ok(Value::Bool(memmem::find(text.as_bytes(), part.as_bytes()).is_some()))
}

fn starts_with<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let (text, start) = texts(cx, "startsWith", arguments)?;
    Ok(Value::Bool(text.starts_with(start)))
}

fn ends_with<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let (text, end) = texts(cx, "endsWith", arguments)?;
    Ok(Value::Bool(text.ends_with(end)))
}

/// With a pattern that is no constant.
fn matches<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let (text, pattern) = texts(cx, "matches", arguments)?;
    Ok(Value::Bool(regex::compiled(cx, "matches", pattern)?.is_match(text)))
}

/// Two strings, gone through once.
fn texts<'a>(
    cx: &mut Cx<'a>,
    function: &'static str,
    arguments: &[Value<'a>],
) -> Result<(&'a str, &'a str), Fault<'a>> {
    let [Value::String(text), Value::String(other)] = arguments else {
        return Err(Fault::overload(function, arguments));
    };
    cx.charge_length(text.len())?;
    Ok((text, other))
}
