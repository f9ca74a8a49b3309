//! What an attempt is to do, made of its task and its action.

use petrel_execution::runner::{Rendering, RunnerCall};
use petrel_execution::worker::Verdict;
use petrel_execution::{Delivery, Note, Outcome, Status, code};
use petrel_schemas::Task;
use serde_json::Value;

use crate::view::ResolvedAction;

/// The parameters of a task: of secrets, their names.
pub(super) fn parameters(task: &Task) -> Result<Value, String> {
    serde_json::from_str(&task.parameters).map_err(|e| format!("the parameters are no JSON: {e}"))
}

/// What the runner is asked to do, or why it cannot be asked.
pub(super) fn render(
    task: &Task,
    action: &ResolvedAction,
    parameters: &Value,
    secrets: &Value,
) -> Result<RunnerCall, String> {
    let rendering = Rendering {
        parameters,
        secrets,
        execution_id: &task.execution_id,
        attempt: u32::try_from(task.attempt).unwrap_or(0),
    };
    action.plan.runner.render(rendering).map_err(|e| format!("{}: {e}", task.action))
}

/// The end of an attempt that could not begin.
pub(super) fn cannot_run(code: &str, why: &str) -> Verdict {
    Verdict::Ended(Outcome::bare(Status::Failed, Note::new(code, format!("cannot be run: {why}")), false))
}

/// The end of an attempt as metrics name it.
pub(super) fn label(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ended(outcome) => outcome.status.as_str(),
        Verdict::HandedOver { .. } => "handed_over",
    }
}

/// How an attempt ends that is over as soon as it is claimed; none for one that has to be started, or whose owner
/// has to grant it.
pub(super) fn at_once(task: &Task, action: &ResolvedAction) -> Option<Verdict> {
    let runner = &action.plan.runner;
    // Whose secrets have to be opened first, waits for that elsewhere.
    let is_at_once = runner.is_instant() && runner.secrets().is_empty();
    if !is_at_once || Delivery::parse(&task.delivery) != Some(Delivery::AtLeastOnce) {
        return None;
    }
    // It hands nothing to anybody, so it needs no secret: their names will do.
    match parameters(task).and_then(|parameters| render(task, action, &parameters, &Value::Null)) {
        Ok(RunnerCall::End(outcome)) => Some(Verdict::Ended(outcome)),
        // Nothing that is instant has anything to do.
        Ok(_) => None,
        Err(why) => Some(cannot_run(code::RENDER_FAILED, &why)),
    }
}
