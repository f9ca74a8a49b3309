//! The live view of executions: the latest states, from the compacted topic that the owners write.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use petrel_bus::{Bus, Clock, Record};
use petrel_schemas::{ExecutionState, Stored, decode, kind_of};

use crate::follow::follow;
use crate::stop::Stop;

/// The latest executions by time of request, at most a configured number.
#[derive(Debug)]
pub struct LiveView {
    executions_max: usize,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, ExecutionState>,
    by_time: BTreeSet<(i64, String)>,
}

impl LiveView {
    /// An empty view.
    pub fn new(executions_max: usize) -> Self {
        Self { executions_max, inner: RwLock::default() }
    }

    /// Follows the topic on a thread of its own until told to stop.
    pub fn spawn(self: &Arc<Self>, bus: Arc<dyn Bus>, topic: Arc<str>, clock: Arc<dyn Clock>, stop: Stop) {
        let view = self.clone();
        follow("live-executions", bus, topic, clock, stop, move |_, record| view.take(&record), || {});
    }

    /// The state of one execution.
    pub fn get(&self, id: &str) -> Option<ExecutionState> {
        self.read().by_id.get(id).cloned()
    }

    /// At most `limit` executions that pass the filter, latest first.
    pub fn list(&self, limit: usize, filter: impl Fn(&ExecutionState) -> bool) -> Vec<ExecutionState> {
        let inner = self.read();
        let latest = inner.by_time.iter().rev().filter_map(|(_, id)| inner.by_id.get(id));
        latest.filter(|e| filter(e)).take(limit).cloned().collect()
    }

    /// A tombstone means that the owners forgot an execution, not that it did not happen: it stays
    /// until newer ones push it out.
    fn take(&self, record: &Record<'_>) {
        let Some(value) = record.value else { return };
        if kind_of(value) != Ok(ExecutionState::NAME) {
            return;
        }
        match decode::<ExecutionState>(value) {
            Ok(state) => self.put(state),
            Err(error) => tracing::warn!(%error, offset = record.offset, "execution state cannot be read"),
        }
    }

    fn put(&self, state: ExecutionState) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_time.insert((state.requested_at_ms, state.execution_id.clone()));
        inner.by_id.insert(state.execution_id.clone(), state);
        while inner.by_time.len() > self.executions_max {
            let Some((_, oldest)) = inner.by_time.pop_first() else { break };
            inner.by_id.remove(&oldest);
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
