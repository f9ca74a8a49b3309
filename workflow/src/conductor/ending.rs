//! The end of a native workflow: what is still open ends, what was done is undone, and `finally` runs.
//!
//! A workflow that has nothing to undo and no `finally` ends at once, as Orquesta's do. Else its status stays
//! `running`, or `canceling`, until all of that is done, and only then is what it has come to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ask::evaluate_call;
use super::context::Rolling;
use super::event::Event;
use super::log::LogEntry;
use super::offer::{ActionSpec, NextTask};
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::expression::{Map, Value};

/// How far the end has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// What the workflow comes to.
    pub(crate) status: Status,
    rolls_back: bool,
    phase: Phase,
    /// Whether what the phase offers has begun.
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// What runs ends, and what is to run though the workflow has failed runs.
    Draining,
    /// What has this number is undone.
    Undoing(u32),
    /// The entry of `finally` with this number runs.
    Finally(usize),
}

/// How much of what a workflow did was undone when it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// Of how many tasks and items.
    pub undone: usize,
    /// Of how many that was tried in vain; each is among the errors.
    pub failed: usize,
}

impl Conductor {
    /// How much was undone; none of a workflow that undid nothing.
    pub fn rolled_back(&self) -> Option<RolledBack> {
        self.native.kept.rolled_back
    }

    /// Whether the workflow has come to its end, though something may still run because of that.
    pub(super) fn has_ended(&self) -> bool {
        self.status.is_completed() || self.is_ending()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.native.kept.ending.is_some()
    }

    /// Whether the workflow ends, and nothing of its tasks is waited for any more.
    pub(crate) fn is_past_draining(&self) -> bool {
        self.native.kept.ending.as_ref().is_some_and(|ending| ending.phase != Phase::Draining)
    }

    /// Whether the workflow ends as one that has failed, with what is to run all the same.
    pub(super) fn ends_failed(&self) -> bool {
        match &self.native.kept.ending {
            Some(ending) => ending.status == Status::Failed && ending.phase == Phase::Draining,
            None => self.status == Status::Failed,
        }
    }

    /// The status that a workflow shows which comes to this one: its end may take a while.
    pub(super) fn status_on_the_way(&mut self, to: Status) -> Status {
        if let Some(ending) = &self.native.kept.ending {
            // The first end counts, but for a success that comes to nothing.
            if to.is_completed() && ending.status == Status::Succeeded && to != Status::Succeeded {
                let rolls_back = self.rolls_back(to);
                self.change_ending(|ending| {
                    ending.status = to;
                    ending.rolls_back = rolls_back;
                });
            }
            return self.status;
        }
        let ends = to.is_completed() && !self.status.is_completed() && self.status != Status::Unset;
        let Some(native) = self.definition.native.as_ref().filter(|_| ends) else { return to };
        let rolls_back = self.rolls_back(to);
        if native.finally.is_empty() && !(rolls_back && native.has_undo) {
            return to;
        }
        self.begin_ending(to, rolls_back)
    }

    fn begin_ending(&mut self, status: Status, rolls_back: bool) -> Status {
        let ending = Ending { status, rolls_back, phase: Phase::Draining, begun: false };
        self.change_native(|native| {
            native.ending = Some(ending);
            native.rolled_back = None;
        });
        // Items that have not begun will not, and nothing waits for them.
        self.tell_tasks(Status::Pausing);
        if status == Status::Canceled { Status::Canceling } else { Status::Running }
    }

    fn rolls_back(&self, to: Status) -> bool {
        let Some(native) = &self.definition.native else { return false };
        match to {
            Status::Succeeded => false,
            Status::Canceled => native.rollback.on_cancel,
            _ => native.rollback.on_fail,
        }
    }

    fn change_ending(&mut self, change: impl FnOnce(&mut Ending)) {
        self.change_native(|native| native.ending.as_mut().map(change));
    }

    /// Ends a frozen workflow by undoing what was done.
    pub(super) fn roll_back(&mut self) {
        self.thaw();
        self.stop_all();
        let shown = self.begin_ending(Status::Failed, true);
        self.come_to(shown);
    }

