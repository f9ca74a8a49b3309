//! The owners' orders, from `petrel.orders.<pool>`.
//!
//! They have a topic of their own, which every worker of the pool follows whole: on the task's own partition a full
//! worker, which fetches nothing, would not see them, and after a rebalance the partition may belong to another
//! worker than the one that holds the attempt.
//!
//! It begins at the end: orders that were given before this worker could claim anything do not concern it, or are
//! repeated as the answer to its claim. Nothing is claimed before that end is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock};
use petrel_schemas::{Order, decode};

use super::attempts::Attempts;

/// Longest wait for orders before looking whether to stop, in milliseconds.
const WAIT_MS: u64 = 200;
/// Pause before following anew after an error, in milliseconds.
const RETRY_MS: u64 = 1_000;

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
        attempts: Arc<Attempts>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let follow = move || {
            let mut next = None;
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = follow(&*bus, &topic, &mut next, &attempts, &*clock, &stopped) {
                    tracing::warn!(%error, topic = %topic, "cannot follow the orders, trying again");
                    pause(&*clock, &stopped);
                }
            }
        };
        let thread = std::thread::Builder::new().name("worker-orders".to_owned()).spawn(follow)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows the orders panicked");
        }
    }
}

fn follow(
    bus: &dyn Bus,
    topic: &str,
    next: &mut Option<Vec<i64>>,
    attempts: &Attempts,
    clock: &dyn Clock,
    stop: &AtomicBool,
) -> Result<(), BusError> {
    let next = match next {
        Some(next) => next,
        None => next.insert(bus.end_offsets(topic)?),
    };
    attempts.follow();
    let mut tail = bus.tail_from(topic, next)?;
    while !stop.load(Ordering::Relaxed) {
        tail.next(Duration::from_millis(WAIT_MS), &mut |partition, record| {
            if let Some(next) = next.get_mut(partition as usize) {
                *next = record.offset + 1;
            }
            match record.value.map(decode::<Order>) {
                Some(Ok(order)) => attempts.order(&order, clock.now_ms()),
                Some(Err(error)) => tracing::warn!(%error, offset = record.offset, "an order cannot be read"),
                None => {}
            }
        })?;
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
