//! The state in pieces, so that whoever keeps it writes what has changed and nothing else.
//!
//! A piece is a short key and a JSON text. There is one for the workflow as a whole, one for the native keys of one that
//! uses them, one for each run of a task, each context, route, entry of a log, staged task and what undoes something, one
//! for each 256 items of a staged task, and of what led to a staged task, where that is more than eight runs, one for
//! each eight.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::context::Origin;
use super::items::{ITEMS_IN_CHUNK, Items, letters, statuses};
use super::log::LogEntry;
use super::runs::{RetryState, Run, RunId};
use super::staged::{Staged, StagedId};
use super::status::Status;
use super::{Conductor, context::ContextId};
use crate::definition::Definition;
use crate::expression::Value;
use crate::limits::Limits;

/// A part of the state, in the order in which parts are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    Workflow,
    Native,
    Error(u32),
    Log(u32),
    Context(ContextId),
    Route(u32),
    Run(RunId),
    Staged(StagedId),
    Led(StagedId, u32),
    Items(StagedId, u32),
    Undo(u32),
}

/// A piece that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its key: `workflow`, `run/12`, `items/3/0`. At most 32 characters.
    pub key: String,
    /// What it is now, as JSON; none if it is gone.
    pub value: Option<String>,
}

/// Pieces that make no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A key that no piece has.
    #[error("{0} is no piece of a workflow's state")]
    Key(String),
    /// A piece that cannot be read.
    #[error("the piece {key} of a workflow's state cannot be read: {message}")]
    Value {
        /// Its key.
        key: String,
        /// Why.
        message: String,
    },
    /// A piece that others need is not there.
    #[error("the piece {0} of a workflow's state is missing")]
    Missing(String),
    /// A task that the definition does not have: it is not the one that the workflow began with.
    #[error("the workflow has no task {0}: it was begun with another definition")]
    Task(String),
}

#[derive(Serialize, Deserialize)]
struct WorkflowPiece {
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    published_bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct RunPiece<'run> {
    task: Arc<str>,
    route: u32,
    context: ContextId,
    before: Cow<'run, [(Arc<str>, RunId)]>,
    next: Cow<'run, [Option<bool>]>,
    status: Status,
    /// Count, delay, tally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<(i64, i64, i64)>,
    terminal: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remind_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stopped: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    took_too_long: bool,
    #[serde(default)]
    changes: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    taken_back: bool,
}

#[derive(Serialize, Deserialize)]
struct StagedPiece {
    task: Arc<str>,
    route: u32,
    context: ContextId,
    /// The runs that led to it, if they are few.
    before: Vec<(Arc<str>, RunId)>,
    /// How many led to it, if they are many and in pieces of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    led_by: Option<usize>,
    ready: bool,
    completed: bool,
    run_on_fail: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_delay: Option<i64>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    input: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    items: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failures_max: Option<usize>,
}

/// What staged tasks have in pieces of their own, as far as those have been read.
#[derive(Default)]
struct Parts {
    items: HashMap<StagedId, ItemsPieces>,
    /// How many runs led to those that very many led to.
    led_by: HashMap<StagedId, usize>,
}

/// The items of a staged task.
struct ItemsPieces {
    count: usize,
    failures_max: Option<usize>,
    statuses: Vec<Status>,
}

impl Piece {
    fn key(self) -> String {
        match self {
            Piece::Workflow => "workflow".to_owned(),
            Piece::Native => "native".to_owned(),
            Piece::Error(number) => format!("error/{number}"),
            Piece::Log(number) => format!("log/{number}"),
            Piece::Context(number) => format!("context/{number}"),
            Piece::Route(number) => format!("route/{number}"),
            Piece::Run(number) => format!("run/{number}"),
            Piece::Staged(number) => format!("staged/{number}"),
            Piece::Led(number, chunk) => format!("led/{number}/{chunk}"),
            Piece::Items(number, chunk) => format!("items/{number}/{chunk}"),
            Piece::Undo(number) => format!("undo/{number}"),
        }
    }

    fn of(key: &str) -> Option<Piece> {
        let mut parts = key.split('/');
        let kind = parts.next()?;
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
        let piece = match kind {
            "workflow" => Piece::Workflow,
            "native" => Piece::Native,
            "error" => Piece::Error(number()?),
            "log" => Piece::Log(number()?),
            "context" => Piece::Context(number()?),
            "route" => Piece::Route(number()?),
            "run" => Piece::Run(number()?),
            "staged" => Piece::Staged(number()?),
            "led" => Piece::Led(number()?, number()?),
            "items" => Piece::Items(number()?, number()?),
            "undo" => Piece::Undo(number()?),
            _ => return None,
        };
        parts.next().is_none().then_some(piece)
    }
}

fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl Conductor {
    /// What has changed since this was asked last, in the order of the pieces. What came and went meanwhile is not told.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let new = self.staging.take_new();
        let was_never = |piece: &Piece| match piece {
            Piece::Staged(id) | Piece::Led(id, _) | Piece::Items(id, _) => {
                new.binary_search(id).is_ok() && self.staging.get(*id).is_none()
            }
            _ => false,
        };
        let stored = changed.into_iter().filter(|piece| !was_never(piece));
        stored.map(|piece| Change { key: piece.key(), value: self.piece(piece) }).collect()
    }

    fn piece(&self, piece: Piece) -> Option<String> {
        match piece {
            Piece::Workflow => {
                let (output, published_bytes) = (self.output.clone(), self.published_bytes);
                json(&WorkflowPiece { status: self.status, output, published_bytes })
            }
            Piece::Native => json(&self.native.kept),
            Piece::Error(number) => self.errors.get(number).and_then(json),
            Piece::Log(number) => self.log.get(number).and_then(json),
            Piece::Context(number) => self.contexts.origin(number).and_then(json),
            Piece::Route(number) => self.runs.routes().get(number as usize).and_then(json),
            Piece::Run(number) => json(&self.run_piece(self.runs.get(number))),
            Piece::Staged(number) => self.staging.get(number).and_then(|staged| json(&self.staged_piece(staged))),
            Piece::Led(number, chunk) => {
                let led = &self.staging.get(number)?.before;
                let led = led.are_many().then(|| led.chunk(chunk as usize)).filter(|led| !led.is_empty());
                led.as_ref().and_then(json)
            }
            Piece::Items(number, chunk) => {
                let items = self.staging.get(number)?.items.as_ref()?;
                json(&letters(items.statuses().chunks(ITEMS_IN_CHUNK).nth(chunk as usize)?))
            }
            Piece::Undo(number) => self.native.undos.get(&number).and_then(json),
        }
    }

    fn run_piece<'run>(&self, run: &'run Run) -> RunPiece<'run> {
        RunPiece {
            task: self.definition.task(run.task).name.clone(),
            route: run.route,
            context: run.context,
            before: Cow::Borrowed(run.before.as_slice()),
            next: Cow::Borrowed(run.next.as_slice()),
            status: run.status,
            retry: run.retry.map(|retry| (retry.count, retry.delay, retry.tally)),
            terminal: run.terminal,
            due_ms: run.due_ms,
            remind_ms: run.remind_ms,
            stopped: run.stopped,
            took_too_long: run.took_too_long,
            changes: run.changes,
            taken_back: run.taken_back,
        }
    }

    fn staged_piece(&self, staged: &Staged) -> StagedPiece {
        StagedPiece {
            task: self.definition.task(staged.task).name.clone(),
            route: staged.route,
            context: staged.context,
            before: if staged.before.are_many() { Vec::new() } else { staged.before.as_slice().to_vec() },
            led_by: staged.before.are_many().then_some(staged.before.len()),
            ready: staged.ready,
            completed: staged.completed,
            run_on_fail: staged.run_on_fail,
            retry_delay: staged.retry_delay,
            input: staged.input.clone(),
            items: staged.items.as_ref().map(Items::len),
            failures_max: staged.items.as_ref().and_then(Items::failures_max),
        }
    }

    /// A workflow as its pieces tell it, in any order; those that are gone left out.
    ///
    /// # Errors
    /// Pieces that cannot be read, that are missing, or that are of another definition.
    pub fn restore<'piece>(
        definition: Arc<Definition>,
        limits: Limits,
        pieces: impl IntoIterator<Item = (&'piece str, &'piece str)>,
    ) -> Result<Conductor, RestoreError> {
        let mut sorted: BTreeMap<Piece, &str> = BTreeMap::new();
        for (key, value) in pieces {
            sorted.insert(Piece::of(key).ok_or_else(|| RestoreError::Key(key.to_owned()))?, value);
        }
        if !sorted.contains_key(&Piece::Workflow) {
            return Err(RestoreError::Missing(Piece::Workflow.key()));
        }
        let mut conductor = Conductor::blank(definition, limits);
        let mut parts = Parts::default();
        for (piece, text) in sorted {
            conductor.restore_piece(piece, text, &mut parts)?;
        }
        for (id, led_by) in parts.led_by {
            if conductor.staging.get(id).is_none_or(|staged| staged.before.len() != led_by) {
                return Err(RestoreError::Missing(Piece::Led(id, 0).key()));
            }
        }
        for (id, ItemsPieces { count, failures_max, statuses }) in parts.items {
            if statuses.len() != count {
                return Err(RestoreError::Missing(Piece::Items(id, 0).key()));
            }
            conductor.staging.change(id, |staged| staged.items = Some(Items::of(statuses).tolerating(failures_max)));
        }
        Ok(conductor)
    }

    fn restore_piece(&mut self, piece: Piece, text: &str, parts: &mut Parts) -> Result<(), RestoreError> {
        fn read<'text, T: Deserialize<'text>>(piece: Piece, text: &'text str) -> Result<T, RestoreError> {
            let unreadable = |e: serde_json::Error| RestoreError::Value { key: piece.key(), message: e.to_string() };
            serde_json::from_str(text).map_err(unreadable)
        }
        match piece {
            Piece::Workflow => {
                let workflow: WorkflowPiece = read(piece, text)?;
                self.status = workflow.status;
                self.output = workflow.output;
                self.published_bytes = workflow.published_bytes;
            }
            Piece::Native => self.native.kept = read(piece, text)?,
            Piece::Error(number) => self.errors.restore(number, read::<LogEntry>(piece, text)?),
            Piece::Log(number) => self.log.restore(number, read::<LogEntry>(piece, text)?),
            Piece::Context(number) => {
                expect_next(Piece::Context, number, self.contexts.len())?;
                self.contexts.restore(read::<Origin>(piece, text)?);
            }
            Piece::Route(number) => {
                expect_next(Piece::Route, number, self.runs.routes().len())?;
                self.runs_mut().push_route(read(piece, text)?);
            }
            Piece::Run(number) => {
                expect_next(Piece::Run, number, self.runs.len())?;
                let run = self.run_of(read(piece, text)?)?;
                self.native.due.extend(run.due_ms.map(|due_ms| (due_ms, number)));
                self.native.reminders.extend(run.remind_ms.map(|remind_ms| (remind_ms, number)));
                self.runs_mut().push(run);
            }
            Piece::Staged(number) => {
                let staged: StagedPiece = read(piece, text)?;
                if let Some(count) = staged.items {
                    let (failures_max, statuses) = (staged.failures_max, Vec::new());
                    parts.items.insert(number, ItemsPieces { count, failures_max, statuses });
                }
                parts.led_by.extend(staged.led_by.map(|led_by| (number, led_by)));
                if staged.led_by.is_some() && !staged.before.is_empty() {
                    // Of many, the first ones were stored here once.
                    self.changed.extend([Piece::Staged(number), Piece::Led(number, 0)]);
                }
                let staged = self.staged_of(staged)?;
                self.staging.restore(number, staged);
            }
            Piece::Led(number, _) => {
                let more: Vec<(Arc<str>, RunId)> = read(piece, text)?;
                let known = self.staging.change(number, |staged| staged.before.extend(more));
                known.ok_or_else(|| RestoreError::Missing(Piece::Staged(number).key()))?;
            }
            Piece::Items(number, _) => {
                let Some(items) = parts.items.get_mut(&number) else {
                    return Err(RestoreError::Missing(Piece::Staged(number).key()));
                };
                let text: String = read(piece, text)?;
                let unknown = || RestoreError::Value { key: piece.key(), message: format!("no statuses: {text}") };
                items.statuses.extend(statuses(&text).ok_or_else(unknown)?);
            }
            Piece::Undo(number) => {
                self.native.undos.insert(number, read(piece, text)?);
            }
        }
        Ok(())
    }

    fn run_of(&self, piece: RunPiece<'_>) -> Result<Run, RestoreError> {
        let index = self.definition.task_index(&piece.task);
        let task = index.ok_or_else(|| RestoreError::Task(piece.task.to_string()))?;
        if piece.next.len() != self.definition.task(task).next.len() {
            return Err(RestoreError::Task(piece.task.to_string()));
        }
        Ok(Run {
            task,
            route: piece.route,
            context: piece.context,
            before: piece.before.into_owned(),
            next: piece.next.into_owned(),
            status: piece.status,
            retry: piece.retry.map(|(count, delay, tally)| RetryState { count, delay, tally }),
            terminal: piece.terminal,
            due_ms: piece.due_ms,
            remind_ms: piece.remind_ms,
            stopped: piece.stopped,
            took_too_long: piece.took_too_long,
            changes: piece.changes,
            taken_back: piece.taken_back,
        })
    }

    fn staged_of(&self, piece: StagedPiece) -> Result<Staged, RestoreError> {
        let index = self.definition.task_index(&piece.task);
        let task = index.ok_or_else(|| RestoreError::Task(piece.task.to_string()))?;
        Ok(Staged {
            ready: piece.ready,
            completed: piece.completed,
            run_on_fail: piece.run_on_fail,
            retry_delay: piece.retry_delay,
            input: piece.input,
            ..Staged::new(task, piece.route, piece.context, piece.before)
        })
    }
}

/// Pieces that are counted through have no gaps.
fn expect_next(piece: fn(u32) -> Piece, number: u32, next: usize) -> Result<(), RestoreError> {
    let expected = u32::try_from(next).unwrap_or(u32::MAX);
    if number == expected { Ok(()) } else { Err(RestoreError::Missing(piece(expected).key())) }
}
