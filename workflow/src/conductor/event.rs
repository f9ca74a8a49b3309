//! What happens when what runs for a task, or for an item of one, has another status.

use std::collections::VecDeque;
use std::sync::Arc;

use super::complete::Behind;
use super::items::Items;
use super::log::{Level, LogEntry};
use super::machine::task::{self, EngineRequest};
use super::runs::{RetryState, Run, RunId, Runs};
use super::staged::{Staged, StagedId};
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::definition::{Command, TaskIndex};
use crate::expression::{CurrentTask, Scope, Template, Value, Variables};

/// What is told of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The action of a task has another status. A task with no items at all gets these, too.
    Action {
        /// The action's status.
        status: Status,
        /// What it resulted in, once it has ended.
        result: Value,
    },
    /// The action of one of a task's items has another status.
    Item {
        /// The item's number.
        item: usize,
        /// The action's status.
        status: Status,
        /// What it resulted in, once it has ended.
        result: Value,
        /// The results of all items so far, which become the task's result. Only asked for by the event that ends the
        /// task, see [`Conductor::ends_with`]; `null` else.
        accumulated: Value,
    },
}

/// An event as the conductor handles it, with those that it makes itself.
enum Happened {
    Action { status: Status, result: Value },
    Item { item: usize, status: Status, result: Value, accumulated: Value },
    Engine(EngineRequest),
}

impl Happened {
    fn status(&self) -> Status {
        match self {
            Happened::Action { status, .. } | Happened::Item { status, .. } => *status,
            Happened::Engine(EngineRequest::Succeed) => Status::Succeeded,
            Happened::Engine(EngineRequest::Fail) => Status::Failed,
            Happened::Engine(EngineRequest::Retry) => Status::Retrying,
        }
    }

    /// What becomes the task's result.
    fn into_result(self) -> Value {
        match self {
            Happened::Action { result, .. } => result,
            Happened::Item { accumulated, .. } => accumulated,
            Happened::Engine(_) => Value::Null,
        }
    }
}

impl Conductor {
    /// Takes an event of a task, and says the task's status behind it. A task begins with `requested`, `scheduled`,
    /// `delayed`, `running` or `pending`; one that is tried again only with `running`.
    ///
    /// # Errors
    /// A task or an item that is not there or not offered, of which nothing changes; an expression of a retry that
    /// fails.
    pub fn update(&mut self, task: &str, route: u32, event: Event) -> Result<Status, ConductorError> {
        if let Some(of_ending) = self.update_ending(task, &event) {
            return of_ending;
        }
        let index = self.definition.task_index(task).ok_or_else(|| ConductorError::NoSuchTask(task.to_owned()))?;
        let happened = match event {
            Event::Action { status, result } => Happened::Action { status, result },
            Event::Item { item, status, result, accumulated } => Happened::Item { item, status, result, accumulated },
        };
        if let Some(ended) = self.ignored(index, route, happened.status()) {
            return Ok(ended);
        }
        let status = self.handle(index, route, happened);
        self.advance_ending();
        status
    }

    /// Whether an item's event ends its task, so that it has to carry the results of all items.
    pub fn ends_with(&self, task: &str, route: u32, item: usize, status: Status) -> bool {
        let Some(index) = self.definition.task_index(task) else { return false };
        let from = self.runs.latest(index, route).map_or(Status::Unset, |run| self.runs.get(run).status);
        let staged = self.staging.find(index, route).and_then(|id| self.staging.get(id));
        let Some(items) = staged.and_then(|staged| staged.items.as_ref()) else { return false };
        items.task_after(from, item, status).is_some_and(Status::is_completed)
    }

    /// The status of a run that was stopped, if this is only what ran for it and reports late.
    fn ignored(&self, task: TaskIndex, route: u32, status: Status) -> Option<Status> {
        let run = self.runs.latest(task, route).map(|run| self.runs.get(run)).filter(|run| run.stopped)?;
        let staged = self.staging.find(task, route).and_then(|staged| self.staging.get(staged));
        let begins_anew = status.is_starting() && staged.is_some_and(|staged| !staged.completed);
        (!begins_anew).then_some(run.status)
    }

