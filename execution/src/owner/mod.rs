//! What an owner decides: pure functions from what it knows of an execution, a message or a timer, and the
//! facts of the step, to effects. The stage around it only loads, asks, and writes.
//!
//! `message` (what it is told), `effect` (what it wants done), `request`, `dispatch`, `report`, `cancel`, `loss`,
//! `again`, `closed` (switches and windows), `deadline`, `gates`, `silence` (timers); of workflows `conduct` (what they
//! start), `moves` (what happens to them), `kept` (what they are told later), `steer` (what they come to), `rest` (the
//! permits of one that rests), `rerun`, `stop` (decisions by occasion); `waiting` (the index of what waits), `row` (what
//! the audit trail says of it).

mod again;
mod cancel;
mod closed;
mod conduct;
mod deadline;
mod dispatch;
mod effect;
mod enter;
mod gates;
mod kept;
mod large;
mod loss;
mod message;
mod moves;
mod report;
mod request;
mod rerun;
mod rest;
mod row;
mod silence;
mod steer;
mod stop;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::gate::{InForce, Numbers};
use crate::plan::{Actions, Labels};
use crate::workflow::Workflows;

pub use effect::{Counted, Effect};
pub use gates::GATE_ORDER_MS_MAX;
pub use message::{About, DeclineReason, Message, MessageError, Report};
pub use row::changed;
pub use waiting::{WAITING, Waiting, is_waiting_key, next_revision, next_switch};

/// The settings of owners.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Pools that have topics.
    pub pools: Vec<Arc<str>>,
    /// Labels of those pools that have any.
    pub pool_labels: BTreeMap<String, Labels>,
    /// Partitions of each pool's task topic.
    pub task_partitions: u32,
    /// Length of a lease, in milliseconds: a worker that is silent for longer has lost its task.
    pub lease_ms: i64,
    /// How long the id of a finished execution is remembered against duplicates, in milliseconds.
    pub request_dedup_ms: i64,
    /// Lost leases of one execution after which it is abandoned. Hand-overs and declines do not count.
    pub lost_leases_max: i32,
    /// How long a task may wait for a worker before its execution ends, in milliseconds.
    pub schedule_to_start_ms: i64,
    /// How long an execution is offered to workers that are all too small for it before it ends, in milliseconds: a larger
    /// one may be starting again.
    pub no_room_ms: i64,
    /// How long a task that a worker declined for another reason than being full stays with its owner, in
    /// milliseconds.
    pub decline_pause_ms: i64,
    /// How long an execution waits for its next attempt after several that were given back before they began, one after
    /// the other, in milliseconds; twice as long after each further one.
    pub not_begun_pause_ms: i64,
    /// The longest of these waits, in milliseconds.
    pub not_begun_pause_ms_max: i64,
    /// How long what is stored of a workflow that has ended is kept, so that it can be run again, in milliseconds.
    pub rerun_within_ms: i64,
    /// How long a workflow waits for answers before it gives its permits back, in milliseconds.
    pub frozen_after_ms: i64,
    /// Largest parameters of an execution, defaults filled in, in bytes.
    pub parameters_bytes_max: usize,
}

/// A worker in the owner's own process that has room for an action: it may start there as soon as the step has
/// committed, without a task that goes over the log and comes back as a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside<'f> {
    /// Instance id of the worker.
    pub worker: &'f str,
    /// Its pool.
    pub pool: &'f str,
}

/// What a decision is made from beside the execution itself.
#[derive(Clone, Copy)]
pub struct Facts<'f> {
    /// Time of the step, in milliseconds since the epoch.
    pub now_ms: i64,
    /// The settings.
    pub limits: &'f Limits,
    /// The catalog, and whether dispatch is paused.
    pub actions: &'f dyn Actions,
    /// A worker that could start one action at once.
    pub beside: Option<Beside<'f>>,
    /// As whom it talks to gates.
    pub gates: &'f dyn Sender,
    /// The workflows of its partition.
    pub workflows: &'f dyn Workflows,
}

/// What an owner needs to talk to gates. It is asked only where an execution has gates to pass.
pub trait Sender {
    /// Number of the owner's partition.
    fn partition(&self) -> u32;
    /// Its numbering, as [`Effect::ToGate`] and [`Effect::Number`] have left it, or a new one.
    fn numbers(&self) -> Numbers;
    /// The revision in force, as the owner's process knows it.
    fn in_force(&self) -> InForce;
}

/// Decides, and collects the effects in the order in which they are to be written.
pub struct Owner<'f> {
    facts: Facts<'f>,
    effects: Vec<Effect>,
    /// The numbering of what it tells gates, once it has told something.
    numbers: Option<Numbers>,
    /// Who has asked what, where the audit trail tells it.
    asked_by: Option<String>,
    /// What is kept of a workflow in this decision, which is not stored yet.
    kept: Vec<kept::Kept>,
}

impl<'f> Owner<'f> {
    /// An owner that has decided nothing yet.
    pub fn new(facts: Facts<'f>) -> Self {
        Self { facts, effects: Vec::new(), numbers: None, asked_by: None, kept: Vec::new() }
    }

    /// What it wants done.
    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    fn now_ms(&self) -> i64 {
        self.facts.now_ms
    }

    fn limits(&self) -> &'f Limits {
        self.facts.limits
    }

    fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn count(&mut self, what: Counted) {
        self.push(Effect::Count(what));
    }
}
