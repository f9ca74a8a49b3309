//! The workflow of an action, from its text to what owners begin and restore.

use std::sync::Arc;

use petrel_execution::code;
use petrel_execution::workflow::{Begin, Conduct, Piece, Workflow};
use petrel_execution::{Note, Status as Final};
use serde_json::Value as Json;

use super::conducting::Conducting;
use crate::conductor::{Conductor, Start, Status};
use crate::definition::Definition;
use crate::expression::{Dialect, Map, Value};
use crate::inspect::{Finding, inspect};
use crate::limits::Limits;
use crate::spec::{SpecError, WorkflowSpec};

/// The variable that holds what is known of the execution, in every workflow: `ctx(st2).action_execution_id`.
pub(crate) const EXECUTION_OF_STACKSTORM: &str = "st2";

/// The same one as native workflows call it.
pub(crate) const EXECUTION: &str = "execution";

/// The workflow of an action of a pack.
#[derive(Debug, Clone)]
pub struct PackWorkflow {
    definition: Arc<Definition>,
    dialect: Dialect,
    limits: Limits,
}

impl PackWorkflow {
    /// Reads a workflow's text and inspects it.
    ///
    /// # Errors
    /// Everything that is wrong with it; one finding for a text that cannot be read at all.
    pub fn read(text: &str, dialect: Dialect) -> Result<PackWorkflow, Vec<Finding>> {
        let spec = WorkflowSpec::read(text, dialect).map_err(|error| vec![unreadable(error)])?;
        let inspection = inspect(&spec, known(dialect));
        if !inspection.is_clean() {
            return Err(inspection.findings().map(|(_, finding)| finding.clone()).collect());
        }
        PackWorkflow::of(&spec, dialect)
    }

    /// One that was inspected.
    ///
    /// # Errors
    /// Expressions that do not compile.
    pub fn of(spec: &WorkflowSpec, dialect: Dialect) -> Result<PackWorkflow, Vec<Finding>> {
        let definition = Arc::new(Definition::compile(spec)?);
        Ok(PackWorkflow { definition, dialect, limits: Limits::default() })
    }

    /// One that is run though it may have mistakes.
    #[cfg(test)]
    pub(super) fn uninspected(definition: Definition, dialect: Dialect) -> PackWorkflow {
        PackWorkflow { definition: Arc::new(definition), dialect, limits: Limits::default() }
    }

    /// The same one with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> PackWorkflow {
        PackWorkflow { limits, ..self }
    }

    /// What it runs.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The variables that it begins with.
    fn context(&self, about: &serde_json::Map<String, Json>) -> Map {
        let about = Value::from(Json::Object(about.clone()));
        known(self.dialect).iter().map(|name| (Arc::from(*name), about.clone())).collect()
    }
}

/// The names of the variables that every workflow begins with.
fn known(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Orquesta => &[EXECUTION_OF_STACKSTORM],
        Dialect::Native => &[EXECUTION_OF_STACKSTORM, EXECUTION],
    }
}

fn unreadable(error: SpecError) -> Finding {
    Finding {
        language: None,
        expression: None,
        message: error.message,
        spec_path: String::new(),
        schema_path: String::new(),
        at: error.at,
        unexpected: None,
    }
}

impl Workflow for PackWorkflow {
    fn begin(&self, begin: Begin<'_>) -> Result<Box<dyn Conduct>, Note> {
        let inputs = Value::from(Json::Object(begin.parameters.clone()));
        let start = Start {
            inputs: inputs.as_map().cloned().unwrap_or_default(),
            context: self.context(begin.about),
            depth: begin.depth,
            now_ms: Some(begin.now_ms),
        };
        let not_begun =
            |error: crate::conductor::ConductorError| Note::new(code::WORKFLOW_NOT_BEGUN, error.to_string());
        let mut conductor = Conductor::start(Arc::clone(&self.definition), self.limits, start).map_err(not_begun)?;
        // A mistake in its parameters or variables has failed it already.
        if !conductor.status().is_completed() {
            conductor.request(Status::Running).map_err(not_begun)?;
        }
        Ok(Box::new(Conducting::begun(conductor, self.limits)))
    }

    fn restore(&self, pieces: &[Piece]) -> Result<Box<dyn Conduct>, String> {
        let conducting = Conducting::restored(&self.definition, self.limits, pieces)?;
        Ok(Box::new(conducting))
    }
}

/// The conductor's status for how a child ended; none if it has not ended.
pub(super) fn status_of(ended: Final) -> Option<Status> {
    match ended {
        Final::Succeeded => Some(Status::Succeeded),
        Final::Failed => Some(Status::Failed),
        Final::Timeout => Some(Status::Timeout),
        Final::Canceled => Some(Status::Canceled),
        Final::Abandoned => Some(Status::Abandoned),
        Final::Requested
        | Final::Delayed
        | Final::Scheduled
        | Final::Running
        | Final::Pausing
        | Final::Paused
        | Final::Resuming
        | Final::Pending
        | Final::Canceling => None,
    }
}
