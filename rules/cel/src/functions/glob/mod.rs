//! Glob patterns, Petrel's own: `text.glob(pattern)` is whether the whole text matches.
//!
//! | in a pattern | matches |
//! |---|---|
//! | `*` | any run of characters but `/`, the empty one too |
//! | `**` | any run of characters, the empty one too |
//! | `?` | one character but `/` |
//! | `[a-z_]` | one character of the set, which never holds `/` |
//! | `[!a-z_]` | one character that is neither in the set nor `/` |
//! | `{a,b}` | one of the patterns between the commas; they may be empty, and hold braces again |
//! | `\x` | the character `x` itself; in a set too |
//! | anything else | itself; a comma outside of braces too |
//!
//! Cases count, and a leading dot is nothing special. A set, a brace or an escape that does not end, an empty
//! set, a range from high to low and a brace that closes nothing are invalid. In a set a hyphen at either end
//! stands for itself.
//!
//! A pattern becomes a small program, of which all places that a text may have reached are followed at once:
//! the work is at most the text's length times the pattern's.

mod parse;

use bumpalo::collections::Vec as BumpVec;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, member};
use crate::value::Value;
use parse::Op;

/// `glob`
pub(super) const TABLE: &[Function] = &[member("glob", &[1], glob)];

fn glob<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text), Value::String(pattern)] = arguments else {
        return Err(Fault::overload("glob", arguments));
    };
    let ops = parse::parse(cx, pattern)?;
    // Most texts differ early: what stands before the first special character is compared first.
    let mut rest = text.chars();
    for (at, op) in ops.iter().enumerate() {
        let Op::Char(expected) = op else {
            return Ok(Value::Bool(Places::new(cx, &ops[at..], at)?.matches(cx, rest.as_str())?));
        };
        if rest.next() != Some(*expected) {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(rest.as_str().is_empty()))
}

/// The places of a program that the text so far may have reached.
struct Places<'o, 'a> {
    ops: &'o [Op<'a>],
    /// What is left out of the program at its beginning.
    skipped: usize,
    now: BumpVec<'a, usize>,
    next: BumpVec<'a, usize>,
    /// For each place, the number of the character before which it was reached last.
    reached: BumpVec<'a, usize>,
    /// Places still to be entered.
    pending: BumpVec<'a, usize>,
}

impl<'o, 'a> Places<'o, 'a> {
    fn new(cx: &mut Cx<'a>, ops: &'o [Op<'a>], skipped: usize) -> Result<Self, Fault<'a>> {
        // One more: the end.
        let places = ops.len() + 1;
        let mut reached = cx.vec(places)?;
        reached.resize(places, 0);
        // Each place is entered once per character, and puts at most two others there.
        Ok(Self { ops, skipped, now: cx.vec(places)?, next: cx.vec(places)?, reached, pending: cx.vec(2 * places)? })
    }

    fn matches(mut self, cx: &mut Cx<'a>, text: &str) -> Result<bool, Fault<'a>> {
        self.enter(0, 1);
        std::mem::swap(&mut self.now, &mut self.next);
        for (number, c) in text.chars().enumerate() {
            if self.now.is_empty() {
                return Ok(false);
            }
            // A little at a time, so that what fails early costs little.
            if number % 64 == 0 {
                cx.charge_length(self.ops.len().saturating_mul(text.len().min(64)))?;
            }
            for at in 0..self.now.len() {
                self.step(self.now[at], c, number + 2);
            }
            self.now.clear();
            std::mem::swap(&mut self.now, &mut self.next);
        }
        Ok(self.now.contains(&self.ops.len()))
    }

    /// Follows one character from a place.
    fn step(&mut self, place: usize, c: char, number: usize) {
        let next = match self.ops.get(place) {
            Some(Op::Char(expected)) if *expected == c => place + 1,
            Some(Op::One) if c != '/' => place + 1,
            Some(Op::Set { negated, items }) if c != '/' && parse::has(items, c) != *negated => place + 1,
            Some(Op::Run) if c != '/' => place,
            Some(Op::AnyRun) => place,
            _ => return,
        };
        self.enter(next, number);
    }

    /// Enters a place, and those that are reached from it without a character.
    fn enter(&mut self, place: usize, number: usize) {
        self.pending.push(place);
        while let Some(place) = self.pending.pop() {
            if std::mem::replace(&mut self.reached[place], number) == number {
                continue;
            }
            match self.ops.get(place) {
                Some(Op::Run | Op::AnyRun) => {
                    self.pending.push(place + 1);
                    self.next.push(place);
                }
                Some(Op::Either(other)) => {
                    self.pending.push(place + 1);
                    self.pending.extend(other.map(|other| other - self.skipped));
                }
                Some(Op::Jump(to)) => self.pending.push(to - self.skipped),
                _ => self.next.push(place),
            }
        }
    }
}
