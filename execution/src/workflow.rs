//! What an owner needs of workflows: an action that no worker runs, because its owner conducts it.
//!
//! The workflow of an action ([`Workflow`]) is begun, or restored from what was stored of it; what runs ([`Conduct`]) is
//! told how its children end and what people want, and answers with the children to start, how it stands, and which of
//! its pieces have changed. Neither has a clock or does I/O: the time of a step is told.

mod answer;
mod asked;
mod inquiry;
mod shown;

use std::fmt;
use std::sync::Arc;

use petrel_schemas::ExecutionId;
use serde_json::{Map, Value};

use crate::execution::Known;
use crate::status::Status;
use crate::subject::Note;
pub use answer::{AnswerSchema, normal_schema};
pub use asked::{Asked, Decision, RerunTask};
pub use inquiry::{Inquirer, UNTIL_KEY, answer_schema};
pub use shown::shown_frozen;
pub(crate) use shown::shown_result;

/// The workflow of an action of a revision.
pub trait Workflow: fmt::Debug + Send + Sync {
    /// Begins one.
    ///
    /// # Errors
    /// Why it cannot begin: it is too deep, say.
    fn begin(&self, begin: Begin<'_>) -> Result<Box<dyn Conduct>, Note>;

    /// One as its pieces tell it, in any order.
    ///
    /// # Errors
    /// Why the pieces make none, for people.
    fn restore(&self, pieces: &[Piece]) -> Result<Box<dyn Conduct>, String>;
}

/// What a workflow is begun with.
#[derive(Debug, Clone, Copy)]
pub struct Begin<'b> {
    /// Its parameters, defaults filled in.
    pub parameters: &'b Map<String, Value>,
    /// What its expressions may ask about the execution, by name.
    pub about: &'b Map<String, Value>,
    /// How many workflows stand above it.
    pub depth: u32,
    /// The time, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// Prefix of the keys of pieces that an owner writes beside those of the workflow: what that is told later.
pub const KEPT_PREFIX: &str = "owner/";

/// A part of what is stored of a workflow that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its key: letters, digits, `_` and `/`, at most 40 bytes.
    pub key: String,
    /// JSON.
    pub value: String,
}

/// A piece that has changed; without a value, it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its key, as in [`Piece`].
    pub key: String,
    /// What it is now.
    pub value: Option<String>,
}

/// A child to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Its number, which no other child of the execution ever has.
    pub number: u32,
    /// What it runs for, for people: a task, and of one with items which: `evacuate[3]`.
    pub task: String,
    /// Reference of its action.
    pub action: String,
    /// Its parameters, a JSON object.
    pub parameters: Value,
    /// Names of those that stand in the workflow's text as they are, as far as they read like the name of a secret.
    pub constants: Vec<String>,
    /// How long it waits before it starts, in milliseconds.
    pub delay_ms: Option<i64>,
    /// Of a question, until when an answer is waited for, in milliseconds since the epoch, so that people can be told: it is
    /// withdrawn then. Time that its workflow rests puts that off.
    pub until_ms: Option<i64>,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildEnd {
    /// A final status.
    pub status: Status,
    /// What it resulted in, as expressions see it.
    pub result: Value,
}

/// How a workflow stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It goes on.
    Running,
    /// Somebody wants it to rest, or it wants to itself, and something still runs.
    Pausing,
    /// It rests.
    Paused,
    /// It waits for answers alone.
    Pending,
    /// It is to end, and something still runs.
    Canceling,
    /// It is over. Children may still run; how they end changes nothing of this.
    Over {
        /// A final status.
        status: Status,
        /// Why, where it did not succeed.
        note: Note,
        /// What it results in: `output`, and `errors` where there are any.
        result: Value,
    },
}

/// The workflows of an owner's partition, as of a step.
pub trait Workflows {
    /// What runs for an execution, if it is at hand; it is not any more.
    fn take(&self, id: &ExecutionId) -> Option<Box<dyn Conduct>>;

    /// Keeps it at hand. What is kept in a step that is undone is forgotten.
    fn keep(&self, id: &ExecutionId, conduct: Box<dyn Conduct>);

    /// What is stored of it, those pieces included that its owner wrote beside it.
    ///
    /// # Errors
    /// Something of it is missing or cannot be read, for people.
    fn pieces(&self, id: &ExecutionId) -> Result<Vec<Piece>, String>;

