//! Time: what is due, and what happens then.
//!
//! The conductor has no clock. Its host says what time it is, asks when it wants to be asked next, and lets the time
//! pass. While a workflow is paused its time stands still: what is due is due later by as long as the pause took. Only
//! people whom a freeze waits for are reminded all the same.

use std::sync::Arc;

use super::items::Items;
use super::log::LogEntry;
use super::runs::RunId;
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::definition::TaskIndex;
use crate::expression::{CurrentTask, Template, Value, Variables};
use crate::spec::duration;

impl Conductor {
    /// When the conductor wants [`Conductor::time_passed`] to be called next, in milliseconds since 1970; none while
    /// nothing is due. It may change with every call.
    pub fn due_ms(&self) -> Option<i64> {
        if self.native.kept.paused_ms.is_some() {
            return self.freeze_remind_ms();
        }
        let reminder = self.native.reminders.first().map(|(remind_ms, _)| *remind_ms);
        reminder.into_iter().chain(self.over_ms()).min()
    }

    /// When time brings something to an end next, be it a task, a question or the workflow, in milliseconds since 1970; of
    /// what only reminds people nothing is told. None in a pause.
    pub(crate) fn over_ms(&self) -> Option<i64> {
        if self.native.kept.paused_ms.is_some() {
            return None;
        }
        let run = self.native.due.first().map(|(due_ms, _)| *due_ms);
        run.into_iter().chain(self.workflow_due()).min()
    }

    fn workflow_due(&self) -> Option<i64> {
        self.native.kept.due_ms.filter(|_| !self.has_ended())
    }

    /// Makes what is due happen, at the time that was set last; nothing if none was.
    ///
    /// # Errors
    /// An expression of a retry that fails, as for [`Conductor::update`].
    pub fn time_passed(&mut self) -> Result<(), ConductorError> {
        let Some(now_ms) = self.now_ms else { return Ok(()) };
        while let Some(due_ms) = self.due_ms().filter(|due_ms| *due_ms <= now_ms) {
            if self.freeze_remind_ms() == Some(due_ms) {
                self.remind_of_freeze();
                continue;
            }
            // The workflow's own time comes first: what it stops has no time of its own any more.
            if self.workflow_due() == Some(due_ms) {
                self.workflow_overdue();
                continue;
            }
            match self.native.due.first().copied() {
                Some((run_ms, run)) if run_ms == due_ms => self.run_overdue(run)?,
                _ => {
                    let Some((_, run)) = self.native.reminders.first().copied() else { break };
                    self.remind(run);
                }
            }
        }
        self.advance_ending();
        Ok(())
    }

    /// The tasks that ended while something ran for them, by name and route, each told once: their host stops what
    /// still runs. What that reports later is ignored, until the task begins anew.
    pub fn take_stops(&mut self) -> Vec<(Arc<str>, u32)> {
        if self.native.kept.stops.is_empty() {
            return Vec::new();
        }
        self.change_native(|native| std::mem::take(&mut native.stops))
    }

    /// When something that begins now and may take this long is over its time. None without a clock. In a pause it is
    /// as late as when the pause began.
    fn due_after(&self, timeout_ms: i64) -> Option<i64> {
        self.native.kept.paused_ms.or(self.now_ms).map(|now_ms| now_ms.saturating_add(timeout_ms))
    }

    /// When a run of a task that begins now is over its time.
    pub(super) fn run_due(&self, index: TaskIndex, route: u32, context: u32) -> Result<Option<i64>, ConductorError> {
        let task = self.definition.task(index);
        let expires = task.native.ask.as_ref().and_then(|ask| ask.expires.as_ref());
        let Some(timeout) = task.native.timeout.as_ref().or(expires) else { return Ok(None) };
        let ms = self.timeout_ms(timeout, index, route, context);
        Ok(self.due_after(ms.map_err(|message| ConductorError::Timeout { task: task.name.clone(), message })?))
    }

    /// How long a task may take, in milliseconds.
    pub(super) fn timeout_ms(
        &self,
        timeout: &Template,
        task: TaskIndex,
        route: u32,
        context: u32,
    ) -> Result<i64, String> {
        let variables: Arc<dyn Variables> = self.contexts.view(context).clone();
        let id = self.definition.task(task).name.clone();
        let current = CurrentTask { id, route: route as usize, result: None };
        let value = timeout.evaluate(&self.scope(variables, Some(current))).map_err(|error| error.to_string())?;
        duration::ms_of(&value).map_err(|message| format!("ValueError: The timeout of the task: {message}"))
    }

