//! The conductor: from a workflow's definition, its state and an event to its next state and the tasks to start.
//!
//! Its semantics are those of Orquesta. There is no clock, no I/O and nothing random in it: the same calls lead to the
//! same state. What a call costs follows what it changes, not how many tasks the workflow has.
//!
//! Reading order: `status` and `machine` (which status follows which), `event` (what happens when a task or an item
//! changes), `complete` (what comes behind a task), `request` (what somebody asks of the workflow), `offer` and `render`
//! (what is to be started), `host` (what whoever drives it asks besides), `rerun`, `output`; of native workflows `due`
//! (what happens when time passes), `freeze` (what waits for a decision), `ask` (what waits for an answer), `notice` and
//! `cut` (what calls people), `undo` and `ending`; and of the state `runs`, `staged`, `items`, `context`, `log`, `native`, `pieces`.

mod ask;
mod change;
mod complete;
mod context;
mod cut;
mod due;
mod ending;
mod error;
mod event;
mod freeze;
mod host;
mod items;
mod latest;
mod led;
mod log;
pub mod machine;
mod moves;
mod native;
mod notice;
mod offer;
mod output;
mod pieces;
mod render;
mod request;
mod rerun;
mod runs;
mod staged;
mod status;
mod undo;

use std::collections::BTreeSet;
use std::sync::Arc;

use context::Contexts;
use log::Log;
use native::Native;
use pieces::Piece;
use runs::Runs;
use staged::Staging;

use crate::definition::Definition;
use crate::expression::{CurrentTask, Map, Scope, Tasks, Value, Variables};
use crate::limits::Limits;

pub use ask::Ask;
pub(crate) use complete::json_bytes;
pub use ending::RolledBack;
pub use error::ConductorError;
pub use event::Event;
pub use freeze::{Decision, Frozen, FrozenItems, FrozenTask};
pub use log::{Level, LogEntry};
pub use moves::Moved;
pub use notice::Notice;
pub use offer::{ActionSpec, NextTask};
pub use pieces::{Change, RestoreError};
pub use rerun::Rerun;
pub use status::Status;

/// What a workflow is started with.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Values of its parameters. Those that it has no parameter for are ignored. They are data, never evaluated.
    pub inputs: Map,
    /// Variables that whoever starts it brings along.
    pub context: Map,
    /// How many workflows have started each other above it.
    pub depth: u32,
    /// The time for expressions that ask for it, in milliseconds since 1970; none refuses them.
    pub now_ms: Option<i64>,
}

/// A workflow that runs.
pub struct Conductor {
    definition: Arc<Definition>,
    limits: Limits,
    now_ms: Option<i64>,
    status: Status,
    output: Option<Value>,
    published_bytes: usize,
    errors: Log,
    log: Log,
    contexts: Contexts,
    runs: Arc<Runs>,
    staging: Staging,
    native: Native,
    changed: BTreeSet<Piece>,
    /// Runs whose status has changed, where somebody wants to know.
    moves: Option<Vec<Moved>>,
}

/// How a task's run stands, for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRun {
    /// The task's name.
    pub task: Arc<str>,
    /// Its route's number.
    pub route: u32,
    /// Its status.
    pub status: Status,
    /// Whether nothing comes behind it.
    pub terminal: bool,
}

impl Conductor {
    /// A workflow that begins. A mistake in its parameters or variables makes it one that has failed.
    ///
    /// # Errors
    /// One that is started too deep.
    pub fn start(definition: Arc<Definition>, limits: Limits, start: Start) -> Result<Conductor, ConductorError> {
        if start.depth > limits.subworkflow_depth_max {
            return Err(ConductorError::TooDeep { depth: start.depth, limit: limits.subworkflow_depth_max });
        }
        let mut conductor = Conductor::blank(definition, limits);
        conductor.now_ms = start.now_ms;
        conductor.workflow_changed();
        conductor.begin(&start.inputs, start.context);
        Ok(conductor)
    }

