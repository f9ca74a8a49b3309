//! From a pattern to its program.

use bumpalo::collections::Vec as BumpVec;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::call::invalid;

/// Braces within braces.
const NESTING_MAX: usize = 16;

/// One step of a program; it goes on at the next one unless it says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op<'a> {
    /// This character.
    Char(char),
    /// A character but `/`.
    One,
    /// A character but `/`, of a set or not: the text between the brackets, checked.
    Set { negated: bool, items: &'a str },
    /// Any characters but `/`.
    Run,
    /// Any characters.
    AnyRun,
    /// Here or there, without a character.
    Either(Option<usize>),
    /// There, without a character.
    Jump(usize),
}

/// A brace that is open.
#[derive(Clone, Copy)]
struct Brace {
    /// The `Either` that the alternative began with.
    either: usize,
    /// The last `Jump` to its end, of which the target is the one before it, plus one; 0 is none.
    jumps: usize,
}

pub(super) fn parse<'a>(cx: &mut Cx<'a>, pattern: &'a str) -> Result<BumpVec<'a, Op<'a>>, Fault<'a>> {
    cx.charge_length(pattern.len())?;
    let mut ops = cx.vec::<Op<'a>>(0)?;
    let mut braces = [Brace { either: 0, jumps: 0 }; NESTING_MAX];
    let mut depth = 0;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let op = match c {
            '\\' => Op::Char(escaped(&mut rest)?),
            '?' => Op::One,
            '*' => match rest.strip_prefix('*') {
                Some(after) => {
                    rest = after;
                    Op::AnyRun
                }
                None => Op::Run,
            },
            '[' => set(&mut rest)?,
            '{' => {
                let brace = braces.get_mut(depth).ok_or_else(|| bad("braces are nested too deeply"))?;
                *brace = Brace { either: ops.len(), jumps: 0 };
                depth += 1;
                Op::Either(None)
            }
            ',' | '}' if depth > 0 => {
                let brace = &mut braces[depth - 1];
                if c == ',' {
                    let jumps = std::mem::replace(&mut brace.jumps, ops.len() + 1);
                    cx.push(&mut ops, Op::Jump(jumps))?;
                    ops[brace.either] = Op::Either(Some(ops.len()));
                    brace.either = ops.len();
                    Op::Either(None)
                } else {
                    depth -= 1;
                    close(&mut ops, brace.jumps);
                    continue;
                }
            }
            '}' => return Err(bad("a brace closes nothing")),
            _ => Op::Char(c),
        };
        cx.push(&mut ops, op)?;
    }
    if depth > 0 {
        return Err(bad("a brace is not closed"));
    }
    Ok(ops)
}

/// Leads all jumps out of a brace to its end.
fn close(ops: &mut [Op<'_>], mut jumps: usize) {
    let end = ops.len();
    while let Some(at) = jumps.checked_sub(1) {
        let Op::Jump(before) = std::mem::replace(&mut ops[at], Op::Jump(end)) else { return };
        jumps = before;
    }
}

fn escaped<'a>(rest: &mut &str) -> Result<char, Fault<'a>> {
    let c = rest.chars().next().ok_or_else(|| bad("the pattern ends with a backslash"))?;
    *rest = &rest[c.len_utf8()..];
    Ok(c)
}

/// A set, of which the bracket was read.
fn set<'a>(rest: &mut &'a str) -> Result<Op<'a>, Fault<'a>> {
    let negated = rest.starts_with('!');
    let items = &rest[usize::from(negated)..];
    let mut left = items;
    loop {
        if let Some(after) = left.strip_prefix(']') {
            *rest = after;
            let items = &items[..items.len() - left.len()];
            if items.is_empty() {
                return Err(bad("a set is empty"));
            }
            return Ok(Op::Set { negated, items });
        }
        match item(&mut left) {
            Some((low, high)) if low <= high => {}
            Some(_) => return Err(bad("a range goes from high to low")),
            None => return Err(bad("a set is not closed")),
        }
    }
}

/// The next range of a set; a single character is one too. None at the end, or if it is not complete.
fn item(rest: &mut &str) -> Option<(char, char)> {
    let low = set_char(rest)?;
    let mut after = *rest;
    if after.starts_with('-') {
        after = &after[1..];
        // A hyphen at the end stands for itself.
        if !after.is_empty() && !after.starts_with(']') {
            let high = set_char(&mut after)?;
            *rest = after;
            return Some((low, high));
        }
    }
    Some((low, low))
}

fn set_char(rest: &mut &str) -> Option<char> {
    let mut chars = rest.chars();
    let c = match chars.next()? {
        '\\' => chars.next()?,
        c => c,
    };
    *rest = chars.as_str();
    Some(c)
}

/// Whether a set has a character.
pub(super) fn has(items: &str, c: char) -> bool {
    let mut rest = items;
    std::iter::from_fn(|| item(&mut rest)).any(|(low, high)| (low..=high).contains(&c))
}

fn bad<'a>(why: &'static str) -> Fault<'a> {
    invalid("glob", why)
}
