//! What expressions give, as the texts of a request.

use std::fmt;

use petrel_cel::{Scope, Template};
use serde_json::Value;

use super::super::RenderError;

/// A text that is not shown: a password, a token, a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A text; `what` is for messages.
pub(super) fn text(template: &Template, scope: &Scope<'_>, what: &str) -> Result<String, RenderError> {
    template.render_text(scope).map_err(|e| RenderError(format!("{what}: {e}")))
}

/// A text, or nothing where there is no template.
pub(super) fn optional(
    template: Option<&Template>,
    scope: &Scope<'_>,
    what: &str,
) -> Result<Option<String>, RenderError> {
    template.map(|template| text(template, scope, what)).transpose()
}

/// A text that is not shown.
pub(super) fn hidden(template: &Template, scope: &Scope<'_>, what: &str) -> Result<Hidden, RenderError> {
    text(template, scope, what).map(Hidden)
}

/// Names and texts. A list gives its name several times, null leaves it out.
pub(super) fn pairs(
    template: Option<&Template>,
    scope: &Scope<'_>,
    what: &str,
) -> Result<Vec<(String, String)>, RenderError> {
    let Some(template) = template else { return Ok(Vec::new()) };
    let entries = match template.render(scope).map_err(|e| RenderError(format!("{what}: {e}")))? {
        Value::Object(entries) => entries,
        Value::Null => return Ok(Vec::new()),
        other => {
            return Err(RenderError(format!("{what} must be a mapping, found {}", super::super::keys::kind(&other))));
        }
    };
    let mut pairs = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let values = match value {
            Value::Array(values) => values,
            one => vec![one],
        };
        let texts = values.into_iter().filter_map(plain).map(|text| (name.clone(), text));
        pairs.extend(texts);
    }
    Ok(pairs)
}

/// A value as text: a string as it is, anything else as JSON.
fn plain(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
