//! Regular expressions beyond `matches`, in RE2's syntax. In a replacement `\1` is a group, `\0` the whole
//! match and `\\` a backslash.

use std::cell::RefCell;

use regex::{Captures, Regex};

use crate::compile::pattern::compile_pattern;
use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global, invalid};
use crate::value::{List, Value};

/// `regex.replace` and its kin.
pub(super) const TABLE: &[Function] = &[
    global("regex.extract", &[2], extract),
    global("regex.extractAll", &[2], extract_all),
    global("regex.replace", &[3, 4], replace),
];

/// Compiled patterns that a thread keeps.
const KEPT_MAX: usize = 64;
/// Steps that compiling a pattern costs, whether it was kept or not, and more per byte of it.
const COMPILE_STEPS: usize = 200;
const COMPILE_BYTE_STEPS: usize = 8;
/// Bytes behind a match that one step lets be searched again.
const BYTES_PER_MATCH_STEP: usize = 4096;

const INVALID: &str = "no valid regular expression, or too large";

thread_local! {
    /// The patterns used last, the latest one at the end.
    static KEPT: RefCell<Vec<(Box<str>, Regex)>> = const { RefCell::new(Vec::new()) };
}

/// A pattern, compiled within limits; one that was compiled on this thread lately is not compiled again.
pub(crate) fn compiled<'a>(cx: &mut Cx<'a>, function: &'static str, pattern: &str) -> Result<Regex, Fault<'a>> {
    cx.charge(COMPILE_STEPS.saturating_add(pattern.len().saturating_mul(COMPILE_BYTE_STEPS)))?;
    KEPT.with_borrow_mut(|kept| {
        if let Some(at) = kept.iter().rposition(|(known, _)| **known == *pattern) {
            kept[at..].rotate_left(1);
        } else {
            let regex = compile_pattern(pattern).map_err(|_| invalid(function, INVALID))?;
            if kept.len() == KEPT_MAX {
                kept.remove(0);
            }
            kept.push((pattern.into(), regex));
        }
        // One was put there just now.
        kept.last().map(|(_, regex)| regex.clone()).ok_or_else(|| invalid(function, INVALID))
    })
}

/// A pattern with at most one group.
fn with_one_group<'a>(cx: &mut Cx<'a>, function: &'static str, pattern: &str) -> Result<Regex, Fault<'a>> {
    let regex = compiled(cx, function, pattern)?;
    if regex.captures_len() > 2 {
        return Err(invalid(function, "the regular expression has more than one group"));
    }
    Ok(regex)
}

/// What a match stands for: its group, if the pattern has one, and then nothing if that is empty.
fn extracted<'a>(regex: &Regex, found: &Captures<'a>) -> Option<&'a str> {
    if regex.captures_len() == 1 {
        return found.get(0).map(|whole| whole.as_str());
    }
    found.get(1).map(|group| group.as_str()).filter(|group| !group.is_empty())
}

/// Pays for one more match: looking for the next one may go through the rest of the text.
fn charge_match<'a>(cx: &mut Cx<'a>, text: &str, found: &Captures<'_>) -> Result<(), Fault<'a>> {
    let end = found.get(0).map_or(0, |whole| whole.end());
    cx.charge(1 + (text.len() - end) / BYTES_PER_MATCH_STEP)
}

/// `regex.extract(text, pattern)`: the first match or its group, optional.
fn extract<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "regex.extract";
    let [Value::String(text), Value::String(pattern)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    let text: &'a str = text;
    let regex = with_one_group(cx, NAME, pattern)?;
    cx.charge_length(text.len())?;
    let found = regex.captures(text).and_then(|found| extracted(&regex, &found));
    found.map_or(Ok(Value::Optional(None)), |part| cx.some(Value::String(part)))
}

/// `regex.extractAll(text, pattern)`: all matches or their groups, as a list.
fn extract_all<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "regex.extractAll";
    let [Value::String(text), Value::String(pattern)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    let text: &'a str = text;
    let regex = with_one_group(cx, NAME, pattern)?;
    cx.charge_length(text.len())?;
    let mut parts = cx.vec(0)?;
    for found in regex.captures_iter(text) {
        charge_match(cx, text, &found)?;
        if let Some(part) = extracted(&regex, &found) {
            cx.push(&mut parts, Value::String(part))?;
        }
    }
    Ok(Value::List(List::Values(parts.into_bump_slice())))
}

/// `regex.replace(text, pattern, replacement)`, and with a limit: the first so many, all if it is negative.
fn replace<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "regex.replace";
    let (text, pattern, replacement, limit) = match arguments {
        [Value::String(text), Value::String(pattern), Value::String(new)] => (*text, *pattern, *new, -1),
        [Value::String(text), Value::String(pattern), Value::String(new), Value::Int(limit)] => {
            (*text, *pattern, *new, *limit)
        }
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    if limit == 0 {
        return Ok(Value::String(text));
    }
    // A negative limit is none.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let regex = compiled(cx, NAME, pattern)?;
    cx.charge_length(text.len())?;
    let mut parts = cx.vec::<&str>(0)?;
    let (mut end, mut bytes) = (0, 0_usize);
    for found in regex.captures_iter(text).take(limit) {
        charge_match(cx, text, &found)?;
        // Group 0 is the match itself, which is always there.
        let Some(whole) = found.get(0) else { continue };
        let first = parts.len();
        cx.push(&mut parts, &text[end..whole.start()])?;
        let mut rest = replacement;
        while let Some((before, after)) = rest.split_once('\\') {
            cx.charge(1)?;
            cx.push(&mut parts, before)?;
            let mut chars = after.chars();
            cx.push(&mut parts, reference(&regex, &found, chars.next(), &after[..after.len().min(1)])?)?;
            rest = chars.as_str();
        }
        cx.push(&mut parts, rest)?;
        end = whole.end();
        bytes = parts[first..].iter().fold(bytes, |sum, part| sum.saturating_add(part.len()));
    }
    joined(cx, &parts, &text[end..], bytes)
}

/// What a backslash and the character behind it stand for.
fn reference<'t, 'a>(
    regex: &Regex,
    found: &Captures<'t>,
    behind: Option<char>,
    backslash: &'t str,
) -> Result<&'t str, Fault<'a>> {
    const NAME: &str = "regex.replace";
    match behind {
        Some('\\') => Ok(backslash),
        Some(digit @ '0'..='9') => {
            let group = digit as usize - '0' as usize;
            if group >= regex.captures_len() {
                return Err(invalid(NAME, "the replacement names a group that the regular expression does not have"));
            }
            Ok(found.get(group).map_or("", |group| group.as_str()))
        }
        Some(_) => Err(invalid(NAME, "in the replacement, a digit or a backslash must follow a backslash")),
        None => Err(invalid(NAME, "the replacement ends with a backslash")),
    }
}

fn joined<'a>(cx: &mut Cx<'a>, parts: &[&str], rest: &str, bytes: usize) -> Answer<'a> {
    let bytes = bytes.saturating_add(rest.len());
    cx.charge_length(bytes)?;
    let mut text = cx.vec::<u8>(bytes)?;
    for part in parts.iter().chain([&rest]) {
        text.extend_from_slice_copy(part.as_bytes());
    }
    // Made of whole strings.
    str::from_utf8(text.into_bump_slice()).map(Value::String).map_err(|_| invalid("regex.replace", "no text"))
}
