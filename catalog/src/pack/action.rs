//! `actions/*.yaml`: what can be run, with which parameters.

use std::sync::Arc;

use petrel_execution::runner::RunnerSpec;
use petrel_execution::{Delivery, Retry};
use serde_json::{Map, Value};

use crate::limits::{OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use crate::problems::{Code, Place};
use crate::walk::{Fields, Located, Report, Shape, check_free, check_name, entries_of, text_of, wrong_type};
use crate::yaml::{Data, Key, Node};

use super::files::PackFile;
use super::{retry, runner, schema};

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
        "retry",
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
        "retries",
        "metadata_file",
        "lock",
        "concurrency",
        "hosts",
        "secrets",
    ],
};

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
    pub(crate) runner: Arc<RunnerSpec>,
    pub(crate) parameters: Vec<ParameterDef>,
    pub(crate) parameters_place: Place,
    pub(crate) timeout_ms: i64,
    pub(crate) delivery: Delivery,
    pub(crate) pool: String,
    pub(crate) output_bytes_max: u64,
    pub(crate) retry: Option<Retry>,
}

pub(super) fn read(node: &Node, files: &[PackFile], report: &mut Report<'_>) -> Option<ActionDraft> {
    let fields = Fields::open(node, &ACTION, report)?;
    let name = fields.need_name(report);
    let description = fields.description(report);
    let runner = runner::read(&fields, files, report);
    let parameters_node = fields.get("parameters", report);
    let parameters = parameters_node.map(|node| read_parameters(node, report)).unwrap_or_default();
    let timeout_ms = fields.duration_ms("timeout", 100, TIMEOUT_MS_MAX, report).unwrap_or(TIMEOUT_MS_DEFAULT);
    let words = [("at_least_once", Delivery::AtLeastOnce), ("at_most_once", Delivery::AtMostOnce)];
    let delivery = fields.word("delivery", &words, Delivery::AtLeastOnce, report);
    let pool = read_pool(&fields, report);
    let output_bytes_max = read_output_limit(&fields, report);
    let retry = retry::read(&fields, delivery, report);
    let parameters_place = report.place(parameters_node.map_or(fields.at(), |node| node.at));
    Some(ActionDraft {
        name: name?,
        description,
        runner,
        parameters,
        parameters_place,
        timeout_ms,
        delivery,
        pool,
        output_bytes_max,
        retry,
    })
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
