//! What whoever drives a conductor asks of it besides what is to be started.

use super::Conductor;
use super::staged::{Staged, StagedId};
use super::status::Status;

impl Conductor {
    /// Whether the workflow has failed and still has tasks to start that deal with that.
    pub(crate) fn remediates(&self) -> bool {
        self.status == Status::Failed && self.staging.open().any(|(_, staged)| staged.run_on_fail)
    }

    /// Gives up the tasks that would deal with the failure of the workflow, because they cannot be started.
    pub(crate) fn give_up_remediation(&mut self) {
        let remediation = self.staging.open().filter(|(_, staged)| staged.run_on_fail);
        let given_up: Vec<StagedId> = remediation.map(|(id, _)| id).collect();
        for id in given_up {
            self.change_staged(id, |staged| staged.run_on_fail = false);
        }
    }

    /// How many items a task has that is staged; none if it has no items that could be told of.
    pub(crate) fn item_count_of(&self, task: &str, route: u32) -> Option<usize> {
        self.staged_of_task(task, route)?.items.as_ref().map(super::items::Items::len)
    }

    /// The status of one of the items of a task that is staged.
    pub(crate) fn item_status(&self, task: &str, route: u32, item: usize) -> Option<Status> {
        self.staged_of_task(task, route)?.items.as_ref()?.statuses().get(item).copied()
    }

    fn staged_of_task(&self, task: &str, route: u32) -> Option<&Staged> {
        self.staging.find(self.definition.task_index(task)?, route).and_then(|id| self.staging.get(id))
    }
}
