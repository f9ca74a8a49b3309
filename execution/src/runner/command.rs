//! The runner `command`: an argv, never a shell.

use std::fmt;

use petrel_cel::{Scope, Template};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake, SpecError, kind, step};
use super::limits::{self, Limits};
use super::{Call, PackFiles, RenderError, Rendering, Spec, Works};
use crate::limits::COMMAND_ARGS_MAX;

/// A program with its arguments and variables, as templates.
#[derive(Debug)]
pub struct CommandSpec {
    argv: Vec<Template>,
    env: Vec<(String, Template)>,
    may: May,
    limits: Limits,
    secrets: Vec<(String, SecretRef)>,
}

/// What a program may do beyond its own processes; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct May {
    /// Signal processes that it did not start.
    pub signal_others: bool,
    /// Gain rights by `sudo` and other programs with a set-user-id bit or file capabilities.
    pub gain_privileges: bool,
}

/// A program to run: no shell ever reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandCall {
    /// Program and arguments. A program with a relative path is meant relative to the pack's `actions/`.
    pub argv: Vec<String>,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// What it may do beyond its own processes.
    pub may: May,
    /// What it may use up.
    pub limits: Limits,
}

/// Without arguments and the values of variables: there may be secrets in them.
impl fmt::Debug for CommandCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandCall")
            .field("program", &self.argv.first())
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("variables", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Spec for CommandSpec {
    const NAME: &'static str = "command";
    const KEYS: &'static [&'static str] = &["command", "env", "may", "limits"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let argv = read_argv(&mut keys, files);
        let env = read_env(&mut keys);
        let may = read_may(&mut keys);
        let limits = limits::read(&mut keys);
        let Keys { errors, secrets, .. } = keys;
        if errors.is_empty() { Ok(Self { argv, env, may, limits, secrets }) } else { Err(errors) }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
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
        let (argv, env) = (argv.collect::<Result<_, _>>()?, env.collect::<Result<_, _>>()?);
        Ok(CommandCall { argv, env, may: self.may, limits: self.limits })
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

fn read_may(keys: &mut Keys<'_>) -> May {
    let mut may = May::default();
    let Some(list) = keys.get("may") else { return may };
    let Value::Array(items) = list else {
        keys.error("/may", Mistake::WrongType, format!("expected \"may\" as a list, found {}", kind(list)));
        return may;
    };
    for (index, item) in items.iter().enumerate() {
        let at = format!("/may/{index}");
        match keys.text(item, &at, &format!("may[{index}]")) {
            Some("signal_others") => may.signal_others = true,
            Some("gain_privileges") => may.gain_privileges = true,
            Some(other) => {
                let message = format!("{other:?} is nothing that can be allowed: signal_others, gain_privileges");
                keys.error(at, Mistake::BadValue, message);
            }
            None => {}
        }
    }
    may
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
