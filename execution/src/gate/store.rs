//! What a gate remembers of others.

use petrel_schemas::ExecutionId;

use super::{Class, GateId, Head, Place};

/// A permit that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Number of its acquisition.
    pub acquired: u64,
    /// The trial that it was given on, by a breaker that was half open; see [`super::Breaker::HalfOpen`].
    pub probe: Option<i64>,
}

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Where.
    pub place: Place,
    /// Number of the acquisition.
    pub acquired: u64,
}

/// A start that counts in a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Until when it counts, in milliseconds since the epoch.
    pub until_ms: i64,
    /// Who started.
    pub execution: ExecutionId,
    /// Number of its acquisition.
    pub acquired: u64,
}

/// The state of the gates of one partition. Each call is one access to one key, or the first of a range.
pub trait GateStore {
    /// Number of the last message that was taken of a sender; 0 for none.
    fn last_of(&self, sender: u32) -> u64;
    /// A message of a sender is taken.
    fn set_last_of(&mut self, sender: u32, number: u64);

    /// A gate's head.
    fn head(&self, gate: &GateId) -> Option<Head>;
    /// Sets a gate's head, or removes it.
    fn set_head(&mut self, gate: &GateId, head: Option<&Head>);

    /// The permit of an execution.
    fn permit(&self, gate: &GateId, execution: &ExecutionId) -> Option<Permit>;
    /// Sets a permit, or removes it.
    fn set_permit(&mut self, gate: &GateId, execution: &ExecutionId, permit: Option<Permit>);

    /// Number of the acquisition of who waits at that place.
    fn waiter(&self, gate: &GateId, place: &Place) -> Option<u64>;
    /// The first who waits in a class, in the order of the places.
    fn first_waiter(&self, gate: &GateId, class: Class) -> Option<Waiter>;
    /// Somebody waits at that place, under that number, or nobody any more.
    fn set_waiter(&mut self, gate: &GateId, place: &Place, acquired: Option<u64>);

    /// The start that stops to count first.
    fn first_hit(&self, gate: &GateId) -> Option<Hit>;
    /// Adds a start.
    fn add_hit(&mut self, gate: &GateId, hit: &Hit);
    /// Removes a start.
    fn remove_hit(&mut self, gate: &GateId, hit: &Hit);

    /// Sets the one timer of a gate, or removes it; in milliseconds since the epoch.
    fn set_timer(&mut self, gate: &GateId, due_ms: Option<i64>);
}
