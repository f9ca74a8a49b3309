//! `actions/*.yaml`: what can be run, with which parameters.

use std::sync::Arc;

use petrel_execution::runner::{ParameterPlace, RunnerSpec};
use petrel_execution::{Delivery, Labels, Needs, Retry};
use petrel_schemas::{Class, SecretRef};
use serde_json::{Map, Value};

use crate::limits::{OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use crate::problems::{Code, Place};
use crate::walk::{Fields, Located, Report, Shape, check_free, check_name, entries_of, text_of, wrong_type};
use crate::yaml::{Data, Key, Node};

use super::config::Config;
use super::files::PackFile;
use super::workflow::{self, WorkflowDraft};
use super::{manifest, needs, retry, runner, schema};

const ACTION: Shape = Shape {
    what: "an action",
    known: &[
        "name",
        "description",
        "runner",
        "command",
        "script",
        "shell",
        "file",
        "interpreter",
        "image",
        "pull",
        "entrypoint",
        "network",
        "read_only",
        "registry",
        "function",
        "class_name",
        "python",
        "args",
        "named",
        "end_of_options",
        "env",
        "cwd",
        "user",
        "stdin",
        "output",
        "may",
        "limits",
        "confine",
        "message",
        "duration",
        "trigger",
        "payload",
        "record",
        "server",
        "request",
        "success_codes",
        "workflow",
        "hosts",
        "ssh",
        "sudo",
        "upload",
        "download",
        "parallel",
        "fail_at",
        "parameters",
        "timeout",
        "delivery",
        "pool",
        "requires",
        "needs",
        "class",
        "output_bytes_max",
        "retry",
        "policies",
    ],
    later: &[
        "pack",
        "runner_type",
        "entry_point",
        "enabled",
        "output_schema",
        "tags",
        "notify",
        "retries",
        "metadata_file",
        "lock",
        "concurrency",
        "secrets",
    ],
};

/// The classes, as packs name them.
pub(super) const CLASSES: [(&str, Class); Class::ALL.len()] =
    [("urgent", Class::Urgent), ("normal", Class::Normal), ("bulk", Class::Bulk)];

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
    /// Its place among the arguments of a script that have no name, from 0.
    pub position: Option<u32>,
    /// Whether its value is a secret: it travels by name, and is masked wherever the action writes it.
    pub secret: bool,
}

/// An action as its file says it.
#[derive(Debug)]
pub(crate) struct ActionDraft {
    pub(crate) name: Located<String>,
    pub(crate) description: String,
    pub(crate) runner: Arc<RunnerSpec>,
    /// Where the file names the trigger of which it injects events.
    pub(crate) trigger_place: Place,
    pub(crate) parameters: Vec<ParameterDef>,
    pub(crate) parameters_place: Place,
    pub(crate) timeout_ms: i64,
    pub(crate) delivery: Delivery,
    pub(crate) pool: String,
    /// Labels that its pool must have, and where that stands.
    pub(crate) requires: Option<Located<Labels>>,
    /// What it takes of its worker, and where that stands.
    pub(crate) needs: Option<Located<Needs>>,
    pub(crate) class: Class,
    pub(crate) output_bytes_max: u64,
    /// The secrets that its templates and defaults name.
    pub(crate) secrets: Vec<Located<SecretRef>>,
    pub(crate) retry: Option<Retry>,
    /// The path of its workflow in the pack, if it is one.
    pub(crate) workflow_file: Option<String>,
    /// Its workflow, if it is one that has no mistake.
    pub(crate) workflow: Option<WorkflowDraft>,
}

