//! What people decide about a workflow that is frozen or has ended.

use petrel_execution::workflow::{self as asked, RerunTask};
use serde_json::{Map as JsonMap, Value as Json};

use super::conducting::Conducting;
use crate::conductor::{Decision, Rerun, Status};
use crate::expression::{Map, Value};

/// How many of the children that are waited for are named.
const NAMED: usize = 5;

impl Conducting {
    pub(super) fn decide(&mut self, decision: &asked::Decision) -> Result<(), String> {
        let status = self.conductor.status();
        let decision = decision_of(decision);
        match status {
            _ if !self.conductor.is_frozen() => {
                return Err(format!("The workflow is {status} and not frozen: nothing waits for a decision."));
            }
            Status::Pausing if !decision.is_about_one_task() => return Err(self.freezes()),
            _ => {}
        }
        self.conductor.decide(decision).map_err(|error| error.to_string())?;
        self.told = self.conductor.status();
        self.settle();
        Ok(())
    }

    /// Why nobody can decide yet about a workflow that freezes as a whole.
    pub(super) fn freezes(&self) -> String {
        let open = self.open_ones();
        format!(
            "The workflow freezes, and {open} has not ended: it goes on, or is rolled back, once it has. Retry or skip a \
             task that failed before that."
        )
    }

    /// Lets a workflow that is over run again, from these tasks or from what failed. Its children have numbers behind those
    /// that it had.
    pub(super) fn rerun(&mut self, tasks: &[RerunTask]) -> Result<(), String> {
        if self.over.is_none() {
            let status = self.conductor.status();
            return Err(format!("The workflow is {status} and not over: only one that is over can run again."));
        }
        if self.children.count() > 0 {
            return Err(format!(
                "The workflow is over, and {} has not ended: it can run again then.",
                self.open_ones()
            ));
        }
        let rerun = if tasks.is_empty() {
            self.conductor.rerun_what_failed()
        } else {
            self.conductor.rerun_tasks(&tasks.iter().map(rerun_of).collect::<Vec<_>>())
        };
        rerun.map_err(|error| error.to_string())?;
        self.told = self.conductor.status();
        self.over = None;
        self.over_changed = true;
        self.settle();
        Ok(())
    }

    /// The children that have not ended, for people.
    fn open_ones(&self) -> String {
        let waited_for = || self.children.iter().filter(|(_, child)| !child.notice || self.over.is_some());
        let mut names: Vec<String> = waited_for().take(NAMED).map(|(_, child)| child.label()).collect();
        let more = waited_for().count().saturating_sub(names.len());
        if more > 0 {
            names.push(format!("{more} more"));
        }
        names.join(", ")
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