    fn blank(definition: Arc<Definition>, limits: Limits) -> Conductor {
        Conductor {
            runs: Arc::new(Runs::new(Arc::clone(&definition))),
            definition,
            limits,
            now_ms: None,
            status: Status::Unset,
            output: None,
            published_bytes: 0,
            errors: Log::default(),
            log: Log::default(),
            contexts: Contexts::default(),
            staging: Staging::default(),
            native: Native::default(),
            changed: BTreeSet::new(),
            moves: None,
        }
    }

    /// Sets the time for the calls that follow, in milliseconds since 1970.
    pub fn set_now(&mut self, now_ms: Option<i64>) {
        self.now_ms = now_ms;
    }

    /// What it runs.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The workflow's status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The workflow's output, once it has been rendered and is not empty.
    pub fn output(&self) -> Option<&Value> {
        self.output.as_ref()
    }

    /// What went wrong, in order.
    pub fn errors(&self) -> impl Iterator<Item = &LogEntry> {
        self.errors.iter()
    }

    /// What the host has told, in order.
    pub fn log(&self) -> impl Iterator<Item = &LogEntry> {
        self.log.iter()
    }

    /// Every run of every task, in the order in which they began, commands included.
    pub fn task_runs(&self) -> impl Iterator<Item = TaskRun> {
        self.runs.iter().map(|(_, run)| TaskRun {
            task: self.definition.task(run.task).name.clone(),
            route: run.route,
            status: run.status,
            terminal: run.terminal,
        })
    }

    /// How many runs of tasks there are.
    pub fn task_run_count(&self) -> usize {
        self.runs.len()
    }

    /// The status of a task's latest run in a route; none if it never began there.
    pub fn task_status(&self, task: &str, route: u32) -> Option<Status> {
        let run = self.runs.latest(self.definition.task_index(task)?, route)?;
        Some(self.runs.get(run).status)
    }

    /// When a task's latest run in a route is over its time, in milliseconds since 1970; none if it has no such time.
    pub fn task_due_ms(&self, task: &str, route: u32) -> Option<i64> {
        let run = self.runs.latest(self.definition.task_index(task)?, route)?;
        self.runs.get(run).due_ms
    }

    /// The routes, each as the steps `<source>__t<key>` that it is made of; the first one has none.
    pub fn routes(&self) -> &[Vec<String>] {
        self.runs.routes()
    }

    /// Adds an entry to the workflow's log, or to its errors; one that is there already is not added again.
    pub fn add_log_entry(&mut self, entry: LogEntry) {
        if entry.level == Level::Error {
            return self.log_error(entry);
        }
        let entry = self.with_room(entry);
        if let Some(number) = self.log.add(entry) {
            self.changed.insert(Piece::Log(number));
        }
    }

    fn log_error(&mut self, entry: LogEntry) {
        let entry = self.with_room(entry);
        if let Some(number) = self.errors.add(entry) {
            self.changed.insert(Piece::Error(number));
        }
    }

    /// An entry as it is kept: where there is no room for its result, without that.
    fn with_room(&self, entry: LogEntry) -> LogEntry {
        let bytes = entry.result.as_ref().map_or(0, json_bytes);
        let limit = self.limits.errors_bytes_max;
        if self.errors.result_bytes() + self.log.result_bytes() + bytes <= limit {
            return entry;
        }
        let message = format!(
            "{} LimitExceeded: The result has {bytes} bytes and is left out, with those of the errors and warnings before it \
             the limit ERRORS_BYTES_MAX is {limit}.",
            entry.message
        );
        LogEntry { message, result: None, ..entry }
    }

    fn scope(&self, variables: Arc<dyn Variables>, task: Option<CurrentTask>) -> Scope {
        let tasks = Arc::clone(&self.runs) as Arc<dyn Tasks>;
        Scope { variables, tasks, task, item: None, now_ms: self.now_ms }
    }
}

#[cfg(test)]
mod tests;
