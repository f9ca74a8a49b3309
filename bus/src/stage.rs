//! The contract of a stage.

use std::borrow::Cow;
use std::sync::Arc;

use crate::record::Output;
use crate::session::Batch;
use crate::state::{PartitionState, StateTooLarge};
use crate::store::{DueTimer, TimerKind};

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

    /// Takes consecutive records of one topic's partition, or only the first of them. State, timers and
    /// outputs go through the context and are committed together with the offsets, or not at all.
    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Self::Globals>) -> Taken;

    /// Takes timers that are due, in order of time; they are removed, set them again to repeat.
    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, Self::Globals>) {
        let _ = (due, context);
    }

    /// The version of the globals changed; comes once for every partition, and for a new one.
    fn globals_changed(&mut self, context: &mut Context<'_, Self::Globals>) {
        let _ = context;
    }

    /// The partitions to which somebody in this process has something to tell beside the log, as the globals say;
    /// `mine` are those that this member has. What is for others is to be refused, and whoever told it tells it another
    /// way.
    fn told(&mut self, globals: &Self::Globals, mine: &[u32]) -> Vec<u32> {
        let _ = (globals, mine);
        Vec::new()
    }

    /// Takes what is told to a partition. It is told again until it has been taken in a step that is committed.
    fn take_told(&mut self, context: &mut Context<'_, Self::Globals>) {
        let _ = context;
    }

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
    /// Compacted topic that holds its keyed state and timers; none for a stage without state. Where others
    /// write to it too, their records may be found in the state after a restore, and may not.
    pub changelog: Option<Arc<str>>,
    /// What its silence timers listen to; none for a stage that sets none.
    pub silence: Option<Silence>,
    /// Topic of the dead letters: what the stage gives up, and what is written in the place of an output over the
    /// driver's limit.
    pub dead_letters: Arc<str>,
}

/// When silence means something; see [`Context::set_silence_timer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The input that must have been heard to its end.
    pub input: Arc<str>,
    /// Time that a partition's new member gives everybody to be heard, in milliseconds.
    pub grace_ms: i64,
    /// The longest of some silences; none for a stage whose silence timers are instants of a schedule.
    pub longest: Option<Longest>,
}

/// A kind of silence that is never waited for longer than a known time. What an earlier member set beyond that,
/// by a clock that was ahead of this one's, is brought forward to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Longest {
    /// How the keys of these timers end; other timers stay as they were set.
    pub key_ends_with: &'static [u8],
    /// The time, in milliseconds.
    pub ms: i64,
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

/// What became of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// All of them were taken.
    All,
    /// The first `consumed` records were taken; the others cannot be yet. The driver keeps them, pauses
    /// that topic's partition and offers them again.
    Blocked {
        /// How many records of the batch were taken.
        consumed: usize,
        /// Why the next one cannot be, for people.
        reason: String,
    },
}

/// What a step may look at and write to.
pub struct Context<'a, G> {
    facts: Facts,
    globals: &'a G,
    state: &'a mut PartitionState,
    outputs: &'a mut Vec<Output>,
}

/// What the driver tells a step about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Number of the partition.
    pub partition: u32,
    /// Time of the step, in milliseconds since the epoch.
    pub now_ms: i64,
    /// For how long the first record of the batch has been refused, in milliseconds.
    pub blocked_ms: i64,
    /// Whether the stage has panicked, and it is not known yet at what in this partition: see [`Context::is_careful`].
    pub is_careful: bool,
}

impl<'a, G> Context<'a, G> {
    /// A context over parts; the driver's business, and tests' that call a stage as a function.
    pub fn new(facts: Facts, globals: &'a G, state: &'a mut PartitionState, outputs: &'a mut Vec<Output>) -> Self {
        Self { facts, globals, state, outputs }
    }

    /// Number of the partition; state and timers are of this partition alone.
    pub fn partition(&self) -> u32 {
        self.facts.partition
    }

    /// Time of this step, in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.facts.now_ms
    }

    /// For how long the first record of this batch has been refused, in milliseconds; 0 if it is offered
    /// for the first time.
    pub fn blocked_ms(&self) -> i64 {
        self.facts.blocked_ms
    }

    /// Whether the stage has panicked lately, and this partition may be where. What a step about the globals or about a
    /// timer would do to many things it should leave to a timer of each: the one that kills the stage is then known
    /// by its key, and moved back alone.
    pub fn is_careful(&self) -> bool {
        self.facts.is_careful
    }

    /// The globals, the same for the whole step.
    pub fn globals(&self) -> &'a G {
        self.globals
    }

    /// Value of a key of the state.
    pub fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.state.get(key)
    }

    /// Sets a key of the state. Keys must not begin with `~`, which is the bus's own.
    ///
    /// # Errors
    /// [`StateTooLarge`], and nothing is set: what the value belongs to fails, the partition goes on.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), StateTooLarge> {
        self.state.put(key, value)
    }

    /// Largest key and value together that [`Context::put`] takes, in bytes: what is larger has to stand at several keys.
    pub fn record_bytes_max(&self) -> usize {
        self.state.record_bytes_max()
    }

    /// Removes a key of the state.
    pub fn delete(&mut self, key: &[u8]) {
        self.state.delete(key);
    }

    /// All keys of the state, in order, from the first that is not below `from`.
    pub fn scan(&self, from: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        self.state.scan(from)
    }

    /// Sets the timer of that key to an instant, in milliseconds since the epoch; replaces an earlier one.
    pub fn set_timer(&mut self, key: &[u8], due_ms: i64) {
        self.state.set_timer(key, TimerKind::Time, due_ms);
    }

    /// Sets the timer of that key to fire once nothing was heard until that instant, in milliseconds
    /// since the epoch; replaces an earlier timer of either kind.
    ///
    /// When it is due, the driver notes where [`Silence::input`] ends, including what is not committed
    /// yet. The timer fires once the stage has taken everything up to there, unless a record among that
    /// moved it, and never within [`Silence::grace_ms`] of the partition's assignment.
    pub fn set_silence_timer(&mut self, key: &[u8], due_ms: i64) {
        self.state.set_timer(key, TimerKind::Silence, due_ms);
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
