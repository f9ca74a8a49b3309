//! The owners' orders to stop, from `petrel.cancels`.
//!
//! They have a topic of their own, which every worker follows whole: on the task's own partition a full
//! worker, which fetches nothing, would not see them, and after a rebalance the partition may belong to
//! another worker than the one that runs the attempt. Orders are rare, so reading all of them is cheap.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock};
use petrel_schemas::{TaskCancel, decode};
use tokio::sync::watch;

use crate::runner::Directive;

/// Orders that are remembered for attempts that this worker may still claim.
const ORDERS_MAX: usize = 10_000;
/// Longest wait for orders before looking whether to stop, in milliseconds.
const WAIT_MS: u64 = 200;
/// Pause before following anew after an error, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// An attempt of an execution, by its token.
pub type Attempt = (String, i64);

/// What must stop, and what runs.
#[derive(Debug, Default)]
pub struct Cancels {
    inner: Mutex<Inner>,
    current: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    ordered: HashSet<Attempt>,
    oldest_first: VecDeque<Attempt>,
    running: HashMap<Attempt, watch::Sender<Directive>>,
    /// The worker stops: nothing may run any more.
    ending: bool,
}

impl Cancels {
    /// Whether an attempt must not run.
    pub fn is_ordered(&self, execution: &str, token: i64) -> bool {
        self.lock().ordered.contains(&(execution.to_owned(), token))
    }

    /// Whether the orders that were there when this worker started are known.
    pub fn is_current(&self) -> bool {
        self.current.load(Ordering::Acquire)
    }

    /// All orders that were there are known.
    pub fn set_current(&self) {
        self.current.store(true, Ordering::Release);
    }

    /// Takes an order; ends the attempt if it runs here.
    pub fn order(&self, order: TaskCancel) {
        let attempt = (order.execution_id, order.token);
        let mut inner = self.lock();
        if let Some(director) = inner.running.get(&attempt) {
            director.send_modify(|d| d.cancel = true);
        }
        if inner.ordered.insert(attempt.clone()) {
            inner.oldest_first.push_back(attempt);
        }
        if inner.oldest_first.len() > ORDERS_MAX
            && let Some(oldest) = inner.oldest_first.pop_front()
        {
            inner.ordered.remove(&oldest);
        }
    }

    /// From now on an order reaches this attempt; one that has come already reaches it at once.
    pub fn running(&self, attempt: Attempt, director: watch::Sender<Directive>) {
        let mut inner = self.lock();
        if inner.ending || inner.ordered.contains(&attempt) {
            director.send_modify(|d| d.cancel = true);
        }
        inner.running.insert(attempt, director);
    }

    /// The attempt is over.
    pub fn ended(&self, attempt: &Attempt) {
        self.lock().running.remove(attempt);
    }

    /// Ends everything that runs, and what is about to.
    pub fn end_all(&self) {
        let mut inner = self.lock();
        inner.ending = true;
        for director in inner.running.values() {
            director.send_modify(|d| d.cancel = true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // An order that a panic left half taken comes again with the next start; the maps stay valid.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that follows the topic. Dropping it ends it.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows the topic until dropped; a bus that cannot be reached is waited for.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        bus: Arc<dyn Bus>,
        topic: Arc<str>,
        cancels: Arc<Cancels>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let follow = move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = follow(&*bus, &topic, &cancels, &stopped) {
                    tracing::warn!(%error, topic = %topic, "cannot follow the cancels, trying again");
                    pause(&*clock, &stopped);
                }
            }
        };
        let thread = std::thread::Builder::new().name("worker-cancels".to_owned()).spawn(follow)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows the cancels panicked");
        }
    }
}

fn follow(bus: &dyn Bus, topic: &str, cancels: &Cancels, stop: &AtomicBool) -> Result<(), BusError> {
    let mut tail = bus.tail(topic)?;
    while !stop.load(Ordering::Relaxed) {
        tail.next(Duration::from_millis(WAIT_MS), &mut |_, record| match record.value.map(decode::<TaskCancel>) {
            Some(Ok(order)) => cancels.order(order),
            Some(Err(error)) => tracing::warn!(%error, offset = record.offset, "a cancel cannot be read"),
            None => {}
        })?;
        if tail.caught_up() {
            cancels.set_current();
        }
    }
    Ok(())
}

fn pause(clock: &dyn Clock, stop: &AtomicBool) {
    let mut left_ms = RETRY_MS;
    while left_ms > 0 && !stop.load(Ordering::Relaxed) {
        clock.sleep(Duration::from_millis(WAIT_MS.min(left_ms)));
        left_ms = left_ms.saturating_sub(WAIT_MS);
    }
}
