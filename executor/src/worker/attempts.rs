//! What this worker holds, and what owners have said about what it may still claim.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_execution::Attempt;
use petrel_execution::limits::ORDERS_MAX;
use petrel_execution::worker::{Holding, Orders, Remembered, Said};
use petrel_schemas::{Order, Task};
use tokio::sync::watch;

/// How old the answer about what was said may be, in milliseconds: a cancel that comes later was slower than what it is
/// about.
const SAID_AGE_MS: u64 = 100;

type Key = (String, i64);

/// Every attempt that this worker holds.
#[derive(Debug)]
pub struct Attempts {
    worker: Arc<str>,
    following: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    orders: Orders,
    /// What the orders said at `said_ms`.
    said: Said,
    said_ms: u64,
    held: HashMap<Key, watch::Sender<Holding>>,
    /// The worker stops: what has not begun is given back.
    draining: bool,
    /// It waits no longer: nothing may run any more.
    ending: bool,
}

impl Attempts {
    /// None yet.
    pub fn new(worker: Arc<str>) -> Self {
        let inner = Inner {
            orders: Orders::new(ORDERS_MAX),
            said: Said::default(),
            said_ms: 0,
            held: HashMap::new(),
            draining: false,
            ending: false,
        };
        Self { worker, following: AtomicBool::new(false), inner: Mutex::new(inner) }
    }

    /// From now on no order is missed, until told otherwise.
    pub fn follow(&self) {
        self.following.store(true, Ordering::SeqCst);
    }

    /// Orders are missed, or heard late.
    pub fn unfollow(&self) {
        self.following.store(false, Ordering::SeqCst);
    }

    /// Whether no order is missed: otherwise, nothing is to be claimed.
    pub fn is_following(&self) -> bool {
        self.following.load(Ordering::SeqCst)
    }

    /// Takes an order: for an attempt that is held, or that may still be claimed.
    pub fn order(&self, order: &Order, now_ms: i64) {
        if order.worker.as_deref().is_some_and(|worker| worker != &*self.worker) {
            return;
        }
        let mut inner = self.lock();
        match inner.held.get(&(order.execution_id.clone(), order.token)) {
            Some(held) => held.send_modify(|h| h.order(Remembered::of(order))),
            None => inner.orders.remember(order, now_ms),
        }
    }

    /// What was said about attempts that are not held, as it was at most [`SAID_AGE_MS`] before `now_ms`, the instant
    /// in milliseconds of a clock that nobody sets. Each other answer may cost a copy of all of it.
    pub fn said(&self, now_ms: u64) -> Said {
        let mut inner = self.lock();
        if now_ms.saturating_sub(inner.said_ms) >= SAID_AGE_MS {
            inner.said = inner.orders.said();
            inner.said_ms = now_ms;
        }
        inner.said.clone()
    }

    /// From now on orders reach this attempt; one that has come already reaches it at once.
    pub fn hold(&self, task: &Task, claim_began_ms: u64) -> watch::Sender<Holding> {
        let mut inner = self.lock();
        let said = inner.orders.take(&task.execution_id, Attempt { number: task.attempt, token: task.token });
        let mut holding = Holding::new(task, claim_began_ms, said);
        if inner.draining {
            holding.drain();
        }
        if inner.ending {
            holding.end();
        }
        let held = watch::Sender::new(holding);
        inner.held.insert((task.execution_id.clone(), task.token), held.clone());
        held
    }

    /// The attempt is over.
    pub fn ended(&self, task: &Task) {
        self.lock().held.remove(&(task.execution_id.clone(), task.token));
    }

    /// The worker begins to stop.
    pub fn drain(&self) {
        let mut inner = self.lock();
        inner.draining = true;
        inner.held.values().for_each(|held| held.send_modify(Holding::drain));
    }

    /// It does not stop after all: what is claimed from now on may run.
    pub fn resume(&self) {
        let mut inner = self.lock();
        (inner.draining, inner.ending) = (false, false);
    }

    /// The worker waits no longer.
    pub fn end_all(&self) {
        let mut inner = self.lock();
        inner.ending = true;
        inner.held.values().for_each(|held| held.send_modify(Holding::end));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a panic left half taken is one order or one attempt; the maps stay valid.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
