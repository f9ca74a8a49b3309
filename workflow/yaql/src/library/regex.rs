//! Regular expressions, in Python's syntax as far as they need no backtracking: look-around and references within a
//! pattern are errors.

mod syntax;
mod template;

use std::sync::Arc;

use ::regex::{Captures, Match, RegexBuilder};
use indexmap::IndexMap;

use super::{Outcome, depth_of};
use crate::error::EvaluationError;
use crate::evaluate::{Context, Evaluator, Lambda, iterator};
use crate::function::{Definition, Invocation, Register};
use crate::value::{Dict, Flags, Pattern, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.function(
        "regex",
        "pattern: string, ignoreCase: bool? = false, multiLine: bool? = false, dotAll: bool? = false",
        |call| {
            let flags = Flags { ignore_case: call.flag(1), multi_line: call.flag(2), dot_all: call.flag(3) };
            compile(call.evaluator, &call.text(0), flags).map(|pattern| Value::Regex(Arc::new(pattern)))
        },
    );
    library.method("matches", "regexp: regex, string: string", |call| matches(call, 0, 1));
    library.method("matches", "string: string, regexp: string", |call| matches(call, 1, 0));
    for signature in ["string: string, regexp: regex", "string: string, pattern: string"] {
        library.function("#operator_=~", signature, |call| matches(call, 1, 0));
        library
            .function("#operator_!~", signature, |call| matches(call, 1, 0).map(|found| Value::Bool(!found.is_true())));
    }
    library.method("search", "regexp: regex, string: string, selector: scoped = null", search);
    library.method("searchAll", "regexp: regex, string: string, selector: scoped = null", search_all);
    library.method("split", "regexp: regex, string: string, maxSplit: int = 0", |call| split(call, 0, 1));
    library.method("split", "string: string, regexp: regex, maxSplit: int = 0", |call| split(call, 1, 0));
    library
        .method("replace", "regexp: regex, string: string, repl: string, count: int = 0", |call| replace(call, 0, 1));
    library
        .method("replace", "string: string, regexp: regex, repl: string, count: int = 0", |call| replace(call, 1, 0));
    let scoped = |definition: &mut Definition| {
        definition.is_method = true;
        definition.scoped = true;
    };
    let by_regex = "regexp: regex, string: string, repl: scoped, count: int = 0";
    library.add("replaceBy", by_regex, |call| replace_by(call, 0, 1), scoped);
    let by_string = "string: string, regexp: regex, repl: scoped, count: int = 0";
    library.add("replaceBy", by_string, |call| replace_by(call, 1, 0), scoped);
    library.function("escapeRegex", "string: string", |call| Ok(Value::string(syntax::escape(&call.text(0)))));
    library.function("isRegex", "value: any?", |call| Ok(Value::Bool(matches!(call.value(0), Value::Regex(_)))));
}

fn compile(evaluator: &Evaluator<'_>, text: &str, flags: Flags) -> Result<Pattern, EvaluationError> {
    let bytes_max = evaluator.options().limits.regex_bytes_max;
    evaluator.use_memory(text.len() as u64)?;
    let compiled = RegexBuilder::new(&syntax::translate(text))
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all)
        .size_limit(bytes_max)
        .dfa_size_limit(bytes_max)
        .build();
    match compiled {
        Ok(compiled) => {
            // What compiling costs grows with the pattern's repetitions, which its text does not show.
            evaluator.step(text.len() as u64)?;
            Ok(Pattern::new(text.to_owned(), flags, compiled))
        }
        Err(::regex::Error::CompiledTooBig(_)) => {
            let message = format!("the regular expression takes more than {bytes_max} bytes (regex_bytes_max)");
            Err(EvaluationError::budget(message))
        }
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(EvaluationError::new("error", format!("cannot read the regular expression '{text}': {reason}")))
        }
    }
}

