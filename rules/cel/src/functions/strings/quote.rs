//! `strings.quote`.

use super::build::room;
use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::call::Answer;
use crate::value::Value;

/// `strings.quote(text)`: in double quotes, what must be escaped in a literal escaped.
pub(super) fn quote<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text)] = arguments else { return Err(Fault::overload("strings.quote", arguments)) };
    cx.charge_length(text.len())?;
    let escapes = text.chars().filter(|c| escaped(*c).is_some()).count();
    let mut quoted = room(cx, text.len() + escapes + 2)?;
    quoted.push('"');
    for c in text.chars() {
        if escaped(c).is_some() {
            quoted.push('\\');
        }
        quoted.push(escaped(c).unwrap_or(c));
    }
    quoted.push('"');
    Ok(Value::String(quoted.into_bump_str()))
}

/// What stands behind the backslash.
fn escaped(c: char) -> Option<char> {
    Some(match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        '\\' | '"' => c,
        _ => return None,
    })
}
