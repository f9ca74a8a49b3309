//! The runner `command`: an argv, never a shell.

use std::fmt;

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake};
use super::process::{ProcessCall, ProcessSpec, check_constant, check_file, read_arguments, text};
use super::shape::Shape;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

/// A program with its arguments, as templates.
#[derive(Debug)]
pub struct CommandSpec {
    argv: Vec<Template>,
    process: ProcessSpec,
    secrets: Vec<(String, SecretRef)>,
}

/// A program to run: no shell ever reads it.
#[derive(Clone, PartialEq)]
pub struct CommandCall {
    /// Program and arguments. A program with a relative path is meant relative to the pack's `actions/`.
    pub argv: Vec<String>,
    /// How it is started, and what is made of its end.
    pub process: ProcessCall,
}

/// Without arguments: there may be secrets in them.
impl fmt::Debug for CommandCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandCall")
            .field("program", &self.argv.first())
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("process", &self.process)
            .finish()
    }
}

impl Spec for CommandSpec {
    const NAME: &'static str = "command";
    const KEYS: &'static [&'static str] =
        &["command", "env", "cwd", "user", "stdin", "success_codes", "output", "may", "limits", "confine"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let argv = read_argv(&mut keys, files);
        let process = ProcessSpec::read(&mut keys, files);
        let Keys { errors, secrets, .. } = keys;
        if errors.is_empty() { Ok(Self { argv, process, secrets }) } else { Err(errors) }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }

    fn shape(&self) -> Option<&Shape> {
        self.process.shape()
    }
}

impl Works for CommandSpec {
    type Call = CommandCall;

    fn render(&self, rendering: Rendering<'_>) -> Result<CommandCall, RenderError> {
        let scope = rendering.scope();
        let argv = self.argv.iter().enumerate();
        let argv = argv.map(|(i, part)| text(part, &scope, || format!("argument {i} of the command")));
        Ok(CommandCall { argv: argv.collect::<Result<_, _>>()?, process: self.process.render(&scope)? })
    }
}

impl Call for CommandCall {
    fn uses_pack(&self) -> bool {
        true
    }
}

fn read_argv(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Vec<Template> {
    if keys.need("command").is_none() {
        return Vec::new();
    }
    let mut check = |keys: &mut Keys<'_>, index: usize, text: &str| {
        if index == 0 {
            check_program(keys, text, files);
        }
    };
    let argv = read_arguments(keys, "command", &mut check);
    if keys.get("command").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        keys.error("/command", Mistake::BadValue, "\"command\" must name a program");
    }
    argv.unwrap_or_default()
}

/// A program of the pack must be in it and executable; one without a slash is looked up where it runs.
fn check_program(keys: &mut Keys<'_>, program: &str, files: &dyn PackFiles) {
    const AT: &str = "/command/0";
    if program.is_empty() {
        return keys.error(AT, Mistake::BadValue, "\"command\" must name a program");
    }
    if check_constant(keys, AT, "the program", program) && program.contains('/') && !program.starts_with('/') {
        check_file(keys, AT, program, true, files);
    }
}
