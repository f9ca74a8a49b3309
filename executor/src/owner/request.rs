//! A request for an execution.

use petrel_schemas::{ActionRequest, ExecutionState};

use super::cancel::canceled_by;
use super::status::Status;
use super::turn::{Source, Taken, Turn};
use crate::dead_letters::Reason;
use crate::view::{ExecutorView, Plan, Prepared};

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// Dispatches it, unless it is known already or cannot be.
    pub(super) fn on_request(
        &mut self,
        request: ActionRequest,
        known: Option<ExecutionState>,
        source: Source<'_>,
    ) -> Taken {
        if known.is_some() {
            self.counts.duplicates += 1;
            return Taken::Yes;
        }
        if let Some(by) = self.take_early_cancel(&request.execution_id) {
            self.end(request, Status::Canceled, canceled_by(&by));
            return Taken::Yes;
        }
        let globals = self.context.globals();
        match globals.prepare(&request.revision, &request.action, &request.parameters) {
            Prepared::RevisionUnknown => {
                return Taken::NotYet(format!("revision {} has not arrived yet", request.revision));
            }
            Prepared::NoSuchAction => {
                let detail = format!("revision {} has no action {}", request.revision, request.action);
                let execution = Some(request.execution_id.as_str());
                self.give_up(source, Reason { code: "no_such_action", detail: detail.clone(), execution });
                self.refuse(request, detail);
            }
            Prepared::Refused(reason) => self.refuse(request, reason),
            Prepared::Ready(plan) => self.accept(request, plan),
        }
        Taken::Yes
    }

    fn accept(&mut self, request: ActionRequest, plan: Plan) {
        if plan.parameters.len() > self.options.parameters_bytes_max {
            let (bytes, most) = (plan.parameters.len(), self.options.parameters_bytes_max);
            return self.refuse(request, format!("parameters of {bytes} bytes are over the limit of {most}"));
        }
        if !self.options.pools.iter().any(|p| **p == *plan.pool) {
            return self.refuse(request, format!("there is no worker pool {:?}", plan.pool));
        }
        let mut state = begin(request);
        state.parameters = plan.parameters;
        state.pool = plan.pool;
        state.delivery = plan.delivery.as_str().to_owned();
        state.timeout_ms = plan.timeout_ms;
        self.dispatch(state);
    }

    fn refuse(&mut self, request: ActionRequest, error: String) {
        self.end(request, Status::Failed, error);
    }

    /// The execution ends before it began.
    fn end(&mut self, request: ActionRequest, status: Status, error: String) {
        let mut state = begin(request);
        if state.parameters.len() > self.options.parameters_bytes_max {
            // The row that tells of them must not be over the limit in their stead.
            state.parameters = "{}".to_owned();
        }
        state.error = Some(error);
        self.change(&mut state, status);
    }
}

fn begin(request: ActionRequest) -> ExecutionState {
    ExecutionState {
        execution_id: request.execution_id,
        root_execution_id: request.root_execution_id,
        sequence: 0,
        status: Status::Requested.as_str().to_owned(),
        event_id: request.event_id,
        event_at_ms: request.event_at_ms,
        trigger: request.trigger,
        rule: request.rule,
        action_index: request.action_index,
        action: request.action,
        parameters: request.parameters,
        revision: request.revision,
        requested_by: request.requested_by,
        pool: String::new(),
        delivery: String::new(),
        timeout_ms: 0,
        attempt: 0,
        token: 0,
        task_partition: None,
        worker: None,
        requested_at_ms: request.requested_at_ms,
        scheduled_at_ms: None,
        started_at_ms: None,
        ended_at_ms: None,
        return_code: None,
        error: None,
    }
}
