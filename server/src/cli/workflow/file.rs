//! A file of a workflow, and the runner that it is for.

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

/// The text of a file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
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
