//! YAML with budgets, into a tree that knows the place of every key and value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Options, Spanned};

use crate::limits::{YAML_BYTES_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX};
use crate::problems::{At, Code};

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) data: Data,
}

/// A key of a mapping and its place.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) at: At,
    pub(crate) text: String,
}

/// Place of a text's first character, if the text stands in the file as it is: then a position inside of the
/// text is a position in the file. Not so for folded texts and those with escapes.
pub(crate) type Verbatim = Option<At>;

/// What stands in a node. Repeated keys of a mapping are all kept: the walker reports them.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String, Verbatim),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// What kind of value it is, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(..) => "a string",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// The value without places; of a repeated key the last value.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text, _) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Map(entries) => Value::Object(
                entries.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Why a file is no YAML that can be walked.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) at: At,
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// Reads one YAML document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node, YamlError> {
    if bytes.len() > YAML_BYTES_MAX {
        let message = format!("the file has {} bytes, more than the limit of {YAML_BYTES_MAX} bytes", bytes.len());
        return Err(YamlError { at: At::START, code: Code::TooLarge, message });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| YamlError {
        at: position_of(bytes, e.valid_up_to()),
        code: Code::Yaml,
        message: "the file is not UTF-8".to_owned(),
    })?;
    if text.trim().is_empty() {
        return Err(YamlError { at: At::START, code: Code::Yaml, message: "the file is empty".to_owned() });
    }
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options()).map_err(|e| {
        let at = e.location().map_or(At::START, at_of);
        YamlError { at, code: Code::Yaml, message: message_of(&e) }
    })?;
    let lines: Vec<&str> = text.split('\n').collect();
    Ok(node_of(raw, &lines))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: YAML_DEPTH_MAX,
            max_nodes: YAML_NODES_MAX,
            max_events: 4 * YAML_NODES_MAX,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: YAML_NODES_MAX,
            max_replay_stack_depth: 8,
        },
        // Repeated and merge keys come through as they stand, so that they are reported with all else.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The first line of the reader's message, without the position that the problem already carries.
fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = line.rfind(" at line ").map_or(line, |end| &line[..end]);
    if line.starts_with("recursive references") {
        return "an alias must not stand inside of what it names".to_owned();
    }
    if line.contains("Documents {") {
        return "a file holds one YAML document, this one has more".to_owned();
    }
    line.to_owned()
}

fn at_of(location: Location) -> At {
    let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    At { line: clamp(location.line()), column: clamp(location.column()) }
}

fn position_of(bytes: &[u8], offset: usize) -> At {
    let before = &bytes[..offset];
    let line = before.split(|b| *b == b'\n').count();
    let column = before.rsplit(|b| *b == b'\n').next().map_or(0, <[u8]>::len) + 1;
    let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    At { line: clamp(line), column: clamp(column) }
}

/// A value as serde sees it, its parts with their places.
enum Raw {
    Scalar(Data),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn node_of(raw: Spanned<Raw>, lines: &[&str]) -> Node {
    let at = at_of(raw.referenced);
    let data = match raw.value {
        Raw::Scalar(Data::Text(text, _)) => {
            let verbatim = verbatim(&text, at, lines);
            Data::Text(text, verbatim)
        }
        Raw::Scalar(data) => data,
        Raw::List(items) => Data::List(items.into_iter().map(|item| node_of(item, lines)).collect()),
        Raw::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                (Key { at: at_of(key.referenced), text: key.value }, node_of(value, lines))
            };
            Data::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { at, data }
}

/// Looks for the text in the file, at its place or behind a quote; its further lines begin in the same column.
fn verbatim(text: &str, at: At, lines: &[&str]) -> Verbatim {
    [0, 1].into_iter().map(|quote| At { column: at.column + quote, ..at }).find(|start| {
        text.trim_end().split('\n').zip(start.line as usize - 1..).all(|(part, index)| {
            let rest = lines.get(index).and_then(|line| {
                let (byte, _) = line.char_indices().nth(start.column as usize - 1)?;
                line.get(byte..)
            });
            part.is_empty() || rest.is_some_and(|rest| rest.starts_with(part))
        })
    })
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Number(value.into())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Raw, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Raw::Scalar(Data::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Text(value.to_owned(), None)))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Text(value, None)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests;
