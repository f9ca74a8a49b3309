//! The owners' orders, from `petrel.orders.<pool>`.
//!
//! They have a topic of their own, which every worker of the pool follows whole: on the task's own partition a full
//! worker, which fetches nothing, would not see them, and after a rebalance the partition may belong to another
//! worker than the one that holds the attempt.
//!
//! It begins at the end: orders that were given before this worker could claim anything do not concern it, or are
//! repeated as the answer to its claim. Nothing is claimed before that end is known, nor while the topic cannot be
//! read: what was ordered would be heard too late.
//!
//! An order that a newer release wrote is not passed by: it may be for this worker, which can only know it for sure
//! once it is of that release, too. Until then it claims nothing. What it holds already goes on and hears the orders
//! behind that one, for each is about one attempt, and one that must stop shall not run on for the sake of another.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{
    Bus, BusError, Clock, Failure, Life, NotYet, Record, Service, ServiceThread, StopSignal, Troubles, Unreadable,
};
use petrel_schemas::{Order, decode};

use super::attempts::Attempts;

/// Longest wait for orders before looking whether to stop.
const WAIT: Duration = Duration::from_millis(200);

/// The thread that follows the topic. Dropping it ends it.
#[derive(Debug)]
pub struct Follower {
    _thread: ServiceThread,
    troubles: Troubles,
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
        let troubles = Troubles::default();
        let (time, told) = (clock.clone(), troubles.clone());
        let orders = Orders { bus, topic, attempts, clock, troubles: told, next: None, is_deaf: true, unread: None };
        let thread = ServiceThread::start("worker-orders", time, StopSignal::default(), orders)?;
        Ok(Self { _thread: thread, troubles })
    }

    /// What keeps it from following.
    pub fn troubles(&self) -> &Troubles {
        &self.troubles
    }
}

struct Orders {
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    attempts: Arc<Attempts>,
    clock: Arc<dyn Clock>,
    troubles: Troubles,
    /// Next offset of each partition, once it is known where to begin.
    next: Option<Vec<i64>>,
    /// Whether nothing was read so far, or since a life has failed.
    is_deaf: bool,
    /// Why the first order of a newer release cannot be read, and where it is.
    unread: Option<String>,
}

impl Service for Orders {
    fn live(&mut self, life: &Life<'_>) -> Result<(), String> {
        self.follow(life).map_err(|error| error.to_string())
    }

    fn failed(&mut self, failure: &Failure, _: u64) {
        self.is_deaf = true;
        self.waits(format!("{} cannot be followed: {failure}", self.topic));
    }
}

impl Orders {
    fn follow(&mut self, life: &Life<'_>) -> Result<(), BusError> {
        let from = match &self.next {
            Some(next) => next.clone(),
            None => self.bus.end_offsets(&self.topic)?,
        };
        // Kept whatever ends this life: the next one reads on here.
        self.next = Some(from.clone());
        if self.is_deaf && !self.troubles.has(&self.topic) {
            self.waits(format!("{} has not been read yet", self.topic));
        }
        let mut tail = self.bus.tail_from(&self.topic, &from)?;
        while !life.is_over() {
            tail.next(WAIT, &mut |partition, record| {
                // Before it is looked at: should that panic, the others are heard all the same.
                if let Some(next) = self.next.as_mut().and_then(|next| next.get_mut(partition as usize)) {
                    *next = record.offset + 1;
                }
                self.take(partition, &record);
            })?;
            if tail.is_reading() {
                life.went_well();
                if std::mem::take(&mut self.is_deaf) {
                    self.goes_on();
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, partition: u32, record: &Record<'_>) {
        match record.value.map(|value| decode::<Order>(value).map_err(Unreadable::from)) {
            Some(Ok(order)) => self.attempts.order(&order, self.clock.now_ms()),
            Some(Err(Unreadable::Newer(NotYet(why)))) => {
                let why = format!("{}/{partition} has an order at offset {}: {why}", self.topic, record.offset);
                tracing::error!(why, "an order waits for a newer release, nothing is claimed until then");
                let first = self.unread.get_or_insert(why).clone();
                self.waits(first);
            }
            Some(Err(Unreadable::Damaged(why))) => {
                tracing::error!(?why, partition, offset = record.offset, "an order cannot be read by anybody");
            }
            None => {}
        }
    }

    /// Nothing is claimed, and people are told why.
    fn waits(&mut self, why: String) {
        self.attempts.unfollow();
        self.troubles.begin(&self.topic, why, self.clock.now_ms());
    }

    /// The orders are heard, as far as this release can read them.
    fn goes_on(&mut self) {
        match self.unread.clone() {
            Some(why) => self.waits(why),
            None => {
                self.troubles.end(&self.topic);
                self.attempts.follow();
            }
        }
    }
}

#[cfg(test)]
mod tests;
