//! Comparing what was recorded with what is.

use serde_json::Value;

/// Where two values differ; none if they are equal. Integers and doubles differ, the order of keys does not matter.
pub fn difference(expected: &Value, got: &Value) -> Option<String> {
    (expected != got).then(|| format!("expected {} and got {}", short(expected), short(got)))
}

/// Where two lists differ whose order does not matter.
pub fn difference_of_sets(expected: &Value, got: &Value) -> Option<String> {
    let sorted = |value: &Value| {
        let mut texts: Vec<String> = value.as_array().into_iter().flatten().map(canonical).collect();
        texts.sort();
        texts
    };
    let (expected, got) = (sorted(expected), sorted(got));
    let missing: Vec<_> = without(&expected, &got);
    let more: Vec<_> = without(&got, &expected);
    (!missing.is_empty() || !more.is_empty())
        .then(|| format!("missing [{}], more [{}]", missing.join(", "), more.join(", ")))
}

fn without(these: &[String], those: &[String]) -> Vec<String> {
    let mut rest = those.to_vec();
    let mut left = Vec::new();
    for one in these {
        match rest.iter().position(|other| other == one) {
            Some(at) => {
                rest.remove(at);
            }
            None => left.push(one.clone()),
        }
    }
    left
}

/// A value's text with sorted keys.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(entries) => {
            let mut texts: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            texts.sort();
            format!("{{{}}}", texts.join(","))
        }
        other => other.to_string(),
    }
}

/// A message without what only Python says in these words: what follows the expression that could not be evaluated.
pub fn message(text: &str) -> &str {
    let Some(at) = text.find("Unable to evaluate expression '") else { return text };
    text[at..].find("'. ").map_or(text, |end| &text[..at + end + 2])
}

/// Errors of a workflow, with messages as [`message`] has them.
pub fn errors(entries: &Value) -> Value {
    let comparable = |entry: &Value| {
        let mut entry = entry.clone();
        if let Some(text) = entry["message"].as_str() {
            entry["message"] = message(text).into();
        }
        entry
    };
    entries.as_array().into_iter().flatten().map(comparable).collect()
}

pub(super) fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 400;
    let text = value.to_string();
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    text.chars().take(CHARS_MAX).chain("…".chars()).collect()
}
