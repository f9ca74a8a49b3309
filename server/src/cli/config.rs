//! `petrel config get|set|diff`.

use std::collections::BTreeSet;
use std::path::Path;

use petrel_catalog::{PackFile, config_file, given_config};
use serde_json::{Map, Value, json};

use super::args::{ConfigCommand, Output};
use super::http::Client;
use super::{EXIT_FAILED, EXIT_USAGE, Failure, input, output};

pub fn run(command: ConfigCommand, client: &Client, format: Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Get { pack } => {
            let answer = client.get(&["v1", "config", &pack], &[])?;
            match (format, &answer["given"]) {
                (Output::Table, Value::Object(given)) => output::raw(&config_file(given).bytes),
                _ => output::json(&answer),
            }
            Ok(())
        }
        ConfigCommand::Set { pack, values, unset, file } => {
            let replace = file.is_some();
            let mut set = file.map(|file| read(&file)).transpose()?.unwrap_or_default();
            set.extend(super::action::parse(&values)?);
            let body = json!({ "set": set, "unset": unset, "replace": replace });
            let answer = client.post(&["v1", "config", &pack], &body)?;
            match (format, answer["changed"].as_bool(), answer["revision"].as_str()) {
                (Output::Table, Some(true), Some(revision)) => {
                    output::line(&format!("revision {revision} is in force"));
                }
                (Output::Table, Some(false), Some(revision)) => {
                    output::line(&format!("nothing changed, revision {revision} is in force"));
                }
                _ => output::json(&answer),
            }
            Ok(())
        }
        ConfigCommand::Diff { pack, file } => {
            let answer = client.get(&["v1", "config", &pack], &[])?;
            let differences = difference(answer["given"].as_object().unwrap_or(&Map::new()), &read(&file)?);
            match format {
                Output::Json => output::json(&json!({ "differences": differences })),
                Output::Table => differences.iter().for_each(|line| output::line(line)),
            }
            if differences.is_empty() { Ok(()) } else { Err(Failure::new(EXIT_FAILED, "")) }
        }
    }
}

fn read(file: &Path) -> Result<Map<String, Value>, Failure> {
    let usage = |why: String| Failure::new(EXIT_USAGE, format!("{}: {why}", input::name(file)));
    let bytes = input::read(file).map_err(|error| usage(error.to_string()))?;
    // Read as what a pack is given.
    let PackFile { path, .. } = config_file(&Map::new());
    given_config(&[PackFile { path, bytes, executable: false }]).map_err(usage)
}

/// What is in force and what the file says, where they differ.
fn difference(in_force: &Map<String, Value>, file: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = in_force.keys().chain(file.keys()).collect();
    let mut lines = Vec::new();
    for name in names.into_iter().filter(|name| in_force.get(*name) != file.get(*name)) {
        lines.extend(in_force.get(name).map(|value| format!("- {name}: {value}")));
        lines.extend(file.get(name).map(|value| format!("+ {name}: {value}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_lines_of_a_diff() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let (before, after) = (map(json!({"a": 1, "b": 2, "c": [3]})), map(json!({"a": 1, "c": [4], "d": "x"})));
        assert_eq!(difference(&before, &after), ["- b: 2", "- c: [3]", "+ c: [4]", "+ d: \"x\""]);
        assert!(difference(&before, &before).is_empty());
    }
}
