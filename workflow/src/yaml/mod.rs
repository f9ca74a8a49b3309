//! YAML as Orquesta reads it: version 1.1 as PyYAML has it, each key once, with budgets, and the place of every value.
//!
//! `serde-saphyr` resolves plain scalars by YAML 1.2 and does not tell how they were written, so this reads the events
//! of the parser below it.

mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScanError, Span, StrInput};

use crate::expression::Value;
use crate::limits::{DEFINITION_BYTES_MAX, DEFINITION_DEPTH_MAX, DEFINITION_NODES_MAX};

/// A place in a text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A text's value, and where each part of it stands.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) places: Places,
}

/// Where the parts of a document stand, by their paths: `tasks.t1.next[0].do`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(HashMap<String, At>);

impl Places {
    /// The place of a path, or of the nearest part above it.
    pub(crate) fn of(&self, path: &str) -> At {
        let mut path = path;
        loop {
            if let Some(at) = self.0.get(path) {
                return *at;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return At { line: 1, column: 1 },
            }
        }
    }
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) at: At,
    pub(crate) message: String,
}

/// Reads the one document of a text.
pub(crate) fn parse(text: &str) -> Result<Document, YamlError> {
    let start = At { line: 1, column: 1 };
    if text.len() > DEFINITION_BYTES_MAX {
        let message =
            format!("the text has {} bytes, the limit DEFINITION_BYTES_MAX is {DEFINITION_BYTES_MAX}", text.len());
        return Err(YamlError { at: start, message });
    }
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, Options::default()),
        anchors: HashMap::new(),
        nodes: 0,
        places: Places::default(),
    };
    let value = reader.document()?;
    Ok(Document { value, places: reader.places })
}

/// An anchored value, with how many values it counts.
struct Anchored {
    value: Value,
    nodes: usize,
}

struct Reader<'text> {
    events: Parser<'text, StrInput<'text>>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    places: Places,
}

fn at_of(span: &Span) -> At {
    At { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn scan_error(error: &ScanError) -> YamlError {
    let at = At { line: error.marker().line().max(1), column: error.marker().col() + 1 };
    YamlError { at, message: error.info().to_owned() }
}

fn error_at(span: &Span, message: impl Into<String>) -> YamlError {
    YamlError { at: at_of(span), message: message.into() }
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Span), YamlError> {
        loop {
            let Some(next) = self.events.next() else {
                return Err(YamlError { at: At { line: 1, column: 1 }, message: "the text ends too early".to_owned() });
            };
            let (event, span) = next.map_err(|error| scan_error(&error))?;
            let told = event.is_node()
                || matches!(
                    event,
                    Event::StreamStart
                        | Event::StreamEnd
                        | Event::DocumentStart(..)
                        | Event::DocumentEnd
                        | Event::SequenceEnd
                        | Event::MappingEnd
                );
            if told {
                return Ok((event, span));
            }
        }
    }

    fn document(&mut self) -> Result<Value, YamlError> {
        let mut value = Value::Null;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart => {}
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(error_at(&span, "the text holds more than one document"));
                    }
                    let (event, span) = self.next()?;
                    value = self.value(event, &span, String::new(), 0)?;
                }
                Event::DocumentEnd => {}
                _ => return Ok(value),
            }
        }
    }

    fn value(&mut self, event: Event<'text>, span: &Span, path: String, depth: usize) -> Result<Value, YamlError> {
        self.count(1, span)?;
        if depth > DEFINITION_DEPTH_MAX {
            return Err(error_at(
                span,
                format!("the text nests deeper than the limit DEFINITION_DEPTH_MAX of {DEFINITION_DEPTH_MAX}"),
            ));
        }
        self.places.0.entry(path.clone()).or_insert_with(|| at_of(span));
        let before = self.nodes;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar::resolve(&text, style, tag.as_deref()).map_err(|what| error_at(span, what))?;
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(&path, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(&path, depth)?, anchor),
            Event::Alias(id) => {
                let Some(anchored) = self.anchors.get(&id) else {
                    return Err(error_at(span, "an alias must not stand inside of what it names"));
                };
                let (value, nodes) = (anchored.value.clone(), anchored.nodes);
                self.count(nodes, span)?;
                return Ok(value);
            }
            _ => return Err(error_at(span, "a value is expected here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { value: value.clone(), nodes: self.nodes - before + 1 });
        }
        Ok(value)
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes > DEFINITION_NODES_MAX {
            let message =
                format!("the text has more values than the limit DEFINITION_NODES_MAX of {DEFINITION_NODES_MAX}");
            return Err(error_at(span, message));
        }
        Ok(())
    }

    fn list(&mut self, path: &str, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items.into_iter().collect()));
            }
            let path = format!("{path}[{}]", items.len());
            items.push(self.value(event, &span, path, depth + 1)?);
        }
    }

    fn map(&mut self, path: &str, depth: usize) -> Result<Value, YamlError> {
        let mut entries: Vec<(std::sync::Arc<str>, Value)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries.into_iter().collect())),
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(1, &span)?;
                    let value = scalar::resolve(&text, style, tag.as_deref()).map_err(|what| error_at(&span, what))?;
                    let key = scalar::key_text(&value);
                    if anchor > 0 {
                        self.anchors.insert(anchor, Anchored { value, nodes: 1 });
                    }
                    key
                }
                Event::Alias(id) => match self.anchors.get(&id).map(|anchored| &anchored.value) {
                    Some(Value::List(_) | Value::Map(_)) | None => {
                        return Err(error_at(&span, "a key must be text"));
                    }
                    Some(value) => scalar::key_text(value),
                },
                _ => return Err(error_at(&span, "a key must be text")),
            };
            if key == "<<" {
                return Err(error_at(&span, "merge keys are not supported"));
            }
            if !seen.insert(key.clone()) {
                return Err(error_at(&span, format!("found duplicate key \"{key}\"")));
            }
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.places.0.entry(path.clone()).or_insert_with(|| at_of(&span));
            let (event, span) = self.next()?;
            let value = self.value(event, &span, path, depth + 1)?;
            entries.push((key.into(), value));
        }
    }
}

#[cfg(test)]
mod tests;
