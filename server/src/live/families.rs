//! Which executions go when there is no room: families, the one of which nothing was requested for the longest first.
//!
//! Whoever looks at a workflow wants to see what it has started, and what was started is newer than the workflow: by the
//! time of each alone, parents would go before their children.

use std::collections::{BTreeSet, HashMap};

/// Families by when the latest of each was requested.
#[derive(Debug, Default)]
pub(super) struct Families {
    latest: HashMap<String, i64>,
    by_latest: BTreeSet<(i64, String)>,
}

impl Families {
    /// One of a family was requested at that time, in milliseconds since the epoch.
    pub(super) fn take(&mut self, id: &str, at_ms: i64) {
        let root = root_of(id);
        let before = self.latest.get(root).copied();
        if before.is_some_and(|before| before >= at_ms) {
            return;
        }
        if let Some(before) = before {
            self.by_latest.remove(&(before, root.to_owned()));
        }
        self.latest.insert(root.to_owned(), at_ms);
        self.by_latest.insert((at_ms, root.to_owned()));
    }

    /// The family that goes first, by its root, which is forgotten; none where there is no other.
    pub(super) fn pop_oldest(&mut self) -> Option<String> {
        if self.by_latest.len() <= 1 {
            return None;
        }
        let (_, root) = self.by_latest.pop_first()?;
        self.latest.remove(&root);
        Some(root)
    }
}

/// The root of an execution's family, by its id.
fn root_of(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use petrel_schemas::ExecutionState;

    use crate::live::testkit::{child, live, state};
    use crate::live::{LiveExecution, LiveView};

    fn at(state: ExecutionState, requested_at_ms: i64) -> LiveExecution {
        live(ExecutionState { requested_at_ms, ..state })
    }

    fn known(view: &LiveView) -> Vec<String> {
        let task = |one: LiveExecution| {
            let state = one.state.unwrap();
            state.task.unwrap_or(state.status)
        };
        view.list(100, |_| true).into_iter().map(task).collect()
    }

    #[test]
    fn a_workflow_stays_as_long_as_what_it_has_started() {
        let view = LiveView::new(3);
        view.put(at(state(1, "workflow"), 10), 10);
        view.put(at(state(2, "plain"), 20), 20);
        view.put(at(child(1, 1, "a", "running"), 30), 30);
        view.put(at(state(3, "other"), 40), 40);
        assert_eq!(known(&view), ["other", "a", "workflow"], "what is newest of the family is newer");
        assert_eq!(view.descendants(&state(1, "").execution_id, 9).1, 1);
        view.put(at(state(4, "another"), 50), 50);
        assert_eq!(known(&view), ["another", "other"], "it goes with all that it has started");
        assert_eq!(view.descendants(&state(1, "").execution_id, 9).1, 0);
        // What is told of it later is there again.
        view.put(at(child(1, 2, "b", "running"), 60), 60);
        assert_eq!(known(&view), ["b", "another", "other"]);
    }

    #[test]
    fn a_family_that_is_larger_than_the_view_keeps_its_root_and_what_is_newest() {
        let view = LiveView::new(3);
        view.put(at(state(1, "workflow"), 10), 10);
        for number in 1..6 {
            view.put(at(child(1, number, &number.to_string(), "running"), 10 + i64::from(number)), 0);
        }
        assert_eq!(known(&view), ["5", "4", "workflow"]);
        view.put(at(state(2, "plain"), 20), 20);
        assert_eq!(known(&view), ["plain"]);
    }
}
