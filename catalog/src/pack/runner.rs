//! An action's runner: its keys are read and compiled by the runner itself; here they get their places.

use std::sync::Arc;

use jsonschema::Validator;
use petrel_cel::Constants;
use petrel_execution::runner::{
    CheckValue, Mistake, NoopSpec, PackFiles, ParameterPlace, RunnerSpec, SchemaMistake, SpecError, WorkflowLanguage,
};
use petrel_execution::workflow::Workflow;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use crate::engine::tell_all;
use crate::problems::{At, Code, did_you_mean};
use crate::walk::{Fields, Located, Report, check_free};
use crate::yaml::{Data, Node, Verbatim};

use super::config::Config;
use super::files::PackFile;
use super::manifest;
use super::schema::{check_keywords, compile_located, describe_errors, key_in, node_in};
use super::workflow::{self, WorkflowDraft};

/// Runners of the design that this version does not have.
const RUNNERS_LATER: &[&str] = &[
    "python-script",
    "http-request",
    "local-shell-cmd",
    "local-shell-script",
    "remote-shell-cmd",
    "remote-shell-script",
    "announcement",
    "kubernetes",
];

/// The pack that an action belongs to, and the action's parameters.
#[derive(Clone, Copy)]
pub(super) struct Files<'p> {
    pub(super) files: &'p [PackFile],
    pub(super) parameters: &'p [ParameterPlace],
    /// The pack's configuration.
    pub(super) config: &'p Config,
    /// The action's workflow, if it is one that has no mistake.
    pub(super) workflow: Option<&'p WorkflowDraft>,
}

impl PackFiles for Files<'_> {
    fn executable(&self, path: &str) -> Option<bool> {
        self.files.iter().find(|file| file.path == path).map(|file| file.executable)
    }

    fn hint(&self, path: &str) -> String {
        let program = |path: &'_ str| path.strip_prefix("actions/").map(str::to_owned);
        let programs: Vec<String> = self.files.iter().filter_map(|file| program(&file.path)).collect();
        did_you_mean(&program(path).unwrap_or_default(), programs.iter().map(String::as_str))
    }

    fn produces(&self) -> Vec<String> {
        self.files
            .iter()
            .find(|file| file.path == "pack.yaml")
            .map(|file| manifest::produced(&file.bytes))
            .unwrap_or_default()
    }

    fn confine(&self) -> Option<Value> {
        let manifest = self.files.iter().find(|file| file.path == "pack.yaml")?;
        manifest::confine(&manifest.bytes)
    }

    fn constants(&self) -> Option<&dyn Constants> {
        Some(self.config)
    }

    fn has_folder(&self, path: &str) -> bool {
        let inside = |file: &PackFile| file.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.files.iter().any(inside)
    }

    fn interpreter(&self, path: &str) -> Option<String> {
        let line = self.files.iter().find(|file| file.path == path)?.interpreter_line();
        Some(String::from_utf8_lossy(line.strip_prefix(b"#!")?).into_owned())
    }

    fn text(&self, path: &str) -> Option<String> {
        let file = self.files.iter().find(|file| file.path == path)?;
        Some(String::from_utf8_lossy(&file.bytes).into_owned())
    }

    fn configured(&self) -> Vec<String> {
        self.config.values().keys().cloned().collect()
    }

    fn parameters(&self) -> &[ParameterPlace] {
        self.parameters
    }

    fn schema(&self, schema: &Value) -> Result<Arc<dyn CheckValue>, SchemaMistake> {
        let compiled = compile_located(schema).map_err(|(at, message)| SchemaMistake { at, message })?;
        Ok(Arc::new(Schema(compiled)))
    }

    /// What is wrong in a workflow that could be found is told already, where it stands.
    fn workflow(&self, path: &str, _: WorkflowLanguage) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
        match self.workflow {
            Some(workflow) => Ok(workflow.conducted.clone()),
            None => Err(workflow::text_of(path, self.files).err().into_iter().collect()),
        }
    }
}

/// The schema of what an action results in.
#[derive(Debug)]
struct Schema(Validator);

impl CheckValue for Schema {
    fn problems(&self, value: &Value) -> Vec<String> {
        describe_errors(&self.0, value)
    }
}

/// The runner of an action. Where there is a problem it is told, and another one stands in: the revision is
/// refused as a whole.
pub(super) fn read(fields: &Fields<'_>, files: Files<'_>, report: &mut Report<'_>) -> Arc<RunnerSpec> {
    let nothing = || Arc::new(RunnerSpec::Noop(NoopSpec));
    let Some(name) = fields.need_text("runner", report) else { return nothing() };
    let Some(own) = RunnerSpec::keys(&name.value) else {
        let there = quoted(RunnerSpec::NAMES);
        let (code, message) = if RUNNERS_LATER.contains(&name.value.as_str()) {
            (Code::NotSupported, format!("runner {:?} is not supported in this version, only {there}", name.value))
        } else {
            (Code::BadValue, format!("unknown runner {:?}, there are {there}", name.value))
        };
        report.add(name.place.at, code, message);
        // Its other keys are those of a command more often than not.
        check(fields, "command", files, report);
        return nothing();
    };
    for key in RunnerSpec::all_keys().filter(|key| !own.contains(key)) {
        if let Some((key, _)) = fields.entry(key) {
            let message = format!("{:?} is no key of the runner {:?}", key.text, name.value);
            report.add(key.at, Code::UnknownKey, message);
        }
    }
    check(fields, &name.value, files, report).map_or_else(nothing, Arc::new)
}