    /// What is known of an execution of the same family.
    fn known(&self, id: &ExecutionId) -> Option<Known>;

    /// Children of an execution that have not ended, with their statuses, as what is stored tells them.
    fn children(&self, id: &ExecutionId) -> Vec<(ExecutionId, Status)>;

    /// How many children may still start in this step.
    fn starts_left(&self) -> usize;

    /// So many children start in this step.
    fn started(&self, count: usize);
}

/// For who knows of no workflows.
#[derive(Debug, Clone, Copy)]
pub struct NoWorkflows;

impl Workflows for NoWorkflows {
    fn take(&self, _: &ExecutionId) -> Option<Box<dyn Conduct>> {
        None
    }

    fn keep(&self, _: &ExecutionId, _: Box<dyn Conduct>) {}

    fn pieces(&self, _: &ExecutionId) -> Result<Vec<Piece>, String> {
        Ok(Vec::new())
    }

    fn known(&self, _: &ExecutionId) -> Option<Known> {
        None
    }

    fn children(&self, _: &ExecutionId) -> Vec<(ExecutionId, Status)> {
        Vec::new()
    }

    fn starts_left(&self) -> usize {
        0
    }

    fn started(&self, _: usize) {}
}

/// A task of a workflow that has come to another status, as the audit trail has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name.
    pub task: Arc<str>,
    /// Its route's number.
    pub route: u32,
    /// Which of all runs of tasks it is, from 0.
    pub run: u32,
    /// How many changes of this run came before.
    pub change: u32,
    /// What it has come to.
    pub status: &'static str,
}

/// A workflow that runs.
pub trait Conduct: Send {
    /// The time of the calls that follow, in milliseconds since the epoch.
    fn set_now(&mut self, now_ms: i64);

    /// The next children to start, at most so many; each is told once.
    fn starts(&mut self, most: usize) -> Vec<Start>;

    /// Whether it has more to start, or to end, than it was allowed to.
    fn has_more(&self) -> bool;

    /// A child has ended.
    ///
    /// # Errors
    /// Nobody waits for a child of that number.
    fn child_ended(&mut self, number: u32, end: ChildEnd) -> Result<(), String>;

    /// A child that has not ended rests, as a workflow that is paused or a question does, or goes on again. One of which
    /// all open children rest rests itself, once somebody wants it to.
    fn child_rests(&mut self, number: u32, rests: bool) {
        let _ = (number, rests);
    }

    /// Somebody asks something of it.
    ///
    /// # Errors
    /// Why that cannot be, for people; nothing has changed, but that a cancel ends what still runs ([`Conduct::next_to_end`]).
    fn ask(&mut self, asked: &Asked) -> Result<(), String>;

    /// Numbers of children that are to be ended, each told once.
    fn take_stops(&mut self) -> Vec<u32>;

    /// Numbers of the next children that are to end because the workflow is to end, at most so many, each told once. What
    /// runs whatever the end is is not among them.
    fn next_to_end(&mut self, most: usize) -> Vec<u32>;

    /// Numbers of the children that have not ended.
    fn open(&self) -> Vec<u32>;

    /// When it wants to be asked next whatever happens, in milliseconds since the epoch.
    fn due_ms(&self) -> Option<i64>;

    /// That time has come, or another: what is due happens.
    fn time_passed(&mut self);

    /// How it stands.
    fn standing(&self) -> Standing;

    /// Of one that is frozen, what a person needs to decide with, a JSON object: `tasks` that failed (`task`, `route`,
    /// `status`, and `items` with the numbers of those that are `done`, `failed` and `not_begun`), what is `open`, the
    /// `variables` that were gathered, the `errors`, and `warnings` where nobody could be called or be told all.
    fn frozen(&self) -> Option<Value>;

    /// About how many bytes it has gathered: what it takes to have it at hand, as far as it has no other limit.
    fn gathered_bytes(&self) -> usize {
        0
    }

    /// Which tasks have come to other statuses since this was asked last, in order. What has no tasks tells of none.
    fn take_moves(&mut self) -> Vec<Moved> {
        Vec::new()
    }

    /// What has changed since this was asked last.
    fn take_changes(&mut self) -> Vec<Changed>;
}
