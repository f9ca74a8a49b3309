//! `actions/*.yaml`: what can be run, with which parameters.

use serde_json::{Map, Value};

use crate::limits::{COMMAND_ARGS_MAX, OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use crate::problems::{Code, Place};
use crate::walk::{Fields, Located, Report, Shape, check_free, check_name, entries_of, text_of, wrong_type};
use crate::yaml::{Data, Key, Node};

use super::files::PackFile;
use super::schema;

const ACTION: Shape = Shape {
    what: "an action",
    known: &[
        "name",
        "description",
        "runner",
        "command",
        "env",
        "parameters",
        "timeout",
        "delivery",
        "pool",
        "output_bytes_max",
    ],
    later: &[
        "pack",
        "runner_type",
        "entry_point",
        "enabled",
        "output_schema",
        "tags",
        "notify",
        "policies",
        "retry",
        "retries",
        "metadata_file",
        "lock",
        "concurrency",
        "hosts",
        "secrets",
    ],
};

/// Runners of the design that this version does not have.
const RUNNERS_LATER: &[&str] = &[
    "python",
    "python-script",
    "http",
    "http-request",
    "ssh",
    "shell",
    "local-shell-cmd",
    "local-shell-script",
    "remote-shell-cmd",
    "remote-shell-script",
    "workflow",
    "orquesta",
    "inquirer",
    "noop",
    "announcement",
    "container",
    "kubernetes",
];

/// What a lost attempt of an action means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It may run again.
    AtLeastOnce,
    /// It never runs again by itself.
    AtMostOnce,
}

impl Delivery {
    /// As a pack, and a `Task`, writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::AtMostOnce => "at_most_once",
        }
    }
}

/// A parameter of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterDef {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Whether a call must give it; one with a default is filled in instead.
    pub required: bool,
    /// The value where a call gives none.
    pub default: Option<Value>,
    /// Its JSON schema, without `required`.
    pub schema: Value,
}

/// An action as its file says it.
#[derive(Debug)]
pub(crate) struct ActionDraft {
    pub(crate) name: Located<String>,
    pub(crate) description: String,
    pub(crate) command: Vec<Located<String>>,
    pub(crate) env: Vec<(String, Located<String>)>,
    pub(crate) parameters: Vec<ParameterDef>,
    pub(crate) parameters_place: Place,
    pub(crate) timeout_ms: i64,
    pub(crate) delivery: Delivery,
    pub(crate) pool: String,
    pub(crate) output_bytes_max: u64,
}

pub(super) fn read(node: &Node, files: &[PackFile], report: &mut Report<'_>) -> Option<ActionDraft> {
    let fields = Fields::open(node, &ACTION, report)?;
    let name = fields.need_name(report);
    let description = fields.description(report);
    read_runner(&fields, report);
    fields.need("command", report);
    let command = fields.texts("command", report);
    if let Some(node) = fields.get("command", report) {
        check_command(node, &command, files, report);
    }
    let env = fields.get("env", report).map(|node| read_env(node, report)).unwrap_or_default();
    let parameters_node = fields.get("parameters", report);
    let parameters = parameters_node.map(|node| read_parameters(node, report)).unwrap_or_default();
    let timeout_ms = fields.duration_ms("timeout", 100, TIMEOUT_MS_MAX, report).unwrap_or(TIMEOUT_MS_DEFAULT);
    let words = [("at_least_once", Delivery::AtLeastOnce), ("at_most_once", Delivery::AtMostOnce)];
    let delivery = fields.word("delivery", &words, Delivery::AtLeastOnce, report);
    let pool = read_pool(&fields, report);
    let output_bytes_max = read_output_limit(&fields, report);
    let parameters_place = report.place(parameters_node.map_or(fields.at(), |node| node.at));
    Some(ActionDraft {
        name: name?,
        description,
        command,
        env,
        parameters,
        parameters_place,
        timeout_ms,
        delivery,
        pool,
        output_bytes_max,
    })
}

fn read_runner(fields: &Fields<'_>, report: &mut Report<'_>) {
    let Some(runner) = fields.need_text("runner", report) else { return };
    if runner.value == "command" {
        return;
    }
    let (code, message) = if RUNNERS_LATER.contains(&runner.value.as_str()) {
        (Code::NotSupported, format!("runner {:?} is not supported in this version, only \"command\"", runner.value))
    } else {
        (Code::BadValue, format!("unknown runner {:?}, there is \"command\"", runner.value))
    };
    report.add(runner.place.at, code, message);
}

fn check_command(node: &Node, command: &[Located<String>], files: &[PackFile], report: &mut Report<'_>) {
    let Data::List(items) = &node.data else { return };
    if items.is_empty() {
        report.add(node.at, Code::BadValue, "\"command\" must name a program");
    }
    if items.len() > COMMAND_ARGS_MAX {
        let message = format!("\"command\" has {} arguments, more than the limit of {COMMAND_ARGS_MAX}", items.len());
        report.add(node.at, Code::TooLarge, message);
    }
    if let Some(program) = command.first().filter(|program| program.place.at == items[0].at) {
        check_program(program, files, report);
    }
}

