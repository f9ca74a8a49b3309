//! Strings. Positions count code points from 0, and cases are those of ASCII.

mod build;
mod find;
mod format;
mod quote;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global, invalid, member};
use crate::value::{List, Value};

pub(super) use build::{reverse, room};

/// `charAt` and its kin; `reverse` is with the lists.
pub(super) const TABLE: &[Function] = &[
    member("charAt", &[1], char_at),
    member("format", &[1], format::format),
    member("indexOf", &[1, 2], find::index_of),
    member("join", &[0, 1], build::join),
    member("lastIndexOf", &[1, 2], find::last_index_of),
    member("lowerAscii", &[0], build::lower_ascii),
    member("replace", &[2, 3], build::replace),
    member("split", &[1, 2], split),
    global("strings.quote", &[1], quote::quote),
    member("substring", &[1, 2], substring),
    member("trim", &[0], trim),
    member("upperAscii", &[0], build::upper_ascii),
];

/// Where the code point of that number begins, the end included.
fn byte_of(text: &str, position: i64) -> Option<usize> {
    let position = usize::try_from(position).ok()?;
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(position)
}

const OUT_OF_RANGE: &str = "the position is outside of the string";

/// `text.charAt(position)`: empty at the very end.
fn char_at<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "charAt";
    let [Value::String(text), Value::Int(position)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    cx.charge_length(text.len())?;
    let at = byte_of(text, *position).ok_or_else(|| invalid(NAME, OUT_OF_RANGE))?;
    let length = text[at..].chars().next().map_or(0, char::len_utf8);
    Ok(Value::String(&text[at..at + length]))
}

/// `text.substring(start)`, `text.substring(start, end)`: a part of the text itself, not copied.
fn substring<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "substring";
    let (text, start, end) = match arguments {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    cx.charge_length(text.len())?;
    if end.is_some_and(|end| start > end) {
        return Err(invalid(NAME, "the start is behind the end"));
    }
    let byte = |position| byte_of(text, position).ok_or_else(|| invalid(NAME, OUT_OF_RANGE));
    let start = byte(start)?;
    let end = end.map_or(Ok(text.len()), byte)?;
    Ok(Value::String(&text[start..end]))
}

/// `text.trim()`: without the white space of Unicode at both ends.
fn trim<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text)] = arguments else { return Err(Fault::overload("trim", arguments)) };
    cx.charge_length(text.len())?;
    Ok(Value::String(text.trim()))
}

/// `text.split(separator)`, `text.split(separator, limit)`: at most `limit` parts, the last one with the
/// rest; no limit if that is negative, nothing if it is 0. An empty separator splits into code points.
fn split<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (text, separator, limit) = match arguments {
        [Value::String(text), Value::String(separator)] => (*text, *separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(limit)] => (*text, *separator, *limit),
        _ => return Err(Fault::overload("split", arguments)),
    };
    cx.charge_length(text.len())?;
    // A negative limit is none.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts = cx.vec(0)?;
    if limit == 0 || (separator.is_empty() && text.is_empty()) {
        return Ok(Value::List(List::Values(&[])));
    }
    let mut rest = text;
    while parts.len() + 1 < limit {
        let (part, after) = match separator {
            "" => match rest.chars().next().map(char::len_utf8) {
                Some(length) if length < rest.len() => rest.split_at(length),
                _ => break,
            },
            _ => match rest.split_once(separator) {
                Some(found) => found,
                None => break,
            },
        };
        cx.push(&mut parts, Value::String(part))?;
        rest = after;
    }
    cx.push(&mut parts, Value::String(rest))?;
    Ok(Value::List(List::Values(parts.into_bump_slice())))
}
