//! The freeze: a workflow whose task failed with nothing to remedy it waits for a person, with all that it has.
//!
//! What runs when a task fails goes on to its end; nothing new begins. A person says of each task that failed whether it
//! is tried again or taken as done, be it while something runs: what waits for a person far below it may run for long. That
//! the workflow goes on without what failed, or is rolled back, can be said once it rests.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::complete::json_bytes;
use super::context::{ContextId, View, entries};
use super::log::LogEntry;
use super::runs::RunId;
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::definition::{OnError, TaskIndex};
use crate::expression::{Map, Value, Variables};

/// What a frozen workflow has for the person whom it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Frozen {
    /// The tasks that failed and have not been decided about, in the order in which they failed.
    pub tasks: Vec<FrozenTask>,
    /// The tasks that have begun and not ended, by name and route: those that still run, are paused or wait for an
    /// answer.
    pub open: Vec<(Arc<str>, u32)>,
    /// What has been gathered: the variables of all that has ended and of all that is to begin, as one map.
    pub variables: Value,
    /// What went wrong, in order.
    pub errors: Vec<LogEntry>,
    /// What keeps people from being called about the freeze, or from being told all, in order.
    pub warnings: Vec<String>,
}

/// A task that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenTask {
    /// Its name.
    pub task: Arc<str>,
    /// Its route's number.
    pub route: u32,
    /// How it ended: `failed`, `timeout` or `abandoned`.
    pub status: Status,
    /// Of a task with items, which of them are done.
    pub items: Option<FrozenItems>,
}

/// How far a task with items came; each list holds the numbers of items in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrozenItems {
    /// Those that succeeded.
    pub done: Vec<usize>,
    /// Those that began and did not succeed.
    pub failed: Vec<usize>,
    /// Those that never began.
    pub not_begun: Vec<usize>,
}

impl Frozen {
    /// As a person is shown it, and as `ctx().frozen`: `tasks` (`task`, `route`, `status`, and `items` with the numbers
    /// of those that are `done`, `failed` and `not_begun`), `open` (`task`, `route`), `variables` and `errors`; and `warnings`
    /// where there are any.
    pub fn shown(&self) -> Json {
        let Frozen { tasks, open, variables, errors, warnings } = self;
        let open = open.iter().map(|(task, route)| json!({ "task": **task, "route": route }));
        let errors = errors.iter().map(|error| serde_json::to_value(error).unwrap_or_default());
        let mut shown = json!({
            "tasks": tasks.iter().map(FrozenTask::shown).collect::<Vec<_>>(),
            "open": open.collect::<Vec<_>>(),
            "variables": variables.to_json(),
            "errors": errors.collect::<Vec<_>>(),
        });
        if !warnings.is_empty() {
            shown["warnings"] = json!(warnings);
        }
        shown
    }
}

impl FrozenTask {
    fn shown(&self) -> Json {
        let FrozenTask { task, route, status, items } = self;
        let mut shown = json!({ "task": **task, "route": route, "status": status.to_string() });
        if let Some(FrozenItems { done, failed, not_begun }) = items {
            shown["items"] = json!({ "done": done, "failed": failed, "not_begun": not_begun });
        }
        shown
    }
}

/// What a person decides about a frozen workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It goes on, and whatever failed is taken as dealt with: nothing follows it. These variables are merged into
    /// those of all that is to begin, and of the output. A task whose items have begun keeps the variables that they
    /// began with.
    Resume {
        /// The variables.
        variables: Map,
    },
    /// A task that failed is taken as done, with this result: what comes behind its success follows.
    Skip {
        /// The task's name.
        task: String,
        /// Its route's number.
        route: u32,
        /// What `result()` is behind it.
        result: Value,
    },
    /// A task that failed is tried again.
    Retry {
        /// The task's name.
        task: String,
        /// Its route's number.
        route: u32,
        /// Of a task with items, whether all of them run again, and not only those that are not done.
        reset_items: bool,
        /// Merged into what the task gives its action, of each item.
        input: Map,
    },
    /// What was done is undone, whatever the workflow's `rollback` says, and the workflow has failed.
    Rollback,
}

impl Decision {
    /// Whether it is about one of the tasks that failed, and not about the workflow as a whole.
    pub(crate) fn is_about_one_task(&self) -> bool {
        matches!(self, Decision::Skip { .. } | Decision::Retry { .. })
    }
}

