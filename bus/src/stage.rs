//! The contract of a stage.

use std::sync::Arc;

use crate::record::Output;
use crate::session::Batch;
use crate::state::{DueTimer, PartitionState};

/// A synchronous, deterministic piece of Petrel's logic.
///
/// The same inputs, state, `now` and globals give the same outputs, state and timers. A stage has no
/// clock, no random source and does no I/O; what it must tell its process it tells in
/// [`Stage::committed`].
pub trait Stage: Send {
    /// What all partitions share, fixed for the length of a step.
    type Globals: Send + Sync;

    /// What the stage is; constant.
    fn spec(&self) -> &StageSpec;

    /// The topics it reads. Asked again whenever the globals change.
    fn inputs(&self, globals: &Self::Globals) -> Vec<InputTopic>;

    /// Takes one input of one partition. State, timers and outputs go through the context and are
    /// committed together with the input's offsets, or not at all.
    fn step(&mut self, input: Input<'_>, context: &mut Context<'_, Self::Globals>) -> Step;

    /// What to write instead of an output over `limit_bytes`: a dead letter, as a rule.
    fn too_large(&self, output: &Output, limit_bytes: usize) -> Vec<Output>;

    /// All steps since the last commit are committed.
    fn committed(&mut self) {}

    /// All steps since the last commit are undone; their inputs come again.
    fn aborted(&mut self) {}

    /// This member no longer has that partition; called after its last commit or abort.
    fn revoked(&mut self, partition: u32) {
        let _ = partition;
    }
}

/// The constant facts about a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSpec {
    /// Name; the consumer group's name is made of it.
    pub name: Arc<str>,
    /// Compacted topic that holds its keyed state and timers; none for a stage without state.
    pub changelog: Option<Arc<str>>,
    /// Whether all inputs must be assigned with the same partition numbers (and the range assignor
    /// is used). Required for state that records of several topics share.
    pub co_partitioned: bool,
}

/// A topic that a stage reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTopic {
    /// Full name.
    pub name: Arc<str>,
    /// Where a partition begins that this consumer group never committed.
    pub start: Start,
    /// Another input whose partitions this one follows by number: whoever has the one has the other.
    /// The group assigns only inputs that follow none.
    pub with: Option<Arc<str>>,
}

/// Where to begin on a partition without a committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the beginning.
    Beginning,
    /// At these offsets, by partition number; partitions behind the last one begin at their beginning.
    Offsets(Vec<i64>),
}

/// One input of a stage.
#[derive(Debug)]
pub enum Input<'a> {
    /// Consecutive records of one topic's partition.
    Records(Batch<'a>),
    /// Timers that are due, in order of time; they are removed, set them again to repeat.
    Timers(&'a [DueTimer]),
    /// The globals changed; comes once for every partition.
    GlobalsChanged,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// All of it was taken.
    Done,
    /// The first `consumed` records were taken; the others cannot be yet. The driver keeps them,
    /// pauses the partition and offers them again. For timers and globals `consumed` has no meaning
    /// and blocking is not allowed.
    Blocked {
        /// How many records of the batch were taken.
        consumed: usize,
        /// Why the next one cannot be, for people.
        reason: String,
    },
}

/// What a step may look at and write to.
pub struct Context<'a, G> {
    partition: u32,
    now_ms: i64,
    caught_up: bool,
    globals: &'a G,
    state: &'a mut PartitionState,
    outputs: &'a mut Vec<Output>,
}

impl<'a, G> Context<'a, G> {
    /// A context over parts; the driver's business, and tests' that call a stage as a function.
    pub fn new(
        partition: u32,
        now_ms: i64,
        caught_up: bool,
        globals: &'a G,
        state: &'a mut PartitionState,
        outputs: &'a mut Vec<Output>,
    ) -> Self {
        Self { partition, now_ms, caught_up, globals, state, outputs }
    }

    /// Number of the partition; state and timers are of this partition alone.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Time of this step, in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Whether this member has read its inputs of this partition to their end since it was assigned
    /// and nothing newer was waiting: only then does silence mean anything.
    pub fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// The globals, the same for the whole step.
    pub fn globals(&self) -> &'a G {
        self.globals
    }

    /// Value of a key of the state.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.state.get(key)
    }

    /// Sets a key of the state. Keys must not begin with `~`, which is the bus's own.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.state.put(key, value);
    }

    /// Removes a key of the state.
    pub fn delete(&mut self, key: &[u8]) {
        self.state.delete(key);
    }

    /// All keys of the state, in order, from the first that is not below `from`.
    pub fn scan(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.state.scan(from)
    }

    /// Sets the timer of that key to an instant, in milliseconds since the epoch; replaces an earlier one.
    pub fn set_timer(&mut self, key: &[u8], due_ms: i64) {
        self.state.set_timer(key, due_ms);
    }

    /// Removes the timer of that key, if there is one.
    pub fn cancel_timer(&mut self, key: &[u8]) {
        self.state.cancel_timer(key);
    }

    /// Writes a record when the step is committed.
    pub fn emit(&mut self, output: Output) {
        self.outputs.push(output);
    }
}
