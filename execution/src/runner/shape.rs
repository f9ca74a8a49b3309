//! What an action says of its result, whichever runner it has: how long it may be, what it has to fit, and what is taken
//! of it.

use std::sync::Arc;

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake, kind, step};
use super::{CheckValue, PackFiles};
use crate::limits::{EXTRACTED_BYTES_MAX, EXTRACTED_MAX, RESULT_SOURCE_BYTES_MAX};

/// What a result has to be, and what is taken of it.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Longest text that becomes a result, in bytes, where the action says it.
    pub bytes_max: Option<usize>,
    pub(super) schema: Option<(Value, Arc<dyn CheckValue>)>,
    pub(super) extract: Vec<(String, String, Arc<Template>)>,
}

/// Equal as their actions write them.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        let schema = |shape: &Self| shape.schema.as_ref().map(|(written, _)| written.clone());
        let extract = |shape: &Self| -> Vec<_> {
            shape.extract.iter().map(|(name, source, _)| (name.clone(), source.clone())).collect()
        };
        self.bytes_max == other.bytes_max && schema(self) == schema(other) && extract(self) == extract(other)
    }
}

/// Why not everything could be taken of a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// An expression has no value.
    #[error("output.extract.{name}: {why}")]
    NoValue {
        /// Which one.
        name: String,
        /// Why not.
        why: String,
    },
    /// All of them are larger than they may be.
    #[error(
        "what output.extract takes of the result has {bytes} bytes, more than the limit of {EXTRACTED_BYTES_MAX}; the \
         largest is {largest:?}"
    )]
    TooLarge {
        /// How large they are, as JSON.
        bytes: usize,
        /// Which one is the largest.
        largest: String,
    },
}

impl Shape {
    /// Names of the keys of `output` that are read here.
    pub(super) const KEYS: [&'static str; 3] = ["schema", "extract", "bytes_max"];

    /// Reads them. Nothing where one of them makes no sense, which is told.
    pub(super) fn read(entries: &Map<String, Value>, keys: &mut Keys<'_>, files: &dyn PackFiles) -> Option<Self> {
        let before = keys.errors.len();
        let most = u32::try_from(RESULT_SOURCE_BYTES_MAX).unwrap_or(u32::MAX);
        let bytes_max = entries.get("bytes_max");
        let bytes_max = bytes_max.and_then(|bytes| keys.whole(bytes, "/output/bytes_max", "bytes_max", most));
        let schema = entries.get("schema").and_then(|schema| match files.schema(schema) {
            Ok(check) => Some((schema.clone(), check)),
            Err(mistake) => {
                keys.error(format!("/output/schema{}", mistake.at), Mistake::BadSchema, mistake.message);
                None
            }
        });
        let extract = entries.get("extract").map(|extract| read_extract(extract, keys)).unwrap_or_default();
        let bytes_max = bytes_max.and_then(|bytes| usize::try_from(bytes).ok());
        (keys.errors.len() == before).then_some(Self { bytes_max, schema, extract })
    }

    /// Why a value does not fit, if it does not: the first few reasons, without anything of the value.
    pub fn problems(&self, value: &Value) -> Vec<String> {
        self.schema.as_ref().map(|(_, check)| check.problems(value)).unwrap_or_default()
    }

    /// Whether anything is taken of a result.
    pub fn extracts(&self) -> bool {
        !self.extract.is_empty()
    }

    /// What is taken of a result, by name. What has no value is left out, and the first such error stands beside it.
    pub fn extracted(&self, result: &Value) -> (Map<String, Value>, Option<ExtractError>) {
        let scope = Scope::result(result);
        let (mut taken, mut error) = (Map::new(), None);
        for (name, _, template) in &self.extract {
            match template.render(&scope) {
                Ok(value) => {
                    taken.insert(name.clone(), value);
                }
                Err(why) => {
                    error.get_or_insert_with(|| ExtractError::NoValue { name: name.clone(), why: why.to_string() });
                }
            }
        }
        let size = |value: &Value| value.to_string().len();
        let bytes: usize = taken.iter().map(|(name, value)| name.len() + size(value)).sum();
        if bytes > EXTRACTED_BYTES_MAX {
            let largest = taken.iter().max_by_key(|(_, value)| size(value)).map(|(name, _)| name.clone());
            return (Map::new(), Some(ExtractError::TooLarge { bytes, largest: largest.unwrap_or_default() }));
        }
        (taken, error)
    }
}

/// Reads the mapping of names and expressions.
fn read_extract(extract: &Value, keys: &mut Keys<'_>) -> Vec<(String, String, Arc<Template>)> {
    const AT: &str = "/output/extract";
    let Value::Object(entries) = extract else {
        let message = format!("\"extract\" must be a mapping of names and expressions, found {}", kind(extract));
        keys.error(AT, Mistake::WrongType, message);
        return Vec::new();
    };
    if entries.len() > EXTRACTED_MAX {
        let message = format!("\"extract\" has {} entries, more than the limit of {EXTRACTED_MAX}", entries.len());
        keys.error(AT, Mistake::TooLarge, message);
    }
    let mut read = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let at = format!("{AT}/{}", step(name));
        if !is_name(name) {
            let message = format!("{name:?} is no name: it begins with a letter, and has a-z, 0-9 and _ alone");
            keys.error(at.as_str(), Mistake::BadName, message);
        }
        let Value::String(source) = value else {
            let message = format!("{name:?} must be an expression over \"result\", found {}", kind(value));
            keys.error(at, Mistake::WrongType, message);
            continue;
        };
        if source.contains("${") {
            let message = format!("{name:?} is an expression already: write it without ${{…}}, such as result.id");
            keys.error(at, Mistake::BadValue, message);
            continue;
        }
        match Template::result(source) {
            Ok(template) => read.push((name.clone(), source.clone(), Arc::new(template))),
            Err(errors) => {
                for error in errors {
                    let message = error.message.clone();
                    keys.error(at.as_str(), Mistake::Expression(error), message);
                }
            }
        }
    }
    read
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