/// The pattern at a place, which may be given as its text.
fn pattern(call: &Invocation<'_, '_>, index: usize) -> Result<Arc<Pattern>, EvaluationError> {
    match call.value(index) {
        Value::Regex(pattern) => Ok(pattern),
        Value::String(text) => compile(call.evaluator, &text, Flags::default()).map(Arc::new),
        other => Err(Invocation::no_attribute(&other, "search")),
    }
}

/// The text at a place; looking through it counts as steps.
fn subject(call: &Invocation<'_, '_>, index: usize) -> Result<Arc<str>, EvaluationError> {
    let text = call.text(index);
    call.evaluator.step(text.len() as u64 / 8)?;
    Ok(text)
}

fn matches(call: &mut Invocation<'_, '_>, regex: usize, string: usize) -> Outcome {
    let text = subject(call, string)?;
    Ok(Value::Bool(pattern(call, regex)?.compiled().is_match(&text)))
}

/// What was found of a group: the text, and where it begins and ends.
fn record(found: Option<Match<'_>>, text: &str) -> Value {
    let place = |at: usize| Value::Int(text[..at].chars().count() as i128);
    let (value, start, end) = match found {
        Some(found) => (Value::string(found.as_str()), place(found.start()), place(found.end())),
        None => (Value::Null, Value::Int(-1), Value::Int(-1)),
    };
    let entries = [("value", value), ("start", start), ("end", end)];
    let entries: IndexMap<_, _> = entries
        .into_iter()
        .filter_map(|(name, value)| Some((crate::value::Key::new(Value::string(name)).ok()?, value)))
        .collect();
    Value::Dict(Arc::new(Dict::new(entries, false)))
}

/// Makes a match the variables `$1` (all of it), `$2` (its first group) and so on.
fn publish(
    evaluator: &Evaluator<'_>,
    context: &Context,
    pattern: &Pattern,
    found: &Captures<'_>,
    text: &str,
) -> Result<(), EvaluationError> {
    evaluator.step(text.len() as u64 / 8)?;
    for index in 0..found.len() {
        context.set(&(index + 1).to_string(), record(found.get(index), text));
    }
    for name in pattern.compiled().capture_names().flatten() {
        refuse_named_group(found.name(name))?;
    }
    Ok(())
}

/// YAQL takes what a group with a name found for a pair of names, and so fails with each such group.
fn refuse_named_group(found: Option<Match<'_>>) -> Result<(), EvaluationError> {
    let Some(found) = found else {
        return Err(EvaluationError::of_type("cannot unpack non-iterable NoneType object"));
    };
    match found.as_str().chars().count() {
        2 => Err(EvaluationError::new("IndexError", "no such group")),
        length @ (0 | 1) => {
            Err(EvaluationError::of_value(format!("not enough values to unpack (expected 2, got {length})")))
        }
        _ => Err(EvaluationError::of_value("too many values to unpack (expected 2)")),
    }
}

fn search(call: &mut Invocation<'_, '_>) -> Outcome {
    let (pattern, text) = (pattern(call, 0)?, subject(call, 1)?);
    let Some(found) = pattern.compiled().captures(&text) else { return Ok(Value::Null) };
    match call.optional_lambda(2) {
        None => Ok(Value::string(&found[0])),
        Some(selector) => {
            let context = call.context.child();
            publish(call.evaluator, &context, &pattern, &found, &text)?;
            selector.call_in(call.evaluator, &context, &[])
        }
    }
}

fn search_all(call: &mut Invocation<'_, '_>) -> Outcome {
    let (pattern, text) = (pattern(call, 0)?, subject(call, 1)?);
    let selector = call.optional_lambda(2);
    let context = Arc::clone(&call.context);
    let depth = depth_of(&[], selector.as_slice()).max(context.depth());
    let mut from = Some(0);
    Ok(iterator("generator", depth, move |evaluator| {
        evaluator.step(1)?;
        let Some((found, next)) = from.and_then(|from| next_match(&pattern, &text, from)) else {
            from = None;
            return Ok(None);
        };
        from = next;
        match &selector {
            None => Ok(Some(Value::string(&found[0]))),
            Some(selector) => {
                let context = context.child();
                publish(evaluator, &context, &pattern, &found, &text)?;
                selector.call_in(evaluator, &context, &[]).map(Some)
            }
        }
    }))
}

