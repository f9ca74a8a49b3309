//! Somebody wants an execution to end.

use petrel_schemas::CancelRequest;

use super::status::Status;
use super::turn::{Source, Turn};
use crate::dead_letters::Reason;
use crate::view::ExecutorView;

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// Ends it at once if nobody runs it, else asks its worker to. A worker that claims a scheduled one at
    /// this very moment finds the order among the cancels, before the start or right after it.
    pub(super) fn on_cancel(&mut self, cancel: CancelRequest, source: Source<'_>) {
        let mut state = match self.load(&cancel.execution_id) {
            Ok(Some(state)) => state,
            Ok(None) => {
                let detail = format!("there is no execution {} to cancel", cancel.execution_id);
                let execution = Some(cancel.execution_id.as_str());
                return self.give_up(source, Reason { code: "no_such_execution", detail, execution });
            }
            Err(e) => return self.give_up_unreadable(source, &e, &cancel.execution_id),
        };
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
        state.error = Some(format!("canceled by {}", cancel.requested_by));
        self.change(&mut state, next);
    }
}