pub(super) fn read(node: &Node, files: &[PackFile], config: &Config, report: &mut Report<'_>) -> Option<ActionDraft> {
    let fields = Fields::open(node, &ACTION, report)?;
    let name = fields.need_name(report);
    let description = fields.description(report);
    let parameters_node = fields.get("parameters", report);
    let workflow = workflow::read(&fields, files, report);
    workflow::check_keys(&fields, report);
    let parameters = read_all_parameters(parameters_node, workflow.as_ref(), report);
    let places: Vec<ParameterPlace> = parameters.iter().map(ParameterDef::place).collect();
    let runner = runner::read(
        &fields,
        runner::Files { files, parameters: &places, config, workflow: workflow.as_ref() },
        report,
    );
    if let Some(node) = parameters_node {
        let is_script = fields.entry("runner").is_some_and(|(_, node)| {
            // Of the file: another runner stands in for one with a problem.
            matches!(&node.data, Data::Text(text, _) if text == "script")
        });
        check_positions(node, is_script, &parameters, report);
        if is_script && fields.entry("args").is_none() {
            check_arguments(node, &parameters, report);
        }
    }
    // No worker has a workflow: what it may take is said in it.
    let timeout_ms = if workflow.is_some() { TIMEOUT_MS_MAX } else { TIMEOUT_MS_DEFAULT };
    let timeout_ms = fields.duration_ms("timeout", 100, TIMEOUT_MS_MAX, report).unwrap_or(timeout_ms);
    let words = [("at_least_once", Delivery::AtLeastOnce), ("at_most_once", Delivery::AtMostOnce)];
    let delivery = fields.word("delivery", &words, Delivery::AtLeastOnce, report);
    let workflow_file = workflow::named(&fields).map(|(path, _)| path.to_owned());
    let (pool, requires) = read_pool(&fields, files, report);
    let requires = requires.filter(|_| workflow_file.is_none());
    let needs = needs::read(&fields, runner.is_instant(), report);
    let class = fields.word("class", &CLASSES, Class::Normal, report);
    let output_bytes_max = read_output_limit(&fields, report);
    let mut secrets = runner::secrets(&fields, &runner, report);
    secrets.extend(default_secrets(parameters_node, &parameters, report));
    let retry = retry::read(&fields, delivery, report);
    let parameters_place = report.place(parameters_node.map_or(fields.at(), |node| node.at));
    let trigger_place = report.place(fields.entry("trigger").map_or(fields.at(), |(_, node)| node.at));
    Some(ActionDraft {
        name: name?,
        description,
        runner,
        trigger_place,
        parameters,
        parameters_place,
        timeout_ms,
        delivery,
        pool,
        requires,
        needs,
        class,
        output_bytes_max,
        secrets,
        retry,
        workflow_file,
        workflow,
    })
}

impl ParameterDef {
    fn place(&self) -> ParameterPlace {
        ParameterPlace { name: self.name.clone(), position: self.position }
    }
}

/// Positions are of scripts, and have no gap: whoever reads such an action has to know which argument is which.
fn check_positions(node: &Node, is_script: bool, parameters: &[ParameterDef], report: &mut Report<'_>) {
    let mut positions: Vec<(u32, &str)> =
        parameters.iter().filter_map(|parameter| Some((parameter.position?, &*parameter.name))).collect();
    positions.sort_unstable();
    for (index, (position, name)) in positions.iter().enumerate() {
        let message = if !is_script {
            "\"position\" is the place among the arguments of the runner \"script\"".to_owned()
        } else if index > 0 && positions[index - 1].0 == *position {
            format!("position {position} is that of {:?} already", positions[index - 1].1)
        } else if usize::try_from(*position) != Ok(index) {
            format!("position {position} leaves a gap: positions are whole numbers from 0 on")
        } else {
            continue;
        };
        let at = schema::node_in(node, &format!("/{name}/position")).at;
        return report.add(at, Code::BadValue, message);
    }
}

/// What is an argument by itself must be no secret: whoever is on its machine can read it.
fn check_arguments(node: &Node, parameters: &[ParameterDef], report: &mut Report<'_>) {
    for parameter in parameters.iter().filter(|parameter| parameter.secret) {
        let message = "a secret that is an argument of a script can be read by every user of its machine: say the \
                       script's \"args\", and give this by \"env\" or \"stdin\"";
        let at = schema::node_in(node, &format!("/{}/secret", parameter.name)).at;
        report.add(at, Code::BadParameter, message);
    }
}

