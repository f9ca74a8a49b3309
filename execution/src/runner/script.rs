//! The runner `script`: a file of the pack, run by its interpreter. Its arguments are its action's parameters, as
//! StackStorm gives them, unless the action says them itself.

use std::fmt;

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::arguments::{Form, Parameters};
use super::keys::{Keys, Mistake, kind};
use super::process::{ProcessCall, ProcessSpec, check_constant, check_file, read_arguments, text};
use super::shape::Shape;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

/// A file with its arguments, as templates.
#[derive(Debug)]
pub struct ScriptSpec {
    file: String,
    interpreter: Vec<String>,
    arguments: Arguments,
    process: ProcessSpec,
    secrets: Vec<(String, SecretRef)>,
}

#[derive(Debug)]
enum Arguments {
    /// These and no others.
    Given(Vec<Template>),
    /// The parameters.
    Parameters(Parameters),
}

/// A file to run.
#[derive(Clone, PartialEq)]
pub struct ScriptCall {
    /// Program and first arguments of what runs it. A program with a relative path is meant relative to the pack's
    /// `actions/`.
    pub interpreter: Vec<String>,
    /// The file, relative to the pack's `actions/`.
    pub file: String,
    /// What stands behind it.
    pub args: Vec<String>,
    /// How it is started, and what is made of its end.
    pub process: ProcessCall,
}

/// Without arguments: there may be secrets in them.
impl fmt::Debug for ScriptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ScriptCall");
        shown.field("interpreter", &self.interpreter).field("file", &self.file);
        shown.field("arguments", &self.args.len()).field("process", &self.process).finish()
    }
}

impl Spec for ScriptSpec {
    const NAME: &'static str = "script";
    const KEYS: &'static [&'static str] = &[
        "file",
        "interpreter",
        "args",
        "named",
        "end_of_options",
        "env",
        "cwd",
        "user",
        "stdin",
        "success_codes",
        "output",
        "may",
        "limits",
        "confine",
    ];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let file = read_file(&mut keys, files);
        let interpreter = read_interpreter(&mut keys, file.as_deref(), files).unwrap_or_default();
        let arguments = read_all(&mut keys, files);
        let process = ProcessSpec::read(&mut keys, files);
        let Keys { errors, secrets, .. } = keys;
        match file {
            Some(file) if errors.is_empty() => Ok(Self { file, interpreter, arguments, process, secrets }),
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

impl Works for ScriptSpec {
    type Call = ScriptCall;

    fn render(&self, rendering: Rendering<'_>) -> Result<ScriptCall, RenderError> {
        let scope = rendering.scope();
        let args = match &self.arguments {
            Arguments::Given(args) => {
                let args = args.iter().enumerate();
                let args = args.map(|(i, part)| text(part, &scope, || format!("argument {} of the script", i + 1)));
                args.collect::<Result<_, _>>()?
            }
            Arguments::Parameters(parameters) => parameters.render(rendering.parameters)?,
        };
        let (interpreter, file) = (self.interpreter.clone(), self.file.clone());
        Ok(ScriptCall { interpreter, file, args, process: self.process.render(&scope)? })
    }
}

impl Call for ScriptCall {
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
    check_file(keys, AT, file, false, files)
}

/// What the action says, or else the first line of the file.
fn read_interpreter(keys: &mut Keys<'_>, file: Option<&str>, files: &dyn PackFiles) -> Option<Vec<String>> {
    const AT: &str = "/interpreter";
    let Some(interpreter) = keys.get("interpreter") else {
        let path = format!("actions/{}", file?);
        return match files.interpreter(&path) {
            Some(line) => read_line(keys, &path, &line),
            None => {
                let message = format!("{path} does not begin with \"#!\": say its \"interpreter\"");
                keys.error("/file", Mistake::Missing, message);
                None
            }
        };
    };
    let parts = match interpreter {
        Value::Array(parts) if !parts.is_empty() => parts.as_slice(),
        Value::String(_) => std::slice::from_ref(interpreter),
        other => {
            let message = format!("\"interpreter\" must be a program, or a list with one, found {}", kind(other));
            keys.error(AT, Mistake::WrongType, message);
            return None;
        }
    };
    let mut words = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let at = if interpreter.is_array() { format!("{AT}/{index}") } else { AT.to_owned() };
        let word = keys.text(part, &at, "interpreter")?;
        if !check_constant(keys, &at, "the interpreter", word) {
            return None;
        }
        if index == 0 && word.is_empty() {
            keys.error(at, Mistake::BadValue, "\"interpreter\" must name a program");
            return None;
        }
        if index == 0 && word.contains('/') && !word.starts_with('/') {
            check_file(keys, &at, word, true, files)?;
        }
        words.push(word.to_owned());
    }
    Some(words)
}

/// As the kernel reads it: a program by its path, and all that stands behind it as one argument.
fn read_line(keys: &mut Keys<'_>, path: &str, line: &str) -> Option<Vec<String>> {
    if line.ends_with('\r') {
        let message = format!("the first line of {path} ends with a carriage return, so that no program is called so");
        keys.error("/file", Mistake::BadValue, message);
        return None;
    }
    let blank = [' ', '\t'];
    let line = line.trim_matches(blank);
    let (program, rest) = line.split_once(blank).unwrap_or((line, ""));
    if !program.starts_with('/') || line.contains('\0') {
        let message = format!("the first line of {path} names no program by an absolute path");
        keys.error("/file", Mistake::BadValue, message);
        return None;
    }
    let argument = Some(rest.trim_matches(blank)).filter(|rest| !rest.is_empty());
    Some(std::iter::once(program).chain(argument).map(str::to_owned).collect())
}

fn read_all(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Arguments {
    let args = read_arguments(keys, "args", &mut |_, _, _| {});
    for key in ["named", "end_of_options"] {
        if args.is_some() && keys.get(key).is_some() {
            let message = format!("{key:?} is about parameters as arguments, and \"args\" are in their place");
            keys.error(format!("/{key}"), Mistake::BadValue, message);
        }
    }
    let form = Form::read(keys);
    let end_of_options = match keys.get("end_of_options") {
        Some(Value::Bool(flag)) => *flag,
        Some(other) => {
            let message = format!("\"end_of_options\" must be true or false, found {}", kind(other));
            keys.error("/end_of_options", Mistake::WrongType, message);
            false
        }
        None => false,
    };
    match args {
        Some(args) => Arguments::Given(args),
        None => Arguments::Parameters(Parameters::new(files.parameters(), form, end_of_options)),
    }
}
