//! Semantic versions, as Kubernetes' library for CEL has them; what was built makes no difference between
//! two. `string()` turns a version back into text.

use std::cmp::Ordering;

use super::strings::room;
use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global, invalid, member};
use crate::value::Value;
use crate::version::Version;

/// `semver` and its kin.
pub(super) const TABLE: &[Function] = &[
    member("compareTo", &[1], compare_to),
    member("isGreaterThan", &[1], |_, of| compared(of, "isGreaterThan", Ordering::Greater)),
    member("isLessThan", &[1], |_, of| compared(of, "isLessThan", Ordering::Less)),
    global("isSemver", &[1, 2], is_semver),
    member("major", &[0], |_, of| number(of, "major", 0)),
    member("minor", &[0], |_, of| number(of, "minor", 1)),
    member("patch", &[0], |_, of| number(of, "patch", 2)),
    global("semver", &[1, 2], semver),
];

/// `semver(text)`, `semver(text, normalize)`
fn semver<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let version = parsed(cx, "semver", arguments)?;
    version.map(Value::Semver).ok_or_else(|| invalid("semver", "the text is no semantic version"))
}

/// `isSemver(text)`, `isSemver(text, normalize)`
fn is_semver<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let version = parsed(cx, "isSemver", arguments)?;
    Ok(Value::Bool(version.is_some()))
}

fn parsed<'a>(cx: &mut Cx<'a>, name: &'static str, arguments: &[Value<'a>]) -> Result<Option<Version<'a>>, Fault<'a>> {
    match arguments {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => Ok(Version::parse(text)),
        [Value::String(text), Value::Bool(true)] => Ok(normal(cx, text)?.and_then(Version::parse)),
        _ => Err(Fault::overload(name, arguments)),
    }
}

/// A version as people write it: a leading `v` and leading zeros go, a missing minor and patch become 0. None
/// if a short one has a pre-release or a build.
fn normal<'a>(cx: &mut Cx<'a>, text: &'a str) -> Result<Option<&'a str>, Fault<'a>> {
    if text.len() > Version::BYTES_MAX {
        return Ok(None);
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut out = room(cx, text.len() + ".0.0".len())?;
    let mut parts = 0;
    for part in text.splitn(3, '.') {
        if parts > 0 {
            out.push('.');
        }
        let plain = part.trim_start_matches('0');
        // A zero stays where no other digit follows.
        if plain.len() < part.len() && !plain.starts_with(|c: char| c.is_ascii_digit()) {
            out.push('0');
        }
        out.push_str(plain);
        parts += 1;
    }
    if parts < 3 && text.contains(['+', '-']) {
        return Ok(None);
    }
    for _ in parts..3 {
        out.push_str(".0");
    }
    Ok(Some(out.into_bump_str()))
}

fn number<'a>(arguments: &[Value<'a>], name: &'static str, which: usize) -> Answer<'a> {
    let [Value::Semver(version)] = arguments else { return Err(Fault::overload(name, arguments)) };
    i64::try_from(version.numbers()[which]).map(Value::Int).map_err(|_| Fault::Overflow(name))
}

fn compared<'a>(arguments: &[Value<'a>], name: &'static str, way: Ordering) -> Answer<'a> {
    let [Value::Semver(a), Value::Semver(b)] = arguments else { return Err(Fault::overload(name, arguments)) };
    Ok(Value::Bool(a.cmp_precedence(b) == way))
}

/// `a.compareTo(b)`: -1, 0 or 1.
fn compare_to<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Semver(a), Value::Semver(b)] = arguments else { return Err(Fault::overload("compareTo", arguments)) };
    Ok(Value::Int(a.cmp_precedence(b) as i64))
}
