//! Functions that make a new string. Its length is known, and paid for, before it is made.

use bumpalo::collections::String as BumpString;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::call::{Answer, bad_element};
use crate::value::Value;

/// An empty string with room for so many bytes, charged.
pub(in crate::functions) fn room<'a>(cx: &mut Cx<'a>, bytes: usize) -> Result<BumpString<'a>, Fault<'a>> {
    cx.charge_bytes(bytes)?;
    Ok(BumpString::with_capacity_in(bytes, cx.arena().bump()))
}

/// `text.lowerAscii()`
pub(super) fn lower_ascii<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    changed(cx, "lowerAscii", arguments, str::make_ascii_lowercase)
}

/// `text.upperAscii()`
pub(super) fn upper_ascii<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    changed(cx, "upperAscii", arguments, str::make_ascii_uppercase)
}

fn changed<'a>(cx: &mut Cx<'a>, name: &'static str, arguments: &[Value<'a>], change: fn(&mut str)) -> Answer<'a> {
    let [Value::String(text)] = arguments else { return Err(Fault::overload(name, arguments)) };
    cx.charge_length(text.len())?;
    cx.charge_bytes(text.len())?;
    let copy = cx.arena().bump().alloc_str(text);
    change(copy);
    Ok(Value::String(copy))
}

/// The code points of a text in reverse.
pub(in crate::functions) fn reverse<'a>(cx: &mut Cx<'a>, text: &str) -> Answer<'a> {
    cx.charge_length(text.len())?;
    let mut reversed = room(cx, text.len())?;
    reversed.extend(text.chars().rev());
    Ok(Value::String(reversed.into_bump_str()))
}

/// `list.join()`, `list.join(separator)`: of strings only.
pub(super) fn join<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "join";
    let (list, separator) = match arguments {
        [Value::List(list)] => (*list, ""),
        [Value::List(list), Value::String(separator)] => (*list, *separator),
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    cx.charge_length(list.len())?;
    let mut bytes = separator.len().saturating_mul(list.len().saturating_sub(1));
    for element in list.iter() {
        let Value::String(text) = element else { return Err(bad_element(NAME, &element)) };
        bytes = bytes.saturating_add(text.len());
    }
    cx.charge_length(bytes)?;
    let mut joined = room(cx, bytes)?;
    for (number, element) in list.iter().enumerate() {
        let Value::String(text) = element else { continue };
        if number > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::String(joined.into_bump_str()))
}

/// `text.replace(old, new)`, `text.replace(old, new, limit)`: the first `limit` ones, all if that is
/// negative. The empty string stands before each code point and at the end.
pub(super) fn replace<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (text, old, new, limit) = match arguments {
        [Value::String(text), Value::String(old), Value::String(new)] => (*text, *old, *new, -1),
        [Value::String(text), Value::String(old), Value::String(new), Value::Int(limit)] => (*text, *old, *new, *limit),
        _ => return Err(Fault::overload("replace", arguments)),
    };
    cx.charge_length(text.len())?;
    // A negative limit is none.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = text.matches(old).take(limit).count();
    if found == 0 {
        return Ok(Value::String(text));
    }
    let kept = text.len() - found * old.len();
    let bytes = new.len().saturating_mul(found).saturating_add(kept);
    cx.charge_length(bytes)?;
    let mut replaced = room(cx, bytes)?;
    let mut end = 0;
    for (at, _) in text.match_indices(old).take(limit) {
        replaced.push_str(&text[end..at]);
        replaced.push_str(new);
        end = at + old.len();
    }
    replaced.push_str(&text[end..]);
    Ok(Value::String(replaced.into_bump_str()))
}
