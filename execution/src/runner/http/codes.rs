//! Sets of HTTP status codes, as actions write them: `200`, `200-206`, or a list of these.

use serde_json::Value;

use super::super::keys::{Keys, Mistake, kind};

/// A set of status codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes(Vec<(u16, u16)>);

impl Codes {
    /// The codes of these ranges, both ends included.
    pub fn of(ranges: &[(u16, u16)]) -> Self {
        Self(ranges.to_vec())
    }

    /// Whether it is one of them.
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&code))
    }

    /// Reads a set, by its pointer; `name` is for messages.
    pub(super) fn read(value: &Value, at: &str, name: &str, keys: &mut Keys<'_>) -> Self {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut ranges = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = if value.is_array() { format!("{at}/{index}") } else { at.to_owned() };
            match range(item) {
                Some(range) => ranges.push(range),
                None => {
                    let found = match item {
                        Value::String(text) => format!("{text:?}"),
                        Value::Number(number) => number.to_string(),
                        other => kind(other).to_owned(),
                    };
                    let message =
                        format!("{name:?} has status codes from 100 to 599 such as 200 or \"200-206\", found {found}");
                    keys.error(at, Mistake::BadValue, message);
                }
            }
        }
        Self(ranges)
    }
}

fn range(item: &Value) -> Option<(u16, u16)> {
    let code = |number: u64| u16::try_from(number).ok().filter(|code| (100..=599).contains(code));
    match item {
        Value::Number(number) => number.as_u64().and_then(code).map(|code| (code, code)),
        Value::String(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (code(first.trim().parse().ok()?)?, code(last.trim().parse().ok()?)?);
            (first <= last).then_some((first, last))
        }
        _ => None,
    }
}