    fn handle(&mut self, task: TaskIndex, route: u32, happened: Happened) -> Result<Status, ConductorError> {
        let staged = self.staging.find(task, route);
        let latest = self.runs.latest(task, route);
        let begins = latest.is_none_or(|run| {
            let ended = self.runs.get(run).status.is_completed();
            self.definition.task(task).command.is_some() || (ended && happened.status().is_starting())
        });
        let from = latest.filter(|_| !begins).map_or(Status::Unset, |run| self.runs.get(run).status);
        let to = self.status_after(task, from, staged, &happened)?;
        if begins && staged.is_none() || staged.is_none() && latest.is_none() {
            return Err(ConductorError::NotStaged(self.definition.task(task).name.clone()));
        }
        let run = match (latest, staged) {
            (Some(run), _) if !begins => run,
            (_, Some(staged)) => self.begin_run(task, route, staged)?,
            (_, None) => return Err(ConductorError::NotStaged(self.definition.task(task).name.clone())),
        };
        self.remember_item(run, staged, &happened);
        self.mark_staged(task, from, staged, &happened);
        if happened.status() == Status::Failed {
            self.log_failure(task, staged, &happened);
        }
        self.set_run_status(run, to);
        if to == Status::Retrying {
            self.stage_retry(run);
        }
        let mut commands = VecDeque::new();
        if to.is_completed() {
            self.tell_of_time(run, happened.status());
            let result = self.result_of(task, staged, happened.into_result());
            if !self.keeps_next_run(task, from) {
                self.unstage_ended(task, route, to);
            }
            if self.status.is_active() && !self.is_ending() && self.wants_retry(run, to, &result)? {
                return self.handle(task, route, Happened::Engine(EngineRequest::Retry));
            }
            if to != from {
                if to == Status::Succeeded && self.definition.task(task).with.is_none() {
                    self.remember_undo(run, None, &result);
                }
                commands = self.complete(run, result);
            }
        }
        self.follow(run, to, commands)?;
        Ok(to)
    }

    /// What follows when a run has been ended by something else than an event.
    pub(super) fn end_run(&mut self, run: RunId, status: Status, result: Value) -> Result<(), ConductorError> {
        let (task, route) = (self.runs.get(run).task, self.runs.get(run).route);
        let result = self.result_of(task, self.staging.find(task, route), result);
        let commands = self.complete(run, result);
        self.follow(run, status, commands)
    }

    /// What a run's status means for the workflow, and what the engine does itself behind it.
    fn follow(
        &mut self,
        run: RunId,
        status: Status,
        commands: VecDeque<(TaskIndex, u32)>,
    ) -> Result<(), ConductorError> {
        let (task, route) = (self.runs.get(run).task, self.runs.get(run).route);
        if status.is_completed() {
            self.set_due(run, None);
            self.set_reminder(run, None);
        }
        let behind = Behind::of(self, task, route);
        self.task_changed(run, status, behind);
        self.run_commands(commands)?;
        if self.has_ended() {
            self.set_terminal(run, true);
        }
        Ok(())
    }

    /// Remembers of a native workflow's run that its action took too long, which is no status of its own.
    fn tell_of_time(&mut self, run: RunId, action: Status) {
        let took_too_long = action == Status::Timeout && self.definition.native.is_some();
        if self.runs.get(run).took_too_long != took_too_long {
            self.change_run(run, |run| run.took_too_long = took_too_long);
        }
    }

    /// The task's status behind an event; nothing is changed yet.
    fn status_after(
        &self,
        index: TaskIndex,
        from: Status,
        staged: Option<StagedId>,
        happened: &Happened,
    ) -> Result<Status, ConductorError> {
        let name = || self.definition.task(index).name.clone();
        let to = match happened {
            Happened::Action { status, .. } => task::on_action(from, *status),
            Happened::Engine(request) => task::on_engine(from, *request),
            Happened::Item { item, status, .. } => {
                let items = staged.and_then(|id| self.staging.get(id)).and_then(|staged| staged.items.as_ref());
                let Some(items) = items.filter(|items| *item < items.len()) else {
                    return Err(ConductorError::NoSuchItem { task: name(), item: *item });
                };
                items.task_after(from, *item, *status)
            }
        };
        match to.unwrap_or(from) {
            Status::Unset if staged.is_some() => {
                Err(ConductorError::NotBegun { task: name(), status: happened.status() })
            }
            to => Ok(to),
        }
    }

