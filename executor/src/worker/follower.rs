//! The owners' orders, from `petrel.orders.<pool>`.
//!
//! They have a topic of their own, which every worker of the pool follows whole: on the task's own partition a full
//! worker, which fetches nothing, would not see them, and after a rebalance the partition may belong to another
//! worker than the one that holds the attempt.
//!
//! It begins at the end: orders that were given before this worker could claim anything do not concern it, or are
//! repeated as the answer to its claim. Nothing is claimed before that end is known.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock, Life, Service, ServiceThread, StopSignal};
use petrel_schemas::{Order, decode};

use super::attempts::Attempts;

/// Longest wait for orders before looking whether to stop.
const WAIT: Duration = Duration::from_millis(200);

/// The thread that follows the topic. Dropping it ends it.
#[derive(Debug)]
pub struct Follower {
    _thread: ServiceThread,
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
        let orders = Orders { bus, topic, attempts, clock: clock.clone(), next: None };
        let thread = ServiceThread::start("worker-orders", clock, StopSignal::default(), orders)?;
        Ok(Self { _thread: thread })
    }
}

struct Orders {
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    attempts: Arc<Attempts>,
    clock: Arc<dyn Clock>,
    /// Next offset of each partition, once it is known where to begin.
    next: Option<Vec<i64>>,
}

impl Service for Orders {
    fn live(&mut self, life: &Life<'_>) -> Result<(), String> {
        self.follow(life).map_err(|e| format!("{} cannot be followed: {e}", self.topic))
    }
}

impl Orders {
    fn follow(&mut self, life: &Life<'_>) -> Result<(), BusError> {
        let Self { bus, topic, attempts, clock, next } = self;
        let next = match next {
            Some(next) => next,
            None => next.insert(bus.end_offsets(topic)?),
        };
        attempts.follow();
        let mut tail = bus.tail_from(topic, next)?;
        while !life.is_over() {
            tail.next(WAIT, &mut |partition, record| {
                // Before it is looked at: should that panic, the others are heard all the same.
                if let Some(next) = next.get_mut(partition as usize) {
                    *next = record.offset + 1;
                }
                match record.value.map(decode::<Order>) {
                    Some(Ok(order)) => attempts.order(&order, clock.now_ms()),
                    Some(Err(error)) => tracing::warn!(%error, offset = record.offset, "an order cannot be read"),
                    None => {}
                }
            })?;
            life.went_well();
        }
        Ok(())
    }
}
