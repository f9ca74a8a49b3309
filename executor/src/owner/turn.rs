//! One step's view of an owner: loading and saving executions, and everything that it writes.

use std::collections::HashMap;

use petrel_bus::{Batch, Context, Output, Record, StateTooLarge};
use petrel_schemas::{
    DecodeError, ExecutionChanged, ExecutionState, OutputCaptured, Task, TaskCancel, TaskResult, decode, encode,
};

use super::options::OwnerOptions;
use super::status::Status;
use crate::dead_letters::{self, Reason};
use crate::limits::{ERROR_BYTES_MAX, head};

/// Whether a record was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// It cannot be yet; the partition waits.
    NotYet(String),
}

/// What the steps since the last commit did, for the metrics.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) changes: HashMap<Status, u64>,
    pub(super) duplicates: u64,
    pub(super) stale: u64,
    pub(super) leases_lost: u64,
    pub(super) dead_letters: u64,
}

/// Where a record stands, for a dead letter.
#[derive(Clone, Copy)]
pub(super) struct Source<'r> {
    pub(super) batch: &'r Batch<'r>,
    pub(super) record: &'r Record<'r>,
}

pub(super) struct Turn<'t, 'c, G> {
    pub(super) context: &'t mut Context<'c, G>,
    pub(super) options: &'t OwnerOptions,
    pub(super) counts: &'t mut Counts,
}

impl<G> Turn<'_, '_, G> {
    pub(super) fn load(&self, execution: &str) -> Result<Option<ExecutionState>, DecodeError> {
        self.context.get(execution.as_bytes()).map(|value| decode(&value)).transpose()
    }

    /// Gives the execution a new status: state, timers and the audit row.
    pub(super) fn change(&mut self, state: &mut ExecutionState, status: Status) {
        let now_ms = self.context.now_ms();
        state.sequence += 1;
        state.status = status.as_str().to_owned();
        if let Some(error) = &mut state.error {
            error.truncate(head(error, ERROR_BYTES_MAX).len());
        }
        let key = state.execution_id.as_bytes().to_vec();
        if status.is_final() {
            state.ended_at_ms = Some(now_ms);
            self.context.set_timer(&key, now_ms.saturating_add(self.options.request_dedup_ms));
        } else if !status.is_leased() {
            self.context.cancel_timer(&key);
        }
        if let Err(error) = self.context.put(&key, encode(state)) {
            return self.fail_too_large(state, &error);
        }
        *self.counts.changes.entry(status).or_default() += 1;
        let row = changed(state, now_ms);
        self.audit(&state.root_execution_id, encode(&row));
    }

    /// An execution whose state the log could not take ends here; what makes it large is left out.
    fn fail_too_large(&mut self, state: &mut ExecutionState, error: &StateTooLarge) {
        if Status::parse(&state.status) == Some(Status::Failed) && state.parameters.is_empty() {
            // Nothing is left to leave out: it is told to people, and asked for again it is tried again.
            tracing::error!(execution = %state.execution_id, %error, "an execution's end cannot be remembered");
            return;
        }
        // This change was not made.
        state.sequence -= 1;
        state.parameters.clear();
        state.error = Some(format!("its state is too large: {error}"));
        self.change(state, Status::Failed);
    }

    /// A full lease from now on.
    pub(super) fn grant_lease(&mut self, execution: &str) {
        let until_ms = self.context.now_ms().saturating_add(self.options.lease_ms);
        self.context.set_silence_timer(execution.as_bytes(), until_ms);
    }

    /// Hands an attempt to the workers. The state must name its partition.
    pub(super) fn emit_task(&mut self, state: &ExecutionState, partition: u32) {
        let task = Task {
            execution_id: state.execution_id.clone(),
            root_execution_id: state.root_execution_id.clone(),
            event_id: state.event_id.clone(),
            event_at_ms: state.event_at_ms,
            rule: state.rule.clone(),
            action: state.action.clone(),
            revision: state.revision.clone(),
            parameters: state.parameters.clone(),
            attempt: state.attempt,
            token: state.token,
            delivery: state.delivery.clone(),
            timeout_ms: state.timeout_ms,
            lease_ms: self.options.lease_ms,
            dispatched_at_ms: self.context.now_ms(),
        };
        let topic = self.options.topics.tasks(&state.pool);
        let key = state.execution_id.as_bytes();
        self.context.emit(Output::to_partition(&topic, partition, key, Some(encode(&task))));
    }

    /// Tells every worker that this attempt must not run, or run on.
    pub(super) fn emit_cancel(&mut self, execution: &str, root: &str, attempt: i32, token: i64) {
        let order =
            TaskCancel { execution_id: execution.to_owned(), root_execution_id: root.to_owned(), attempt, token };
        self.context.emit(Output::keyed(&self.options.topics.cancels(), execution.as_bytes(), encode(&order)));
    }

    /// Rows of what an attempt wrote.
    pub(super) fn emit_output(&mut self, result: TaskResult) {
        let streams =
            [("stdout", result.stdout, result.stdout_truncated), ("stderr", result.stderr, result.stderr_truncated)];
        for (stream, content, truncated) in streams {
            if content.is_empty() && !truncated {
                continue;
            }
            let row = OutputCaptured {
                execution_id: result.execution_id.clone(),
                attempt: result.attempt,
                stream: stream.to_owned(),
                content,
                truncated,
                captured_at_ms: result.ended_at_ms,
            };
            self.audit(&result.root_execution_id, encode(&row));
        }
    }

    /// Gives a record up, in the same transaction as its offset.
    pub(super) fn give_up(&mut self, source: Source<'_>, reason: Reason<'_>) {
        let topic = self.options.topics.dead_letters();
        self.counts.dead_letters += 1;
        self.context.emit(dead_letters::of_record(super::STAGE, &topic, source.batch, source.record, reason));
    }

    /// What becomes of a record that cannot be read, or whose execution cannot. One that a newer release wrote
    /// waits until this process is upgraded too, or gives the partition away; any other one is given up.
    pub(super) fn unusable(&mut self, source: Source<'_>, error: DecodeError, execution: Option<&str>) -> Taken {
        if let DecodeError::UnknownSchema { .. } = error {
            return Taken::NotYet(error.to_string());
        }
        let mut reason = Reason::from(error);
        if execution.is_some() {
            (reason.code, reason.execution) = ("unreadable_state", execution);
        }
        self.give_up(source, reason);
        Taken::Yes
    }

    fn audit(&mut self, root: &str, row: Vec<u8>) {
        self.context.emit(Output::keyed(&self.options.topics.audit(), root.as_bytes(), row));
    }
}

fn changed(state: &ExecutionState, now_ms: i64) -> ExecutionChanged {
    ExecutionChanged {
        execution_id: state.execution_id.clone(),
        root_execution_id: state.root_execution_id.clone(),
        sequence: state.sequence,
        status: state.status.clone(),
        changed_at_ms: now_ms,
        event_id: state.event_id.clone(),
        trigger: state.trigger.clone(),
        rule: state.rule.clone(),
        action: state.action.clone(),
        parameters: state.parameters.clone(),
        revision: state.revision.clone(),
        requested_by: state.requested_by.clone(),
        attempt: state.attempt,
        worker: state.worker.clone(),
        requested_at_ms: state.requested_at_ms,
        started_at_ms: state.started_at_ms,
        ended_at_ms: state.ended_at_ms,
        return_code: state.return_code,
        error: state.error.clone(),
    }
}
