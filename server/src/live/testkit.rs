//! Executions for tests.

use petrel_execution::codec;
use petrel_execution::state::{In, Requested};
use petrel_execution::{Execution, Subject};
use petrel_schemas::{ActionRequest, ExecutionEnded, ExecutionId, ExecutionState, decode};

use super::LiveExecution;

/// The snapshot of a root execution of the action `demo.a`, by a number of its own, requested at the epoch.
pub(crate) fn state(n: u32, status: &str) -> ExecutionState {
    let request = ActionRequest {
        execution_id: ExecutionId::of_manual(&n.to_string()).to_string(),
        root_execution_id: String::new(),
        event_id: None,
        event_at_ms: None,
        trigger: None,
        rule: None,
        action_index: 0,
        redrive: 0,
        action: "demo.a".to_owned(),
        parameters: "{}".to_owned(),
        revision: "r".to_owned(),
        kv_version: 0,
        requested_at_ms: 0,
        requested_by: "rule".to_owned(),
        cause_depth: 0,
        class: None,
    };
    let (subject, parameters) = Subject::of_request(request).unwrap();
    let bytes = codec::to_bytes(&Execution::from(In::<Requested>::new(subject, parameters)));
    let state: ExecutionState = decode(&bytes).unwrap();
    ExecutionState { status: status.to_owned(), ..state }
}

/// The same of a child, by the number of its root and its own.
pub(crate) fn child(n: u32, number: u32, task: &str, status: &str) -> ExecutionState {
    let root = ExecutionId::of_manual(&n.to_string());
    ExecutionState {
        execution_id: root.child(number).unwrap().to_string(),
        root_execution_id: root.to_string(),
        parent_execution_id: Some(root.to_string()),
        task: Some(task.to_owned()),
        ..state(n, status)
    }
}

/// What the view knows of an execution with that snapshot.
pub(crate) fn live(state: ExecutionState) -> LiveExecution {
    LiveExecution { id: state.execution_id.clone(), at_ms: state.requested_at_ms, state: Some(state), ended: None }
}

/// The same of one that has ended, a second after the epoch.
pub(crate) fn ended(state: ExecutionState, status: &str) -> LiveExecution {
    let ended = ExecutionEnded {
        execution_id: state.execution_id.clone(),
        root_execution_id: state.root_execution_id.clone(),
        sequence: state.sequence + 1,
        status: status.to_owned(),
        code: None,
        return_code: None,
        ended_at_ms: 1_000,
        conducted: state.pool.is_empty(),
    };
    LiveExecution { ended: Some(ended), ..live(state) }
}
