//! Walking a YAML tree: takes typed values out of mappings and reports all that is wrong on the way.

use std::sync::Arc;

use crate::duration::{parse_ms, show_ms};
use crate::limits::NAME_BYTES_MAX;
use crate::problems::{At, Code, Place, Problems, did_you_mean};
use crate::yaml::{Data, Key, Node, Verbatim};

/// Collects the problems of one file.
pub(crate) struct Report<'p> {
    path: Arc<str>,
    problems: &'p mut Problems,
}

impl<'p> Report<'p> {
    pub(crate) fn new(path: Arc<str>, problems: &'p mut Problems) -> Self {
        Self { path, problems }
    }

    pub(crate) fn add(&mut self, at: At, code: Code, message: impl Into<String>) {
        self.problems.add_at(&self.path, at, code, message);
    }

    /// The problems of all files.
    pub(crate) fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// How many problems there are, to see whether a step added one.
    pub(crate) fn count(&self) -> usize {
        self.problems.len()
    }

    pub(crate) fn place(&self, at: At) -> Place {
        Place { path: self.path.clone(), at }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
    /// Where a text begins, if it stands in the file as it is.
    pub(crate) verbatim: Verbatim,
}

impl<T> Located<T> {
    pub(crate) fn new(value: T, place: Place) -> Self {
        Self { value, place, verbatim: None }
    }
}

/// The keys that a mapping may have.
pub(crate) struct Shape {
    /// What the mapping is, with an article, for messages.
    pub(crate) what: &'static str,
    /// Keys that this version reads.
    pub(crate) known: &'static [&'static str],
    /// Keys of the design, or of StackStorm, that this version does not have.
    pub(crate) later: &'static [&'static str],
}

/// A mapping whose keys have been checked.
pub(crate) struct Fields<'n> {
    at: At,
    what: &'static str,
    entries: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping: reports another type, repeated keys, unknown keys and those of a later version.
    pub(crate) fn open(node: &'n Node, shape: &Shape, report: &mut Report<'_>) -> Option<Self> {
        let entries = entries_of(node, shape.what, report)?;
        for (key, _) in &entries {
            let text = key.text.as_str();
            if shape.known.contains(&text) {
                continue;
            }
            if text == "<<" || shape.later.contains(&text) {
                report.add(key.at, Code::NotSupported, format!("{text:?} is not supported in this version"));
                continue;
            }
            let hint = did_you_mean(text, shape.known.iter().chain(shape.later).copied());
            report.add(key.at, Code::UnknownKey, format!("unknown key {text:?}{hint}"));
        }
        Some(Self { at: node.at, what: shape.what, entries })
    }

    /// The value of a key; one without a value (`key:` and nothing behind it) is reported.
    pub(crate) fn get(&self, key: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        let (key, node) = self.entries.iter().find(|(k, _)| k.text == key)?;
        if matches!(node.data, Data::Null) {
            report.add(key.at, Code::WrongType, format!("{:?} has no value", key.text));
            return None;
        }
        Some(node)
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, key: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        if !self.entries.iter().any(|(k, _)| k.text == key) {
            report.add(self.at, Code::Missing, format!("{} needs {key:?}", self.what));
        }
        self.get(key, report)
    }

    /// A string, with its place.
    pub(crate) fn text(&self, key: &str, report: &mut Report<'_>) -> Option<Located<String>> {
        let node = self.get(key, report)?;
        text_of(node, key, report)
    }

    /// A string that must be there.
    pub(crate) fn need_text(&self, key: &str, report: &mut Report<'_>) -> Option<Located<String>> {
        let node = self.need(key, report)?;
        text_of(node, key, report)
    }

    /// `name`: must be there and be `[a-z0-9_]+`.
    pub(crate) fn need_name(&self, report: &mut Report<'_>) -> Option<Located<String>> {
        let name = self.need_text("name", report)?;
        match check_name(&name.value) {
            Ok(()) => Some(name),
            Err(message) => {
                report.add(name.place.at, Code::BadName, message);
                None
            }
        }
    }

    /// A string, or nothing where there is none.
    pub(crate) fn description(&self, report: &mut Report<'_>) -> String {
        self.text("description", report).map(|t| t.value).unwrap_or_default()
    }

    /// A boolean with a default.
    pub(crate) fn flag(&self, key: &str, default: bool, report: &mut Report<'_>) -> bool {
        match self.get(key, report).map(|node| (&node.data, node)) {
            None => default,
            Some((Data::Bool(value), _)) => *value,
            Some((_, node)) => {
                wrong_type(node, key, "true or false", report);
                default
            }
        }
    }

    /// A duration between two bounds, in milliseconds.
    pub(crate) fn duration_ms(&self, key: &str, min: i64, max: i64, report: &mut Report<'_>) -> Option<i64> {
        let node = self.get(key, report)?;
        duration_of(node, key, min, max, report)
    }

    /// One of a few words; the default where it is not there.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], default: T, report: &mut Report<'_>) -> T {
        let Some(text) = self.text(key, report) else { return default };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return *value;
        }
        let all = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let hint = did_you_mean(&text.value, words.iter().map(|(word, _)| *word));
        report.add(
            text.place.at,
            Code::BadValue,
            format!("{key:?} must be one of {all}, found {:?}{hint}", text.value),
        );
        default
    }

    /// A list of strings; empty where it is not there.
    pub(crate) fn texts(&self, key: &str, report: &mut Report<'_>) -> Vec<Located<String>> {
        let Some(node) = self.get(key, report) else { return Vec::new() };
        let Data::List(items) = &node.data else {
            wrong_type(node, key, "a list of strings", report);
            return Vec::new();
        };
        let text = |(index, item)| text_of(item, &format!("{key}[{index}]"), report);
        items.iter().enumerate().filter_map(text).collect()
    }

    /// A key of the mapping, whatever its value.
    pub(crate) fn entry(&self, key: &str) -> Option<(&'n Key, &'n Node)> {
        self.entries.iter().find(|(k, _)| k.text == key).copied()
    }

    /// Place of the mapping.
    pub(crate) fn at(&self) -> At {
        self.at
    }
}