    /// The workflow's own time begins, anew with a rerun.
    ///
    /// # Errors
    /// Why its timeout is none, with the class of the error.
    pub(super) fn begin_time(&mut self) -> Result<(), String> {
        let definition = Arc::clone(&self.definition);
        let timeout = definition.native.as_ref().and_then(|native| native.timeout.as_ref());
        let Some(timeout) = timeout else { return Ok(()) };
        let variables: Arc<dyn Variables> = self.contexts.view(0).clone();
        let value = timeout.evaluate(&self.scope(variables, None)).map_err(|error| error.to_string())?;
        let ms = duration::ms_of(&value).map_err(|message| format!("ValueError: The workflow's timeout: {message}"))?;
        let due_ms = self.due_after(ms);
        self.change_native(|native| native.due_ms = due_ms);
        Ok(())
    }

    /// Lets time stand still while the workflow is paused.
    pub(super) fn pause_time(&mut self, to: Status) {
        if self.definition.native.is_none() {
            return;
        }
        let since = self.native.kept.paused_ms;
        match (to, since) {
            (Status::Paused, None) => {
                let now_ms = self.now_ms;
                self.change_native(|native| native.paused_ms = now_ms);
            }
            (Status::Paused, Some(_)) | (_, None) => {}
            (_, Some(since)) => self.delay_all(self.now_ms.map_or(0, |now_ms| now_ms.saturating_sub(since))),
        }
    }

    /// Ends a pause: all that is due is due later.
    fn delay_all(&mut self, ms: i64) {
        self.change_native(|native| {
            native.paused_ms = None;
            native.due_ms = native.due_ms.map(|due_ms| due_ms.saturating_add(ms));
        });
        if ms == 0 {
            return;
        }
        for (due_ms, run) in std::mem::take(&mut self.native.due) {
            self.set_due(run, Some(due_ms.saturating_add(ms)));
        }
        for (remind_ms, run) in std::mem::take(&mut self.native.reminders) {
            self.set_reminder(run, Some(remind_ms.saturating_add(ms)));
        }
    }

    /// When a run is over its time.
    pub(super) fn set_due(&mut self, id: RunId, due_ms: Option<i64>) {
        let old = self.runs.get(id).due_ms;
        if old == due_ms {
            return;
        }
        self.native.due.extend(due_ms.map(|due_ms| (due_ms, id)));
        if let Some(old) = old {
            self.native.due.remove(&(old, id));
        }
        self.change_run(id, |run| run.due_ms = due_ms);
    }

    fn run_overdue(&mut self, id: RunId) -> Result<(), ConductorError> {
        self.set_due(id, None);
        if self.runs.get(id).status.is_completed() || self.take_default(id)? {
            return Ok(());
        }
        let run = self.runs.get(id);
        let task = self.definition.task(run.task);
        let (task_id, route) = (task.name.clone(), run.route);
        let error = LogEntry::error(match &task.native.ask {
            Some(_) => "TaskTimeout: Nobody has answered the question before it expired.",
            None => "TaskTimeout: The task took longer than its timeout.",
        });
        self.log_error(LogEntry { task_id: Some(task_id), route: Some(route), ..error });
        self.stop(id, Status::Timeout);
        self.end_run(id, Status::Timeout, Value::Null)
    }

    fn workflow_overdue(&mut self) {
        self.log_error(LogEntry::error("WorkflowTimeout: The workflow took longer than its timeout."));
        self.stop_all();
        self.change_native(|native| native.due_ms = None);
        self.set_status(Status::Timeout);
    }

    /// Cancels every run that has not ended.
    pub(super) fn stop_all(&mut self) {
        for id in self.runs.latest_in_order() {
            if !self.runs.get(id).status.is_completed() {
                self.stop(id, Status::Canceled);
            }
        }
    }

    /// Ends a run whatever runs for it, and remembers that this is to be stopped.
    pub(super) fn stop(&mut self, id: RunId, to: Status) {
        let run = self.runs.get(id);
        let (index, route, from) = (run.task, run.route, run.status);
        let name = self.definition.task(index).name.clone();
        if from != Status::Unset {
            self.change_native(|native| native.stops.push((name, route)));
        }
        if let Some(staged) = self.staging.find(index, route) {
            let items = self.staging.get(staged).and_then(|staged| staged.items.as_ref());
            // An item of a task that is run again runs again if it ended badly.
            let item_to = if to == Status::Canceled { Status::Abandoned } else { to };
            for item in items.map(Items::begun).unwrap_or_default() {
                self.set_item(staged, item, item_to);
            }
            if self.definition.task(index).with.is_some() {
                self.change_staged(staged, |staged| staged.completed = true);
            } else if matches!(from, Status::Retrying | Status::Unset) {
                // What else is staged of a task that runs is its next run, which something has led to meanwhile.
                self.unstage(staged);
            }
        }
        self.change_run(id, |run| {
            run.stopped = true;
            run.took_too_long = to == Status::Timeout;
        });
        self.set_due(id, None);
        self.set_reminder(id, None);
        self.set_run_status(id, to);
    }
}