/// The next match, and where to look for the one after it. One of nothing may stand right behind the one before, as
/// Python has it, but not where one of nothing was already.
fn next_match<'t>(pattern: &Pattern, text: &'t str, from: usize) -> Option<(Captures<'t>, Option<usize>)> {
    let found = pattern.compiled().captures_at(text, from)?;
    let whole = found.get(0)?;
    let next = if whole.is_empty() {
        text[whole.end()..].chars().next().map(|character| whole.end() + character.len_utf8())
    } else {
        Some(whole.end())
    };
    Some((found, next))
}

/// What splitting and replacing go through: every match, up to a number of them that is not zero.
fn all_matches<'t>(
    evaluator: &Evaluator<'_>,
    pattern: &Pattern,
    text: &'t str,
    count: i128,
) -> Result<Vec<Captures<'t>>, EvaluationError> {
    let mut found = Vec::new();
    let mut from = Some(0);
    while let Some((captures, next)) = from.and_then(|from| next_match(pattern, text, from)) {
        if count != 0 && found.len() as i128 >= count {
            break;
        }
        evaluator.step(1)?;
        evaluator.use_memory((captures.len() * size_of::<Value>()) as u64)?;
        found.push(captures);
        from = next;
    }
    Ok(found)
}

/// The pieces between matches, with what the groups found between them.
fn split(call: &mut Invocation<'_, '_>, regex: usize, string: usize) -> Outcome {
    let (pattern, text) = (pattern(call, regex)?, subject(call, string)?);
    let mut pieces = Vec::new();
    let mut end = 0;
    for found in all_matches(call.evaluator, &pattern, &text, call.int(2))? {
        let Some(whole) = found.get(0) else { continue };
        pieces.push(Value::string(&text[end..whole.start()]));
        for group in found.iter().skip(1) {
            pieces.push(group.map_or(Value::Null, |group| Value::string(group.as_str())));
        }
        end = whole.end();
    }
    pieces.push(Value::string(&text[end..]));
    Ok(Value::list(pieces))
}

/// The text with matches replaced by what `replacement` makes of them.
fn replaced(
    call: &Invocation<'_, '_>,
    pattern: &Pattern,
    text: &str,
    mut replacement: impl FnMut(&Captures<'_>) -> Result<String, EvaluationError>,
) -> Outcome {
    let mut result = String::new();
    let mut end = 0;
    for found in all_matches(call.evaluator, pattern, text, call.int(3))? {
        let Some(whole) = found.get(0) else { continue };
        let new = replacement(&found)?;
        call.evaluator.use_memory((whole.start() - end + new.len()) as u64)?;
        result.push_str(&text[end..whole.start()]);
        result.push_str(&new);
        end = whole.end();
    }
    result.push_str(&text[end..]);
    Ok(Value::string(result))
}

fn replace(call: &mut Invocation<'_, '_>, regex: usize, string: usize) -> Outcome {
    let (pattern, text) = (pattern(call, regex)?, subject(call, string)?);
    let template = template::Template::parse(&call.text(2), pattern.compiled())?;
    replaced(call, &pattern, &text, |found| Ok(template.expand(found)))
}

fn replace_by(call: &mut Invocation<'_, '_>, regex: usize, string: usize) -> Outcome {
    let (pattern, text) = (pattern(call, regex)?, subject(call, string)?);
    let replacement: Lambda = call.lambda(2)?;
    let call = &*call;
    replaced(call, &pattern, &text, |found| {
        // The variables stay where the function was called, as in YAQL.
        publish(call.evaluator, &call.context, &pattern, found, &text)?;
        match replacement.call_in(call.evaluator, &call.context.child(), &[])? {
            Value::String(new) => Ok(new.as_ref().to_owned()),
            other => {
                let message = format!("expected str instance, {} found", other.type_name());
                Err(EvaluationError::of_type(message))
            }
        }
    })
}
