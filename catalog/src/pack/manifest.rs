//! `pack.yaml`: what the pack is called.

use std::sync::Arc;

use petrel_execution::Labels;
use petrel_execution::runner::{self, Mistake};
use petrel_schemas::{EXECUTION_SPACE, SHARED_SPACE};
use serde_json::Value;

use crate::limits::PRODUCES_MAX;
use crate::problems::{Code, Problems};
use crate::walk::{Fields, Located, Report, Shape, check_free, check_name, entries_of, text_of};
use crate::yaml::{self, Data, Node};

use super::files::PackFile;
use super::runner::code;
use super::schema::{key_in, node_in};

const SHAPE: Shape = Shape {
    what: "a pack",
    known: &["name", "version", "description", "produces", "requires", "confine"],
    later: &[
        "ref",
        "keywords",
        "author",
        "email",
        "contributors",
        "python_versions",
        "stackstorm_version",
        "dependencies",
        "system",
        "path",
        "config",
    ],
};

pub(super) struct Manifest {
    pub(super) name: Located<String>,
    pub(super) version: String,
    pub(super) description: String,
    /// Topics to which its actions may write.
    pub(super) produces: Vec<Located<String>>,
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Manifest> {
    let fields = Fields::open(node, &SHAPE, report)?;
    let name = fields.need_name(report);
    let version = fields.need_text("version", report);
    if let Some(version) = version.as_ref().filter(|v| !is_version(&v.value)) {
        let message = format!("{:?} is no version: write three numbers such as 1.0.0", version.value);
        report.add(version.place.at, Code::BadValue, message);
    }
    if let Some(name) = name.as_ref().filter(|name| [SHARED_SPACE, EXECUTION_SPACE].contains(&name.value.as_str())) {
        let message =
            format!("no pack is called {:?}: secrets that are no pack's have that name before theirs", name.value);
        report.add(name.place.at, Code::BadName, message);
    }
    let description = fields.description(report);
    let version = version.map(|version| version.value).unwrap_or_default();
    let produces = read_produces(&fields, report);
    check_confine(&fields, report);
    // Each action looks at it itself.
    read_requires(&fields, report);
    Some(Manifest { name: name?, version, description, produces })
}

/// Labels that the pool of an action must have; nothing if the key is not there, or has a problem.
pub(super) fn read_requires(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Located<Labels>> {
    let node = fields.get("requires", report)?;
    let before = report.count();
    let mut labels = Labels::new();
    for (name, value) in entries_of(node, "\"requires\"", report)? {
        if let Err(message) = check_name(&name.text) {
            report.add(name.at, Code::BadName, message);
        }
        let value = text_of(value, &format!("requires.{}", name.text), report);
        labels.extend(value.map(|value| (name.text.clone(), value.value)));
    }
    if labels.is_empty() && report.count() == before {
        report.add(node.at, Code::BadValue, "\"requires\" names no label; leave the key out to require nothing");
    }
    (report.count() == before).then(|| Located::new(labels, report.place(node.at)))
}

/// Labels that a pack requires for all of its actions, as far as its `pack.yaml` can be read; what is wrong with it is
/// told where that is read.
pub(super) fn required(files: &[PackFile]) -> Labels {
    let manifest = files.iter().find(|file| file.path == "pack.yaml");
    let Some(Ok(node)) = manifest.map(|file| yaml::parse(&file.bytes)) else { return Labels::new() };
    let (mut problems, path) = (Problems::new(), Arc::from("pack.yaml"));
    let mut report = Report::new(path, &mut problems);
    let fields = Fields::open(&node, &SHAPE, &mut report);
    fields.and_then(|fields| read_requires(&fields, &mut report)).map(|labels| labels.value).unwrap_or_default()
}

fn read_produces(fields: &Fields<'_>, report: &mut Report<'_>) -> Vec<Located<String>> {
    let mut produces: Vec<Located<String>> = Vec::new();
    for topic in fields.texts("produces", report) {
        if let Err(message) = check_topic(&topic.value) {
            report.add(topic.place.at, Code::BadValue, message);
        } else if produces.iter().any(|before| before.value == topic.value) {
            report.add(topic.place.at, Code::Duplicate, format!("{:?} stands here again", topic.value));
        } else {
            produces.push(topic);
        }
    }
    if produces.len() > PRODUCES_MAX {
        let message = format!("{} topics, more than the limit of {PRODUCES_MAX}", produces.len());
        report.add(produces[PRODUCES_MAX].place.at, Code::TooLarge, message);
    }
    produces
}

/// What processes of the pack may reach: each of them reads it beside what it says itself.
fn check_confine(fields: &Fields<'_>, report: &mut Report<'_>) {
    let Some(confine) = fields.get("confine", report) else { return };
    check_free(confine, report);
    for error in runner::check_confine(&confine.to_json()) {
        let at = match error.mistake {
            Mistake::UnknownKey => key_in(confine, &error.at),
            _ => node_in(confine, &error.at).at,
        };
        report.add(at, code(&error.mistake), error.message);
    }
}

/// What a pack says of that, as far as its `pack.yaml` can be read.
pub(super) fn confine(text: &[u8]) -> Option<Value> {
    let node = yaml::parse(text).ok()?;
    let Data::Map(entries) = &node.data else { return None };
    entries.iter().find(|(key, _)| key.text == "confine").map(|(_, confine)| confine.to_json())
}

/// Topics to which a pack says that it writes, as far as its `pack.yaml` can be read; what is wrong with it is told where
/// that is read.
pub(super) fn produced(text: &[u8]) -> Vec<String> {
    let Ok(node) = yaml::parse(text) else { return Vec::new() };
    let Data::Map(entries) = &node.data else { return Vec::new() };
    let Some((_, list)) = entries.iter().find(|(key, _)| key.text == "produces") else { return Vec::new() };
    let Data::List(items) = &list.data else { return Vec::new() };
    let text = |item: &Node| match &item.data {
        Data::Text(text, _) => Some(text.clone()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}

/// Whether Kafka would accept the name, and it is none of Petrel's own topics.
pub(super) fn check_topic(topic: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if topic.is_empty() || topic.len() > 249 || topic == "." || topic == ".." || !topic.bytes().all(allowed) {
        return Err(format!("{topic:?} is no name of a Kafka topic"));
    }
    if topic.starts_with("petrel.") {
        return Err(format!("{topic:?} is one of Petrel's own topics"));
    }
    Ok(())
}

/// Three numbers, and after a `-` or `+` anything visible.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_graphic())
}
