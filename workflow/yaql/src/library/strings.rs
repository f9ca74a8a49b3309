//! Texts. Positions count characters.

mod characters;
mod split;
mod trim;

use super::Outcome;
use crate::error::EvaluationError;
use crate::evaluate::{Cursor, Evaluator};
use crate::function::{Invocation, Register};
use crate::value::{Value, str_text};

pub(super) fn register(library: &mut Register<'_>) {
    library.function("#operator_>", "left: string, right: string", |call| Ok(Value::Bool(call.text(0) > call.text(1))));
    library.function("#operator_<", "left: string, right: string", |call| Ok(Value::Bool(call.text(0) < call.text(1))));
    library
        .function("#operator_>=", "left: string, right: string", |call| Ok(Value::Bool(call.text(0) >= call.text(1))));
    library
        .function("#operator_<=", "left: string, right: string", |call| Ok(Value::Bool(call.text(0) <= call.text(1))));
    library.function("#operator_in", "left: string, right: string", |call| {
        Ok(Value::Bool(call.text(1).contains(&*call.text(0))))
    });
    library.function("#operator_*", "left: string, right: int", |call| repeat(call, &call.value(0), call.int(1)));
    library.function("#operator_*", "left: int, right: string", |call| repeat(call, &call.value(1), call.int(0)));
    for name in ["concat", "#operator_+"] {
        library.function(name, "*args: string", concat);
    }
    library.method("toUpper", "string: string", |call| Ok(Value::string(call.text(0).to_uppercase())));
    library.method("toLower", "string: string", |call| Ok(Value::string(call.text(0).to_lowercase())));
    library.extension("len", "string: string", |call| Ok(Value::Int(call.text(0).chars().count() as i128)));
    library.method("join", "sequence: iterable, separator: string", |call| join(call, &call.value(0), &call.text(1)));
    library.method("join", "separator: string, sequence: iterable", |call| join(call, &call.value(1), &call.text(0)));
    library.function("str", "value: any?", |call| text_of(call.evaluator, &call.value(0)).map(Value::string));
    library.method("replace", "string: string, old: string, new: string, count: int = -1", |call| {
        replaced(call.evaluator, &call.text(0), &call.text(1), &call.text(2), call.int(3)).map(Value::string)
    });
    library.method("replace", "string: string, replacements: dict, count: int = -1", replace_with_dict);
    library.method("startsWith", "string: string, *prefixes: string", |call| {
        let text = call.text(0);
        Ok(Value::Bool(call.rest_values().iter().filter_map(Value::as_str).any(|prefix| text.starts_with(prefix))))
    });
    library.method("endsWith", "string: string, *suffixes: string", |call| {
        let text = call.text(0);
        Ok(Value::Bool(call.rest_values().iter().filter_map(Value::as_str).any(|suffix| text.ends_with(suffix))))
    });
    library.function("isString", "arg: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::String(_)))));
    split::register(library);
    trim::register(library);
    characters::register(library);
}

fn concat(call: &mut Invocation<'_, '_>) -> Outcome {
    let texts = call.rest_values();
    let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
    call.evaluator.use_memory(texts.iter().map(|text| text.len() as u64).sum())?;
    Ok(Value::string(texts.concat()))
}

fn repeat(call: &Invocation<'_, '_>, text: &Value, times: i128) -> Outcome {
    call.evaluator.check_quotas(&[(1 - times, &Value::string("")), (times, text)])?;
    let text = text.as_str().unwrap_or_default();
    let times = if text.is_empty() { 0 } else { u64::try_from(times.max(0)).unwrap_or(u64::MAX) };
    call.evaluator.use_memory(times.saturating_mul(text.len() as u64))?;
    Ok(Value::string(text.repeat(usize::try_from(times).unwrap_or(0))))
}

/// What `str()` gives: unlike Python's, null and the truths as YAQL writes them.
pub(super) fn text_of(evaluator: &Evaluator<'_>, value: &Value) -> Result<String, EvaluationError> {
    evaluator.step(value.extent().weight)?;
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        value => str_text(value),
    })
}

fn join(call: &Invocation<'_, '_>, sequence: &Value, separator: &str) -> Outcome {
    let mut cursor = Cursor::over(sequence, call.evaluator)?;
    let mut joined = String::new();
    let mut first = true;
    while let Some(item) = cursor.next(call.evaluator)? {
        let text = text_of(call.evaluator, &item)?;
        call.evaluator.use_memory((separator.len() + text.len()) as u64)?;
        if !first {
            joined.push_str(separator);
        }
        first = false;
        joined.push_str(&text);
    }
    Ok(Value::string(joined))
}

/// The text with the first `count` of `old` replaced; all if that is below zero.
fn replaced(
    evaluator: &Evaluator<'_>,
    text: &str,
    old: &str,
    new: &str,
    count: i128,
) -> Result<String, EvaluationError> {
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(found);
    evaluator.use_memory((text.len() as u64).saturating_add((count as u64).saturating_mul(new.len() as u64)))?;
    Ok(text.replacen(old, new, count))
}

fn replace_with_dict(call: &mut Invocation<'_, '_>) -> Outcome {
    let mut text = call.text(0).as_ref().to_owned();
    let Value::Dict(replacements) = call.value(1) else { return Ok(Value::Null) };
    for (old, new) in replacements.entries() {
        let (old, new) = (text_of(call.evaluator, old.value())?, text_of(call.evaluator, new)?);
        text = replaced(call.evaluator, &text, &old, &new, call.int(2))?;
    }
    Ok(Value::string(text))
}
