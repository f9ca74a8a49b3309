//! Takes typed values out of a document and notes all that is wrong on the way, with its place.

use petrel_execution::runner::parse_ms;
use serde_json::{Map as JsonMap, Value as Json};

use super::file::Mistake;
use crate::conductor::Status;
use crate::expression::{Map, Value};
use crate::yaml::{At, Document};

pub(super) struct Reader<'d> {
    document: &'d Document,
    pub(super) mistakes: Vec<Mistake>,
}

/// The path of an entry of a mapping.
pub(super) fn entry(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl<'d> Reader<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self { document, mistakes: Vec::new() }
    }

    pub(super) fn at(&self, path: &str) -> At {
        self.document.places.of(path)
    }

    pub(super) fn wrong(&mut self, path: &str, message: impl Into<String>) {
        let at = self.at(path);
        self.mistakes.push(Mistake { at, message: message.into() });
    }

    /// A mapping that has only these keys.
    pub(super) fn mapping(&mut self, value: &'d Value, path: &str, what: &str, known: &[&str]) -> Option<&'d Map> {
        let Value::Map(map) = value else {
            self.wrong(path, format!("{what} is a mapping with {}", known.join(", ")));
            return None;
        };
        for (key, _) in map.iter().filter(|(key, _)| !known.contains(&&***key)) {
            self.wrong(&entry(path, key), format!("unknown key {key:?}, {what} has {}", known.join(", ")));
        }
        Some(map)
    }

    /// A text; none where there is none.
    pub(super) fn text(&mut self, map: &'d Map, path: &str, key: &str) -> Option<&'d str> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        if value.as_str().is_none() {
            self.wrong(&entry(path, key), format!("{key:?} must be a string"));
        }
        value.as_str()
    }

    /// A list; empty where there is none.
    pub(super) fn list(&mut self, map: &'d Map, path: &str, key: &str) -> Option<&'d [Value]> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        if value.as_list().is_none() {
            self.wrong(&entry(path, key), format!("{key:?} must be a list"));
        }
        value.as_list()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, map: &'d Map, path: &str, key: &str) -> Option<Vec<String>> {
        let list = self.list(map, path, key)?;
        let mut texts = Vec::new();
        for (number, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong(&format!("{}[{number}]", entry(path, key)), format!("{key:?} is a list of strings")),
            }
        }
        Some(texts)
    }

    /// A free mapping; empty where there is none.
    pub(super) fn free(&mut self, map: &'d Map, path: &str, key: &str) -> JsonMap<String, Json> {
        match map.get(key).map(Value::to_json) {
            None | Some(Json::Null) => JsonMap::new(),
            Some(Json::Object(entries)) => entries,
            Some(_) => {
                self.wrong(&entry(path, key), format!("{key:?} must be a mapping"));
                JsonMap::new()
            }
        }
    }

    /// A whole number from 0 on.
    pub(super) fn count(&mut self, map: &'d Map, path: &str, key: &str) -> Option<usize> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let count = value.as_i64().and_then(|number| usize::try_from(number).ok());
        if count.is_none() {
            self.wrong(&entry(path, key), format!("{key:?} must be a whole number from 0 on"));
        }
        count
    }

    /// A duration in milliseconds.
    pub(super) fn duration_ms(&mut self, map: &'d Map, path: &str, key: &str) -> Option<i64> {
        let text = self.text(map, path, key)?;
        match parse_ms(text).map(i64::try_from) {
            Ok(Ok(ms)) => Some(ms),
            Ok(Err(_)) => {
                self.wrong(&entry(path, key), format!("the duration {text:?} is too long"));
                None
            }
            Err(message) => {
                self.wrong(&entry(path, key), message);
                None
            }
        }
    }

    /// A status; none where there is none.
    pub(super) fn status(
        &mut self,
        map: &'d Map,
        path: &str,
        key: &str,
        allowed: fn(Status) -> bool,
    ) -> Option<Status> {
        let text = self.text(map, path, key)?;
        let status = Status::of(text).filter(|status| allowed(*status));
        if status.is_none() {
            let all: Vec<&str> = Status::ALL.into_iter().filter(|status| allowed(*status)).map(Status::name).collect();
            self.wrong(&entry(path, key), format!("{key:?} must be one of {}, found {text:?}", all.join(", ")));
        }
        status
    }
}
