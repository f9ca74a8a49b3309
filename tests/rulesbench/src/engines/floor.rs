//! Reading alone, with `sonic_rs`: the least that any engine must do, and the reader of those without one.
//!
//! `get_many` leaves what stands behind the last wanted field unread, so the whole document is validated
//! first. What `sonic_rs` lets pass are escapes `\u` without four digits. Of duplicate keys `get_many` takes
//! the first one; the corpora have none.

use std::hint::black_box;

use anyhow::{Context, Result};
use sonic_rs::{JsonType, JsonValueTrait, LazyValue, PointerTree};

use super::Matcher;
use crate::schema::{Field, Kind};

const FIELDS_MAX: usize = 11;

/// A text field of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text<'e> {
    Missing,
    Null,
    Is(&'e str),
}

impl<'e> Text<'e> {
    /// For engines that have no null.
    pub(crate) fn text(self) -> Option<&'e str> {
        match self {
            Self::Is(text) => Some(text),
            Self::Missing | Self::Null => None,
        }
    }
}

/// The decoded fields of an event, by their numbers. What a field's kind does not use stays empty.
#[derive(Debug)]
pub(crate) struct Fields<'e> {
    pub texts: [Text<'e>; FIELDS_MAX],
    /// Not a number where there is none.
    pub numbers: [f64; FIELDS_MAX],
    pub tags: &'e [&'e str],
}

/// Reads exactly the fields that a set of rules reads.
pub(crate) struct Floor {
    tree: PointerTree,
    pub wanted: Vec<(usize, Kind)>,
}

impl Floor {
    pub(crate) fn new(fields: &[Field], read: &[bool]) -> Self {
        let mut tree = PointerTree::new();
        let mut wanted = Vec::new();
        for (number, field) in fields.iter().enumerate().filter(|(number, _)| read[*number]) {
            tree.add_path(field.path.iter());
            wanted.push((number, field.kind));
        }
        Self { tree, wanted }
    }

    /// Validates and decodes an event.
    pub(crate) fn read<R>(&self, event: &[u8], then: impl FnOnce(&Fields<'_>) -> R) -> Result<R> {
        let text = std::str::from_utf8(event).context("an event")?;
        sonic_rs::from_str::<LazyValue<'_>>(text).context("an event")?;
        let values = sonic_rs::get_many(text, &self.tree).context("an event")?;
        let mut fields = Fields { texts: [Text::Missing; FIELDS_MAX], numbers: [f64::NAN; FIELDS_MAX], tags: &[] };
        let mut list: Vec<LazyValue<'_>> = Vec::new();
        for ((number, kind), value) in self.wanted.iter().zip(&values) {
            let Some(value) = value else { continue };
            match kind {
                Kind::Text => {
                    fields.texts[*number] = match value.as_str() {
                        Some(text) => Text::Is(text),
                        None if value.get_type() == JsonType::Null => Text::Null,
                        None => Text::Missing,
                    };
                }
                Kind::Float | Kind::Int => fields.numbers[*number] = value.as_f64().unwrap_or(f64::NAN),
                Kind::Tags => {
                    for tag in sonic_rs::to_array_iter(value.as_raw_str()) {
                        list.push(tag.context("a tag")?);
                    }
                }
            }
        }
        let tags: Vec<&str> = list.iter().filter_map(|tag| tag.as_str()).collect();
        fields.tags = &tags;
        Ok(then(&fields))
    }
}

/// The floor itself: it matches nothing.
pub(super) fn matcher(fields: &[Field], read: &[bool]) -> Matcher {
    let floor = Floor::new(fields, read);
    Box::new(move |event, _| {
        floor.read(event, |fields| {
            black_box(fields);
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Corpus, ops};

    fn floor() -> Floor {
        let fields = Corpus::Ops.fields();
        Floor::new(fields, &vec![true; fields.len()])
    }

    #[test]
    fn fields_are_decoded() {
        let event = br#"{"host":"a\"b","cpu":1.5,"count":3,"labels":{"team":null},"tags":["x","y"]}"#;
        let seen = floor().read(event, |fields| {
            assert_eq!(fields.texts[ops::HOST], Text::Is("a\"b"));
            assert_eq!(fields.texts[ops::TEAM], Text::Null);
            assert_eq!(fields.texts[ops::ENV], Text::Missing);
            assert_eq!((fields.numbers[ops::CPU], fields.numbers[ops::COUNT]), (1.5, 3.0));
            assert_eq!(fields.tags, ["x", "y"]);
        });
        seen.unwrap();
    }

    #[test]
    fn the_whole_document_is_validated() {
        let floor = floor();
        let read = |event: &[u8]| floor.read(event, |_| ()).is_ok();
        assert!(read(br#"{"host":"a","rest":{"x":[1,-2.5e3,true,null]}} "#));
        for rest in [
            &b"}x"[..],
            b"",
            b",}",
            b",\"z\":01}",
            b",\"z\":1.}",
            b",\"z\":tru}",
            b",\"z\":[1,]}",
            b",\"z\":\"a",
            b",\"z\":\"\x01\"}",
            b",\"z\":\"\\x\"}",
            b",\"z\":\"\xff\"}",
            b",z:1}",
            b"} {}",
            b",\"z\":{\"a\" 1}}",
            b",\"z\":-}",
            b",\"z\":[1 2]}",
            b",\"z\":nan}",
            b",\"z\":1e}",
        ] {
            let event = [&b"{\"host\":\"a\""[..], rest].concat();
            assert!(!read(&event), "{}", String::from_utf8_lossy(&event));
        }
    }
}
