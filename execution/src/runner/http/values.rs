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

/// A request as it may be shown: where it goes as its action writes it, with its expressions, for what these give may hold
/// a key. The host is told where the action does not.
pub(super) fn shown(method: &str, written: &str, url: &str) -> String {
    let written_to = authority_end(written).map_or("${", |end| &written[..end]);
    match written_to.contains("${") {
        false => format!("{method} {written}"),
        true => format!("{method} {} ({written})", authority_end(url).map_or("", |end| &url[..end])),
    }
}

/// A URL and the parts of its path as they are written, without the query.
pub(super) fn written(url: &str, path: &[&str]) -> String {
    let mut written = url[..outside(url, 0, &['?', '#'])].to_owned();
    for part in path {
        if !written.ends_with('/') {
            written.push('/');
        }
        written.push_str(part);
    }
    written
}

/// Where the host and port of a URL end.
fn authority_end(url: &str) -> Option<usize> {
    let begin = url.find("://")? + 3;
    (!url[..begin].contains("${")).then(|| outside(url, begin, &['/', '\\', '?', '#']))
}

/// Where one of these characters stands first outside of expressions, or the end.
fn outside(text: &str, from: usize, stops: &[char]) -> usize {
    let (mut depth, mut before) = (0_u32, ' ');
    for (at, c) in text[from..].char_indices() {
        match c {
            '{' if before == '$' || depth > 0 => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 && stops.contains(&c) => return from + at,
            _ => {}
        }
        before = c;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_as_it_is_written() {
        let show = |url: &str, path: &[&str], rendered: &str| shown("GET", &written(url, path), rendered);
        assert_eq!(show("https://h/a?key=x", &[], "https://h/a?key=x"), "GET https://h/a");
        assert_eq!(
            show("https://h/v1/", &["${parameters.key}", "x"], "https://h/v1/"),
            "GET https://h/v1/${parameters.key}/x"
        );
        assert_eq!(
            show("https://h/${parameters.key}?q=${parameters.q}", &[], "https://h/s3cret?q=s3cret"),
            "GET https://h/${parameters.key}"
        );
        assert_eq!(
            show("https://${parameters.h}:8443/x", &["y"], "https://db-1:8443/x"),
            "GET https://db-1:8443 (https://${parameters.h}:8443/x/y)"
        );
        assert_eq!(show("${parameters.u}", &[], "https://h/s3cret?x"), "GET https://h (${parameters.u})");
        assert_eq!(
            show("https://${parameters.p ? {'a': 'b'}.a : 'c'}/x?y", &[], "https://b/x?y"),
            "GET https://b (https://${parameters.p ? {'a': 'b'}.a : 'c'}/x)"
        );
    }
}
