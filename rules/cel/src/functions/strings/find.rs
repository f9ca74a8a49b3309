//! `indexOf` and `lastIndexOf`.

use memchr::memmem;

use super::byte_of;
use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::call::{Answer, invalid};
use crate::value::Value;

/// `text.indexOf(part)`, `text.indexOf(part, from)`: the first position from `from` on, or -1. The empty
/// string is found at once.
pub(super) fn index_of<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "indexOf";
    let (text, part, from) = match arguments {
        [Value::String(text), Value::String(part)] => (*text, *part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (*text, *part, *from),
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    cx.charge_length(text.len())?;
    if from < 0 {
        return Err(invalid(NAME, "the position is negative"));
    }
    let Some(start) = byte_of(text, from) else { return Ok(beyond(text, part)) };
    match text[start..].find(part) {
        Some(at) => Ok(position(text, start + at)),
        None => Ok(Value::Int(-1)),
    }
}

/// `text.lastIndexOf(part)`, `text.lastIndexOf(part, from)`: the last position up to `from`, or -1.
pub(super) fn last_index_of<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "lastIndexOf";
    let (text, part, from) = match arguments {
        [Value::String(text), Value::String(part)] => (*text, *part, None),
        [Value::String(text), Value::String(part), Value::Int(from)] => (*text, *part, Some(*from)),
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    cx.charge_length(text.len())?;
    let last = match from {
        None => text.len(),
        Some(from) if from < 0 => return Err(invalid(NAME, "the position is negative")),
        Some(from) => match byte_of(text, from) {
            Some(last) if last < text.len() || part.is_empty() => last,
            // A position behind the last one finds nothing, as in cel-go.
            _ => return Ok(beyond(text, part)),
        },
    };
    // What begins at `last` may end behind it.
    let end = last.saturating_add(part.len()).min(text.len());
    match memmem::rfind(&text.as_bytes()[..end], part.as_bytes()) {
        Some(at) => Ok(position(text, at)),
        None => Ok(Value::Int(-1)),
    }
}

/// What a search from behind the end finds: the empty string, there.
fn beyond<'a>(text: &str, part: &str) -> Value<'a> {
    if part.is_empty() { position(text, text.len()) } else { Value::Int(-1) }
}

/// The number of the code point that begins at this byte.
fn position<'a>(text: &str, byte: usize) -> Value<'a> {
    // A string in memory has less than 2^63 code points.
    Value::Int(i64::try_from(text[..byte].chars().count()).unwrap_or(i64::MAX))
}
