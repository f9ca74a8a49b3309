//! A workflow that runs with nobody around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::conductor::{Conductor, ConductorError, RestoreError, Start, Status, TaskRun};
use crate::definition::Definition;
use crate::inspect::Finding;
use crate::limits::Limits;

/// A conductor, and its state in pieces, as whoever hosts it stores them.
pub struct Stage {
    /// The conductor.
    pub conductor: Conductor,
    stored: BTreeMap<String, String>,
}

/// Why a workflow cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The conductor refuses what it is told.
    #[error(transparent)]
    Refused(#[from] ConductorError),
    /// What was stored makes no workflow.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// It has mistakes.
    #[error("the workflow cannot be run: {}", .0.first().map_or("", |finding| &finding.message))]
    NotRunnable(Vec<Finding>),
    /// An answer that nobody can give.
    #[error("the answer of the task {task:?} does not fit the schema of its question: {}", mistakes.join("; "))]
    Answer {
        /// The task that asks.
        task: String,
        /// What is wrong with the answer.
        mistakes: Vec<String>,
    },
    /// It would go on for longer than is looked at.
    #[error("the workflow is not over after {count} {what}, the limit {limit}")]
    TooLong {
        /// How many.
        count: usize,
        /// Of what.
        what: &'static str,
        /// The name of the limit.
        limit: &'static str,
    },
}

impl Stage {
    /// A workflow that can begin.
    ///
    /// # Errors
    /// One that is started too deep.
    pub fn set(definition: Arc<Definition>, start: Start) -> Result<Stage, ConductorError> {
        let conductor = Conductor::start(definition, Limits::default(), start)?;
        Ok(Stage { conductor, stored: BTreeMap::new() })
    }

    /// Stores what has changed, and goes on with what is stored.
    ///
    /// # Errors
    /// If what was stored makes no workflow.
    pub fn persist(&mut self) -> Result<(), RestoreError> {
        for change in self.conductor.take_changes() {
            match change.value {
                Some(value) => self.stored.insert(change.key, value),
                None => self.stored.remove(&change.key),
            };
        }
        let definition = Arc::clone(self.conductor.definition());
        let pieces = self.stored.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        self.conductor = Conductor::restore(definition, Limits::default(), pieces)?;
        Ok(())
    }

    /// What went wrong, in Orquesta's form.
    pub fn errors(&self) -> Value {
        self.conductor.errors().map(|entry| serde_json::to_value(entry).unwrap_or_default()).collect()
    }

    /// The output; `null` as long as there is none.
    pub fn output(&self) -> Value {
        self.conductor.output().map_or(Value::Null, crate::expression::Value::to_json)
    }

    /// How it stands, as Orquesta's rehearsals see it: `status`, `errors`, `output`, `sequence` (`task__rROUTE` in the
    /// order in which they began) with `task_statuses`, `routes`, and `terminal_tasks`, sorted.
    pub fn end(&self) -> Value {
        let runs: Vec<TaskRun> = self.conductor.task_runs().collect();
        let name = |run: &TaskRun| format!("{}__r{}", run.task, run.route);
        let mut terminal: Vec<String> = runs.iter().filter(|run| run.terminal).map(name).collect();
        terminal.sort();
        let status = |status: Status| if status == Status::Unset { Value::Null } else { status.name().into() };
        json!({
            "status": self.conductor.status().name(),
            "errors": self.errors(),
            "output": self.output(),
            "sequence": runs.iter().map(name).collect::<Vec<_>>(),
            "task_statuses": runs.iter().map(|run| status(run.status)).collect::<Vec<_>>(),
            "routes": self.conductor.routes(),
            "terminal_tasks": terminal,
        })
    }
}
