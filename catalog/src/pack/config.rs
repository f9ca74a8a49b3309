//! `config.schema.yaml` and `config.yaml`: what a pack needs to know of the place where it runs, and what it is there.
//!
//! The schema is part of the pack, StackStorm's shape: a JSON schema for each name, with `required`, `default` and
//! `secret`. The values are no part of it: whoever applies the pack gives them.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_cel::{Constant, Constants};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use crate::problems::{Code, Problems, did_you_mean};
use crate::walk::{Located, Report, entries_of};
use crate::yaml::{self, Node};

use super::action::{ParameterDef, read_parameter};
use super::files::{self, PackFile};
use super::schema;

/// The file that says what a pack needs.
pub(super) const SCHEMA: &str = "config.schema.yaml";
/// The file that holds what it was given.
pub(super) const VALUES: &str = "config.yaml";

/// The configuration of a pack: values with defaults filled in.
#[derive(Debug, Default)]
pub struct Config {
    values: Map<String, Value>,
    secrets: BTreeMap<String, Located<SecretRef>>,
    known: Vec<String>,
}

impl Config {
    /// The values by name, defaults filled in; of secrets, their names.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Located<SecretRef>> {
        self.secrets.values()
    }

    /// The secret that a text names as a whole: itself, or by a name of the configuration.
    pub(crate) fn secret_of_text(&self, text: &str) -> Option<SecretRef> {
        let named = || {
            let inside = text.strip_prefix("${")?.strip_suffix('}')?.trim();
            Some(self.secrets.get(inside.strip_prefix("config.")?)?.value.clone())
        };
        SecretRef::of_text(text).or_else(named)
    }
}

impl Constants for Config {
    fn get(&self, name: &str) -> Option<Constant> {
        match self.secrets.get(name) {
            Some(secret) => Some(Constant::Secret(secret.value.to_string())),
            None => self.values.get(name).cloned().map(Constant::Value),
        }
    }

    fn unknown(&self, name: &str) -> String {
        match self.known.iter().any(|known| known == name) {
            true => format!("config.{name} has no value: {SCHEMA} gives it no default, and nobody has set it"),
            false => {
                let hint = did_you_mean(name, self.known.iter().map(String::as_str));
                format!("{SCHEMA} has no {name:?}{hint}")
            }
        }
    }
}

/// The configuration of a pack, as far as it is right.
pub(super) fn read(label: &str, files: &[PackFile], problems: &mut Problems) -> Arc<Config> {
    let mut config = Config::default();
    let mut definitions = Vec::new();
    if let Some((node, mut report)) = parsed(label, files, SCHEMA, problems) {
        let entries = entries_of(&node, "a pack's configuration", &mut report).unwrap_or_default();
        for (key, value) in entries {
            config.known.push(key.text.clone());
            if let Some(definition) = read_parameter(key, value, &mut report) {
                definitions.push((definition, key.at));
            }
        }
    }
    let given = read_values(label, files, &definitions_of(&definitions), &mut config, problems);
    for (definition, at) in definitions {
        if config.values.contains_key(&definition.name) || given.contains(&definition.name) {
            continue;
        }
        let place = Report::new(files::shown(label, SCHEMA).into(), problems).place(at);
        match definition.default {
            Some(default) => {
                let secret = default.as_str().and_then(SecretRef::of_text).filter(|_| definition.secret);
                config.secrets.extend(secret.map(|secret| (definition.name.clone(), Located::new(secret, place))));
                config.values.insert(definition.name, default);
            }
            None if definition.required => {
                let message = format!(
                    "the pack needs a value for config {:?}: give it with --config, or with `petrel config set`",
                    definition.name
                );
                problems.add(&place, Code::Missing, message);
            }
            None => {}
        }
    }
    Arc::new(config)
}

fn definitions_of<T>(definitions: &[(ParameterDef, T)]) -> Vec<&ParameterDef> {
    definitions.iter().map(|(definition, _)| definition).collect()
}

