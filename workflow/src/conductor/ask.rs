//! Questions: tasks that wait for a person's answer.
//!
//! A question is open while its task is `pending`, and the workflow runs on beside it. For the workflow's status it
//! counts as something that runs, except that a pause does not wait for it.

use std::sync::Arc;

use super::log::{Level, LogEntry};
use super::notice::every_ms;
use super::offer::ActionSpec;
use super::runs::{Run, RunId};
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::definition::{AskTask, Call, TaskIndex};
use crate::expression::{CurrentTask, Scope, Template, Value, Variables};
use crate::spec::duration;

/// A question, with its expressions evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What is asked.
    pub question: Value,
    /// The JSON schema of the answer; `null` takes any. Whoever takes an answer checks it: the conductor does not.
    pub schema: Value,
    /// How long an answer is waited for, in milliseconds; none for as long as it takes.
    pub expires_ms: Option<i64>,
    /// The answer if nobody gives one in time; without one the task times out.
    pub default: Option<Value>,
}

impl Conductor {
    fn ask_of(&self, task: TaskIndex) -> Option<&AskTask> {
        self.definition.task(task).native.ask.as_deref()
    }

    fn scope_in(&self, run: &Run) -> Scope {
        let variables: Arc<dyn Variables> = self.contexts.view(run.context).clone();
        let id = self.definition.task(run.task).name.clone();
        self.scope(variables, Some(CurrentTask { id, route: run.route as usize, result: None }))
    }

    /// A question as its task is offered. What it tells people with is evaluated as well, so that a mistake in it is
    /// found now.
    pub(super) fn render_ask(&self, ask: &AskTask, scope: &Scope) -> Result<Ask, String> {
        let evaluate = |template: &Template| template.evaluate(scope).map_err(|error| error.to_string());
        if let Some(notify) = &ask.call_outs.notify {
            evaluate_call(notify, scope)?;
        }
        if let Some((every, remind)) = &ask.call_outs.remind {
            every_ms(every, scope)?;
            evaluate_call(remind, scope)?;
        }
        let expires_ms = |expires| {
            duration::ms_of(&evaluate(expires)?)
                .map_err(|message| format!("ValueError: The question expires: {message}"))
        };
        Ok(Ask {
            question: evaluate(&ask.question)?,
            schema: evaluate(&ask.schema)?,
            expires_ms: ask.expires.as_ref().map(expires_ms).transpose()?,
            default: ask.default.as_ref().map(evaluate).transpose()?,
        })
    }

    /// What follows when a task has become `pending`. Whether it is a question.
    pub(super) fn asked(&mut self, id: RunId) -> bool {
        let definition = Arc::clone(&self.definition);
        let run = self.runs.get(id);
        let Some(ask) = definition.task(run.task).native.ask.as_deref() else { return false };
        if self.status.is_cancel() || self.has_ended() {
            self.stop(id, Status::Canceled);
            return false;
        }
        let scope = self.scope_in(run);
        if let Some(notify) = &ask.call_outs.notify {
            self.notice(id, notify, &scope);
        }
        if let Some((every, _)) = &ask.call_outs.remind {
            self.remind_after(id, every, &scope);
        }
        if self.status == Status::Resuming {
            self.set_status(Status::Running);
        }
        true
    }

    fn remind_after(&mut self, id: RunId, every: &Template, scope: &Scope) {
        let ms = every_ms(every, scope).ok();
        let remind_ms = ms.zip(self.now_ms).map(|(ms, now_ms)| now_ms.saturating_add(ms));
        self.set_reminder(id, remind_ms);
    }

    /// When people are reminded of a question next.
    pub(super) fn set_reminder(&mut self, id: RunId, remind_ms: Option<i64>) {
        let old = self.runs.get(id).remind_ms;
        if old == remind_ms {
            return;
        }
        if let Some(old) = old {
            self.native.reminders.remove(&(old, id));
        }
        self.native.reminders.extend(remind_ms.map(|remind_ms| (remind_ms, id)));
        self.change_run(id, |run| run.remind_ms = remind_ms);
    }

    pub(super) fn remind(&mut self, id: RunId) {
        let definition = Arc::clone(&self.definition);
        let run = self.runs.get(id);
        let ask = definition.task(run.task).native.ask.as_deref();
        let Some((every, call)) =
            ask.and_then(|ask| ask.call_outs.remind.as_ref()).filter(|_| run.status == Status::Pending)
        else {
            return self.set_reminder(id, None);
        };
        let scope = self.scope_in(run);
        self.notice(id, call, &scope);
        self.remind_after(id, every, &scope);
    }

    /// Ends a question that nobody has answered with its default. Whether it has one.
    pub(super) fn take_default(&mut self, id: RunId) -> Result<bool, ConductorError> {
        let run = self.runs.get(id);
        let Some(default) = self.ask_of(run.task).and_then(|ask| ask.default.as_ref()) else { return Ok(false) };
        let (task_id, route) = (Some(self.definition.task(run.task).name.clone()), Some(run.route));
        let default = match default.evaluate(&self.scope_in(run)) {
            Ok(default) => default,
            Err(error) => {
                self.log_error(LogEntry { task_id, route, ..LogEntry::error(error.to_string()) });
                return Ok(false);
            }
        };
        let entry = LogEntry::error("Nobody has answered in time: the default is the answer.");
        self.add_log_entry(LogEntry { level: Level::Info, task_id, route, ..entry });
        self.stop(id, Status::Succeeded);
        self.end_run(id, Status::Succeeded, default)?;
        Ok(true)
    }

    /// Whether something is active that the workflow waits for in its present status: a pause waits for no answer.
    pub(super) fn is_active(&self, pausing: bool) -> bool {
        let asking = if pausing { self.runs.asking() } else { 0 };
        self.runs.count(Status::is_active) > asking
    }

    /// Withdraws the questions of a workflow that is canceled or has ended.
    pub(super) fn withdraw_questions(&mut self) {
        if self.runs.asking() == 0 {
            return;
        }
        for id in self.runs.latest_in_order() {
            let run = self.runs.get(id);
            if run.status == Status::Pending && self.ask_of(run.task).is_some() {
                self.stop(id, Status::Canceled);
            }
        }
    }
}

/// An action with its parameters.
pub(super) fn evaluate_call(call: &Call, scope: &Scope) -> Result<ActionSpec, String> {
    let evaluate = |template: &Template| template.evaluate(scope).map_err(|error| error.to_string());
    Ok(ActionSpec { action: evaluate(&call.action)?, input: evaluate(&call.input)?, item: None })
}