    /// Goes on to whatever of the end comes next.
    pub(super) fn advance_ending(&mut self) {
        while let Some(ending) = &self.native.kept.ending {
            match ending.phase {
                Phase::Draining if !self.is_drained() => return,
                Phase::Draining if ending.rolls_back => self.undo_next(),
                Phase::Draining => self.enter(Phase::Finally(0)),
                Phase::Undoing(_) => return,
                Phase::Finally(number) if number < self.finally_count() => return,
                Phase::Finally(_) => self.finish(),
            }
        }
    }

    fn is_drained(&self) -> bool {
        let remedies = self.ends_failed() && self.staging.open().any(|(_, staged)| staged.run_on_fail);
        !remedies && !self.is_active(false)
    }

    fn finally_count(&self) -> usize {
        self.definition.native.as_ref().map_or(0, |native| native.finally.len())
    }

    fn enter(&mut self, phase: Phase) {
        self.change_ending(|ending| {
            ending.phase = phase;
            ending.begun = false;
        });
    }

    /// Undoes what ended last of what has not been undone; what cannot be is told, and the one before follows.
    fn undo_next(&mut self) {
        while let Some((number, undo)) = self.native.undos.last_key_value() {
            let number = *number;
            let Some(message) = undo.mistake.clone() else { return self.enter(Phase::Undoing(number)) };
            self.undo_ended(number, Err((message, Value::Null)));
        }
        self.enter(Phase::Finally(0));
    }

    fn undo_ended(&mut self, number: u32, end: Result<(), (String, Value)>) {
        let Some(undo) = self.forget_undo(number) else { return };
        self.change_native(|native| {
            let told = native.rolled_back.get_or_insert_default();
            match end {
                Ok(()) => told.undone += 1,
                Err(_) => told.failed += 1,
            }
            if end.is_ok() && undo.item.is_none() {
                native.undone.insert((undo.task.clone(), undo.route));
            }
        });
        if let (Ok(()), Some(item)) = (&end, undo.item) {
            self.item_undone(&undo.task, undo.route, item);
        }
        if let Err((message, result)) = end {
            let message = format!("UndoFailed: What the task did is not undone: {message}");
            let result = (!result.is_null()).then_some(result);
            let (task_id, route) = (Some(undo.task), Some(undo.route));
            self.log_error(LogEntry { task_id, route, result, ..LogEntry::error(message) });
        }
    }

    /// An item that is undone has to run again, should its task: of one that failed its items are kept, any other runs again
    /// as a whole.
    fn item_undone(&mut self, task: &Arc<str>, route: u32, item: usize) {
        let staged = self.definition.task_index(task).and_then(|index| self.staging.find(index, route));
        match staged {
            Some(staged) => self.set_item(staged, item, Status::Unset),
            None => self.change_native(|native| {
                native.undone.insert((task.clone(), route));
            }),
        }
    }

    fn finally_ended(&mut self, number: usize, end: Result<(), (String, Value)>) {
        if let Err((message, result)) = end {
            let message = format!("FinallyFailed: The entry {number} of finally: {message}");
            let result = (!result.is_null()).then_some(result);
            self.log_error(LogEntry { result, ..LogEntry::error(message) });
            self.change_ending(|ending| {
                if ending.status == Status::Succeeded {
                    ending.status = Status::Failed;
                }
            });
        }
        self.enter(Phase::Finally(number + 1));
    }

    fn finish(&mut self) {
        if let Some(ending) = self.change_native(|native| native.ending.take()) {
            self.come_to(ending.status);
        }
    }

    /// The name under which what the phase offers is started, and hears of its events.
    fn ending_name(&self) -> Option<Arc<str>> {
        match self.native.kept.ending.as_ref()?.phase {
            Phase::Draining => None,
            Phase::Undoing(number) => Some(format!("undo/{number}/{}", self.native.undos.get(&number)?.task).into()),
            Phase::Finally(number) => {
                let finally = self.definition.native.as_ref()?.finally.get(number)?;
                Some(match &finally.task {
                    Some(task) => format!("finally/{number}/{task}").into(),
                    None => format!("finally/{number}").into(),
                })
            }
        }
    }

