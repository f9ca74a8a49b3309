//! Timers of executions: a lease that passes, and the end of remembering.

use petrel_catalog::Delivery;
use petrel_schemas::ExecutionState;

use super::status::Status;
use super::turn::Turn;
use crate::view::ExecutorView;

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// The timer of an execution: its status says what for.
    pub(super) fn on_timer(&mut self, key: &[u8]) {
        let state = match self.load(&String::from_utf8_lossy(key)) {
            Ok(Some(state)) => state,
            Ok(None) => return,
            // It stays as it is, timer included, for a release that can read it.
            Err(_) => {
                let again_ms = self.context.now_ms().saturating_add(self.options.lease_ms);
                return self.context.set_timer(key, again_ms);
            }
        };
        match Status::parse(&state.status) {
            Some(status) if status.is_final() => self.context.delete(key),
            Some(status) if status.is_leased() => self.lease_passed(state),
            _ => {}
        }
    }

    /// Nothing was heard of the attempt for a whole lease.
    fn lease_passed(&mut self, state: ExecutionState) {
        self.counts.leases_lost += 1;
        // Should the worker live after all, it is told that this attempt is nobody's any more.
        self.emit_cancel(&state.execution_id, &state.root_execution_id, state.attempt, state.token);
        let mut state = state;
        let worker = state.worker.as_deref().unwrap_or("unknown");
        state.error = Some(format!("worker {worker} was lost in attempt {}", state.attempt));
        self.lost(state);
    }

    /// The current attempt's outcome is not known: another one, if that is allowed. `error` says why.
    pub(super) fn lost(&mut self, mut state: ExecutionState) {
        let why = state.error.take().unwrap_or_else(|| "the attempt was given up".to_owned());
        let (status, error) = if state.status == Status::Canceling.as_str() {
            (Status::Canceled, format!("{why} while it was being canceled"))
        } else if state.delivery == Delivery::AtMostOnce.as_str() {
            (Status::Abandoned, format!("{why}; outcome unknown, and the action runs at most once: a human decides"))
        } else if state.attempt >= self.options.attempts_max {
            (Status::Abandoned, format!("{why}; outcome unknown after {} attempts, the most allowed", state.attempt))
        } else {
            state.return_code = None;
            state.error = Some(why);
            return self.dispatch(state);
        };
        state.error = Some(error);
        self.change(&mut state, status);
    }
}