impl Conductor {
    /// What failed and what is there to decide with; none of a workflow that is not frozen. One is `pausing` until what
    /// runs has ended, then `paused`.
    pub fn frozen(&self) -> Option<Frozen> {
        if self.native.kept.frozen.is_empty() {
            return None;
        }
        let open = self.runs.latest_in_order().into_iter().map(|id| self.runs.get(id));
        let open = open.filter(|run| run.status != Status::Unset && !run.status.is_completed());
        Some(Frozen {
            tasks: self.native.kept.frozen.iter().map(|id| self.frozen_task(*id)).collect(),
            open: open.map(|run| (self.definition.task(run.task).name.clone(), run.route)).collect(),
            variables: self.gathered().all(),
            errors: self.errors.iter().cloned().collect(),
            warnings: self.warnings_of_freeze(),
        })
    }

    fn frozen_task(&self, id: RunId) -> FrozenTask {
        let run = self.runs.get(id);
        let staged = self.staging.find(run.task, run.route).and_then(|staged| self.staging.get(staged));
        let items = staged.and_then(|staged| staged.items.as_ref()).map(|items| {
            let mut frozen = FrozenItems::default();
            for (item, status) in items.statuses().iter().enumerate() {
                match status {
                    Status::Succeeded => frozen.done.push(item),
                    Status::Unset => frozen.not_begun.push(item),
                    _ => frozen.failed.push(item),
                }
            }
            frozen
        });
        FrozenTask { task: self.definition.task(run.task).name.clone(), route: run.route, status: run.status, items }
    }

    /// The variables of every end of the workflow so far.
    pub(super) fn gathered(&self) -> Arc<View> {
        let is_end = |(id, run): &(RunId, &super::runs::Run)| run.terminal || self.native.kept.frozen.contains(id);
        let ends = self.runs.iter().filter(is_end).map(|(_, run)| run.context);
        let contexts = ends.chain(self.staging.iter().map(|staged| staged.context));
        let mut view = self.contexts.view(0).copy();
        for context in contexts.filter(|context| *context != 0) {
            view.append(self.contexts.view(context));
        }
        Arc::new(view)
    }

    /// Whether a failure of a task freezes the workflow. One that a command asks for does not.
    pub(super) fn freezes(&self, task: TaskIndex) -> bool {
        let Some(native) = &self.definition.native else { return false };
        let task = self.definition.task(task);
        let goes_on = !self.is_ending()
            && matches!(self.status, Status::Running | Status::Resuming | Status::Pausing | Status::Paused);
        task.command.is_none() && goes_on && task.native.on_error.unwrap_or(native.on_error) == OnError::Pause
    }

    pub(super) fn freeze(&mut self, run: RunId) {
        if !self.native.kept.frozen.contains(&run) {
            self.change_native(|native| {
                native.frozen.push(run);
                native.called = None;
            });
        }
        self.tell_tasks(Status::Pausing);
        let active = self.is_active(true);
        self.set_status(if active { Status::Pausing } else { Status::Paused });
    }

    /// Takes what failed as ends of the workflow: nobody decides about it any more.
    pub(super) fn thaw(&mut self) {
        if self.native.kept.frozen.is_empty() {
            return;
        }
        for run in self.change_native(|native| std::mem::take(&mut native.frozen)) {
            self.set_terminal(run, true);
        }
    }

    /// Does what a person has decided. A workflow goes on when all that failed has been decided about; it is `resuming`
    /// then, or has ended if nothing is left to do.
    ///
    /// # Errors
    /// A workflow that is not frozen, one in which something still runs if it is to go on or to be rolled back as a
    /// whole, a task that is none of those that failed, too many bytes of variables or input. Nothing changes then.
    pub fn decide(&mut self, decision: Decision) -> Result<(), ConductorError> {
        let rests = self.status == Status::Paused;
        let freezes = self.status == Status::Pausing && decision.is_about_one_task();
        if self.native.kept.frozen.is_empty() || !(rests || freezes) {
            return Err(ConductorError::NotFrozen(self.status));
        }
        let done = match decision {
            Decision::Resume { variables } => self.resume(&variables),
            Decision::Skip { task, route, result } => self.skip(&task, route, result),
            Decision::Retry { task, route, reset_items, input } => self.retry_frozen(&task, route, reset_items, input),
            Decision::Rollback => {
                self.roll_back();
                Ok(())
            }
        };
        self.advance_ending();
        done
    }

