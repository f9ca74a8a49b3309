//! The files of a pack folder: which paths may be there and what each is for.

use petrel_execution::runner::REQUIREMENTS;

use crate::limits::{INTERPRETER_LINE_BYTES_MAX, PACK_BYTES_MAX, PACK_FILES_MAX, PATH_BYTES_MAX};
use crate::problems::{At, Code, Problems};

use super::config;

/// One file of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFile {
    /// Path relative to the pack's folder, with `/` between its parts.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// Whether its owner may execute it.
    pub executable: bool,
}

impl PackFile {
    /// Its first line, if that says what runs it (`#!`): at most [`INTERPRETER_LINE_BYTES_MAX`] of it, without the line feed.
    /// Empty for any other file.
    pub(crate) fn interpreter_line(&self) -> &[u8] {
        if !self.bytes.starts_with(b"#!") {
            return &[];
        }
        let line = self.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        &line[..line.len().min(INTERPRETER_LINE_BYTES_MAX)]
    }
}

/// A pack folder as somebody found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackSource {
    /// What stands before the paths in problems, such as `packs/disk`; may be empty.
    pub label: String,
    /// Its regular files.
    pub files: Vec<PackFile>,
    /// Paths of its symbolic links and other special files: each is refused.
    pub special: Vec<String>,
}

/// What a YAML file of a pack describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Trigger,
    Rule,
    Action,
    Policy,
}

/// The path of a file as the user knows it.
pub(crate) fn shown(label: &str, path: &str) -> String {
    if label.is_empty() { path.to_owned() } else { format!("{label}/{path}") }
}

/// What to read a file as; nothing for scripts and other content.
pub(super) fn kind_of(path: &str) -> Option<Kind> {
    if path == "pack.yaml" {
        return Some(Kind::Manifest);
    }
    let (folder, name) = path.split_once('/')?;
    if name.contains('/') || !name.ends_with(".yaml") {
        return None;
    }
    match folder {
        "triggers" => Some(Kind::Trigger),
        "rules" => Some(Kind::Rule),
        "actions" => Some(Kind::Action),
        "policies" => Some(Kind::Policy),
        _ => None,
    }
}

/// Whether a file stands where workflows do.
pub(super) fn is_workflow(path: &str) -> bool {
    let name = path.strip_prefix("workflows/").unwrap_or_default();
    name.ends_with(".yaml") && !name.contains('/')
}

/// The files of the pack, sorted by path; what may not be there is reported.
///
/// Files and folders whose name begins with a dot are left out: they belong to tools, not to the pack.
pub(super) fn check(source: PackSource, problems: &mut Problems) -> Vec<PackFile> {
    let PackSource { label, mut files, special } = source;
    for path in &special {
        let message = "a pack holds regular files only, this is a symbolic link or a special file";
        problems.add_at(&shown(&label, path), At::START, Code::BadPath, message);
    }
    files.retain(|file| is_bad_path(&file.path) || !file.path.split('/').any(|part| part.starts_with('.')));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    check_size(&label, &files, problems);
    let mut folders_told: Vec<&str> = Vec::new();
    for file in &files {
        if let Err((code, message)) = check_path(&file.path).and_then(|()| check_place(&file.path, &mut folders_told)) {
            problems.add_at(&shown(&label, &file.path), At::START, code, message);
        }
    }
    for pair in files.windows(2).filter(|pair| pair[0].path == pair[1].path) {
        problems.add_at(&shown(&label, &pair[0].path), At::START, Code::Duplicate, "this path stands twice");
    }
    if !files.iter().any(|file| file.path == "pack.yaml") {
        problems.add_at(&shown(&label, "pack.yaml"), At::START, Code::Missing, "a pack needs the file pack.yaml");
    }
    files.retain(|file| !is_bad_path(&file.path));
    files
}

fn check_size(label: &str, files: &[PackFile], problems: &mut Problems) {
    let manifest = shown(label, "pack.yaml");
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    if bytes > PACK_BYTES_MAX {
        let message = format!("the pack's files have {bytes} bytes, more than the limit of {PACK_BYTES_MAX} bytes");
        problems.add_at(&manifest, At::START, Code::TooLarge, message);
    }
    if files.len() > PACK_FILES_MAX {
        let message = format!("the pack has {} files, more than the limit of {PACK_FILES_MAX}", files.len());
        problems.add_at(&manifest, At::START, Code::TooLarge, message);
    }
}

fn is_bad_path(path: &str) -> bool {
    check_path(path).is_err()
}

/// Whether a path stays inside of its pack on every system.
pub(crate) fn check_path(path: &str) -> Result<(), (Code, String)> {
    if path.len() > PATH_BYTES_MAX {
        return Err((Code::BadPath, format!("a path has at most {PATH_BYTES_MAX} bytes, this one has {}", path.len())));
    }
    let bad_part = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(bad_part) || path.contains('\\') || path.contains(':') || path.chars().any(char::is_control)
    {
        let message =
            "a path in a pack is relative and has no empty part, \".\", \"..\", backslash, colon or control character";
        return Err((Code::BadPath, message.to_owned()));
    }
    Ok(())
}

/// Whether a file means something where it is.
fn check_place<'p>(path: &'p str, folders_told: &mut Vec<&'p str>) -> Result<(), (Code, String)> {
    let Some((folder, name)) = path.split_once('/') else { return check_root(path) };
    match folder {
        "actions" if !name.contains('/') && name.ends_with(".yml") => Err(yml(path)),
        "actions" => Ok(()),
        "tests" if name.ends_with(".yml") => Err(yml(path)),
        "tests" if !name.ends_with(".yaml") => {
            Err((Code::BadPath, "tests/ holds *.yaml files only: tests of workflows".to_owned()))
        }
        "tests" => Ok(()),
        "triggers" | "rules" | "policies" | "workflows" if name.ends_with(".yml") => Err(yml(path)),
        "triggers" | "rules" | "policies" | "workflows" if name.contains('/') || !name.ends_with(".yaml") => {
            Err((Code::BadPath, format!("{folder}/ holds *.yaml files only, and no folders")))
        }
        "triggers" | "rules" | "policies" | "workflows" => Ok(()),
        _ if folders_told.contains(&folder) => Ok(()),
        "sensors" | "aliases" | "etc" | "icon" | "lib" => {
            folders_told.push(folder);
            Err((Code::NotSupported, format!("the folder {folder}/ is not supported in this version")))
        }
        _ => {
            folders_told.push(folder);
            Err((
                Code::BadPath,
                format!(
                    "a pack has the folders triggers/, rules/, actions/, workflows/, tests/ and policies/, not {folder}/"
                ),
            ))
        }
    }
}

fn yml(path: &str) -> (Code, String) {
    let right = path.trim_end_matches(".yml");
    (Code::BadPath, format!("only *.yaml is read: rename it to {right}.yaml"))
}

fn check_root(path: &str) -> Result<(), (Code, String)> {
    let about = ["README", "LICENSE", "NOTICE", "CHANGELOG", "CHANGES"];
    let stem = path.split('.').next().unwrap_or_default();
    if path == "pack.yaml"
        || path == config::SCHEMA
        || path == config::VALUES
        || path == REQUIREMENTS
        || about.iter().any(|name| stem.eq_ignore_ascii_case(name))
    {
        return Ok(());
    }
    match path {
        "pack.yml" | "config.schema.yml" | "config.yml" => Err(yml(path)),
        "icon.png" => Err((Code::NotSupported, format!("the file {path} is not supported in this version"))),
        _ => Err((Code::BadPath, "only pack.yaml and texts such as README.md stand in a pack's own folder".to_owned())),
    }
}
