//! The way from an owner to a worker in the same process: what an owner's step decided is started when it has
//! committed, and nothing of it goes over the log twice.

use std::sync::Arc;

use petrel_bus::{GlobalsSource, Versioned, Waker};
use petrel_execution::gate::InForce;
use petrel_execution::worker::Remembered;
use petrel_execution::{Needs, Note, SwitchedOff};
use petrel_schemas::{Order, Task};
use tokio::sync::mpsc;

use super::attempts::Attempts;
use super::slots::Slots;
use super::stage::Claimed;
use super::told::{Letter, Told};
use crate::supervise::boot_ms;
use crate::view::{ExecutorView, Resolution, ResolvedAction};

/// A worker, as owners in its process reach it.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Instance id of the worker.
    pub worker: Arc<str>,
    /// Its pool.
    pub pool: Arc<str>,
    /// Its slots.
    pub slots: Slots,
    /// What it holds.
    pub attempts: Arc<Attempts>,
    /// Where committed claims go, for as long as it takes any.
    pub claims: mpsc::WeakUnboundedSender<Claimed>,
}

/// A worker in the same process, as it was when an owner's turn began.
#[derive(Debug, Clone)]
pub struct Beside {
    worker: Arc<str>,
    pool: Arc<str>,
    free_slots: usize,
    boot_ms: u64,
    slots: Slots,
    claims: mpsc::UnboundedSender<Claimed>,
    told: Told,
}

/// A start that waits for its commit.
pub struct Start {
    task: Task,
    action: Result<ResolvedAction, Note>,
    beside: Beside,
    /// Number of the partition of its owner.
    partition: u32,
    canceled: bool,
}

impl Neighbour {
    /// What it could start now for a thread of owners, which is `told` how that ends; `now_ms` is the instant, in
    /// milliseconds of a clock that nobody sets. Nothing while it does not follow the owners' orders, or is about to
    /// stop.
    pub fn look(&self, told: &Told, now_ms: u64) -> Option<Beside> {
        let free_slots = self.slots.free_beside();
        if free_slots == 0 || !self.attempts.is_following() {
            return None;
        }
        Some(Beside {
            worker: self.worker.clone(),
            pool: self.pool.clone(),
            free_slots,
            boot_ms: now_ms,
            slots: self.slots.clone(),
            claims: self.claims.upgrade()?,
            told: told.clone(),
        })
    }
}

impl Beside {
    /// Instance id of the worker.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// Its pool.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// How many actions it had room for.
    pub fn free_slots(&self) -> usize {
        self.free_slots
    }

    /// Lets it start a task of the owner of a partition, once that is committed; an action that is not there is an
    /// end.
    pub fn start(&self, partition: u32, task: Task, action: Result<ResolvedAction, Note>) -> Start {
        Start { task, action, beside: self.clone(), partition, canceled: false }
    }
}

impl Start {
    /// It was canceled in the same transaction: if the order is for it, it does not begin.
    pub fn cancel(&mut self, order: &Order) {
        self.canceled |= self.task.execution_id == order.execution_id && self.task.token == order.token;
    }

    /// The step has committed.
    pub fn committed(self) {
        let Self { task, action, beside, partition, canceled } = self;
        // Nothing that needs room is started here: it waits in line with what came over the log.
        let slot = action.as_ref().ok().and_then(|_| beside.slots.take(Needs::default()));
        let said = Remembered { grant: true, cancel: canceled };
        let owner = Some(beside.told.owner(partition));
        let claimed = Claimed { task, action, claim_began_ms: beside.boot_ms, slot, said, owner };
        // A worker that has stopped leaves the attempt to the lease.
        if beside.claims.send(claimed).is_err() {
            tracing::warn!("a task was started beside its owner after the worker had stopped");
        }
    }
}

/// An owner's globals: the catalog, the worker beside it, and what that has told.
#[derive(Debug)]
pub struct OwnerInputs<G> {
    /// The catalog.
    pub view: Arc<G>,
    /// The worker.
    pub beside: Option<Beside>,
    /// How attempts ended that this thread of owners started, as far as it is not committed.
    pub letters: Vec<Arc<Letter>>,
}

impl<G: ExecutorView> ExecutorView for OwnerInputs<G> {
    fn dispatch_paused(&self) -> bool {
        self.view.dispatch_paused()
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        self.view.resolve(revision, action)
    }

    fn tells_ends(&self) -> bool {
        self.view.tells_ends()
    }

    fn in_force(&self) -> InForce {
        self.view.in_force()
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        self.view.switched_off(scope, now_ms)
    }

    fn has_switches(&self) -> bool {
        self.view.has_switches()
    }

    fn beside(&self) -> Option<&Beside> {
        self.beside.as_ref()
    }

    fn letters(&self) -> &[Arc<Letter>] {
        &self.letters
    }
}

/// Looks at the catalog and the worker together, for one thread of owners.
pub(crate) struct BesideSource<G> {
    pub(crate) view: Arc<dyn GlobalsSource<G>>,
    pub(crate) neighbour: Option<Neighbour>,
    pub(crate) told: Told,
}

impl<G: Send + Sync> GlobalsSource<OwnerInputs<G>> for BesideSource<G> {
    fn current(&self) -> Versioned<OwnerInputs<G>> {
        let letters = self.told.waiting();
        let beside = self.neighbour.as_ref().and_then(|neighbour| neighbour.look(&self.told, boot_ms()));
        let Versioned { version, value: view } = self.view.current();
        Versioned { version, value: Arc::new(OwnerInputs { view, beside, letters }) }
    }

    fn wake_with(&self, waker: Waker) {
        self.told.wake_with(waker);
    }
}
