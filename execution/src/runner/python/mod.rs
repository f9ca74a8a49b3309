//! The runner `python`: a function or a class of a file of the pack, called with the action's parameters by name.
//!
//! `requirements` (what a pack may ask to be installed).

mod requirements;
#[cfg(test)]
mod tests;

use std::fmt;

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake, kind};
use super::process::{ProcessCall, ProcessSpec, check_constant, check_file};
use super::shape::Shape;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

pub use requirements::{builds, depends_on_files, named_file, refused};

/// The file at the top of a pack that says what its Python code needs, one requirement a line.
pub const REQUIREMENTS: &str = "requirements.txt";
/// What is called where an action does not say it.
const CALLED: &str = "run";
/// The interpreter where an action does not say one: what `PATH` has by that name.
const INTERPRETER: &str = "python3";

/// What is called in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// A function of the module.
    Function(String),
    /// A class, of which an instance is made; its method `run` is called.
    Class(String),
}

/// A function or class with the environment that it runs in, as templates.
#[derive(Debug)]
pub struct PythonSpec {
    file: String,
    callee: Callee,
    interpreter: String,
    requirements: Option<Vec<String>>,
    /// Names of the variables that are the same for every execution.
    fixed: Vec<String>,
    /// The pack's configuration, where something may ask for it.
    config: Option<Template>,
    process: ProcessSpec,
    secrets: Vec<(String, SecretRef)>,
}

/// A function or class to call.
#[derive(Clone, PartialEq)]
pub struct PythonCall {
    /// The file, relative to the pack's `actions/`.
    pub file: String,
    /// What is called in it.
    pub callee: Callee,
    /// Program that runs it: a name for `PATH`, or a path.
    pub interpreter: String,
    /// What has to be installed, one requirement each; none for what [`REQUIREMENTS`] says.
    pub requirements: Option<Vec<String>>,
    /// Names of the variables that are the same for every execution; the others are set for the call alone.
    pub fixed: Vec<String>,
    /// What it is called with.
    pub parameters: Value,
    /// The pack's configuration; nothing for a function.
    pub config: Value,
    /// How it is started, and what is made of its end.
    pub process: ProcessCall,
}

/// Without parameters and configuration: there may be secrets in them.
impl fmt::Debug for PythonCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PythonCall");
        shown.field("file", &self.file).field("callee", &self.callee).field("interpreter", &self.interpreter);
        shown.field("process", &self.process).finish_non_exhaustive()
    }
}

impl Spec for PythonSpec {
    const NAME: &'static str = "python";
    const KEYS: &'static [&'static str] = &[
        "file",
        "function",
        "class_name",
        "python",
        "env",
        "cwd",
        "success_codes",
        "output",
        "may",
        "limits",
        "confine",
    ];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let file = read_file(&mut keys, files);
        let callee = read_callee(&mut keys);
        let (interpreter, requirements) = read_python(&mut keys);
        check_requirements(&mut keys, requirements.as_deref(), files);
        check_output(&mut keys);
        let fixed = fixed_variables(&keys);
        let process = ProcessSpec::read(&mut keys, files);
        let config = match callee {
            Some(Callee::Class(_)) => configuration(&mut keys, files),
            _ => None,
        };
        let Keys { errors, secrets, .. } = keys;
        match (file, callee) {
            (Some(file), Some(callee)) if errors.is_empty() => {
                Ok(Self { file, callee, interpreter, requirements, fixed, config, process, secrets })
            }
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }

    fn shape(&self) -> Option<&Shape> {
        self.process.shape()
    }
}

impl Works for PythonSpec {
    type Call = Box<PythonCall>;

    fn render(&self, rendering: Rendering<'_>) -> Result<Box<PythonCall>, RenderError> {
        let scope = rendering.scope();
        let config = self.config.as_ref().map(|config| config.render(&scope)).transpose();
        Ok(Box::new(PythonCall {
            file: self.file.clone(),
            callee: self.callee.clone(),
            interpreter: self.interpreter.clone(),
            requirements: self.requirements.clone(),
            fixed: self.fixed.clone(),
            parameters: rendering.parameters.clone(),
            config: config.map_err(|e| RenderError(format!("the pack's configuration: {e}")))?.unwrap_or_default(),
            process: self.process.render(&scope)?,
        }))
    }
}

impl Call for Box<PythonCall> {
    fn uses_pack(&self) -> bool {
        true
    }
}

