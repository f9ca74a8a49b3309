//! What is done on each host: files to it, a command or a script, files from it.

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::super::keys::{Keys, Mistake, kind};
use super::super::process::{read_env, text as env_text};
use super::super::{PackFiles, RenderError};
use super::hosts::check_user;
use super::{pack_file, text};
use crate::limits::{COMMAND_ARGS_MAX, SSH_FILES_MAX};

/// Mode of a file where the action says nothing.
const MODE: &str = "600";

/// A file to write on each host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What it holds.
    pub from: UploadFrom,
    /// Its path there.
    pub to: String,
    /// Its mode, as `chmod` takes it: octal digits.
    pub mode: String,
}

/// What a file that is written holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadFrom {
    /// What a file of the pack holds, by its path in the pack.
    OfPack(String),
    /// This text.
    Text(String),
}

/// What is run on each host. No shell reads any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A program of the host, with its arguments.
    Command(Vec<String>),
    /// A file of the pack, by its path in the pack, with its arguments. It is written to the host for as long as it
    /// runs.
    Script {
        /// Path in the pack.
        file: String,
        /// Arguments.
        args: Vec<String>,
    },
}

/// The same as templates.
#[derive(Debug)]
pub(super) struct WorkSpec {
    pub(super) sudo: Option<String>,
    cwd: Option<Template>,
    env: Vec<(String, Template)>,
    uploads: Vec<UploadSpec>,
    run: RunSpec,
    downloads: Vec<Template>,
}

#[derive(Debug)]
enum RunSpec {
    Nothing,
    Command(Vec<Template>),
    Script(String, Vec<Template>),
}

#[derive(Debug)]
struct UploadSpec {
    from: FromSpec,
    to: Template,
    mode: String,
}

#[derive(Debug)]
enum FromSpec {
    OfPack(String),
    Text(Template),
}

impl WorkSpec {
    pub(super) fn read(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Self {
        let run = read_run(keys, files);
        let uploads = read_uploads(keys, files);
        let downloads = match keys.get("download") {
            Some(paths) => read_texts(keys, paths, "download", SSH_FILES_MAX),
            None => Vec::new(),
        };
        let works = ["command", "script", "upload", "download"];
        if works.iter().all(|key| keys.get(key).is_none()) {
            keys.error("", Mistake::Missing, format!("an action with hosts needs one of {}", works.join(", ")));
        }
        let cwd = keys.get("cwd").and_then(|cwd| keys.text_template(cwd, "/cwd", "cwd"));
        Self { sudo: read_sudo(keys), cwd, env: read_env(keys), uploads, run, downloads }
    }

    pub(super) fn cwd(&self, scope: &Scope<'_>) -> Result<Option<String>, RenderError> {
        let Some(cwd) = &self.cwd else { return Ok(None) };
        path(cwd, scope, "\"cwd\"").map(Some)
    }

    pub(super) fn env(&self, scope: &Scope<'_>) -> Result<Vec<(String, String)>, RenderError> {
        let variable = |(name, value): &(String, Template)| {
            Ok((name.clone(), env_text(value, scope, || format!("variable {name}"))?))
        };
        self.env.iter().map(variable).collect()
    }

    pub(super) fn uploads(&self, scope: &Scope<'_>) -> Result<Vec<Upload>, RenderError> {
        let upload = |spec: &UploadSpec| {
            let from = match &spec.from {
                FromSpec::OfPack(path) => UploadFrom::OfPack(path.clone()),
                FromSpec::Text(content) => UploadFrom::Text(
                    content.render_text(scope).map_err(|e| RenderError(format!("a file's content: {e}")))?,
                ),
            };
            Ok(Upload { from, to: path(&spec.to, scope, "the path of a file")?, mode: spec.mode.clone() })
        };
        self.uploads.iter().map(upload).collect()
    }

    pub(super) fn run(&self, scope: &Scope<'_>) -> Result<Option<Run>, RenderError> {
        let texts = |templates: &[Template], what: &str| {
            let text =
                |(i, template): (usize, &Template)| text(template, scope, &format!("argument {i} of the {what}"));
            templates.iter().enumerate().map(text).collect::<Result<Vec<String>, _>>()
        };
        Ok(match &self.run {
            RunSpec::Nothing => None,
            RunSpec::Command(argv) => Some(Run::Command(texts(argv, "command")?)),
            RunSpec::Script(file, args) => Some(Run::Script { file: file.clone(), args: texts(args, "script")? }),
        })
    }

    pub(super) fn downloads(&self, scope: &Scope<'_>) -> Result<Vec<String>, RenderError> {
        self.downloads.iter().map(|from| path(from, scope, "the path of a file")).collect()
    }
}

/// A path of a host.
fn path(template: &Template, scope: &Scope<'_>, what: &str) -> Result<String, RenderError> {
    let path = text(template, scope, what)?;
    match path.is_empty() {
        true => Err(RenderError(format!("{what} is empty"))),
        false => Ok(path),
    }
}

fn read_run(keys: &mut Keys<'_>, files: &dyn PackFiles) -> RunSpec {
    if keys.get("args").is_some() && keys.get("script").is_none() {
        keys.error("/args", Mistake::BadValue, "\"args\" are those of a \"script\"; a \"command\" has its own");
    }
    match (keys.get("command"), keys.get("script")) {
        (Some(_), Some(_)) => {
            keys.error("/script", Mistake::BadValue, "an action has \"command\" or \"script\", not both");
            RunSpec::Nothing
        }
        (Some(command), None) => {
            let argv = read_texts(keys, command, "command", COMMAND_ARGS_MAX);
            match command.get(0).and_then(Value::as_str) {
                Some(program) if program.is_empty() || program.contains("${") || program.starts_with('-') => {
                    let message = "the program must be a constant, so that a parameter cannot choose it";
                    keys.error("/command/0", Mistake::BadValue, message);
                }
                _ => {}
            }
            RunSpec::Command(argv)
        }
        (None, Some(script)) => {
            let file = pack_file(keys, script, "/script", "script", files);
            let args = match keys.get("args") {
                Some(args) => read_texts(keys, args, "args", COMMAND_ARGS_MAX),
                None => Vec::new(),
            };
            file.map_or(RunSpec::Nothing, |file| RunSpec::Script(file, args))
        }
        (None, None) => RunSpec::Nothing,
    }
}

/// A list of texts that is not empty.
fn read_texts<'k>(keys: &mut Keys<'k>, value: &'k Value, name: &str, most: usize) -> Vec<Template> {
    let at = format!("/{name}");
    let Value::Array(items) = value else {
        let message = format!("{name:?} must be a list of strings, found {}", kind(value));
        keys.error(at, Mistake::WrongType, message);
        return Vec::new();
    };
    if items.is_empty() {
        keys.error(at.as_str(), Mistake::BadValue, format!("{name:?} is empty"));
    }
    if items.len() > most {
        let message = format!("{name:?} has {} entries, more than the limit of {most}", items.len());
        keys.error(at.as_str(), Mistake::TooLarge, message);
    }
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        texts.extend(keys.text_template(item, &format!("{at}/{index}"), &format!("{name}[{index}]")));
    }
    texts
}

