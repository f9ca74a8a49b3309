//! What waits for a worker, by pool and class: how much, and since when.
//!
//! It is known where no worker is: whoever scales a pool from nothing sees that something waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use petrel_execution::Status;
use petrel_schemas::Class;

use super::LiveExecution;

/// Most waiting executions that are kept; what is over it is not counted, and the oldest of each queue are known all the
/// same.
const WAITING_MAX: usize = 200_000;

/// A pool and a class.
type Name = (String, Class);

/// What waits of a pool and a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The pool.
    pub pool: String,
    /// The class.
    pub class: Class,
    /// How many executions wait.
    pub length: usize,
    /// Since when the oldest waits, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// By the instant since when they wait.
    waiting: BTreeMap<Name, BTreeSet<(i64, String)>>,
    /// Where each is.
    places: HashMap<String, (Name, i64)>,
}

impl Queues {
    /// Takes what is known of an execution since that instant, in milliseconds since the epoch.
    pub(super) fn take(&mut self, execution: &LiveExecution, changed_ms: i64) {
        let waited_ms = self.forget(&execution.id);
        let is_waiting = execution.status() == Status::Scheduled.as_str();
        let Some(state) = execution.state.as_ref().filter(|_| is_waiting) else { return };
        // What ran before, and was handed over or is tried again, waits anew; what was declined goes on waiting.
        let has_run = [state.failures, state.hand_overs, state.lost_leases].iter().any(|count| *count > 0);
        let at_ms = waited_ms.unwrap_or_else(|| match has_run {
            true => changed_ms,
            false => state.scheduled_at_ms.unwrap_or(state.requested_at_ms),
        });
        let class = state.class.as_deref().and_then(Class::parse).unwrap_or_default();
        let name = (state.pool.clone(), class);
        if self.places.len() >= WAITING_MAX && !self.make_room(&name, at_ms) {
            return;
        }
        self.places.insert(execution.id.clone(), (name.clone(), at_ms));
        self.waiting.entry(name).or_default().insert((at_ms, execution.id.clone()));
    }

    /// An execution does not wait any more; since when it did.
    pub(super) fn forget(&mut self, id: &str) -> Option<i64> {
        let (name, at_ms) = self.places.remove(id)?;
        if let Some(queue) = self.waiting.get_mut(&name) {
            queue.remove(&(at_ms, id.to_owned()));
            if queue.is_empty() {
                self.waiting.remove(&name);
            }
        }
        Some(at_ms)
    }

    /// The newest of the longest queue is not kept any more, so that a short queue beside it is known as a whole; one
    /// that would be that one itself is not kept.
    fn make_room(&mut self, name: &Name, at_ms: i64) -> bool {
        let Some((longest, queue)) = self.waiting.iter_mut().max_by_key(|(_, queue)| queue.len()) else { return false };
        if longest == name && queue.last().is_none_or(|(newest_ms, _)| *newest_ms <= at_ms) {
            return false;
        }
        queue.pop_last().is_some_and(|(_, id)| self.places.remove(&id).is_some())
    }

    /// Every class of these pools, and of others of which something waits.
    pub(super) fn all(&self, pools: &[String]) -> Vec<Queue> {
        let mut names: BTreeSet<Name> = self.waiting.keys().cloned().collect();
        names.extend(pools.iter().flat_map(|pool| Class::ALL.map(|class| (pool.clone(), class))));
        let queue = |(pool, class): Name| {
            let waiting = self.waiting.get(&(pool.clone(), class));
            let oldest_ms = waiting.and_then(|queue| queue.first()).map(|(at_ms, _)| *at_ms);
            Queue { pool, class, length: waiting.map_or(0, BTreeSet::len), oldest_ms }
        };
        names.into_iter().map(queue).collect()
    }
}

#[cfg(test)]
mod tests;
