//! What waits for a person: questions that are open, and workflows that are frozen.
//!
//! They are kept however many executions came after them: somebody may take days to answer.

use std::collections::BTreeMap;

use petrel_execution::Status;
use petrel_schemas::ExecutionState;
use serde_json::Value;

use super::LiveExecution;

/// Most of them that are kept.
const WAITING_MAX: usize = 10_000;
/// Most bytes of what they say that are kept.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Bytes of one beside its texts, roughly.
const BYTES_OF_ONE: usize = 1 << 10;

/// What a person is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// An answer to a question.
    Answer,
    /// A decision about what failed in a workflow.
    Decision,
}

/// An execution that waits for a person.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// What for.
    pub wanted: Wanted,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Its last snapshot.
    pub state: ExecutionState,
    bytes: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct People {
    by_id: BTreeMap<String, Waiting>,
    bytes: usize,
    /// Whether one was left out for lack of room.
    left_out: bool,
}

impl People {
    /// Takes what is known of an execution since that instant, in milliseconds since the epoch.
    pub(super) fn take(&mut self, execution: &LiveExecution, changed_ms: i64) {
        let before = self.forget(&execution.id);
        let Some(state) = execution.state.as_ref().filter(|_| execution.ended.is_none()) else { return };
        let Some(wanted) = wanted(state) else { return };
        let waited = before.filter(|before| before.wanted == wanted).map(|before| before.since_ms);
        let since_ms = waited.unwrap_or(match wanted {
            Wanted::Answer => state.started_at_ms.unwrap_or(state.requested_at_ms),
            Wanted::Decision => changed_ms,
        });
        let bytes = bytes_of(state);
        if self.by_id.len() >= WAITING_MAX || self.bytes + bytes > WAITING_BYTES_MAX {
            self.left_out = true;
            return;
        }
        self.bytes += bytes;
        self.by_id.insert(execution.id.clone(), Waiting { wanted, since_ms, state: state.clone(), bytes });
    }

    /// An execution does not wait any more; how it did.
    pub(super) fn forget(&mut self, id: &str) -> Option<Waiting> {
        let waiting = self.by_id.remove(id)?;
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        Some(waiting)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Waiting> {
        self.by_id.get(id)
    }

    /// Those that pass the filter, in the order of their ids.
    pub(super) fn list(&self, filter: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        self.by_id.values().filter(|waiting| filter(waiting)).cloned().collect()
    }

    /// Whether all that wait are kept.
    pub(super) fn is_complete(&self) -> bool {
        !self.left_out
    }
}

/// What an execution wants of a person, if anything. A question has started nothing; a workflow that is `pending` waits for
/// its questions, which say what is asked.
pub fn wanted(state: &ExecutionState) -> Option<Wanted> {
    if state.status == Status::Pending.as_str() {
        return (state.children_open == 0).then_some(Wanted::Answer);
    }
    frozen(state).map(|_| Wanted::Decision)
}

/// What a frozen workflow has for whoever decides: `tasks`, `open`, `variables`, `errors`, as far as there was room for them,
/// and the names of what there was none for in `left_out`; none of what is not frozen, as one that somebody has paused.
pub fn frozen(state: &ExecutionState) -> Option<Value> {
    let shown: Value = serde_json::from_str(text_of(state)?).ok()?;
    shown.is_object().then_some(shown)
}

fn text_of(state: &ExecutionState) -> Option<&str> {
    state.frozen.as_deref().filter(|_| state.status == Status::Paused.as_str())
}

fn bytes_of(state: &ExecutionState) -> usize {
    BYTES_OF_ONE + state.parameters.len() + text_of(state).map_or(0, str::len)
}

#[cfg(test)]
mod tests;
