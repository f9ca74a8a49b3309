//! What a conductor refuses.

use std::sync::Arc;

use super::status::Status;
use crate::expression::EvaluationError;

/// A request or an event that was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConductorError {
    /// Nobody can ask a workflow for that status.
    #[error("Event \"workflow_{0}\" is not valid.")]
    NoSuchRequest(Status),
    /// The workflow cannot come to that status from the one that it has.
    #[error("Unable to process event \"workflow_{asked}\" for workflow in \"{from}\" status.")]
    WorkflowStatus {
        /// The status that it has.
        from: Status,
        /// The status that was asked for.
        asked: Status,
    },
    /// The workflow has no such task, or none that can be reached.
    #[error("Task \"{0}\" does not exist.")]
    NoSuchTask(String),
    /// The task is not offered and never began in that route, or has ended and is not offered again.
    #[error("Task \"{0}\" is not staged or has not started yet.")]
    NotStaged(Arc<str>),
    /// A task cannot begin with this status.
    #[error(
        "The task \"{task}\" has not begun: its first status is requested, scheduled, delayed, running or pending, not {status}."
    )]
    NotBegun {
        /// The task.
        task: Arc<str>,
        /// The status of the event.
        status: Status,
    },
    /// The item was never offered, or its task has ended.
    #[error("The item {item} of the task \"{task}\" is not offered.")]
    NoSuchItem {
        /// The task.
        task: Arc<str>,
        /// The item's number.
        item: usize,
    },
    /// Only a workflow that has ended can be run again.
    #[error("Unable to rerun workflow because it is not in a completed state.")]
    StillActive,
    /// A workflow that failed in its parameters or variables has nothing that could run again.
    #[error(
        "The workflow failed before it began, because of its parameters or variables: nothing of it can run again. Start \
         a new one."
    )]
    NeverBegan,
    /// Nothing failed from which the workflow could run again.
    #[error("No task of the workflow failed, was stopped or was canceled: name the tasks that are to run again.")]
    NothingFailed,
    /// These tasks never ran. Each is written as `task|route`.
    #[error("Unable to rerun task|route(s) because it doesn't exist or isn't rerunnable: {0}")]
    NotRerunnable(String),
    /// An expression of a task's retry failed.
    #[error(transparent)]
    Expression(#[from] EvaluationError),
    /// The count or the delay of a retry is no integer.
    #[error("The retry {what} for task \"{task}\" is not an integer.")]
    RetryNotInteger {
        /// The task.
        task: Arc<str>,
        /// `count` or `delay`.
        what: &'static str,
    },
    /// Nobody can decide about a workflow that has not frozen, or in which something still runs.
    #[error("The workflow is not frozen with everything in it ended: it is \"{0}\".")]
    NotFrozen(Status),
    /// The task is none of those that a frozen workflow waits for a decision about. It is written as `task|route`.
    #[error("The task|route \"{0}\" is none of those that failed and wait for a decision.")]
    NotFrozenTask(String),
    /// The variables that a workflow is to go on with are too many.
    #[error(
        "The variables of the workflow would have {bytes} bytes with these, the limit PUBLISHED_BYTES_MAX is {limit}."
    )]
    TooManyVariables {
        /// How many bytes there would be.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The timeout of a task is none.
    #[error("The timeout for task \"{task}\" cannot be told: {message}")]
    Timeout {
        /// The task.
        task: Arc<str>,
        /// Why.
        message: String,
    },
    /// Workflows have started each other more often than allowed.
    #[error("The workflow is started {depth} workflows deep, the limit SUBWORKFLOW_DEPTH_MAX is {limit}.")]
    TooDeep {
        /// How deep.
        depth: u32,
        /// The limit.
        limit: u32,
    },
}

impl ConductorError {
    /// The name of Orquesta's exception for the same.
    pub fn class(&self) -> &'static str {
        match self {
            ConductorError::NoSuchRequest(_) => "InvalidEvent",
            ConductorError::WorkflowStatus { .. } => "InvalidWorkflowStatusTransition",
            ConductorError::NoSuchTask(_) => "InvalidTask",
            ConductorError::NotStaged(_) | ConductorError::NotBegun { .. } | ConductorError::NoSuchItem { .. } => {
                "InvalidTaskStateEntry"
            }
            ConductorError::StillActive => "WorkflowIsActiveAndNotRerunableError",
            ConductorError::NotRerunnable(_)
            | ConductorError::NeverBegan
            | ConductorError::NothingFailed
            | ConductorError::NotFrozenTask(_) => "InvalidTaskRerunRequest",
            ConductorError::NotFrozen(_) => "InvalidWorkflowStatusTransition",
            ConductorError::Expression(error) => error.class(),
            ConductorError::RetryNotInteger { .. }
            | ConductorError::Timeout { .. }
            | ConductorError::TooManyVariables { .. }
            | ConductorError::TooDeep { .. } => "ValueError",
        }
    }
}
