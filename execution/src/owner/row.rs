//! What the audit trail says of an execution.

use petrel_schemas::{ExecutionChanged, TaskMoved, WorkflowMoved};

use crate::execution::Execution;
use crate::subject::Core;
use crate::workflow::Moved;

/// The row of an execution that has just taken its status.
pub fn changed(execution: &Execution, now_ms: i64) -> ExecutionChanged {
    let (core, holder, end) = (execution.core(), execution.holder(), execution.end());
    let (subject, id) = (&core.subject, core.id());
    ExecutionChanged {
        execution_id: id.to_string(),
        root_execution_id: id.root().into(),
        parent_execution_id: id.parent().map(String::from),
        sequence: core.sequence,
        status: execution.status().as_str().to_owned(),
        code: core.note.code.clone(),
        changed_at_ms: now_ms,
        event_id: subject.event_id.clone(),
        trigger: subject.trigger.clone(),
        rule: subject.rule.clone(),
        action: subject.action.clone(),
        parameters: core.parameters.clone(),
        revision: subject.revision.clone(),
        requested_by: subject.requested_by.clone(),
        attempt: core.attempt.number,
        worker: holder.map(|h| h.worker.clone()),
        requested_at_ms: subject.requested_at_ms,
        started_at_ms: holder.and_then(|h| h.started_at_ms),
        ended_at_ms: end.map(|e| e.at_ms),
        return_code: end.and_then(|e| e.return_code),
        // Of what rests because something failed, what is there to decide with.
        result: execution.frozen().or_else(|| end?.result.as_deref()).map(str::to_owned),
        extracted: end.and_then(|e| e.extracted.clone()),
        result_object: end.and_then(|e| e.result_object.clone()),
        error: core.note.error.clone(),
        task: subject.task.clone(),
    }
}

/// The rows of tasks of a workflow that have come to other statuses.
pub(super) fn moved(core: &Core, moves: &[Moved], now_ms: i64) -> WorkflowMoved {
    let (subject, id) = (&core.subject, core.id());
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let task = |moved: &Moved| TaskMoved {
        task: moved.task.to_string(),
        route: number(moved.route),
        run: number(moved.run),
        change: number(moved.change),
        status: moved.status.to_owned(),
    };
    WorkflowMoved {
        execution_id: id.to_string(),
        root_execution_id: id.root().into(),
        event_id: subject.event_id.clone(),
        rule: subject.rule.clone(),
        action: subject.action.clone(),
        revision: subject.revision.clone(),
        moved_at_ms: now_ms,
        tasks: moves.iter().map(task).collect(),
    }
}
