//! What an owner is told.

use petrel_schemas::{ExecutionId, HandedOver, IdError, RequestsRecord, ResultsRecord, TaskResult};

use crate::attempt::Attempt;
use crate::gate::{self, Answer, GateId, GateRecordError};
use crate::subject::Subject;
use crate::workflow::Asked;

/// A record of `petrel.requests` or `petrel.results`.
#[derive(Debug, Clone, PartialEq)]
// It is short-lived: made, looked at once and written.
#[allow(clippy::large_enum_variant)]
pub enum Message {
    /// Somebody wants an action to run.
    Request {
        /// What is asked for.
        subject: Subject,
        /// Its parameters as they were given.
        parameters: String,
    },
    /// Somebody wants an execution to end.
    Cancel {
        /// Which.
        id: ExecutionId,
        /// Who.
        by: String,
    },
    /// Somebody asks something of a workflow.
    Workflow {
        /// Which.
        id: ExecutionId,
        /// What.
        asked: Asked,
        /// Who.
        by: String,
        /// When, in milliseconds since the epoch, by the clock of whom they asked.
        at_ms: i64,
    },
    /// A worker reports.
    Report(About, Report),
    /// A gate has answered.
    Gate {
        /// Which.
        gate: GateId,
        /// About whom.
        about: gate::About,
        /// What.
        answer: Answer,
    },
    /// A person opens or shuts a gate.
    GateOrder {
        /// Which.
        gate: GateId,
        /// What, for the gate.
        what: gate::What,
        /// When it was wanted, in milliseconds since the epoch.
        at_ms: i64,
    },
    /// A gate has heard later numbers of this owner than it uses.
    Behind {
        /// Their epoch.
        epoch: i64,
    },
}

/// Why a record of `petrel.requests` is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It names no execution.
    #[error(transparent)]
    Id(#[from] IdError),
    /// It asks of a workflow what no workflow knows, or not as it has to.
    #[error("{0}")]
    Order(String),
    /// It is no proper answer of a gate.
    #[error(transparent)]
    Gate(#[from] GateRecordError),
}

/// What every report says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Execution.
    pub id: ExecutionId,
    /// Attempt.
    pub attempt: Attempt,
    /// Instance id of the worker.
    pub worker: String,
}

/// What a worker reports.
#[derive(Debug, Clone, PartialEq)]
// It is as short-lived as its message.
#[allow(clippy::large_enum_variant)]
pub enum Report {
    /// It took the task, and reads the orders of this pool.
    Claimed {
        /// Its pool.
        pool: String,
    },
    /// It still has the attempt.
    Alive {
        /// Its pool.
        pool: String,
        /// Whether it has not begun, for it was not granted yet.
        awaits_grant: bool,
    },
    /// The attempt ended.
    Ended(TaskResult),
    /// It does not take the task.
    Declined(DeclineReason),
    /// It shuts down and gives the attempt back.
    HandedOver(HandedOver),
}

/// Why a worker does not take a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclineReason {
    /// It was full for too long.
    Full,
    /// By its clock, the task's latest start has passed.
    Late,
    /// It shuts down, or is drained.
    ShuttingDown,
    /// It did not hear its owners' orders, or could not read the secrets that the task needs, for too long.
    NotFollowing,
    /// It has less memory or fewer processors than the action needs, also when it does nothing else.
    TooSmall,
    /// As it knows, something of the execution is switched off.
    SwitchedOff,
    /// By its clock, the windows in which the execution's attempts may begin are closed.
    WindowClosed,
}

impl DeclineReason {
    /// As records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::ShuttingDown => "shutting_down",
            Self::NotFollowing => "not_following",
            Self::TooSmall => "too_small",
            Self::SwitchedOff => "switched_off",
            Self::WindowClosed => "window_closed",
        }
    }

    /// Reads it back. What a newer release may add is as good as being full: the task goes elsewhere.
    fn parse(text: &str) -> Self {
        [Self::Late, Self::ShuttingDown, Self::NotFollowing, Self::TooSmall, Self::SwitchedOff, Self::WindowClosed]
            .into_iter()
            .find(|r| r.as_str() == text)
            .unwrap_or(Self::Full)
    }
}

impl Message {
    /// Whom it is about, if it is about an execution.
    pub fn execution(&self) -> Option<&ExecutionId> {
        match self {
            Self::Request { subject, .. } => Some(&subject.id),
            Self::Cancel { id, .. } | Self::Workflow { id, .. } | Self::Report(About { id, .. }, _) => Some(id),
            Self::Gate { about, .. } => Some(&about.execution),
            Self::Behind { .. } | Self::GateOrder { .. } => None,
        }
    }

    /// A record of `petrel.requests`.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn of_request(record: RequestsRecord) -> Result<Self, MessageError> {
        Ok(match record {
            RequestsRecord::ActionRequest(request) => {
                let (subject, parameters) = Subject::of_request(request)?;
                Self::Request { subject, parameters }
            }
            RequestsRecord::CancelRequest(cancel) => {
                Self::Cancel { id: ExecutionId::parse(&cancel.execution_id)?, by: cancel.requested_by }
            }
            RequestsRecord::WorkflowOrder(order) => {
                let asked = Asked::parse(&order.order, &order.data).map_err(MessageError::Order)?;
                let (id, by) = (ExecutionId::parse(&order.execution_id)?, order.requested_by);
                Self::Workflow { id, asked, by, at_ms: order.requested_at_ms }
            }
            RequestsRecord::GateAnswer(record) => {
                let (gate, about, answer) = gate::record::answer(&record)?;
                Self::Gate { gate, about, answer }
            }
            RequestsRecord::GateOrder(record) => {
                let (gate, what, at_ms) = gate::record::order(&record)?;
                Self::GateOrder { gate, what, at_ms }
            }
            RequestsRecord::GateBehind(record) => Self::Behind { epoch: record.epoch },
        })
    }

    /// A record of `petrel.results`.
    ///
    /// # Errors
    /// If it names no execution.
    pub fn of_result(record: ResultsRecord) -> Result<Self, IdError> {
        let about = |id: &str, number: i32, token: i64, worker: String| {
            Ok(About { id: ExecutionId::parse(id)?, attempt: Attempt { number, token }, worker })
        };
        Ok(match record {
            ResultsRecord::Claim(r) => {
                let report = Report::Claimed { pool: r.pool };
                Self::Report(about(&r.execution_id, r.attempt, r.token, r.worker)?, report)
            }
            ResultsRecord::Heartbeat(r) => {
                let report = Report::Alive { pool: r.pool, awaits_grant: r.awaits_grant };
                Self::Report(about(&r.execution_id, r.attempt, r.token, r.worker)?, report)
            }
            ResultsRecord::TaskResult(r) => {
                Self::Report(about(&r.execution_id, r.attempt, r.token, r.worker.clone())?, Report::Ended(r))
            }
            ResultsRecord::Declined(r) => {
                let report = Report::Declined(DeclineReason::parse(&r.reason));
                Self::Report(about(&r.execution_id, r.attempt, r.token, r.worker)?, report)
            }
            ResultsRecord::HandedOver(r) => {
                Self::Report(about(&r.execution_id, r.attempt, r.token, r.worker.clone())?, Report::HandedOver(r))
            }
        })
    }
}
