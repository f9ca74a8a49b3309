//! The runner `inquirer`: a question to people. No worker has such an execution: its owner waits for the answer, which
//! becomes its result. What is asked are its parameters, so that there are no keys.

use std::sync::Arc;

use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::{Ends, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::outcome::Outcome;
use crate::workflow::{Inquirer, Workflow};

/// A question.
#[derive(Debug)]
pub struct InquirerSpec {
    workflow: Arc<dyn Workflow>,
}

impl InquirerSpec {
    pub(super) fn workflow(&self) -> &Arc<dyn Workflow> {
        &self.workflow
    }
}

impl Spec for InquirerSpec {
    const NAME: &'static str = "inquirer";
    const KEYS: &'static [&'static str] = &[];

    fn parse(_: &Map<String, Value>, _: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        Ok(Self { workflow: Arc::new(Inquirer) })
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &[]
    }
}

impl Ends for InquirerSpec {
    /// No owner makes a task of it.
    fn end(&self, _: Rendering<'_>) -> Result<Outcome, RenderError> {
        Err(RenderError("a question is answered by people, and carried out by no worker".to_owned()))
    }
}