fn parsed<'p>(label: &str, files: &[PackFile], path: &str, problems: &'p mut Problems) -> Option<(Node, Report<'p>)> {
    let file = files.iter().find(|file| file.path == path)?;
    let mut report = Report::new(files::shown(label, path).into(), problems);
    match yaml::parse(&file.bytes) {
        Ok(node) => Some((node, report)),
        Err(error) => {
            report.add(error.at, error.code, error.message);
            None
        }
    }
}

/// Takes what was given; the names, right or wrong.
fn read_values(
    label: &str,
    files: &[PackFile],
    definitions: &[&ParameterDef],
    config: &mut Config,
    problems: &mut Problems,
) -> Vec<String> {
    if files.iter().any(|file| file.path == VALUES && is_blank(file)) {
        return Vec::new();
    }
    let Some((node, mut report)) = parsed(label, files, VALUES, problems) else { return Vec::new() };
    if node.to_json().is_null() {
        return Vec::new();
    }
    let report = &mut report;
    let mut given = Vec::new();
    for (key, node) in entries_of(&node, "the values of a configuration", report).unwrap_or_default() {
        given.push(key.text.clone());
        let Some(definition) = definitions.iter().find(|definition| definition.name == key.text) else {
            if !config.known.contains(&key.text) {
                report.add(key.at, Code::UnknownKey, config.unknown(&key.text));
            }
            continue;
        };
        if let Some(value) = checked(definition, node, config, report) {
            config.values.insert(key.text.clone(), value);
        }
    }
    given
}

fn checked(definition: &ParameterDef, node: &Node, config: &mut Config, report: &mut Report<'_>) -> Option<Value> {
    let (name, value) = (&definition.name, node.to_json());
    if definition.secret {
        let Some(secret) = value.as_str().and_then(SecretRef::of_text) else {
            let message = format!("config {name:?} is a secret: {}", crate::secrets::NAME_IT);
            report.add(node.at, Code::BadParameter, message);
            return None;
        };
        let text = secret.text();
        config.secrets.insert(name.clone(), Located::new(secret, report.place(node.at)));
        return Some(Value::String(text));
    }
    if value.to_string().contains("${") {
        let message = format!(
            "config {name:?} is a value, and holds no \"${{…}}\"; the name of a secret needs `secret: true` in {SCHEMA}"
        );
        report.add(node.at, Code::BadValue, message);
        return None;
    }
    // One that does not compile is told with the schema.
    let validator = schema::compile_schema(&definition.schema).ok()?;
    if let Some(reason) = schema::describe_errors(&validator, &value).into_iter().next() {
        report.add(node.at, Code::BadParameter, format!("config {name:?} breaks its schema: {reason}"));
        return None;
    }
    Some(value)
}

/// What a pack was given, as its file says it, without defaults; nothing if it was given nothing.
///
/// # Errors
/// Why the file cannot be read.
pub fn given_config(files: &[PackFile]) -> Result<Map<String, Value>, String> {
    let given = files.iter().find(|file| file.path == VALUES && !is_blank(file));
    let Some(file) = given else { return Ok(Map::new()) };
    match yaml::parse(&file.bytes).map(|node| node.to_json()) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(format!("{VALUES} is no mapping")),
        Err(error) => Err(format!("{VALUES}: {}", error.message)),
    }
}

/// Nothing stands in it, which is no YAML document and yet says that nothing is given.
fn is_blank(file: &PackFile) -> bool {
    file.bytes.trim_ascii().is_empty()
}

/// The file that gives a pack these values: YAML, a line for each, sorted. A file that gives none stays a file: a pack
/// without one keeps what it was given before.
pub fn config_file(values: &Map<String, Value>) -> PackFile {
    let mut lines: Vec<String> = values.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    lines.sort();
    if lines.is_empty() {
        lines.push("{}\n".to_owned());
    }
    PackFile { path: VALUES.to_owned(), bytes: lines.concat().into_bytes(), executable: false }
}

/// A pack that is to replace one in force keeps what that was given, unless it is given something itself.
pub(crate) fn keep_given(source: &mut super::PackSource, before: &[PackFile]) {
    if !source.files.iter().any(|file| file.path == VALUES) {
        source.files.extend(before.iter().find(|file| file.path == VALUES).cloned());
    }
}

#[cfg(test)]
mod tests;
