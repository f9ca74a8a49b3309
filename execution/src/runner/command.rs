//! The runner `command`: an argv, never a shell.

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake, SpecError, kind, step};
use super::{Call, PackFiles, RenderError, Rendering, Spec, Works};
use crate::limits::COMMAND_ARGS_MAX;

/// A program with its arguments and variables, as templates.
#[derive(Debug)]
pub struct CommandSpec {
    argv: Vec<Template>,
    env: Vec<(String, Template)>,
}

/// A program to run: no shell ever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandCall {
    /// Program and arguments. A program with a relative path is meant relative to the pack's `actions/`.
    pub argv: Vec<String>,
    /// Variables to set.
    pub env: Vec<(String, String)>,
}

impl Spec for CommandSpec {
    const NAME: &'static str = "command";
    const KEYS: &'static [&'static str] = &["command", "env"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys);
        let argv = read_argv(&mut keys, files);
        let env = read_env(&mut keys);
        if keys.errors.is_empty() { Ok(Self { argv, env }) } else { Err(keys.errors) }
    }
}

impl Works for CommandSpec {
    type Call = CommandCall;

    fn render(&self, rendering: Rendering<'_>) -> Result<CommandCall, RenderError> {
        let scope = rendering.scope();
        let argv = self.argv.iter().enumerate();
        let argv = argv.map(|(i, part)| text(part, &scope, || format!("argument {i} of the command")));
        let env = self
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), text(value, &scope, || format!("variable {name}"))?)));
        Ok(CommandCall { argv: argv.collect::<Result<_, _>>()?, env: env.collect::<Result<_, _>>()? })
    }
}

impl Call for CommandCall {
    fn uses_pack(&self) -> bool {
        true
    }
}

pub(super) fn text(template: &Template, scope: &Scope<'_>, what: impl Fn() -> String) -> Result<String, RenderError> {
    let text = template.render_text(scope).map_err(|e| RenderError(format!("{}: {e}", what())))?;
    if text.contains('\0') {
        return Err(RenderError(format!("{} holds a NUL character", what())));
    }
    Ok(text)
}

fn read_argv(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Vec<Template> {
    let Some(command) = keys.need("command") else { return Vec::new() };
    let Value::Array(items) = command else {
        let message = format!("\"command\" must be a list of strings, found {}", kind(command));
        keys.error("/command", Mistake::WrongType, message);
        return Vec::new();
    };
    if items.is_empty() {
        keys.error("/command", Mistake::BadValue, "\"command\" must name a program");
    }
    if items.len() > COMMAND_ARGS_MAX {
        let message = format!("\"command\" has {} arguments, more than the limit of {COMMAND_ARGS_MAX}", items.len());
        keys.error("/command", Mistake::TooLarge, message);
    }
    let mut argv = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = format!("/command/{index}");
        let Some(text) = keys.text(item, &at, &format!("command[{index}]")) else { continue };
        if index == 0 {
            check_program(keys, text, files);
        }
        argv.extend(keys.template(text, &at));
    }
    argv
}

/// A program of the pack must be in it and executable; one without a slash is looked up where it runs.
fn check_program(keys: &mut Keys<'_>, program: &str, files: &dyn PackFiles) {
    const AT: &str = "/command/0";
    if program.is_empty() || program.contains("${") {
        let message = "the program must be a constant, so that a parameter cannot choose it";
        return keys.error(AT, Mistake::BadValue, message);
    }
    if !program.contains('/') || program.starts_with('/') {
        return;
    }
    let relative = program.strip_prefix("./").unwrap_or(program);
    if relative.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return keys.error(AT, Mistake::BadPath, format!("{program:?} leaves the pack"));
    }
    let path = format!("actions/{relative}");
    match files.executable(&path) {
        None => {
            let message = format!("the pack has no file {path}{}", files.hint(&path));
            keys.error(AT, Mistake::Missing, message);
        }
        Some(false) => keys.error(AT, Mistake::BadValue, format!("{path} is not executable: chmod +x it")),
        Some(true) => {}
    }
}

pub(super) fn read_env(keys: &mut Keys<'_>) -> Vec<(String, Template)> {
    let Some(env) = keys.get("env") else { return Vec::new() };
    let Value::Object(entries) = env else {
        keys.error("/env", Mistake::WrongType, format!("expected \"env\" as a mapping, found {}", kind(env)));
        return Vec::new();
    };
    let mut variables = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let at = format!("/env/{}", step(name));
        if let Err(message) = check_variable(name) {
            keys.error(at.as_str(), Mistake::BadName, message);
        }
        let Some(text) = keys.text(value, &at, name) else { continue };
        variables.extend(keys.template(text, &at).map(|template| (name.clone(), template)));
    }
    variables
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
