//! Somebody wants an execution to end.

use petrel_schemas::{CancelRequest, ExecutionState};

use super::status::Status;
use super::turn::Turn;
use crate::view::ExecutorView;

/// Key prefix of cancels whose request has not come; the value says who asked.
const EARLY: &[u8] = b"to-cancel/";

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// Ends it at once if nobody runs it, else asks its worker to. A worker that claims a scheduled one at
    /// this very moment finds the order among the cancels, before the start or right after it.
    pub(super) fn on_cancel(&mut self, cancel: CancelRequest, known: Option<ExecutionState>) {
        let Some(mut state) = known else { return self.remember_cancel(&cancel) };
        let next = match Status::parse(&state.status) {
            Some(Status::Requested) => {
                self.stop_waiting(&state);
                Status::Canceled
            }
            Some(Status::Scheduled) => Status::Canceled,
            Some(Status::Running) => Status::Canceling,
            // It is being ended, or has ended.
            _ => return,
        };
        if state.attempt > 0 && state.status != Status::Requested.as_str() {
            self.emit_cancel(&state.execution_id, &state.root_execution_id, state.attempt, state.token);
        }
        state.error = Some(canceled_by(&cancel.requested_by));
        self.change(&mut state, next);
    }

    /// Requests and cancels come by two topics: a cancel may be read before the request that it is about.
    fn remember_cancel(&mut self, cancel: &CancelRequest) {
        let key = [EARLY, cancel.execution_id.as_bytes()].concat();
        let until_ms = self.context.now_ms().saturating_add(self.options.request_dedup_ms);
        match self.context.put(&key, cancel.requested_by.as_bytes().to_vec()) {
            Ok(()) => self.context.set_timer(&key, until_ms),
            // No execution has such a name, or such an id.
            Err(error) => tracing::warn!(%error, "a cancel of an execution that is not known is not remembered"),
        }
    }

    /// Who has canceled an execution before its request came; forgotten once told.
    pub(super) fn take_early_cancel(&mut self, execution: &str) -> Option<String> {
        let key = [EARLY, execution.as_bytes()].concat();
        let by = String::from_utf8_lossy(&self.context.get(&key)?).into_owned();
        self.context.delete(&key);
        self.context.cancel_timer(&key);
        Some(by)
    }
}

/// Whether a timer is not an execution's but that of a cancel whose request never came.
pub(super) fn is_early_cancel(key: &[u8]) -> bool {
    key.starts_with(EARLY)
}

/// The error text of a canceled execution.
pub(super) fn canceled_by(who: &str) -> String {
    format!("canceled by {who}")
}