    /// Lets a frozen workflow go on with these variables.
    pub(super) fn resume(&mut self, variables: &Map) -> Result<(), ConductorError> {
        let bytes = self.bytes_with(variables)?;
        self.thaw();
        if !variables.is_empty() {
            self.published_bytes = bytes;
            self.bring(variables);
        }
        let done = self.runs.count(|status| status.is_active() || matches!(status, Status::Paused | Status::Pending))
            == 0
            && !self.staging.has_open();
        if done {
            self.set_status(Status::Succeeded);
            self.fail_unmet_joins();
        } else {
            self.set_status(Status::Resuming);
        }
        Ok(())
    }

    /// How many bytes are published with these, which a person brings along.
    fn bytes_with(&self, variables: &Map) -> Result<usize, ConductorError> {
        if variables.is_empty() {
            return Ok(self.published_bytes);
        }
        let bytes = self.published_bytes + json_bytes(&Value::Map(variables.clone()));
        let limit = self.limits.published_bytes_max;
        if bytes > limit { Err(ConductorError::TooManyVariables { bytes, limit }) } else { Ok(bytes) }
    }

    /// Merges variables into all contexts that something will still look at.
    fn bring(&mut self, variables: &Map) {
        // Those that are the same stay the same, so that what joins them need not tell them apart.
        let mut behind: HashMap<ContextId, ContextId> = HashMap::new();
        let has_begun = |items: &super::items::Items| items.len() > 0;
        let staged: Vec<_> = self.staging.ids();
        for id in staged {
            let Some(staged) = self.staging.get(id) else { continue };
            if staged.items.as_ref().is_some_and(has_begun) {
                continue;
            }
            let context = self.context_with(staged.context, variables, &mut behind);
            self.change_staged(id, |staged| {
                staged.context = context;
                staged.rendered = None;
            });
        }
        let open = |run: &super::runs::Run| run.terminal || !run.status.is_completed();
        let runs: Vec<RunId> = self.runs.iter().filter(|(_, run)| open(run)).map(|(id, _)| id).collect();
        for id in runs {
            let context = self.context_with(self.runs.get(id).context, variables, &mut behind);
            self.change_run(id, |run| run.context = context);
        }
    }

    fn context_with(
        &mut self,
        context: ContextId,
        variables: &Map,
        behind: &mut HashMap<ContextId, ContextId>,
    ) -> ContextId {
        if let Some(known) = behind.get(&context) {
            return *known;
        }
        let added = self.contexts.publish(context, entries(variables));
        self.context_added(added);
        behind.insert(context, added);
        added
    }

    /// The run of a task that failed and has not been decided about.
    fn frozen_run(&self, task: &str, route: u32) -> Result<RunId, ConductorError> {
        let index = self.definition.task_index(task);
        let is_it = |id: &&RunId| Some(self.runs.get(**id).task) == index && self.runs.get(**id).route == route;
        let found = self.native.kept.frozen.iter().find(is_it).copied();
        found.ok_or_else(|| ConductorError::NotFrozenTask(format!("{task}|{route}")))
    }

    /// Whether nothing is left to decide about.
    fn decided(&mut self, run: RunId) -> bool {
        self.change_native(|native| {
            native.frozen.retain(|other| *other != run);
            native.frozen.is_empty()
        })
    }

    fn skip(&mut self, task: &str, route: u32, result: Value) -> Result<(), ConductorError> {
        let id = self.frozen_run(task, route)?;
        if let Some(staged) = self.staging.find(self.runs.get(id).task, route) {
            self.unstage(staged);
        }
        self.change_run(id, |run| run.took_too_long = false);
        self.set_run_status(id, Status::Succeeded);
        if self.decided(id) {
            self.set_status(Status::Resuming);
        }
        self.end_run(id, Status::Succeeded, result)
    }

    fn retry_frozen(&mut self, task: &str, route: u32, reset_items: bool, input: Map) -> Result<(), ConductorError> {
        let id = self.frozen_run(task, route)?;
        let bytes = self.bytes_with(&input)?;
        let index = self.runs.get(id).task;
        self.rerun_task(index, route, reset_items)?;
        self.published_bytes = bytes;
        self.workflow_changed();
        if let Some(staged) = self.staging.find(index, route).filter(|_| !input.is_empty()) {
            self.change_staged(staged, |staged| {
                staged.input = Value::Map(input);
                staged.rendered = None;
            });
        }
        if self.decided(id) {
            self.set_status(Status::Resuming);
        }
        Ok(())
    }
}
