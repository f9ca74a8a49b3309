//! A file of a workflow, and the runner that it is for.

use std::fmt;
use std::path::{Path, PathBuf};

use petrel_catalog::{Problems, WorkflowLanguage, inspect_workflow, workflow_language};
use petrel_workflow::WorkflowSpec;

use super::super::args::Runner;
use super::super::{EXIT_FAILED, EXIT_USAGE, Failure};
use crate::packs;

/// A workflow's file, read.
pub struct SourceFile {
    path: PathBuf,
    text: String,
    language: WorkflowLanguage,
}

impl SourceFile {
    /// Reads a file. Which runner it is for, the command line says, or the action of its pack that names it.
    pub fn read(path: &Path, runner: Option<Runner>) -> Result<Self, Failure> {
        let text = read_text(path)?;
        if let Some(kind) = Kind::of(path, &text).filter(|kind| *kind != Kind::Workflow) {
            let message = format!(
                "{} is {kind}, and no workflow: name the file of a workflow, or the folder of its pack",
                path.display()
            );
            return Err(Failure::new(EXIT_USAGE, message));
        }
        let language = match runner {
            Some(Runner::Workflow) => WorkflowLanguage::Native,
            Some(Runner::Orquesta) => WorkflowLanguage::Orquesta,
            None => language_of(path)?.unwrap_or(WorkflowLanguage::Native),
        };
        Ok(Self { path: path.to_owned(), text, language })
    }

    /// The path as it was typed.
    pub fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Everything that is wrong in it.
    pub fn problems(&self) -> Problems {
        inspect_workflow(&self.shown(), &self.text, self.language).1
    }

    /// Its parts; a text that cannot be taken apart is a failure that says where.
    pub fn spec(&self) -> Result<WorkflowSpec, Failure> {
        let (spec, problems) = inspect_workflow(&self.shown(), &self.text, self.language);
        spec.ok_or_else(|| Failure::new(EXIT_FAILED, problems.to_string()))
    }

    /// Which language it is in.
    pub fn language(&self) -> WorkflowLanguage {
        self.language
    }
}

/// What a file of a pack is, as far as that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `pack.yaml`.
    Manifest,
    /// An action, workflows included.
    Action,
    /// What a workflow does.
    Workflow,
    /// Tests of a workflow, or a rehearsal.
    Tests,
    /// A rule.
    Rule,
}

impl Kind {
    /// By its name and the keys at the beginning of lines; none of what looks like none of them.
    pub fn of(path: &Path, text: &str) -> Option<Self> {
        let has = |key: &str| text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
        let kinds = [
            (has("tasks"), Self::Workflow),
            (has("runner") || has("runner_type"), Self::Action),
            (has("workflow"), Self::Tests),
            (has("trigger"), Self::Rule),
            (path.file_name().is_some_and(|name| name == "pack.yaml"), Self::Manifest),
        ];
        kinds.into_iter().find_map(|(is_it, kind)| is_it.then_some(kind))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "the manifest of a pack",
            Self::Action => "an action",
            Self::Workflow => "a workflow",
            Self::Tests => "a file of tests",
            Self::Rule => "a rule",
        })
    }
}

/// The text of a file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    if path.is_dir() {
        let message = format!("{} is a folder: name one file, such as {0}/workflows/NAME.yaml", path.display());
        return Err(Failure::new(EXIT_USAGE, message));
    }
    let failed = |e: std::io::Error| Failure::new(EXIT_USAGE, format!("cannot read {}: {e}", path.display()));
    std::fs::read_to_string(path).map_err(failed)
}

/// The folder of the pack that a file is in.
fn pack_of(path: &Path) -> Option<PathBuf> {
    let full = std::path::absolute(path).ok()?;
    full.ancestors().skip(1).find(|folder| folder.join("pack.yaml").is_file()).map(Path::to_owned)
}

/// The language of the action that names the file; none outside of packs, and where no action does.
fn language_of(path: &Path) -> Result<Option<WorkflowLanguage>, Failure> {
    let Some(pack) = pack_of(path) else { return Ok(None) };
    let full = std::path::absolute(path).ok();
    let inside = full.as_deref().and_then(|full| full.strip_prefix(&pack).ok());
    let Some(inside) = inside.map(|inside| inside.to_string_lossy().replace('\\', "/")) else { return Ok(None) };
    let sources = packs::read(&[pack]).map_err(|e| Failure::new(EXIT_USAGE, format!("{e:#}")))?;
    Ok(sources.first().and_then(|source| workflow_language(source, &inside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pack on disk with a workflow that only one of the two runners takes.
    fn pack(runner: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("pack.yaml", "name: disk\nversion: 1.0.0\n");
        write("actions/heal.yaml", &format!("name: heal\nrunner: {runner}\nworkflow: workflows/heal.yaml\n"));
        write("workflows/heal.yaml", "version: 1.0\ntasks:\n  a:\n    action: core.local cmd=\"echo ${HOME:-/}\"\n");
        dir
    }

    #[test]
    fn the_runner_is_that_of_the_action_that_names_the_file() {
        for (runner, told, is_right) in [
            ("orquesta", None, true),
            ("workflow", None, false),
            ("workflow", Some(Runner::Orquesta), true),
            ("orquesta", Some(Runner::Workflow), false),
        ] {
            let dir = pack(runner);
            let file = SourceFile::read(&dir.path().join("workflows/heal.yaml"), told).unwrap();
            assert_eq!(file.problems().is_empty(), is_right, "{runner} {told:?}: {}", file.problems());
        }
        let dir = tempfile::tempdir().unwrap();
        let alone = dir.path().join("alone.yaml");
        std::fs::write(&alone, "version: 1.0\ntasks: {a: {action: x.y}}\n").unwrap();
        assert_eq!(SourceFile::read(&alone, None).unwrap().language(), WorkflowLanguage::Native);
    }

    #[test]
    fn what_is_no_workflow_is_a_failure_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.yaml");
        std::fs::write(&path, "version: 1.0\ntasks:\n  a: 5\n").unwrap();
        let Err(failure) = SourceFile::read(&path, None).unwrap().spec() else { panic!("taken") };
        assert_eq!(failure.code, EXIT_FAILED);
        assert!(
            failure.message.contains("x.yaml:3:3: tasks.a must be a mapping that is not empty"),
            "{}",
            failure.message
        );
        let refused = |name: &str| SourceFile::read(&dir.path().join(name), None).map(|_| ()).unwrap_err();
        assert_eq!(refused("gone.yaml").code, EXIT_USAGE);
        assert!(refused("").message.contains("is a folder: name one file"));
        for (name, text, kind) in [
            ("pack.yaml", "name: disk\nversion: 1.0.0\n", "is the manifest of a pack, and no workflow: name"),
            (
                "x.yaml",
                "name: heal\nrunner: workflow\nworkflow: workflows/heal.yaml\n",
                "is an action, and no workflow: name",
            ),
            ("x.yaml", "workflow: disk.heal\nexpect: { path: [a] }\n", "is a file of tests, and no workflow: name"),
            (
                "x.yaml",
                "name: r\ntrigger: disk.alert\naction: { ref: disk.heal }\n",
                "is a rule, and no workflow: name",
            ),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
            let failure = refused(name);
            assert!(failure.code == EXIT_USAGE && failure.message.contains(kind), "{}", failure.message);
        }
        assert_eq!((Kind::of(&path, "version: 1.0\n"), Kind::of(&path, "- tasks: 1\n")), (None, None));
    }
}
