//! The live view of executions: the latest states, from the compacted topic that the owners write; and of what waits for
//! a worker or for a person, however old it is.

mod families;
mod people;
mod queues;
#[cfg(test)]
pub(crate) mod testkit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use petrel_bus::Record;
use petrel_execution::Status;
use petrel_schemas::{ExecutionEnded, ExecutionState, ExecutionsRecord, Stored, kind_of};

use crate::follow::Follows;
use families::Families;
use people::People;
pub use people::{Waiting, Wanted, frozen, wanted};
pub use queues::Queue;
use queues::Queues;

/// The latest executions by time of request, at most a configured number; parents for as long as what they have started.
#[derive(Debug)]
pub struct LiveView {
    executions_max: usize,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<String, LiveExecution>,
    by_time: BTreeSet<(i64, String)>,
    families: Families,
    queues: Queues,
    people: People,
}

/// What the view knows of an execution: owners write a snapshot while it is not over, and then little more than
/// how it ended. The snapshot before may have been compacted away, or there was none.
#[derive(Debug, Clone)]
pub struct LiveExecution {
    /// Its id.
    pub id: String,
    /// When it was requested, or when it ended where that is not known; in milliseconds since the epoch.
    pub at_ms: i64,
    /// The last snapshot.
    pub state: Option<ExecutionState>,
    /// How it ended, if it is over.
    pub ended: Option<ExecutionEnded>,
}

impl LiveExecution {
    /// One that is not over.
    fn of_state(state: ExecutionState) -> Self {
        Self { id: state.execution_id.clone(), at_ms: state.requested_at_ms, state: Some(state), ended: None }
    }

    /// Its status.
    pub fn status(&self) -> &str {
        let state = || self.state.as_ref().map(|s| s.status.as_str());
        self.ended.as_ref().map(|e| e.status.as_str()).or_else(state).unwrap_or_default()
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        Status::parse(self.status()).is_some_and(Status::is_final)
    }
}

impl Inner {
    /// The family that goes first is not known any more. Of one that is alone what is oldest goes, but for its root.
    fn make_room(&mut self) {
        let Some(root) = self.families.pop_oldest() else {
            let below = self.by_time.iter().find(|(_, id)| id.contains('.'));
            if let Some(place) = below.or_else(|| self.by_time.first()).cloned() {
                self.by_time.remove(&place);
                self.by_id.remove(&place.1);
            }
            return;
        };
        // `/` follows `.`.
        let below = self.by_id.range(format!("{root}.")..format!("{root}/"));
        let family: Vec<(i64, String)> =
            self.by_id.get_key_value(&root).into_iter().chain(below).map(|(id, one)| (one.at_ms, id.clone())).collect();
        for place in family {
            self.by_time.remove(&place);
            self.by_id.remove(&place.1);
        }
    }
}

impl LiveView {
    /// An empty view.
    pub fn new(executions_max: usize) -> Self {
        Self { executions_max, inner: RwLock::default() }
    }

    /// Follows the topic on a thread of its own until told to stop.
    pub fn spawn(self: &Arc<Self>, follows: &Follows, topic: Arc<str>) {
        let view = self.clone();
        follows.follow_batched("live-executions", topic, move |_, record| view.take(&record));
    }

    /// What is known of one execution.
    pub fn get(&self, id: &str) -> Option<LiveExecution> {
        let inner = self.read();
        let waits = || inner.people.get(id).map(|waiting| LiveExecution::of_state(waiting.state.clone()));
        inner.by_id.get(id).cloned().or_else(waits)
    }

    /// An execution that waits for a person.
    pub fn waiting(&self, id: &str) -> Option<Waiting> {
        self.read().people.get(id).cloned()
    }

    /// What waits for a person and passes the filter, in the order of ids; and whether this view knows all that does.
    pub fn all_waiting(&self, filter: impl Fn(&Waiting) -> bool) -> (Vec<Waiting>, bool) {
        let inner = self.read();
        (inner.people.list(filter), inner.people.is_complete())
    }

    /// At most `limit` executions that pass the filter, latest first.
    pub fn list(&self, limit: usize, filter: impl Fn(&LiveExecution) -> bool) -> Vec<LiveExecution> {
        let inner = self.read();
        let latest = inner.by_time.iter().rev().filter_map(|(_, id)| inner.by_id.get(id));
        latest.filter(|e| filter(e)).take(limit).cloned().collect()
    }

    /// At most `limit` of what descends from an execution, in the order in which it was started, and how many there are.
    pub fn descendants(&self, id: &str, limit: usize) -> (Vec<LiveExecution>, usize) {
        // `/` follows `.`.
        let (from, to) = (format!("{id}."), format!("{id}/"));
        let inner = self.read();
        let mut found: Vec<&LiveExecution> = inner.by_id.range(from..to).map(|(_, execution)| execution).collect();
        let number = |step: &str| step.parse::<u32>().unwrap_or(u32::MAX);
        found.sort_by_cached_key(|execution| execution.id.split('.').skip(1).map(number).collect::<Vec<u32>>());
        (found.iter().take(limit).map(|execution| (*execution).clone()).collect(), found.len())
    }

    /// What waits for a worker: of each of these pools, and of others of which something does, every class.
    pub fn queues(&self, pools: &[String]) -> Vec<Queue> {
        self.read().queues.all(pools)
    }

    /// A tombstone means that the owners forgot an execution, not that it did not happen: it stays
    /// until newer ones push it out. It does not wait any more, even if how it ended was not seen.
    fn take(&self, record: &Record<'_>) {
        let Some(value) = record.value else {
            if let Some(id) = record.key.and_then(|key| std::str::from_utf8(key).ok()) {
                let mut inner = self.write();
                inner.queues.forget(id);
                inner.people.forget(id);
            }
            return;
        };
        // Timers, and the index of what waits, are in the same topic.
        if !matches!(kind_of(value), Ok(ExecutionState::NAME | ExecutionEnded::NAME)) {
            return;
        }
        match ExecutionsRecord::decode(value) {
            Ok(ExecutionsRecord::ExecutionState(state)) => {
                self.put(LiveExecution::of_state(state), record.timestamp_ms);
            }
            Ok(ExecutionsRecord::ExecutionEnded(ended)) => {
                let known = self.get(&ended.execution_id);
                self.put(
                    LiveExecution {
                        id: ended.execution_id.clone(),
                        at_ms: known.as_ref().map_or(ended.ended_at_ms, |k| k.at_ms),
                        state: known.and_then(|k| k.state),
                        ended: Some(ended),
                    },
                    record.timestamp_ms,
                );
            }
            // It is of an owner alone.
            Ok(ExecutionsRecord::WorkflowPiece(_) | ExecutionsRecord::WorkflowPage(_)) => {}
            Err(error) => tracing::warn!(%error, offset = record.offset, "execution state cannot be read"),
        }
    }

    pub(crate) fn put(&self, execution: LiveExecution, changed_ms: i64) {
        let mut inner = self.write();
        inner.queues.take(&execution, changed_ms);
        inner.people.take(&execution, changed_ms);
        inner.families.take(&execution.id, execution.at_ms);
        let place = (execution.at_ms, execution.id.clone());
        if let Some(before) = inner.by_id.insert(execution.id.clone(), execution) {
            inner.by_time.remove(&(before.at_ms, before.id));
        }
        inner.by_time.insert(place);
        while inner.by_time.len() > self.executions_max {
            inner.make_room();
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
