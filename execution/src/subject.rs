//! What an execution is about, and what all its states have in common.

use petrel_schemas::{ActionRequest, Class, ExecutionId, IdError};

use crate::attempt::{Attempt, Counts};
use crate::delivery::Delivery;
use crate::gate::Passage;
use crate::limits::{ERROR_BYTES_MAX, head};
use crate::retry::Retry;
use crate::windows::Windows;

/// What was asked for; it never changes, but for the class.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its id; the idempotency key that the action sees.
    pub id: ExecutionId,
    /// Event that caused it; none for a manual run.
    pub event_id: Option<String>,
    /// Timestamp of that event's record, in milliseconds since the epoch.
    pub event_at_ms: Option<i64>,
    /// Trigger of that event.
    pub trigger: Option<String>,
    /// Rule that matched; none for a manual run.
    pub rule: Option<String>,
    /// Index of the action in the rule, from 0.
    pub action_index: i32,
    /// Reference of the action.
    pub action: String,
    /// Catalog revision in which the action is resolved.
    pub revision: String,
    /// `rule`, or a user.
    pub requested_by: String,
    /// When it was requested, in milliseconds since the epoch.
    pub requested_at_ms: i64,
    /// How many executions stand in the chain that caused it; 0 for a manual run and for events from outside.
    pub cause_depth: i32,
    /// Class that was asked for; none until the action, once it is resolved, says which.
    pub class: Option<Class>,
    /// Of a child, the task of its parent's workflow that it runs for, and of one with items which: `evacuate[3]`.
    pub task: Option<String>,
}

impl Subject {
    /// What a request asks for, and the parameters that it gives.
    ///
    /// # Errors
    /// If the request's id is none.
    pub fn of_request(request: ActionRequest) -> Result<(Self, String), IdError> {
        let subject = Self {
            id: ExecutionId::parse(&request.execution_id)?,
            event_id: request.event_id,
            event_at_ms: request.event_at_ms,
            trigger: request.trigger,
            rule: request.rule,
            action_index: request.action_index,
            action: request.action,
            revision: request.revision,
            requested_by: request.requested_by,
            requested_at_ms: request.requested_at_ms,
            cause_depth: request.cause_depth,
            // What a newer release may add is as good as nothing: then the action says.
            class: request.class.as_deref().and_then(Class::parse),
            task: None,
        };
        Ok((subject, request.parameters))
    }
}

/// What the execution's action, once it is resolved, says about all attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Worker pool; empty for a workflow, which no worker has.
    pub pool: String,
    /// How often it may run.
    pub delivery: Delivery,
    /// Longest run, in milliseconds.
    pub timeout_ms: i64,
    /// Whether what ends badly is tried again.
    pub retry: Option<Retry>,
    /// How long after its request it ends whatever it does, in milliseconds.
    pub deadline_ms: Option<i64>,
    /// When its attempts may begin; all of them hold.
    pub windows: Vec<Windows>,
}

/// Why an execution took its status.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Note {
    /// Stable code, see [`crate::code`].
    pub code: Option<String>,
    /// For people; at most [`ERROR_BYTES_MAX`] bytes.
    pub error: Option<String>,
}

impl Note {
    /// Nothing to say.
    pub const NONE: Self = Self { code: None, error: None };

    /// A code and a text.
    pub fn new(code: &str, error: impl Into<String>) -> Self {
        Self::of(Some(code.to_owned()), Some(error.into()))
    }

    /// A code, if there is one, and a text, if there is one.
    pub fn of(code: Option<String>, error: Option<String>) -> Self {
        let cut = |mut text: String| {
            text.truncate(head(&text, ERROR_BYTES_MAX).len());
            text
        };
        Self { code, error: error.map(cut) }
    }

    /// Only a code.
    pub fn code(code: &str) -> Self {
        Self::of(Some(code.to_owned()), None)
    }

    /// With something else to say, behind what is said already; the code is the first one.
    #[must_use]
    pub fn and(self, code: &str, error: &str) -> Self {
        let error = match self.error {
            Some(before) => format!("{before}; {error}"),
            None => error.to_owned(),
        };
        Self::of(self.code.or_else(|| Some(code.to_owned())), Some(error))
    }
}

/// What every state of an execution has.
#[derive(Debug, Clone, PartialEq)]
pub struct Core {
    /// What was asked for.
    pub subject: Subject,
    /// Parameters, a JSON object; validated and completed once there are [`Terms`].
    pub parameters: String,
    /// What its action says; nothing until it is resolved.
    pub terms: Option<Terms>,
    /// Number of its last change, from 1; 0 before the first.
    pub sequence: i64,
    /// Its current attempt.
    pub attempt: Attempt,
    /// Why there were attempts before.
    pub counts: Counts,
    /// Children that it has started and that have not ended.
    pub children_open: i32,
    /// When the first task was dispatched, in milliseconds since the epoch.
    pub scheduled_at_ms: Option<i64>,
    /// When it was asked last to run again though it had ended, in milliseconds since the epoch.
    pub rerun_at_ms: Option<i64>,
    /// Its way through the gates of its policies; none where it has none to pass, and before it is resolved.
    pub passage: Option<Passage>,
    /// Why it took its status.
    pub note: Note,
}

impl Core {
    /// Nothing has happened yet.
    pub fn new(subject: Subject, parameters: String) -> Self {
        Self {
            subject,
            parameters,
            terms: None,
            sequence: 0,
            attempt: Attempt::default(),
            counts: Counts::default(),
            children_open: 0,
            scheduled_at_ms: None,
            rerun_at_ms: None,
            passage: None,
            note: Note::NONE,
        }
    }

    /// Its id.
    pub fn id(&self) -> &ExecutionId {
        &self.subject.id
    }

    /// Its class, as far as it is known.
    pub fn class(&self) -> Class {
        self.subject.class.unwrap_or_default()
    }

    /// Whether its owner conducts it: it is a workflow, and no worker has it.
    pub fn is_conducted(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.pool.is_empty())
    }

    /// Whether it has begun: an attempt of it was dispatched, or its workflow runs.
    pub fn has_begun(&self) -> bool {
        self.scheduled_at_ms.is_some()
    }

    /// Whether it holds something of the gates of its policies, or has asked for it.
    pub(crate) fn has_permits(&self) -> bool {
        self.passage.as_ref().is_some_and(|passage| !passage.acquired.is_empty())
    }

    /// Whether its action never runs again by itself. One that is not resolved yet has not run at all.
    pub fn is_at_most_once(&self) -> bool {
        self.terms.as_ref().is_some_and(|t| t.delivery == Delivery::AtMostOnce)
    }

    /// Until when an attempt that follows one that ended badly may begin, in milliseconds since the epoch; none for the
    /// first, and where its action names no such time.
    pub fn retry_by_ms(&self) -> Option<i64> {
        let retry = self.terms.as_ref()?.retry.as_ref().filter(|_| self.counts.failures > 0)?;
        Some(self.scheduled_at_ms?.saturating_add(retry.total_ms_max?))
    }

    /// When it ends whatever it does, in milliseconds since the epoch; none where nobody says.
    pub fn deadline_at_ms(&self) -> Option<i64> {
        let asked_at_ms = self.rerun_at_ms.unwrap_or(self.subject.requested_at_ms);
        Some(asked_at_ms.saturating_add(self.terms.as_ref()?.deadline_ms?))
    }
}