/// A program of the pack must be in it and executable; one without a slash is looked up where it runs.
fn check_program(program: &Located<String>, files: &[PackFile], report: &mut Report<'_>) {
    let text = program.value.as_str();
    if text.is_empty() || text.contains("${") {
        report.add(
            program.place.at,
            Code::BadValue,
            "the program must be a constant, so that a parameter cannot choose it",
        );
        return;
    }
    if !text.contains('/') || text.starts_with('/') {
        return;
    }
    let relative = text.strip_prefix("./").unwrap_or(text);
    let path = format!("actions/{relative}");
    if super::check_path(&path).is_err() {
        report.add(program.place.at, Code::BadPath, format!("{text:?} leaves the pack"));
        return;
    }
    match files.iter().find(|file| file.path == path) {
        None => {
            let scripts = files.iter().filter_map(|file| file.path.strip_prefix("actions/"));
            let hint = crate::problems::did_you_mean(relative, scripts);
            report.add(program.place.at, Code::Missing, format!("the pack has no file {path}{hint}"));
        }
        Some(file) if !file.executable => {
            report.add(program.place.at, Code::BadValue, format!("{path} is not executable: chmod +x it"));
        }
        Some(_) => {}
    }
}

fn read_env(node: &Node, report: &mut Report<'_>) -> Vec<(String, Located<String>)> {
    let mut env = Vec::new();
    for (key, value) in entries_of(node, "\"env\"", report).unwrap_or_default() {
        if let Err(message) = check_variable(&key.text) {
            report.add(key.at, Code::BadName, message);
        }
        env.extend(text_of(value, &key.text, report).map(|value| (key.text.clone(), value)));
    }
    env
}

fn check_variable(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(allowed) {
        return Err(format!("{name:?} is no name of an environment variable"));
    }
    if name.starts_with("PETREL_") {
        return Err(format!("{name:?} is Petrel's: names that begin with PETREL_ are set by the worker"));
    }
    Ok(())
}

fn read_parameters(node: &Node, report: &mut Report<'_>) -> Vec<ParameterDef> {
    let entries = entries_of(node, "\"parameters\"", report).unwrap_or_default();
    entries.into_iter().filter_map(|(key, value)| read_parameter(key, value, report)).collect()
}

fn read_parameter(key: &Key, node: &Node, report: &mut Report<'_>) -> Option<ParameterDef> {
    if let Err(message) = check_name(&key.text) {
        report.add(key.at, Code::BadName, message);
        return None;
    }
    let entries = entries_of(node, "a parameter's JSON schema", report)?;
    let mut schema = Map::new();
    let mut required = false;
    let mut default = None;
    let mut description = String::new();
    for (name, value) in &entries {
        match name.text.as_str() {
            "secret" | "immutable" | "position" => {
                let message = format!("{:?} is not supported in this version", name.text);
                report.add(name.at, Code::NotSupported, message);
            }
            "required" => match value.data {
                Data::Bool(flag) => required = flag,
                _ => wrong_type(value, "required", "true or false", report),
            },
            "description" => description = text_of(value, "description", report)?.value,
            "default" => {
                check_free(value, report);
                default = Some((value.at, value.to_json()));
            }
            _ => {
                schema.insert(name.text.clone(), value.to_json());
            }
        }
    }
    let before = report.count();
    schema::check_keywords(node, &["required", "secret", "immutable", "position"], report);
    if report.count() > before {
        return None;
    }
    let schema = Value::Object(schema);
    let validator = match schema::compile_schema(&schema) {
        Ok(validator) => validator,
        Err(message) => {
            report.add(node.at, Code::BadSchema, message);
            return None;
        }
    };
    if let Some((at, value)) = &default {
        if value.to_string().contains("${") {
            report.add(*at, Code::NotSupported, "\"${…}\" in a default is not supported in this version");
        } else if let Some(reason) = schema::describe_errors(&validator, value).into_iter().next() {
            report.add(*at, Code::BadParameter, format!("the default of {:?} breaks its schema: {reason}", key.text));
        }
    }
    let default = default.map(|(_, value)| value);
    Some(ParameterDef { name: key.text.clone(), description, required, default, schema })
}

fn read_pool(fields: &Fields<'_>, report: &mut Report<'_>) -> String {
    let Some(pool) = fields.text("pool", report) else { return "default".to_owned() };
    if let Err(message) = check_name(&pool.value) {
        report.add(pool.place.at, Code::BadName, message);
    }
    pool.value
}

fn read_output_limit(fields: &Fields<'_>, report: &mut Report<'_>) -> u64 {
    let Some(node) = fields.get("output_bytes_max", report) else { return OUTPUT_BYTES_DEFAULT };
    let bytes = match &node.data {
        Data::Number(number) => number.as_u64(),
        _ => None,
    };
    match bytes {
        Some(bytes) if bytes <= OUTPUT_BYTES_MAX => bytes,
        _ => {
            let message = format!("\"output_bytes_max\" must be a whole number of bytes, at most {OUTPUT_BYTES_MAX}");
            report.add(node.at, Code::BadValue, message);
            OUTPUT_BYTES_DEFAULT
        }
    }
}