fn read_uploads(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Vec<UploadSpec> {
    let Some(value) = keys.get("upload") else { return Vec::new() };
    let Value::Array(items) = value else {
        let message = format!("\"upload\" must be a list of mappings, found {}", kind(value));
        keys.error("/upload", Mistake::WrongType, message);
        return Vec::new();
    };
    if items.is_empty() {
        keys.error("/upload", Mistake::BadValue, "\"upload\" is empty");
    }
    if items.len() > SSH_FILES_MAX {
        let message = format!("\"upload\" has {} files, more than the limit of {SSH_FILES_MAX}", items.len());
        keys.error("/upload", Mistake::TooLarge, message);
    }
    let read = |(index, item)| read_upload(keys, item, index, files);
    items.iter().enumerate().filter_map(read).collect()
}

fn read_upload<'k>(keys: &mut Keys<'k>, item: &'k Value, index: usize, files: &dyn PackFiles) -> Option<UploadSpec> {
    let (at, name) = (format!("/upload/{index}"), format!("upload[{index}]"));
    let entries = keys.mapping(item, &at, &name, &["file", "content", "to", "mode"])?;
    let from = match (entries.get("file"), entries.get("content")) {
        (Some(file), None) => pack_file(keys, file, &format!("{at}/file"), "file", files).map(FromSpec::OfPack),
        (None, Some(content)) => keys.text_template(content, &format!("{at}/content"), "content").map(FromSpec::Text),
        _ => {
            keys.error(at.as_str(), Mistake::BadValue, format!("{name:?} must have \"file\" or \"content\""));
            None
        }
    };
    let mode = read_mode(keys, entries, &at);
    let Some(to) = entries.get("to") else {
        keys.error(at, Mistake::Missing, format!("{name:?} needs \"to\""));
        return None;
    };
    let to = keys.text_template(to, &format!("{at}/to"), "to");
    Some(UploadSpec { from: from?, to: to?, mode: mode? })
}

fn read_mode<'k>(keys: &mut Keys<'k>, entries: &'k Map<String, Value>, at: &str) -> Option<String> {
    let Some(mode) = entries.get("mode") else { return Some(MODE.to_owned()) };
    let at = format!("{at}/mode");
    let text = keys.text(mode, &at, "mode")?;
    if !(3..=4).contains(&text.len()) || !text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        keys.error(at, Mistake::BadValue, "\"mode\" must have three or four octal digits, such as \"644\"");
        return None;
    }
    Some(text.to_owned())
}

/// `true` is root.
fn read_sudo(keys: &mut Keys<'_>) -> Option<String> {
    match keys.get("sudo")? {
        Value::Bool(true) => Some("root".to_owned()),
        Value::Bool(false) => None,
        Value::String(user) => {
            // It stands in what the user's own shell reads, whichever that is.
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if check_user(user).is_err() || !user.bytes().all(allowed) {
                keys.error("/sudo", Mistake::BadValue, format!("{user:?} is no name of a user"));
            }
            Some(user.clone())
        }
        other => {
            let message = format!("\"sudo\" must be true, false or a user's name, found {}", kind(other));
            keys.error("/sudo", Mistake::WrongType, message);
            None
        }
    }
}