fn read_file(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Option<String> {
    const AT: &str = "/file";
    let file = keys.need("file")?;
    let file = keys.text(file, AT, "file")?;
    if !check_constant(keys, AT, "the file", file) {
        return None;
    }
    if !file.ends_with(".py") {
        keys.error(AT, Mistake::BadValue, format!("{file:?} is no file of Python code, whose name ends with .py"));
        return None;
    }
    check_file(keys, AT, file, false, files)
}

fn read_callee(keys: &mut Keys<'_>) -> Option<Callee> {
    let class = keys.get("class_name");
    if class.is_some() && keys.get("function").is_some() {
        let message = "\"function\" stands beside \"class_name\", of which the method \"run\" is called";
        keys.error("/function", Mistake::BadValue, message);
        return None;
    }
    match (class, keys.get("function")) {
        (Some(class), _) => read_name(keys, class, "class_name").map(Callee::Class),
        (None, Some(function)) => read_name(keys, function, "function").map(Callee::Function),
        (None, None) => Some(Callee::Function(CALLED.to_owned())),
    }
}

/// A name of Python's, as far as it is of ASCII.
fn read_name(keys: &mut Keys<'_>, value: &Value, key: &str) -> Option<String> {
    let at = format!("/{key}");
    let Value::String(name) = value else {
        keys.error(at, Mistake::WrongType, format!("{key:?} must be a string, found {}", kind(value)));
        return None;
    };
    if !check_constant(keys, &at, &format!("the {key}"), name) {
        return None;
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(allowed) {
        keys.error(at, Mistake::BadName, format!("{name:?} is no name for {key:?}"));
        return None;
    }
    Some(name.clone())
}

/// The interpreter, and requirements that stand in the place of the pack's file.
fn read_python(keys: &mut Keys<'_>) -> (String, Option<Vec<String>>) {
    let nothing = (INTERPRETER.to_owned(), None);
    let Some(python) = keys.get("python") else { return nothing };
    let Value::Object(_) = python else {
        return (read_interpreter(keys, python, "/python", "python").unwrap_or(nothing.0), None);
    };
    let Some(entries) = keys.mapping(python, "/python", "python", &["interpreter", "requirements"]) else {
        return nothing;
    };
    let interpreter = entries
        .get("interpreter")
        .and_then(|value| read_interpreter(keys, value, "/python/interpreter", "interpreter"));
    let requirements = entries.get("requirements").map(|value| read_requirements(keys, value));
    (interpreter.unwrap_or(nothing.0), requirements)
}

fn read_interpreter(keys: &mut Keys<'_>, value: &Value, at: &str, name: &str) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => {
            let message = format!("{name:?} must be a string, found the number {number}; write \"{number}\" in quotes");
            keys.error(at, Mistake::WrongType, message);
            return None;
        }
        other => {
            keys.error(at, Mistake::WrongType, format!("{name:?} must be a string, found {}", kind(other)));
            return None;
        }
    };
    if !check_constant(keys, at, "the interpreter", text) {
        return None;
    }
    let is_version = |text: &str| {
        let parts: Vec<&str> = text.split('.').collect();
        (1..=2).contains(&parts.len())
            && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    if is_version(text) {
        return Some(format!("python{text}"));
    }
    if !text.starts_with('/') || text.contains('\0') {
        let message = format!("{text:?} is no interpreter: a version such as \"3.11\", or an absolute path");
        keys.error(at, Mistake::BadValue, message);
        return None;
    }
    Some(text.clone())
}

fn read_requirements(keys: &mut Keys<'_>, value: &Value) -> Vec<String> {
    const AT: &str = "/python/requirements";
    let Value::Array(items) = value else {
        let message = format!("\"requirements\" must be a list of strings, found {}", kind(value));
        keys.error(AT, Mistake::WrongType, message);
        return Vec::new();
    };
    let mut requirements = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = format!("{AT}/{index}");
        match item {
            Value::String(text) if text.contains(['\n', '\r']) => {
                keys.error(at, Mistake::BadValue, "a requirement is one line");
            }
            Value::String(text) if check_constant(keys, &at, "a requirement", text) => requirements.push(text.clone()),
            Value::String(_) => {}
            other => {
                let message = format!("\"requirements[{index}]\" must be a string, found {}", kind(other));
                keys.error(at, Mistake::WrongType, message);
            }
        }
    }
    requirements
}

/// Where packages come from is for the worker to say.
fn check_requirements(keys: &mut Keys<'_>, given: Option<&[String]>, files: &dyn PackFiles) {
    match given {
        Some(lines) => {
            for (index, why) in lines.iter().enumerate().filter_map(|(i, line)| Some((i, refused(line)?))) {
                keys.error(format!("/python/requirements/{index}"), Mistake::BadValue, why);
            }
        }
        None => {
            let text = files.text(REQUIREMENTS).unwrap_or_default();
            for (line, why) in text.lines().enumerate().filter_map(|(i, line)| Some((i + 1, refused(line)?))) {
                keys.error("/runner", Mistake::BadValue, format!("line {line} of {REQUIREMENTS}: {why}"));
            }
        }
    }
}

/// The result is a value already: there is nothing to parse.
fn check_output(keys: &mut Keys<'_>) {
    if keys.get("output").and_then(|output| output.get("format")).is_some() {
        let message = "what the function returns is the result, and has no \"format\"";
        keys.error("/output/format", Mistake::BadValue, message);
    }
}

fn fixed_variables(keys: &Keys<'_>) -> Vec<String> {
    let Some(Value::Object(entries)) = keys.get("env") else { return Vec::new() };
    let is_fixed = |value: &Value| value.as_str().is_some_and(|text| !text.contains('$'));
    entries.iter().filter(|(_, value)| is_fixed(value)).map(|(name, _)| name.clone()).collect()
}

/// All that the pack is configured with; the secrets of it are opened only for actions that are given it.
fn configuration(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Option<Template> {
    let names = files.configured();
    let values = names.iter().map(|name| (name.clone(), format!("${{config.{name}}}").into()));
    let values: Map<String, Value> = values.collect();
    // Mistakes of it are told where the configuration is read.
    keys.template_of(&Value::Object(values), "/class_name")
}