/// `"a", "b" and "c"`.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn check(fields: &Fields<'_>, runner: &str, files: Files<'_>, report: &mut Report<'_>) -> Option<RunnerSpec> {
    let mut keys = Map::new();
    let mut is_whole = true;
    for key in RunnerSpec::keys(runner).unwrap_or_default() {
        if fields.entry(key).is_none() {
            continue;
        }
        let Some(node) = fields.get(key, report) else {
            // It has no value, which is told.
            is_whole = false;
            continue;
        };
        check_free(node, report);
        keys.insert((*key).to_owned(), node.to_json());
    }
    // Keywords that no draft knows would check nothing, and the library says nothing of them.
    let before = report.count();
    if let Some(schema) = keys.contains_key("output").then(|| schema_of(fields)).flatten() {
        check_keywords(schema, &[], report);
    }
    let is_schema_told = report.count() > before;
    match RunnerSpec::parse(runner, &keys, &files) {
        Ok(spec) => (is_whole && !is_schema_told).then_some(spec),
        Err(errors) => {
            for error in errors.iter().filter(|error| !is_schema_told || error.mistake != Mistake::BadSchema) {
                // What is missing only because it has no value is told already.
                if is_whole || !error.at.is_empty() {
                    tell(fields, error, report);
                }
            }
            None
        }
    }
}

/// The code of a mistake.
pub(super) fn code(mistake: &Mistake) -> Code {
    match mistake {
        Mistake::Missing => Code::Missing,
        Mistake::WrongType => Code::WrongType,
        Mistake::BadValue => Code::BadValue,
        Mistake::BadName => Code::BadName,
        Mistake::BadPath => Code::BadPath,
        Mistake::UnknownKey => Code::UnknownKey,
        Mistake::TooLarge => Code::TooLarge,
        Mistake::BadSchema => Code::BadSchema,
        Mistake::Expression(_) => Code::BadExpression,
    }
}

/// Reports a mistake where it stands in the file.
fn tell(fields: &Fields<'_>, error: &SpecError, report: &mut Report<'_>) {
    if let Mistake::Expression(expression) = &error.mistake {
        let (at, verbatim) = place(fields, &error.at);
        let text = Located { value: String::new(), place: report.place(at), verbatim };
        return tell_all([expression], &text, report.problems());
    }
    let code = code(&error.mistake);
    let at = match &error.mistake {
        Mistake::BadName | Mistake::UnknownKey => key_at(fields, &error.at),
        _ => place(fields, &error.at).0,
    };
    report.add(at, code, error.message.clone());
}

/// The schema of what the action results in.
fn schema_of<'n>(fields: &Fields<'n>) -> Option<&'n Node> {
    let (_, output) = fields.entry("output")?;
    let Data::Map(entries) = &output.data else { return None };
    entries.iter().find(|(key, _)| key.text == "schema").map(|(_, schema)| schema)
}

/// The secrets that the runner's texts name, with their places.
pub(super) fn secrets(fields: &Fields<'_>, spec: &RunnerSpec, report: &Report<'_>) -> Vec<Located<SecretRef>> {
    let located =
        |(pointer, secret): &(String, SecretRef)| Located::new(secret.clone(), report.place(place(fields, pointer).0));
    spec.secrets().iter().map(located).collect()
}

fn node<'n>(fields: &Fields<'n>, pointer: &str) -> Option<&'n Node> {
    let pointer = pointer.strip_prefix('/')?;
    let (key, rest) = pointer.find('/').map_or((pointer, ""), |end| pointer.split_at(end));
    fields.entry(key).map(|(_, node)| node_in(node, rest))
}

fn place(fields: &Fields<'_>, pointer: &str) -> (At, Verbatim) {
    let Some(node) = node(fields, pointer) else { return (fields.at(), None) };
    match &node.data {
        Data::Text(_, verbatim) => (node.at, *verbatim),
        _ => (node.at, None),
    }
}

/// Place of the key that a pointer ends with.
fn key_at(fields: &Fields<'_>, pointer: &str) -> At {
    let (above, last) = pointer.rsplit_once('/').unwrap_or_default();
    node(fields, above).map_or(fields.at(), |node| key_in(node, &format!("/{last}")))
}
