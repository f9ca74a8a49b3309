//! The characters of texts, by their places and by their kinds.

use super::super::Outcome;
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.method("substring", "string: string, start: int, length: int = -1", substring);
    library.method("indexOf", "string: string, sub: string, start: int = 0", |call| index_of(call, false));
    library.method("indexOf", "string: string, sub: string, start: int, length: int", |call| index_within(call, false));
    library.method("lastIndexOf", "string: string, sub: string, start: int = 0", |call| index_of(call, true));
    library
        .method("lastIndexOf", "string: string, sub: string, start: int, length: int", |call| index_within(call, true));
    library.method("toCharArray", "string: string", |call| {
        let text = call.text(0);
        call.evaluator.use_memory((text.len() * size_of::<Value>()) as u64)?;
        Ok(Value::tuple(text.chars().map(|character| Value::string(character.to_string())).collect()))
    });
    library.function(
        "characters",
        "digits: bool? = false, hexdigits: bool? = false, asciiLowercase: bool? = false, \
         asciiUppercase: bool? = false, asciiLetters: bool? = false, letters: bool? = false, \
         octdigits: bool? = false, punctuation: bool? = false, printable: bool? = false, \
         lowercase: bool? = false, uppercase: bool? = false, whitespace: bool? = false",
        characters,
    );
}

/// A place in a text of this length; one below zero counts from the end.
fn place(index: i128, length: usize) -> usize {
    let length = length as i128;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index.clamp(0, length)).unwrap_or(0)
}

fn substring(call: &mut Invocation<'_, '_>) -> Outcome {
    let characters: Vec<char> = call.text(0).chars().collect();
    let size = characters.len() as i128;
    let length = if call.int(2) < 0 { size } else { call.int(2) };
    let start = if call.int(1) < 0 { call.int(1) + size } else { call.int(1) };
    // Places that are still below zero count from the end once more, as slices have it in Python.
    let (from, to) = (place(start, characters.len()), place(start.saturating_add(length), characters.len()));
    Ok(Value::string(characters.get(from..to).unwrap_or_default().iter().collect::<String>()))
}

fn index_of(call: &mut Invocation<'_, '_>, last: bool) -> Outcome {
    let characters: Vec<char> = call.text(0).chars().collect();
    let start = call.int(2);
    if start > characters.len() as i128 {
        return Ok(Value::Int(-1));
    }
    find(call, &characters, place(start, characters.len()), characters.len(), last)
}

fn index_within(call: &mut Invocation<'_, '_>, last: bool) -> Outcome {
    let characters: Vec<char> = call.text(0).chars().collect();
    let size = characters.len() as i128;
    let start = if call.int(2) < 0 { call.int(2) + size } else { call.int(2) };
    let length = if call.int(3) < 0 { size - start } else { call.int(3) };
    if start > size {
        return Ok(Value::Int(-1));
    }
    let end = place(start.saturating_add(length), characters.len());
    find(call, &characters, place(start, characters.len()), end, last)
}

/// The first or last place between `start` and `end` at which the wanted text stands.
fn find(call: &Invocation<'_, '_>, characters: &[char], start: usize, end: usize, last: bool) -> Outcome {
    if start > end {
        return Ok(Value::Int(-1));
    }
    let within: String = characters[start..end].iter().collect();
    let wanted = call.text(1);
    call.evaluator.use_memory(within.len() as u64)?;
    let found = if last { within.rfind(&*wanted) } else { within.find(&*wanted) };
    let place = found.map(|at| start + within[..at].chars().count());
    Ok(Value::Int(place.map_or(-1, |place| place as i128)))
}

const DIGITS: &str = "0123456789";
const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const WHITESPACE: &str = " \t\n\r\x0b\x0c";

/// The characters of some kinds, each once.
fn characters(call: &mut Invocation<'_, '_>) -> Outcome {
    let letters = [LOWERCASE, UPPERCASE].concat();
    let printable = [DIGITS, LOWERCASE, UPPERCASE, PUNCTUATION, WHITESPACE].concat();
    let kinds = [
        Ok(DIGITS),
        Ok("0123456789abcdefABCDEF"),
        Ok(LOWERCASE),
        Ok(UPPERCASE),
        Ok(&*letters),
        Err("letters"),
        Ok("01234567"),
        Ok(PUNCTUATION),
        Ok(&*printable),
        Err("lowercase"),
        Err("uppercase"),
        Ok(WHITESPACE),
    ];
    let mut chosen: Vec<char> = Vec::new();
    for (_, kind) in kinds.iter().enumerate().filter(|(index, _)| call.flag(*index)) {
        // Python has had no such kinds since its version 3.
        let kind = kind.map_err(|name| {
            EvaluationError::new("AttributeError", format!("module 'string' has no attribute '{name}'"))
        })?;
        for character in kind.chars() {
            if !chosen.contains(&character) {
                chosen.push(character);
            }
        }
    }
    Ok(Value::tuple(chosen.iter().map(|character| Value::string(character.to_string())).collect()))
}