/// The entries of a mapping whose keys are free; repeated keys are reported, and only their first value is kept.
pub(crate) fn entries_of<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> Option<Vec<(&'n Key, &'n Node)>> {
    let Data::Map(entries) = &node.data else {
        report.add(node.at, Code::WrongType, format!("expected {what} as a mapping, found {}", node.kind()));
        return None;
    };
    let mut unique: Vec<(&Key, &Node)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match unique.iter().find(|(earlier, _)| earlier.text == key.text) {
            None => unique.push((key, value)),
            Some((earlier, _)) => {
                let at = earlier.at;
                let message = format!("key {:?} stands here again, first at {}:{}", key.text, at.line, at.column);
                report.add(key.at, Code::Duplicate, message);
            }
        }
    }
    Some(unique)
}

/// Reports repeated and merge keys anywhere below a free value.
pub(crate) fn check_free(node: &Node, report: &mut Report<'_>) {
    match &node.data {
        Data::List(items) => items.iter().for_each(|item| check_free(item, report)),
        Data::Map(_) => {
            for (key, value) in entries_of(node, "a value", report).unwrap_or_default() {
                if key.text == "<<" {
                    report.add(key.at, Code::NotSupported, "\"<<\" is not supported in this version");
                }
                check_free(value, report);
            }
        }
        _ => {}
    }
}

/// Reports that a key has a value of another type.
pub(crate) fn wrong_type(node: &Node, key: &str, wanted: &str, report: &mut Report<'_>) {
    report.add(node.at, Code::WrongType, format!("{key:?} must be {wanted}, found {}", node.kind()));
}

/// A string.
pub(crate) fn text_of(node: &Node, key: &str, report: &mut Report<'_>) -> Option<Located<String>> {
    match &node.data {
        Data::Text(text, verbatim) => {
            Some(Located { value: text.clone(), place: report.place(node.at), verbatim: *verbatim })
        }
        Data::Number(number) => {
            let message = format!("{key:?} must be a string, found the number {number}; write \"{number}\" in quotes");
            report.add(node.at, Code::WrongType, message);
            None
        }
        _ => {
            wrong_type(node, key, "a string", report);
            None
        }
    }
}

/// A duration between two bounds, in milliseconds.
pub(crate) fn duration_of(node: &Node, key: &str, min: i64, max: i64, report: &mut Report<'_>) -> Option<i64> {
    let Data::Text(text, _) = &node.data else {
        wrong_type(node, key, "a duration such as 10s or 5m", report);
        return None;
    };
    match parse_ms(text) {
        Ok(ms) if (min..=max).contains(&ms) => Some(ms),
        Ok(_) => {
            let message = format!("{key:?} must be from {} to {}, found {text}", show_ms(min), show_ms(max));
            report.add(node.at, Code::BadValue, message);
            None
        }
        Err(message) => {
            report.add(node.at, Code::BadValue, message);
            None
        }
    }
}

/// Whether a text can be a name.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(format!("{name:?} is no name: use lower-case letters, digits and underscores"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("a name has at most {NAME_BYTES_MAX} characters, this one has {}", name.len()));
    }
    Ok(())
}
