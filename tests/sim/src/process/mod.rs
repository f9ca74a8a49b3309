//! Processes of the simulated product: what they run, and how they live and die.

mod catalog;
mod owner;
mod sink;
mod stage;
mod worker;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use petrel_bus::MemoryStores;
use petrel_bus::sim::ProcessClock;

pub use catalog::Catalog;
pub use owner::{OwnerBody, OwnerSource};
pub use sink::SinkBody;
pub use stage::{AtPoint, Seat, StageBody, Wrap};
pub use worker::{Inputs, WorkerBody, WorkerParts};

use crate::fault::Fault;

/// What a process did in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Idle,
    /// Something: there may be more.
    Busy,
    /// It was killed at a point of its driver.
    Killed,
    /// It cannot go on without an operator.
    Halted(String),
}

/// What a process runs, from its start to its end.
pub trait Body {
    /// Does what there is to do, without waiting.
    fn tick(&mut self) -> Turn;

    /// Ends in order. Dropping it instead is a kill.
    fn leave(self: Box<Self>);

    /// Partitions of executions that it owns.
    fn owns(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// The roles of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The match stage.
    Rules,
    /// The timer stage.
    Timers,
    /// The owners of executions.
    Owner,
    /// The gates of policies.
    Gate,
    /// The workers.
    Worker,
    /// The audit sinks.
    Sink,
}

/// Makes the body of a process that starts.
pub type Start = Rc<dyn Fn() -> Box<dyn Body>>;

/// A process: what stays when it dies.
pub struct Process {
    /// Its role.
    pub role: Role,
    /// Its name, stable over restarts.
    pub name: String,
    /// Its clock.
    pub clock: Arc<ProcessClock>,
    /// What it keeps on disk.
    pub disk: MemoryStores,
    /// What it knows of the catalog.
    pub catalog: Arc<Catalog>,
    /// Makes its body.
    pub start: Start,
    /// Borrowed while it is in a turn.
    pub body: RefCell<Option<Box<dyn Body>>>,
    /// Until when it does nothing: it is down, or paused; in milliseconds since the epoch.
    pub away_until_ms: Cell<i64>,
    /// Faults that wait for their place.
    pub armed: RefCell<VecDeque<Fault>>,
    /// When it learns of the newest revision, in milliseconds since the epoch.
    pub learns_ms: Cell<i64>,
    /// When the first fault happened to it, in true milliseconds since the epoch.
    pub harmed_ms: Cell<i64>,
}

impl Process {
    /// A fault happens to it.
    pub fn harmed(&self, now_ms: i64) {
        self.harmed_ms.set(self.harmed_ms.get().min(now_ms));
    }
}