    /// What is to be started because the workflow ends; nothing while something else still runs.
    pub(super) fn next_of_ending(&mut self) -> Vec<NextTask> {
        loop {
            self.advance_ending();
            let Some(ending) = self.native.kept.ending.as_ref().filter(|ending| !ending.begun) else {
                return Vec::new();
            };
            let Some(id) = self.ending_name() else { return Vec::new() };
            let phase = ending.phase;
            match phase {
                Phase::Draining => return Vec::new(),
                Phase::Undoing(number) => {
                    let Some(undo) = self.native.undos.get(&number) else { return Vec::new() };
                    let action = ActionSpec { action: undo.action.clone(), input: undo.input.clone(), item: undo.item };
                    let view = Arc::clone(self.contexts.view(undo.context));
                    let mut task = NextTask::plain(id, undo.route, action, view);
                    task.undo = true;
                    return vec![task];
                }
                Phase::Finally(number) => match self.render_finally(number) {
                    Ok(action) => return vec![NextTask::plain(id, 0, action, self.terminal_variables())],
                    Err(message) => self.finally_ended(number, Err((message, Value::Null))),
                },
            }
        }
    }

    fn render_finally(&self, number: usize) -> Result<ActionSpec, String> {
        let definition = Arc::clone(&self.definition);
        let finally = definition.native.as_ref().and_then(|native| native.finally.get(number));
        let finally = finally.ok_or("there is no such entry")?;
        let mut rolling = Rolling::on(self.terminal_variables());
        rolling.assign(&Arc::from("workflow"), self.told_of_end());
        evaluate_call(&finally.call, &self.scope(Arc::new(rolling), None))
    }

    /// What `finally` sees of the workflow as `ctx().workflow`.
    fn told_of_end(&self) -> Value {
        let status = self.native.kept.ending.as_ref().map_or(self.status, |ending| ending.status);
        let errors: Vec<Value> = self.errors.iter().map(|error| Value::text(error.message.as_str())).collect();
        let told = self.native.kept.rolled_back.map(|told| {
            let count = |count| Value::from(i64::try_from(count).unwrap_or(i64::MAX));
            let entries = [("undone", count(told.undone)), ("failed", count(told.failed))];
            Value::Map(entries.into_iter().map(|(name, value)| (Arc::from(name), value)).collect())
        });
        let entries = [
            ("status", Value::text(status.name())),
            ("errors", Value::List(errors.into_iter().collect())),
            ("rolled_back", told.unwrap_or_default()),
        ];
        Value::Map(entries.into_iter().map(|(name, value)| (Arc::from(name), value)).collect::<Map>())
    }

    /// Takes an event of what runs because the workflow ends; none if that is not what the event is of.
    pub(super) fn update_ending(&mut self, task: &str, event: &Event) -> Option<Result<Status, ConductorError>> {
        if !task.contains('/') {
            return None;
        }
        let (Event::Action { status, result } | Event::Item { status, result, .. }) = event;
        if self.ending_name().as_deref() != Some(task) {
            return Some(Err(ConductorError::NotStaged(task.into())));
        }
        let ending = self.native.kept.ending.as_ref()?;
        if !ending.begun && !status.is_starting() {
            return Some(Err(ConductorError::NotBegun { task: task.into(), status: *status }));
        }
        let phase = ending.phase;
        if !status.is_completed() {
            self.change_ending(|ending| ending.begun = true);
            return Some(Ok(*status));
        }
        let message = || format!("it ended as {status}.");
        let end = if *status == Status::Succeeded { Ok(()) } else { Err((message(), result.clone())) };
        match phase {
            Phase::Draining => {}
            Phase::Undoing(number) => {
                self.undo_ended(number, end);
                self.undo_next();
            }
            Phase::Finally(number) => self.finally_ended(number, end),
        }
        self.advance_ending();
        Some(Ok(*status))
    }
}
