//! Texts without what is around them.

use super::super::Outcome;
use crate::function::{Invocation, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.method("trim", "string: string, chars: string? = null", |call| trim(call, true, true));
    library.method("trimLeft", "string: string, chars: string? = null", |call| trim(call, true, false));
    library.method("trimRight", "string: string, chars: string? = null", |call| trim(call, false, true));
    library.extension("norm", "string: string?, chars: string? = null", norm);
    library.extension("isEmpty", "string: string?, trim: bool = true, chars: string? = null", is_empty);
}

/// Python's white space.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

fn stripped<'t>(text: &'t str, chars: Option<&str>, left: bool, right: bool) -> &'t str {
    let stripped = |character: char| match chars {
        Some(chars) => chars.contains(character),
        None => is_space(character),
    };
    let text = if left { text.trim_start_matches(stripped) } else { text };
    if right { text.trim_end_matches(stripped) } else { text }
}

fn trim(call: &mut Invocation<'_, '_>, left: bool, right: bool) -> Outcome {
    let chars = call.optional_text(1);
    Ok(Value::string(stripped(&call.text(0), chars.as_deref(), left, right)))
}

fn norm(call: &mut Invocation<'_, '_>) -> Outcome {
    let Some(text) = call.optional_text(0) else { return Ok(Value::Null) };
    let chars = call.optional_text(1);
    let text = stripped(&text, chars.as_deref(), true, true);
    Ok(if text.is_empty() { Value::Null } else { Value::string(text) })
}

fn is_empty(call: &mut Invocation<'_, '_>) -> Outcome {
    let Some(text) = call.optional_text(0) else { return Ok(Value::Bool(true)) };
    let chars = call.optional_text(2);
    let trim = call.flag(1);
    Ok(Value::Bool(stripped(&text, chars.as_deref(), trim, trim).is_empty()))
}