    /// Remembers what undoes an item that has just succeeded.
    fn remember_item(&mut self, run: RunId, staged: Option<StagedId>, happened: &Happened) {
        let (Happened::Item { item, status: Status::Succeeded, result, .. }, Some(id)) = (happened, staged) else {
            return;
        };
        let items = self.staging.get(id).and_then(|staged| staged.items.as_ref());
        if items.and_then(|items| items.statuses().get(*item)) != Some(&Status::Succeeded) {
            self.remember_undo(run, Some((id, *item)), result);
        }
    }

    /// A task that has begun is not offered any more; of items, the one that has.
    fn mark_staged(&mut self, task: TaskIndex, from: Status, staged: Option<StagedId>, happened: &Happened) {
        let Some(id) = staged else { return };
        if self.staging.get(id).is_some_and(|staged| staged.items.is_none()) {
            if happened.status().is_starting() || !self.keeps_next_run(task, from) {
                self.unstage(id);
            }
        } else if let Happened::Item { item, status, .. } = happened {
            self.set_item(id, *item, *status);
        }
    }

    /// Whether what is staged of a task that came from this status is its next run, which something has led to while it
    /// ran. Orquesta forgets that with whatever it is told of the task, and may then wait for it without an end.
    fn keeps_next_run(&self, task: TaskIndex, from: Status) -> bool {
        let has_begun = !matches!(from, Status::Unset | Status::Retrying);
        has_begun && self.definition.native.is_some() && self.definition.task(task).with.is_none()
    }

    /// Tells that what ran for a task failed: among the errors, or as a warning if so many items may fail.
    fn log_failure(&mut self, task: TaskIndex, staged: Option<StagedId>, happened: &Happened) {
        let items = staged.and_then(|id| self.staging.get(id)).and_then(|staged| staged.items.as_ref());
        let tolerated = items.is_some_and(|items| items.failures_max().is_some() && !items.are_given_up());
        let result = match happened {
            Happened::Action { result, .. } | Happened::Item { result, .. } if !result.is_null() => {
                Some(result.clone())
            }
            _ => None,
        };
        let task_id = Some(self.definition.task(task).name.clone());
        let error = LogEntry { task_id, result, ..LogEntry::error("Execution failed. See result for details.") };
        if tolerated { self.add_log_entry(LogEntry { level: Level::Warn, ..error }) } else { self.log_error(error) }
    }

    /// A task with items has a list as its result, though there may be none.
    fn result_of(&self, task: TaskIndex, staged: Option<StagedId>, result: Value) -> Value {
        let with = self.definition.task(task).with.as_ref();
        if with.is_some_and(|with| with.map.is_some()) {
            let items = staged.and_then(|id| self.staging.get(id)).and_then(|staged| staged.items.as_ref());
            return result_of_map(result.as_list().unwrap_or_default(), items);
        }
        if self.definition.task(task).with.is_some() && !result.is_true() {
            return Value::List(std::iter::empty::<Value>().collect());
        }
        result
    }

    /// Removes an ended task from those that are staged. One with items that ended badly stays there for a rerun.
    pub(super) fn unstage_ended(&mut self, task: TaskIndex, route: u32, status: Status) {
        let Some(id) = self.staging.find(task, route) else { return };
        if self.definition.task(task).with.is_some() && status.is_abended() {
            self.change_staged(id, |staged| staged.completed = true);
        } else {
            self.unstage(id);
        }
    }

    fn run_commands(&mut self, mut commands: VecDeque<(TaskIndex, u32)>) -> Result<(), ConductorError> {
        while let Some((task, route)) = commands.pop_front() {
            let request = match self.definition.task(task).command {
                Some(Command::Fail) => EngineRequest::Fail,
                Some(Command::Retry) => EngineRequest::Retry,
                Some(Command::Continue | Command::Noop) | None => EngineRequest::Succeed,
            };
            self.handle(task, route, Happened::Engine(request))?;
        }
        Ok(())
    }

    /// A new run of a staged task.
    fn begin_run(&mut self, task: TaskIndex, route: u32, staged: StagedId) -> Result<RunId, ConductorError> {
        let Some(staged) = self.staging.get(staged) else {
            return Err(ConductorError::NotStaged(self.definition.task(task).name.clone()));
        };
        let (context, before) = (staged.context, staged.before.as_slice().to_vec());
        self.add_run(task, route, context, before)
    }

