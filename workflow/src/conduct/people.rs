//! What people decide about a workflow that is frozen or has ended, and what they are shown to decide with.

use petrel_execution::workflow::{self as asked, RerunTask};
use serde_json::{Map as JsonMap, Value as Json, json};

use super::conducting::Conducting;
use crate::conductor::{Decision, Frozen, FrozenItems, FrozenTask, Rerun};
use crate::expression::{Map, Value};

impl Conducting {
    pub(super) fn decide(&mut self, decision: &asked::Decision) -> Result<(), String> {
        self.conductor.decide(decision_of(decision)).map_err(|error| error.to_string())?;
        self.told = self.conductor.status();
        self.settle();
        Ok(())
    }

    pub(super) fn rerun(&mut self, tasks: &[RerunTask]) -> Result<(), String> {
        let tasks: Vec<Rerun> = tasks.iter().map(rerun_of).collect();
        self.conductor.rerun(&tasks).map_err(|error| error.to_string())?;
        self.told = self.conductor.status();
        self.over_changed |= self.over.take().is_some();
        self.settle();
        Ok(())
    }
}

fn rerun_of(task: &RerunTask) -> Rerun {
    let RerunTask { task, route, reset_items } = task;
    Rerun { task: task.clone(), route: *route, reset_items: *reset_items }
}

fn decision_of(decision: &asked::Decision) -> Decision {
    match decision.clone() {
        asked::Decision::Resume { variables } => Decision::Resume { variables: map(variables) },
        asked::Decision::Skip { task, route, result } => Decision::Skip { task, route, result: result.into() },
        asked::Decision::Retry { task, route, reset_items, input } => {
            Decision::Retry { task, route, reset_items, input: map(input) }
        }
        asked::Decision::Rollback => Decision::Rollback,
    }
}

fn map(json: JsonMap<String, Json>) -> Map {
    Value::from(Json::Object(json)).as_map().cloned().unwrap_or_default()
}

/// What a person is shown of a frozen workflow.
pub(super) fn shown(frozen: &Frozen) -> Json {
    let Frozen { tasks, open, variables, errors } = frozen;
    let open = open.iter().map(|(task, route)| json!({ "task": **task, "route": route }));
    let errors = errors.iter().map(|error| serde_json::to_value(error).unwrap_or_default());
    json!({
        "tasks": tasks.iter().map(shown_task).collect::<Vec<_>>(),
        "open": open.collect::<Vec<_>>(),
        "variables": variables.to_json(),
        "errors": errors.collect::<Vec<_>>(),
    })
}

fn shown_task(task: &FrozenTask) -> Json {
    let FrozenTask { task, route, status, items } = task;
    let mut shown = json!({ "task": **task, "route": route, "status": status.to_string() });
    if let Some(FrozenItems { done, failed, not_begun }) = items {
        shown["items"] = json!({ "done": done, "failed": failed, "not_begun": not_begun });
    }
    shown
}
