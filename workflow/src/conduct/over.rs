//! How a workflow stands, and what it comes to.

use petrel_execution::workflow::Standing;
use petrel_execution::{Note, Status as Final, code};
use serde_json::{Value as Json, json};

use super::children::Child;
use super::conducting::Conducting;
use crate::conductor::{Event, LogEntry, Status};
use crate::expression::Value;

/// The errors that are told in the note of a workflow that failed; all of them are in its result.
const ERRORS_IN_NOTE: usize = 3;

impl Conducting {
    /// Ends a workflow that has nothing more to start. What it comes to is fixed then, though children may still run.
    pub(super) fn settle(&mut self) {
        self.tell_tasks();
        self.cancel_rest();
        if self.children.all_rest() {
            self.conductor.rest_frozen();
        }
        if self.over.is_some() || !self.conductor.status().is_completed() || self.conductor.remediates() {
            return;
        }
        self.conductor.render_output();
        self.over = Some(self.conductor.errors().count());
        self.over_changed = true;
    }

    /// A workflow that is to rest or to end because of one of its children tells that its tasks with items, as when
    /// somebody asks for it. Else they would wait for items that are not started any more.
    fn tell_tasks(&mut self) {
        let status = self.conductor.status();
        if std::mem::replace(&mut self.told, status) == status {
            return;
        }
        let asked = match status {
            Status::Pausing => Status::Paused,
            Status::Canceling => Status::Canceled,
            _ => return,
        };
        // It is on its way there, so that this is never refused.
        let _ = self.conductor.request(asked);
        self.told = self.conductor.status();
    }

    /// Ends the tasks of a workflow that is to end and has no child any more. A task with items that something else has led
    /// to while they ran begins them anew, and would run without any for ever.
    fn cancel_rest(&mut self) {
        if self.conductor.status() != Status::Canceling || self.children.run_for_tasks() {
            return;
        }
        let active =
            |child: &Child| self.conductor.task_status(&child.task, child.route).is_some_and(Status::is_active);
        let runs = self.conductor.task_runs().map(|run| Child::of(run.task, run.route));
        for task in Vec::from_iter(runs.filter(active)) {
            // A task that has ended since, because it ran more often, refuses this.
            let _ = self.conductor.update(
                &task.task,
                task.route,
                Event::Action { status: Status::Canceled, result: Value::Null },
            );
        }
    }

    pub(super) fn stands(&self) -> Standing {
        let Some(errors) = self.over else {
            return match self.conductor.status() {
                // A task with items that begins them anew when it is resumed still counts as one that runs.
                Status::Pausing if self.children.all_rest() => Standing::Paused,
                Status::Pausing => Standing::Pausing,
                Status::Paused => Standing::Paused,
                Status::Pending => Standing::Pending,
                Status::Canceling => Standing::Canceling,
                _ if self.conductor.waits_for_answers_alone() => Standing::Pending,
                // What deals with a failure is still to be started where it has ended.
                _ => Standing::Running,
            };
        };
        let status = match self.conductor.status() {
            Status::Succeeded => Final::Succeeded,
            Status::Canceled => Final::Canceled,
            Status::Timeout => Final::Timeout,
            _ => Final::Failed,
        };
        Standing::Over { status, note: self.note(status, errors), result: self.result(errors) }
    }

    fn note(&self, status: Final, errors: usize) -> Note {
        let told: Vec<String> = self.conductor.errors().take(errors.min(ERRORS_IN_NOTE)).map(told).collect();
        let more = errors.saturating_sub(told.len());
        let mut text = told.join("; ");
        if more > 0 {
            text += &format!("; and {more} more");
        }
        let code = match status {
            Final::Succeeded => return Note::NONE,
            Final::Canceled => code::CANCELED,
            Final::Timeout => code::RUN_TIMEOUT,
            _ => code::WORKFLOW_FAILED,
        };
        Note::of(Some(code.to_owned()), (!text.is_empty()).then_some(text))
    }

    /// The result as StackStorm has it: the output, and the errors where there are any.
    fn result(&self, errors: usize) -> Json {
        let mut result = json!({"output": self.conductor.output().map_or(Json::Null, Value::to_json)});
        if errors > 0 {
            let entry = |entry: &LogEntry| serde_json::to_value(entry).unwrap_or_default();
            result["errors"] = self.conductor.errors().take(errors).map(entry).collect();
        }
        result
    }
}

/// An error in one line, with the task that it is about.
fn told(error: &LogEntry) -> String {
    match &error.task_id {
        Some(task) => format!("{task}: {}", error.message),
        None => error.message.clone(),
    }
}
