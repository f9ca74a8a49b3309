//! Texts in pieces.

use super::super::Outcome;
use super::trim::is_space;
use crate::error::EvaluationError;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library
        .method("split", "string: string, separator: string? = null, maxSplits: int = -1", |call| split(call, false));
    library.method("rightSplit", "string: string, separator: string? = null, maxSplits: int = -1", |call| {
        split(call, true)
    });
}

fn split(call: &mut Invocation<'_, '_>, from_right: bool) -> Outcome {
    let text = call.text(0);
    let pieces_max = usize::try_from(call.int(2)).ok().map_or(usize::MAX, |splits| splits.saturating_add(1));
    call.evaluator.use_memory((text.len() * size_of::<Value>()) as u64)?;
    let pieces: Vec<&str> = match call.optional_text(1) {
        Some(separator) if separator.is_empty() => return Err(EvaluationError::of_value("empty separator")),
        Some(separator) if from_right => {
            let mut pieces: Vec<&str> = text.rsplitn(pieces_max, &*separator).collect();
            pieces.reverse();
            return Ok(list(&pieces));
        }
        Some(separator) => return Ok(list(&text.splitn(pieces_max, &*separator).collect::<Vec<_>>())),
        None if from_right => words_from_right(&text, pieces_max),
        None => words(&text, pieces_max),
    };
    Ok(list(&pieces))
}

fn list(pieces: &[&str]) -> Value {
    Value::list(pieces.iter().map(|piece| Value::string(*piece)).collect())
}

/// What stands between white space; the last piece is all that is left.
fn words(text: &str, pieces_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(is_space).filter(|_| pieces.len() + 1 < pieces_max);
        let Some(end) = end else {
            pieces.push(if pieces.len() + 1 < pieces_max { rest.trim_end_matches(is_space) } else { rest });
            break;
        };
        pieces.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    pieces
}

/// The same from the end; the first piece is all that is left.
fn words_from_right(text: &str, pieces_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        let start = rest.rfind(is_space).filter(|_| pieces.len() + 1 < pieces_max);
        let Some(start) = start else {
            pieces.push(rest);
            break;
        };
        let width = rest[start..].chars().next().map_or(1, char::len_utf8);
        pieces.push(&rest[start + width..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    pieces.reverse();
    pieces
}
