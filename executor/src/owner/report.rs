//! What workers report: claims, heartbeats, results. Each is fenced by the token of its attempt.

use petrel_schemas::{Claim, ExecutionState, Heartbeat, TaskResult};

use super::status::Status;
use super::turn::{Source, Turn};
use crate::dead_letters::Reason;
use crate::view::ExecutorView;

/// What every report says of itself.
struct Of<'r> {
    execution: &'r str,
    root: &'r str,
    attempt: i32,
    token: i64,
}

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// A worker took the task and is about to start.
    pub(super) fn on_claim(&mut self, claim: Claim, known: Option<ExecutionState>) {
        let of = Of {
            execution: &claim.execution_id,
            root: &claim.root_execution_id,
            attempt: claim.attempt,
            token: claim.token,
        };
        if let Some(state) = self.current(&of, true, known) {
            self.alive(state, &claim.worker);
        }
    }

    /// A worker still runs it: the lease counts from now.
    pub(super) fn on_heartbeat(&mut self, heartbeat: Heartbeat, known: Option<ExecutionState>) {
        let of = Of {
            execution: &heartbeat.execution_id,
            root: &heartbeat.root_execution_id,
            attempt: heartbeat.attempt,
            token: heartbeat.token,
        };
        if let Some(state) = self.current(&of, true, known) {
            self.alive(state, &heartbeat.worker);
        }
    }

    /// An attempt ended.
    pub(super) fn on_result(&mut self, result: TaskResult, known: Option<ExecutionState>, source: Source<'_>) {
        let of = Of {
            execution: &result.execution_id,
            root: &result.root_execution_id,
            attempt: result.attempt,
            token: result.token,
        };
        let Some(mut state) = self.current(&of, false, known) else { return };
        let status = match Status::parse(&result.status) {
            Some(status) if status.is_final() => status,
            _ => {
                let detail = format!("{:?} is no status that an attempt can end with", result.status);
                let execution = Some(result.execution_id.as_str());
                return self.give_up(source, Reason { code: "unknown_status", detail, execution });
            }
        };
        state.worker = Some(result.worker.clone());
        state.started_at_ms = result.started_at_ms.or(state.started_at_ms);
        state.return_code = result.return_code;
        // Of a cancel it is worth more to know who asked for it.
        if status != Status::Canceled || state.status != Status::Canceling.as_str() {
            state.error = result.error.clone();
        }
        self.emit_output(result);
        match status {
            Status::Abandoned => self.lost(state),
            status => self.change(&mut state, status),
        }
    }

    fn alive(&mut self, mut state: ExecutionState, worker: &str) {
        if state.status == Status::Scheduled.as_str() {
            state.worker = Some(worker.to_owned());
            state.started_at_ms = Some(self.context.now_ms());
            self.change(&mut state, Status::Running);
        }
        self.grant_lease(&state.execution_id);
    }

    /// The execution, if the report is about its current attempt. Whoever still works on another one
    /// is told to stop: its lease is gone, or the execution is over.
    fn current(&mut self, of: &Of<'_>, tell: bool, known: Option<ExecutionState>) -> Option<ExecutionState> {
        let waits_for_reports = |s: &ExecutionState| {
            let status = Status::parse(&s.status);
            status.is_some_and(|s| s.is_leased() || s == Status::Scheduled)
        };
        let state = known.filter(|s| s.token == of.token && s.attempt == of.attempt && waits_for_reports(s));
        if state.is_none() {
            self.counts.stale += 1;
            if tell {
                self.emit_cancel(of.execution, of.root, of.attempt, of.token);
            }
        }
        state
    }
}
