//! What whoever drives a conductor asks of it besides what is to be started.

use serde_json::Value as Json;

use super::Conductor;
use super::staged::{Staged, StagedId};
use super::status::Status;
use crate::expression::Value;

impl Conductor {
    /// Whether the workflow has failed and still has tasks to start that deal with that.
    pub(crate) fn remediates(&self) -> bool {
        self.status == Status::Failed && self.staging.open().any(|(_, staged)| staged.run_on_fail)
    }

    /// Gives up the tasks that would deal with the failure of the workflow, because they cannot be started.
    pub(crate) fn give_up_remediation(&mut self) {
        // Of a task with items that run, others follow.
        let rests = |staged: &Staged| staged.items.as_ref().is_none_or(|items| items.active() == 0);
        let remediation = self.staging.open().filter(|(_, staged)| staged.run_on_fail && rests(staged));
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

    /// Of a task's input, the names of what stands in the workflow's text as it is and reads like the name of a secret.
    pub(crate) fn names_of_secrets(&self, task: &str, input: &Json) -> Vec<String> {
        let Some(written) = self.definition.task_index(task).map(|task| self.definition.task(task).input.source())
        else {
            return Vec::new();
        };
        let reads_like_one = |value: &&str| value.starts_with("${");
        let is_written = |name: &str, value: &str| {
            written.as_map().and_then(|written| written.get(name)).and_then(Value::as_str) == Some(value)
        };
        let texts = input.as_object().into_iter().flatten();
        let texts = texts.filter_map(|(name, value)| Some((name, value.as_str().filter(reads_like_one)?)));
        texts.filter(|(name, value)| is_written(name, value)).map(|(name, _)| name.clone()).collect()
    }

    fn staged_of_task(&self, task: &str, route: u32) -> Option<&Staged> {
        self.staging.find(self.definition.task_index(task)?, route).and_then(|id| self.staging.get(id))
    }
}
