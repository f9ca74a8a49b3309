//! What stands for a value in the store of objects.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name under which the parameters of an execution hold references, beside the others: an object of the name of a
/// parameter and its reference. No parameter is called so, no rule can give one that is not there, and requests over the
/// API are refused that do; so it is written by Petrel alone.
pub const OBJECTS_KEY: &str = "$objects";

/// Digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// Names a value in a store of objects by what is in it. It stands in fields of its own, which only Petrel writes, never
/// within the values of others: what an event, an action or a user writes that looks like one is a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// Which store it is in, such as `files/1f0c…` or `s3/host/bucket/prefix/`.
    pub store: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What its bytes are, such as `application/json`.
    pub media_type: String,
}

impl ObjectRef {
    /// As it stands in records, a JSON object.
    pub fn encode(&self) -> String {
        // A struct of texts and a number always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`ObjectRef::encode`] wrote; nothing for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::checked(serde_json::from_str(text).ok()?)
    }

    /// As a value among others.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads what [`ObjectRef::to_value`] gave; nothing for any other value.
    pub fn of_value(value: &Value) -> Option<Self> {
        Self::checked(Self::deserialize(value).ok()?)
    }

    fn checked(parsed: Self) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        // It becomes a part of paths.
        (parsed.sha256.len() == SHA256_DIGITS && parsed.sha256.bytes().all(is_digit)).then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_what_it_was_and_leads_nowhere_else() {
        let reference = ObjectRef {
            store: "files".to_owned(),
            sha256: "0f".repeat(32),
            bytes: 3,
            media_type: "application/json".to_owned(),
        };
        assert_eq!(ObjectRef::parse(&reference.encode()), Some(reference.clone()));
        assert_eq!(ObjectRef::of_value(&reference.to_value()), Some(reference.clone()));
        for sha256 in ["", "../../etc/passwd", &"0F".repeat(32), &"0f".repeat(33)] {
            let other = ObjectRef { sha256: sha256.to_owned(), ..reference.clone() };
            assert_eq!(ObjectRef::parse(&other.encode()), None, "{sha256}");
        }
        assert_eq!(ObjectRef::parse("{\"sha256\":\"\"}"), None);
        assert_eq!(ObjectRef::parse("null"), None);
    }
}
