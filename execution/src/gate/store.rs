//! What a gate remembers of others.

use petrel_schemas::ExecutionId;

use super::{Class, GateId, Head, Stamp};

/// What a start has used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: a permit is all of it.
    Nothing,
    /// A token.
    Token {
        /// See [`Head::era`].
        era: u32,
    },
    /// A place in a window, which is that of its [`Hit`].
    Hit {
        /// See [`Hit::until_ms`].
        until_ms: i64,
        /// See [`Hit::window`].
        window: u32,
    },
    /// It is a probe of the trial that began then; see [`super::Breaker::HalfOpen`].
    Probe(i64),
}

/// A permit that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Which acquisition it was given to.
    pub acquisition: Stamp,
    /// What it took beside.
    pub charge: Charge,
}

/// The place of somebody who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// For which acquisition.
    pub acquisition: Stamp,
    /// Its class.
    pub class: Class,
    /// Its place in the queue of its class.
    pub ticket: u64,
}

/// A start that counts in a window. In their order those of windows before come first, and of one window what stops to
/// count first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Which of the gate's windows it counts in: a person who opens the gate begins another one.
    pub window: u32,
    /// Until when it counts, by the gate's clock.
    pub until_ms: i64,
    /// Which acquisition started.
    pub acquisition: Stamp,
    /// Who.
    pub execution: ExecutionId,
}

/// The state of the gates of one partition. Each call is one access to one key, or the first of a range.
pub trait GateStore {
    /// The last message that was taken of a sender.
    fn last_of(&self, sender: u32) -> Option<Stamp>;
    /// A message of a sender is taken.
    fn set_last_of(&mut self, sender: u32, stamp: Stamp);

    /// How many gates of this partition have a head.
    fn gates(&self) -> u64;
    /// Sets that number.
    fn set_gates(&mut self, gates: u64);

    /// A gate's head.
    fn head(&self, gate: &GateId) -> Option<Head>;
    /// Sets a gate's head, or removes it.
    fn set_head(&mut self, gate: &GateId, head: Option<&Head>);
    /// The first gate that has a head, or the one that follows a gate; in any order that stays the same.
    fn next_gate(&self, after: Option<&GateId>) -> Option<GateId>;

    /// The permit of an execution.
    fn permit(&self, gate: &GateId, execution: &ExecutionId) -> Option<Permit>;
    /// Sets a permit, or removes it.
    fn set_permit(&mut self, gate: &GateId, execution: &ExecutionId, permit: Option<&Permit>);
    /// The first permit that is out, or the one that follows that of an execution; in any order that stays the same.
    fn next_permit(&self, gate: &GateId, after: Option<&ExecutionId>) -> Option<(ExecutionId, Permit)>;

    /// The place of an execution that waits.
    fn seat(&self, gate: &GateId, execution: &ExecutionId) -> Option<Seat>;
    /// Sets the place of an execution, in the queue too, or removes it from both; `before` is what [`Self::seat`] says.
    fn set_seat(&mut self, gate: &GateId, execution: &ExecutionId, before: Option<&Seat>, seat: Option<&Seat>);
    /// The first in the queue of a class.
    fn first_waiting(&self, gate: &GateId, class: Class) -> Option<(ExecutionId, Seat)>;

    /// The first start, in their order.
    fn first_hit(&self, gate: &GateId) -> Option<Hit>;
    /// Adds a start.
    fn add_hit(&mut self, gate: &GateId, hit: &Hit);
    /// Removes a start. False if it is not there (any more).
    fn remove_hit(&mut self, gate: &GateId, hit: &Hit) -> bool;

    /// Sets the one timer of a gate, or removes it; in milliseconds since the epoch.
    fn set_timer(&mut self, gate: &GateId, due_ms: Option<i64>);
}
