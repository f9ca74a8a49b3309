//! The runner `shell`: a text that a shell runs. The text is a constant: parameters reach it as variables and as
//! positional arguments, which a shell never reads as a part of it.

use std::fmt;

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake};
use super::process::{ProcessCall, ProcessSpec, read_arguments, text};
use super::shape::Shape;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};
use crate::limits::SHELL_SCRIPT_BYTES_MAX;

/// Roots of expressions: in a shell `${parameters.x}` is a mistake of every text that has it.
const ROOTS: [&str; 4] = ["parameters", "execution", "config", "secret"];

/// Who reads the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// Whatever the system has as `sh`.
    Sh,
    /// `bash`.
    Bash,
}

impl Shell {
    /// Name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Bash => "bash",
        }
    }
}

/// A text with what it is given, as templates.
#[derive(Debug)]
pub struct ShellSpec {
    shell: Shell,
    script: String,
    args: Vec<Template>,
    process: ProcessSpec,
    secrets: Vec<(String, SecretRef)>,
}

/// A text for a shell.
#[derive(Clone, PartialEq)]
pub struct ShellCall {
    /// Who reads it.
    pub shell: Shell,
    /// The text.
    pub script: String,
    /// Its positional arguments, from `$1`.
    pub args: Vec<String>,
    /// How it is started, and what is made of its end.
    pub process: ProcessCall,
}

/// Without arguments: there may be secrets in them.
impl fmt::Debug for ShellCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ShellCall");
        shown.field("shell", &self.shell).field("script", &self.script);
        shown.field("arguments", &self.args.len()).field("process", &self.process).finish()
    }
}

impl Spec for ShellSpec {
    const NAME: &'static str = "shell";
    const KEYS: &'static [&'static str] = &[
        "script",
        "shell",
        "args",
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
        let script = read_script(&mut keys).unwrap_or_default();
        let shell = read_shell(&mut keys);
        let args = read_arguments(&mut keys, "args", &mut |_, _, _| {}).unwrap_or_default();
        let process = ProcessSpec::read(&mut keys, files);
        let Keys { errors, secrets, .. } = keys;
        if errors.is_empty() { Ok(Self { shell, script, args, process, secrets }) } else { Err(errors) }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }

    fn shape(&self) -> Option<&Shape> {
        self.process.shape()
    }
}

impl Works for ShellSpec {
    type Call = ShellCall;

    fn render(&self, rendering: Rendering<'_>) -> Result<ShellCall, RenderError> {
        let scope = rendering.scope();
        let args = self.args.iter().enumerate();
        let args = args.map(|(i, part)| text(part, &scope, || format!("argument {} of the script", i + 1)));
        Ok(ShellCall {
            shell: self.shell,
            script: self.script.clone(),
            args: args.collect::<Result<_, _>>()?,
            process: self.process.render(&scope)?,
        })
    }
}

impl Call for ShellCall {
    fn uses_pack(&self) -> bool {
        true
    }
}

fn read_script(keys: &mut Keys<'_>) -> Option<String> {
    const AT: &str = "/script";
    let script = keys.need("script")?;
    let text = keys.text(script, AT, "script")?;
    if text.trim().is_empty() {
        keys.error(AT, Mistake::BadValue, "\"script\" must have a text");
    }
    if text.contains('\0') {
        keys.error(AT, Mistake::BadValue, "\"script\" holds a NUL character");
    }
    if text.len() > SHELL_SCRIPT_BYTES_MAX {
        let message = format!("\"script\" has {} bytes, more than the limit of {SHELL_SCRIPT_BYTES_MAX}", text.len());
        keys.error(AT, Mistake::TooLarge, message);
    }
    if let Some(root) = ROOTS.into_iter().find(|root| text.contains(&format!("${{{root}."))) {
        let message = format!(
            "\"${{{root}.…}}\" does not go into the text of a shell, which would read what it gives as commands: set a \
             variable by \"env\", or give an argument by \"args\""
        );
        keys.error(AT, Mistake::BadValue, message);
    }
    Some(text.to_owned())
}

fn read_shell(keys: &mut Keys<'_>) -> Shell {
    const AT: &str = "/shell";
    match keys.get("shell").and_then(|shell| keys.text(shell, AT, "shell")) {
        Some("sh") | None => Shell::Sh,
        Some("bash") => Shell::Bash,
        Some(other) => {
            keys.error(AT, Mistake::BadValue, format!("{other:?} is no shell: sh, bash"));
            Shell::Sh
        }
    }
}
