//! What somebody asks of a workflow, and what it makes of the statuses of its tasks.

use super::complete::Behind;
use super::log::LogEntry;
use super::machine::task;
use super::machine::workflow::{self, Outlook, TaskChange};
use super::runs::{JoinStatus, RunId};
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::expression::Map;

impl Conductor {
    /// Asks for a status of the workflow: `running` to begin, `pausing` or `paused`, `resuming`, `canceling` or
    /// `canceled`, `failed`. To resume a frozen workflow takes all that failed as dealt with, see [`Conductor::decide`].
    ///
    /// # Errors
    /// A status that cannot be asked for, or that the workflow cannot come to.
    pub fn request(&mut self, asked: Status) -> Result<(), ConductorError> {
        if !workflow::can_be_requested(asked) {
            return Err(ConductorError::NoSuchRequest(asked));
        }
        let from = self.status;
        if let Some(ending) = &self.native.kept.ending {
            let is_done = asked.is_cancel() && ending.status == Status::Canceled;
            return if is_done { Ok(()) } else { Err(ConductorError::WorkflowStatus { from, asked }) };
        }
        if matches!(asked, Status::Running | Status::Resuming)
            && from == Status::Paused
            && !self.native.kept.frozen.is_empty()
        {
            self.resume(&Map::default())?;
            self.advance_ending();
            return Ok(());
        }
        if asked.is_pause() || asked.is_cancel() {
            self.tell_tasks(asked);
        }
        let active = self.is_active(asked.is_pause());
        let done = !self.is_active(false)
            && !self.staging.has_open()
            && self.runs.count(|status| matches!(status, Status::Paused | Status::Pending)) == 0;
        if let Some(to) = workflow::on_request(from, asked, active, done) {
            self.set_status(to);
        }
        let unchanged = self.status == from && !self.is_ending();
        let repeated =
            matches!((asked, from), (Status::Paused, Status::Pausing) | (Status::Canceled, Status::Canceling));
        if asked != from && unchanged && !repeated {
            return Err(ConductorError::WorkflowStatus { from, asked });
        }
        self.advance_ending();
        Ok(())
    }

    /// Tells the active tasks that the workflow is to be paused or canceled.
    pub(super) fn tell_tasks(&mut self, asked: Status) {
        if asked.is_cancel() {
            self.withdraw_questions();
        }
        for id in self.runs.latest_in_order() {
            let run = self.runs.get(id);
            if !run.status.is_active() {
                continue;
            }
            let staged = self.staging.find(run.task, run.route).and_then(|staged| self.staging.get(staged));
            let items = staged.and_then(|staged| staged.items.as_ref());
            let items = items.map(|items| (items.active() > 0, items.are_incomplete()));
            if let Some(to) = task::on_workflow(run.status, asked, items) {
                self.set_run_status(id, to);
                if to.is_completed() {
                    self.set_due(id, None);
                }
            }
        }
    }

    /// What a mistake in an expression leads to. One that has been canceled stays so.
    pub(super) fn fail(&mut self) {
        if let Some(to) = workflow::on_request(self.status, Status::Failed, false, false) {
            self.set_status(to);
        }
    }

    /// What the workflow makes of the status of a task.
    pub(super) fn task_changed(&mut self, run: RunId, status: Status, behind: Behind) {
        if status == Status::Pending && self.asked(run) {
            return;
        }
        // A question of a workflow that is canceled was withdrawn at once.
        let status = if status == Status::Pending { self.runs.get(run).status } else { status };
        if self.is_ending() {
            return;
        }
        if status.is_abended() && !behind.any && self.definition.native.is_some() {
            if self.freezes(self.runs.get(run).task) {
                return self.freeze(run);
            }
            if self.status == Status::Paused {
                return self.fail();
            }
        }
        let change = if status.is_abended() && (behind.next || behind.any) {
            TaskChange::Remediated
        } else {
            TaskChange::Status(status)
        };
        let is_any = |of: fn(Status) -> bool| self.runs.count(of) > 0;
        let outlook = if is_any(Status::is_cancel) {
            Outlook::Canceled
        } else if is_any(|status| matches!(status, Status::Pausing | Status::Paused | Status::Pending)) {
            Outlook::Paused
        } else if self.staging.has_open() || behind.next {
            Outlook::Incomplete
        } else {
            Outlook::Completed
        };
        let active = self.is_active(self.status == Status::Pausing);
        let Some(to) = workflow::on_task(self.status, change, active, outlook) else { return };
        self.set_status(to);
        if to == Status::Pausing && self.definition.native.is_some() {
            // Orquesta leaves tasks that have items to begin running, and waits for them without an end.
            self.tell_tasks(to);
            if !self.is_active(true) {
                self.set_status(Status::Paused);
            }
        }
        if to.is_completed() {
            self.fail_unmet_joins();
        }
    }

    /// Tasks whose items have waited for the workflow go on with it.
    pub(super) fn resume_items(&mut self) {
        for id in self.runs.latest_in_order() {
            let run = self.runs.get(id);
            if run.status.is_pause() && self.definition.task(run.task).with.is_some() {
                self.set_run_status(id, Status::Running);
            }
        }
    }

    /// A join that some have arrived at and that nobody else comes to fails the workflow that ends.
    pub(super) fn fail_unmet_joins(&mut self) {
        let unmet = self.staging.iter().filter(|staged| {
            let told = self.definition.task(staged.task).join.is_some_and(|join| join.told);
            told && !staged.ready && self.join_status(staged.task, staged.route) == JoinStatus::Unmet
        });
        let unmet: Vec<_> =
            unmet.map(|staged| (self.definition.task(staged.task).name.clone(), staged.route)).collect();
        if unmet.is_empty() {
            return;
        }
        self.set_status(Status::Failed);
        for (task, route) in unmet {
            let message = format!(
                "UnreachableJoinError: The join task|route \"{task}|{route}\" is partially satisfied but unreachable."
            );
            self.log_error(LogEntry { task_id: Some(task), route: Some(route), ..LogEntry::error(message) });
        }
    }
}
