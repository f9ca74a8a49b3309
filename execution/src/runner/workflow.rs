//! The runners `workflow` and `orquesta`: several actions, in the order that a file of the pack says. No worker has such
//! an execution: its owner conducts it.

use std::sync::Arc;

use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::Keys;
use super::{Ends, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::outcome::Outcome;
use crate::workflow::Workflow;

/// The languages of workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowLanguage {
    /// Petrel's: Orquesta's, and what Petrel adds.
    Native,
    /// Orquesta's as it is.
    Orquesta,
}

/// A workflow in Petrel's language.
#[derive(Debug)]
pub struct WorkflowSpec {
    workflow: Arc<dyn Workflow>,
}

/// A workflow in Orquesta's language.
#[derive(Debug)]
pub struct OrquestaSpec {
    workflow: Arc<dyn Workflow>,
}

fn parse(
    keys: &Map<String, Value>,
    files: &dyn PackFiles,
    language: WorkflowLanguage,
) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
    let mut keys = Keys::new(keys, files);
    let path = keys.need("workflow").and_then(|path| keys.text(path, "/workflow", "workflow"));
    if !keys.errors.is_empty() {
        return Err(keys.errors);
    }
    files.workflow(path.unwrap_or_default(), language)
}

impl Spec for WorkflowSpec {
    const NAME: &'static str = "workflow";
    const KEYS: &'static [&'static str] = &["workflow"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        parse(keys, files, WorkflowLanguage::Native).map(|workflow| Self { workflow })
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &[]
    }
}

impl Spec for OrquestaSpec {
    const NAME: &'static str = "orquesta";
    const KEYS: &'static [&'static str] = &["workflow"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        parse(keys, files, WorkflowLanguage::Orquesta).map(|workflow| Self { workflow })
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &[]
    }
}

impl WorkflowSpec {
    pub(super) fn workflow(&self) -> &Arc<dyn Workflow> {
        &self.workflow
    }
}

impl OrquestaSpec {
    pub(super) fn workflow(&self) -> &Arc<dyn Workflow> {
        &self.workflow
    }
}

/// No owner makes a task of it.
fn conducted() -> RenderError {
    RenderError("a workflow is conducted by its owner, and by no worker".to_owned())
}

impl Ends for WorkflowSpec {
    fn end(&self, _: Rendering<'_>) -> Result<Outcome, RenderError> {
        Err(conducted())
    }
}

impl Ends for OrquestaSpec {
    fn end(&self, _: Rendering<'_>) -> Result<Outcome, RenderError> {
        Err(conducted())
    }
}