/// The secrets that stand for parameters that nobody gives.
fn default_secrets(node: Option<&Node>, parameters: &[ParameterDef], report: &Report<'_>) -> Vec<Located<SecretRef>> {
    let of = |parameter: &ParameterDef| {
        let secret = SecretRef::of_text(parameter.default.as_ref().filter(|_| parameter.secret)?.as_str()?)?;
        let at = schema::node_in(node?, &format!("/{}/default", parameter.name)).at;
        Some(Located::new(secret, report.place(at)))
    };
    parameters.iter().filter_map(of).collect()
}

/// The parameters as the file says them; a workflow that says none has those of its inputs.
fn read_all_parameters(
    node: Option<&Node>,
    workflow: Option<&WorkflowDraft>,
    report: &mut Report<'_>,
) -> Vec<ParameterDef> {
    let Some(node) = node else {
        return workflow.map(|workflow| workflow::parameters(workflow, report)).unwrap_or_default();
    };
    let before = report.count();
    let parameters = read_parameters(node, report);
    if let Some(workflow) = workflow.filter(|_| report.count() == before) {
        workflow::check_parameters(workflow, node, &parameters, report);
    }
    parameters
}

fn read_parameters(node: &Node, report: &mut Report<'_>) -> Vec<ParameterDef> {
    let entries = entries_of(node, "\"parameters\"", report).unwrap_or_default();
    entries.into_iter().filter_map(|(key, value)| read_parameter(key, value, report)).collect()
}

pub(super) fn read_parameter(key: &Key, node: &Node, report: &mut Report<'_>) -> Option<ParameterDef> {
    if let Err(message) = check_name(&key.text) {
        report.add(key.at, Code::BadName, message);
        return None;
    }
    let entries = entries_of(node, "a parameter's JSON schema", report)?;
    let mut schema = Map::new();
    let (mut required, mut secret) = (false, false);
    let mut position = None;
    let mut default = None;
    let mut description = String::new();
    for (name, value) in &entries {
        match name.text.as_str() {
            "position" => position = read_position(value, report),
            "secret" => match value.data {
                Data::Bool(flag) => secret = flag,
                _ => wrong_type(value, "secret", "true or false", report),
            },
            "immutable" => {
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
        let is_secret = value.as_str().and_then(SecretRef::of_text).is_some();
        if secret && !is_secret {
            let message = format!("the default of {:?} stands for a secret: {}", key.text, crate::secrets::NAME_IT);
            report.add(*at, Code::BadParameter, message);
        } else if secret {
            // Whether the pack may name it is seen when its name is known.
        } else if value.to_string().contains("${") {
            report.add(*at, Code::NotSupported, "\"${…}\" in a default is not supported in this version");
        } else if let Some(reason) = schema::describe_errors(&validator, value).into_iter().next() {
            report.add(*at, Code::BadParameter, format!("the default of {:?} breaks its schema: {reason}", key.text));
        }
    }
    let default = default.map(|(_, value)| value);
    Some(ParameterDef { name: key.text.clone(), description, required, default, schema, position, secret })
}

fn read_position(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    let position = match &node.data {
        Data::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    if position.is_none() {
        wrong_type(node, "position", "a whole number from 0 on", report);
    }
    position
}

/// The pool that it names, or the labels that it, or else its pack, requires of one.
fn read_pool(fields: &Fields<'_>, files: &[PackFile], report: &mut Report<'_>) -> (String, Option<Located<Labels>>) {
    let default = || "default".to_owned();
    let own = manifest::read_requires(fields, report);
    let Some(pool) = fields.text("pool", report) else {
        let of_pack = || Some(manifest::required(files)).filter(|labels| !labels.is_empty());
        let of_pack = || of_pack().map(|labels| Located::new(labels, report.place(fields.at())));
        return (default(), own.or_else(of_pack));
    };
    if let Err(message) = check_name(&pool.value) {
        report.add(pool.place.at, Code::BadName, message);
    }
    if own.is_some() {
        let message = "\"pool\" names a pool and \"requires\" looks for one: say one of them";
        report.add(pool.place.at, Code::BadValue, message);
    }
    (pool.value, None)
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