    pub(super) fn add_run(
        &mut self,
        task: TaskIndex,
        route: u32,
        context: u32,
        before: Vec<(Arc<str>, RunId)>,
    ) -> Result<RunId, ConductorError> {
        let retry = self.retry_state(task, context)?;
        let due_ms = self.run_due(task, route, context)?;
        let next = vec![None; self.definition.task(task).next.len()];
        let run = Run {
            task,
            route,
            context,
            before,
            next,
            status: Status::Unset,
            retry,
            terminal: false,
            due_ms,
            remind_ms: None,
            stopped: false,
            took_too_long: false,
            changes: 0,
            taken_back: false,
        };
        let id = Arc::make_mut(&mut self.runs).push(run);
        self.native.due.extend(due_ms.map(|due_ms| (due_ms, id)));
        self.run_changed(id);
        Ok(id)
    }

    /// How often a new run may be tried again, by the task's variables.
    fn retry_state(&self, task: TaskIndex, context: u32) -> Result<Option<RetryState>, ConductorError> {
        let task = self.definition.task(task);
        let Some(retry) = &task.retry else { return Ok(None) };
        let variables: Arc<dyn Variables> = self.contexts.view(context).clone();
        let scope = self.scope(variables, None);
        let number = |template: &Template, what: &'static str| {
            let value = template.evaluate(&scope)?;
            let not_integer = || ConductorError::RetryNotInteger { task: task.name.clone(), what };
            match value {
                Value::Bool(value) => Ok(i64::from(value)),
                value => value.as_i64().ok_or_else(not_integer),
            }
        };
        let delay = retry.delay.as_ref().map(|delay| number(delay, "delay")).transpose()?.unwrap_or_default();
        Ok(Some(RetryState { count: number(&retry.count, "count")?, delay, tally: 0 }))
    }

    fn wants_retry(&self, run: RunId, status: Status, result: &Value) -> Result<bool, ConductorError> {
        let run = self.runs.get(run);
        let task = self.definition.task(run.task);
        let (Some(state), Some(retry)) = (run.retry, &task.retry) else { return Ok(false) };
        if state.tally >= state.count || task::on_engine(status, EngineRequest::Retry).is_none() {
            return Ok(false);
        }
        match &retry.when {
            None => Ok(status.is_abended()),
            Some(when) => Ok(when.is_true(&self.scope_of(run, result))?),
        }
    }

    /// What expressions see behind a task.
    pub(super) fn scope_of(&self, run: &Run, result: &Value) -> Scope {
        let variables: Arc<dyn Variables> = self.contexts.view(run.context).clone();
        let id = self.definition.task(run.task).name.clone();
        self.scope(variables, Some(CurrentTask { id, route: run.route as usize, result: Some(result.clone()) }))
    }

    fn stage_retry(&mut self, run: RunId) {
        self.change_run(run, |run| {
            if let Some(retry) = &mut run.retry {
                retry.tally += 1;
            }
        });
        let run = self.runs.get(run);
        let mut staged = Staged::new(run.task, run.route, run.context, run.before.clone());
        staged.retry_delay = Some(run.retry.map_or(0, |retry| retry.delay));
        let (task, route) = (run.task, run.route);
        if let Some(old) = self.staging.find(task, route) {
            self.unstage(old);
        }
        self.stage(staged);
    }

    pub(super) fn runs_mut(&mut self) -> &mut Runs {
        Arc::make_mut(&mut self.runs)
    }
}

/// The results of a task with `map`: those of the items in order, null where one did not succeed, and the numbers of
/// the items that failed.
fn result_of_map(results: &[Value], items: Option<&Items>) -> Value {
    let statuses = items.map(Items::statuses).unwrap_or_default();
    let result = |(item, status): (usize, &Status)| match status {
        Status::Succeeded => results.get(item).cloned().unwrap_or_default(),
        _ => Value::Null,
    };
    let results: Vec<Value> = statuses.iter().enumerate().map(result).collect();
    let failed = statuses.iter().enumerate().filter(|(_, status)| status.is_abended());
    let failed: Vec<Value> = failed.map(|(item, _)| Value::from(i64::try_from(item).unwrap_or(i64::MAX))).collect();
    let entries = [("results", results), ("failures", failed)];
    Value::Map(
        entries.into_iter().map(|(name, list)| (Arc::from(name), Value::List(list.into_iter().collect()))).collect(),
    )
}
