//! Calling people who are waited for: for an answer to a question, and for a decision about a freeze.
//!
//! What calls them runs beside the workflow, which does not wait for its end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Conductor;
use super::ask::evaluate_call;
use super::context::Rolling;
use super::cut::cut;
use super::log::{Level, LogEntry};
use super::offer::ActionSpec;
use super::runs::RunId;
use super::status::Status;
use crate::definition::{Call, CallOuts};
use crate::expression::{Scope, Template, Value};
use crate::limits::{NOTICE_BYTES_MAX, REMINDER_MS_MIN};
use crate::spec::duration;

/// What a notice of a freeze is for, where that of a question names its task.
const FREEZE: &str = "on_freeze";

/// An action to start that calls people, whose end the workflow does not wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The task that asks; `on_freeze` for a workflow that has frozen.
    pub task: Arc<str>,
    /// Its route's number.
    pub route: u32,
    /// The action's reference.
    pub action: Value,
    /// Its parameters; `null` if there are none.
    pub input: Value,
}

/// That people have been called about a freeze.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Called {
    /// When they are reminded next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remind_ms: Option<i64>,
}

impl Conductor {
    /// The actions that call people, at most so many, the first ones, each offered once.
    pub fn take_notices(&mut self, most: usize) -> Vec<Notice> {
        let most = most.min(self.native.kept.notices.len());
        if most == 0 {
            return Vec::new();
        }
        self.change_native(|native| native.notices.drain(..most).collect())
    }

    /// Whether there are actions that call people and have not been offered.
    pub(crate) fn has_notices(&self) -> bool {
        !self.native.kept.notices.is_empty()
    }

    /// Nobody is called about what a workflow waited for that has come to its end.
    pub(super) fn drop_notices(&mut self) {
        if self.has_notices() {
            self.change_native(|native| native.notices.clear());
        }
    }

    /// Calls people about a question.
    pub(super) fn notice(&mut self, id: RunId, call: &Call, scope: &Scope) {
        let run = self.runs.get(id);
        let (task, route) = (self.definition.task(run.task).name.clone(), run.route);
        match evaluate_call(call, scope) {
            Ok(ActionSpec { action, input, .. }) => self.call_people(Notice { task, route, action, input }),
            Err(message) => self.warn(LogEntry { task_id: Some(task), route: Some(route), ..LogEntry::error(message) }),
        }
    }

    fn call_people(&mut self, mut notice: Notice) {
        let input = notice.input.to_json();
        if input.to_string().len() > NOTICE_BYTES_MAX {
            notice.input = cut(input, NOTICE_BYTES_MAX).into();
            let (task_id, route) = (Some(notice.task.clone()), Some(notice.route));
            // Always the same text, so that it is kept once and not for each reminder: what is warned of is told with the next
            // one, and would make that longer.
            let message = format!(
                "LimitExceeded: What people are called with is too large and is cut, the limit NOTICE_BYTES_MAX is \
                 {NOTICE_BYTES_MAX}."
            );
            self.warn(LogEntry { task_id, route, ..LogEntry::error(message) });
        }
        self.change_native(|native| native.notices.push(notice));
    }

    fn warn(&mut self, entry: LogEntry) {
        self.add_log_entry(LogEntry { level: Level::Warn, ..entry });
    }

    fn warn_of_freeze(&mut self, message: String) {
        self.warn(LogEntry { task_id: Some(Arc::from(FREEZE)), ..LogEntry::error(message) });
    }

    /// What keeps people from being called about the freeze, or from being told all.
    pub(super) fn warnings_of_freeze(&self) -> Vec<String> {
        let of_freeze = self.log.iter().filter(|entry| entry.task_id.as_deref() == Some(FREEZE));
        of_freeze.map(|entry| entry.message.clone()).collect()
    }

    /// When people are reminded of the freeze next. It is counted while the time of the workflow stands still.
    pub(super) fn freeze_remind_ms(&self) -> Option<i64> {
        self.native.kept.called.and_then(|called| called.remind_ms)
    }

    /// Calls people once a workflow has come to rest frozen, and once more when something else has frozen it since.
    pub(super) fn call_about_freeze(&mut self) {
        if self.definition.native.as_ref().is_none_or(|native| native.on_freeze.is_empty()) {
            return;
        }
        let rests = self.status == Status::Paused && !self.native.kept.frozen.is_empty();
        match self.native.kept.called {
            None if rests => self.notify_of_freeze(),
            Some(_) if !rests => self.change_native(|native| native.called = None),
            _ => {}
        }
    }

    fn notify_of_freeze(&mut self) {
        let definition = Arc::clone(&self.definition);
        let Some(native) = &definition.native else { return };
        let CallOuts { notify, remind } = &native.on_freeze;
        let scope = self.scope_of_freeze();
        if let Some(notify) = notify {
            self.notice_freeze(notify, &scope);
        }
        let remind_ms = remind.as_ref().and_then(|(every, _)| self.next_reminder(every, &scope));
        self.change_native(|native| native.called = Some(Called { remind_ms }));
    }

    pub(super) fn remind_of_freeze(&mut self) {
        let definition = Arc::clone(&self.definition);
        let remind = definition.native.as_ref().and_then(|native| native.on_freeze.remind.as_ref());
        let remind_ms = remind.and_then(|(every, call)| {
            let scope = self.scope_of_freeze();
            self.notice_freeze(call, &scope);
            self.next_reminder(every, &scope)
        });
        self.change_native(|native| native.called = Some(Called { remind_ms }));
    }

    fn notice_freeze(&mut self, call: &Call, scope: &Scope) {
        match evaluate_call(call, scope) {
            Ok(ActionSpec { action, input, .. }) => {
                self.call_people(Notice { task: Arc::from(FREEZE), route: 0, action, input });
            }
            Err(message) => self.warn_of_freeze(format!("Nobody is called about the freeze: {message}")),
        }
    }

    fn next_reminder(&mut self, every: &Template, scope: &Scope) -> Option<i64> {
        match every_ms(every, scope) {
            Ok(ms) => self.now_ms.map(|now_ms| now_ms.saturating_add(ms)),
            Err(message) => {
                self.warn_of_freeze(format!("Nobody is reminded of the freeze: {message}"));
                None
            }
        }
    }

    /// The variables that were gathered, and as `frozen` what a person needs to decide with.
    fn scope_of_freeze(&self) -> Scope {
        let mut variables = Rolling::on(self.gathered());
        let frozen = self.frozen().map(|frozen| frozen.shown()).unwrap_or_default();
        variables.assign(&Arc::from("frozen"), Value::from(frozen));
        self.scope(Arc::new(variables), None)
    }
}

/// How long it is from one reminder to the next, in milliseconds.
pub(super) fn every_ms(every: &Template, scope: &Scope) -> Result<i64, String> {
    let every = every.evaluate(scope).map_err(|error| error.to_string())?;
    let ms = duration::ms_of(&every).map_err(|message| format!("ValueError: Reminders: {message}"))?;
    if ms < REMINDER_MS_MIN {
        return Err(format!(
            "LimitExceeded: Reminders come every {ms} ms, the limit REMINDER_MS_MIN is {REMINDER_MS_MIN}."
        ));
    }
    Ok(ms)
}
