//! What the runners of processes have in common: the keys that say how a process is started and what is made of its end.
//!
//! `may` (what it may do), `confine` (what it may reach), `files` (what of its pack it names), `output` (what is parsed of its standard output).

mod confine;
mod files;
mod may;
mod output;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use petrel_cel::{Scope, Template};
use serde_json::Value;

use super::codes::{Codes, EXITS};
use super::keys::{Keys, Mistake, kind, step};
use super::limits::{self, Limits};
use super::shape::Shape;
use super::{PackFiles, RenderError};
use crate::limits::COMMAND_ARGS_MAX;

pub use confine::{Confine, FileAccess, Guarantee, check_confine};
pub use files::Folder;
pub(super) use files::{check_constant, check_file};
pub use may::May;
pub use output::{Format, Output, ResultError};

/// How a process is started beside its arguments, as templates.
#[derive(Debug)]
pub(super) struct ProcessSpec {
    env: Vec<(String, Template)>,
    cwd: Folder,
    user: Option<String>,
    stdin: Option<Template>,
    success: Codes,
    output: Option<Arc<Output>>,
    may: May,
    limits: Limits,
    confine: Arc<Confine>,
}

/// How a process is started beside its arguments, and what is made of its end.
#[derive(Clone, PartialEq)]
pub struct ProcessCall {
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: Folder,
    /// Name or number of the user that it runs as; none for the worker's own.
    pub user: Option<String>,
    /// Its standard input.
    pub stdin: Vec<u8>,
    /// Exit codes with which it has succeeded.
    pub success: Codes,
    /// What its standard output is parsed as.
    pub output: Option<Arc<Output>>,
    /// What it may do beyond its own processes.
    pub may: May,
    /// What it may use up.
    pub limits: Limits,
    /// What it may reach.
    pub confine: Arc<Confine>,
}

/// Without the values of variables and what it reads: there may be secrets in them.
impl fmt::Debug for ProcessCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessCall")
            .field("variables", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .field("stdin_bytes", &self.stdin.len())
            .finish_non_exhaustive()
    }
}

impl ProcessSpec {
    /// Names of the keys that are read here.
    #[cfg(test)]
    pub(super) const KEYS: [&'static str; 9] =
        ["env", "cwd", "user", "stdin", "success_codes", "output", "may", "limits", "confine"];

    pub(super) fn read(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Self {
        let success = read_success(keys);
        let (may, limits) = (may::read(keys), limits::read(keys));
        let confine = Arc::new(confine::read(keys, files, may, &limits));
        Self {
            env: read_env(keys),
            cwd: Folder::read(keys, files),
            user: read_user(keys),
            stdin: keys.get("stdin").and_then(|stdin| keys.template_of(stdin, "/stdin")),
            success,
            output: Output::read(keys, files).map(Arc::new),
            may,
            limits,
            confine,
        }
    }

    /// The same for what is no process of the worker's machine: where it is started, as whom, and what it may do there is
    /// for its runner to read.
    pub(super) fn read_common(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Self {
        Self {
            env: read_env(keys),
            cwd: Folder::Actions,
            user: None,
            stdin: keys.get("stdin").and_then(|stdin| keys.template_of(stdin, "/stdin")),
            success: read_success(keys),
            output: Output::read(keys, files).map(Arc::new),
            may: May::default(),
            limits: Limits::default(),
            confine: Arc::default(),
        }
    }

    /// What is said of the result.
    pub(super) fn shape(&self) -> Option<&Shape> {
        self.output.as_ref().map(|output| &output.shape)
    }

    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<ProcessCall, RenderError> {
        let variable =
            |(name, value): &(String, Template)| Ok((name.clone(), text(value, scope, || format!("variable {name}"))?));
        let stdin = self.stdin.as_ref().map(|stdin| stdin.render_text(scope)).transpose();
        Ok(ProcessCall {
            env: self.env.iter().map(variable).collect::<Result<_, _>>()?,
            cwd: self.cwd.clone(),
            user: self.user.clone(),
            stdin: stdin.map_err(|e| RenderError(format!("the standard input: {e}")))?.unwrap_or_default().into_bytes(),
            success: self.success.clone(),
            output: self.output.clone(),
            may: self.may,
            limits: self.limits,
            confine: self.confine.clone(),
        })
    }
}

/// A template's value as text that a process can be given.
pub(super) fn text(template: &Template, scope: &Scope<'_>, what: impl Fn() -> String) -> Result<String, RenderError> {
    let text = template.render_text(scope).map_err(|e| RenderError(format!("{}: {e}", what())))?;
    without_nul(text, what)
}

/// A text that a process can be given.
pub(super) fn without_nul(text: String, what: impl Fn() -> String) -> Result<String, RenderError> {
    if text.contains('\0') { Err(RenderError(format!("{} holds a NUL character", what()))) } else { Ok(text) }
}

/// A list of arguments with expressions, by its key; nothing if there is no such key. `check` sees each constant.
pub(super) fn read_arguments(
    keys: &mut Keys<'_>,
    key: &str,
    check: &mut dyn FnMut(&mut Keys<'_>, usize, &str),
) -> Option<Vec<Template>> {
    let value = keys.get(key)?;
    let Value::Array(items) = value else {
        let message = format!("{key:?} must be a list of strings, found {}", kind(value));
        keys.error(format!("/{key}"), Mistake::WrongType, message);
        return None;
    };
    if items.len() > COMMAND_ARGS_MAX {
        let message = format!("{key:?} has {} arguments, more than the limit of {COMMAND_ARGS_MAX}", items.len());
        keys.error(format!("/{key}"), Mistake::TooLarge, message);
    }
    let mut arguments = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = format!("/{key}/{index}");
        let Some(text) = keys.text(item, &at, &format!("{key}[{index}]")) else { continue };
        check(keys, index, text);
        arguments.extend(keys.template(text, &at));
    }
    Some(arguments)
}

fn read_success(keys: &mut Keys<'_>) -> Codes {
    match keys.get("success_codes") {
        Some(codes) => Codes::read(codes, "/success_codes", "success_codes", &EXITS, keys),
        None => Codes::of(&[(0, 0)]),
    }
}

/// Variables with expressions.
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

/// A user's name, or its number as text. A parameter must not choose it.
fn read_user(keys: &mut Keys<'_>) -> Option<String> {
    const AT: &str = "/user";
    let user = keys.get("user")?;
    let name = keys.text(user, AT, "user")?;
    let allowed = |c: char| c.is_alphanumeric() || "_.-$@\\".contains(c);
    if !check_constant(keys, AT, "the user", name) {
        return None;
    }
    if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
        keys.error(AT, Mistake::BadValue, format!("{name:?} is no name of a user"));
        return None;
    }
    Some(name.to_owned())
}
