//! What whoever drives a conductor asks of it besides what is to be started.

use serde_json::Value as Json;

use super::Conductor;
use super::staged::{Staged, StagedId};
use super::status::Status;
use crate::definition::CallOuts;
use crate::expression::Value;

impl Conductor {
    /// Whether a task has failed that a person has to decide about.
    pub(crate) fn is_frozen(&self) -> bool {
        !self.native.kept.frozen.is_empty()
    }

    /// Lets a workflow that freezes and in which nothing runs any more come to rest. A task with items that something else
    /// has led to while they ran begins them anew, and would be waited for without an end.
    pub(crate) fn rest_frozen(&mut self) {
        if self.status != Status::Pausing || !self.is_frozen() {
            return;
        }
        for id in self.runs.latest_in_order() {
            let run = self.runs.get(id);
            let runs = matches!(run.status, Status::Running | Status::Pausing);
            if runs && self.definition.task(run.task).with.is_some() {
                self.set_run_status(id, Status::Paused);
            }
        }
        self.set_status(Status::Paused);
    }

    /// Whether the workflow waits for nothing but the answers of people.
    pub(crate) fn waits_for_answers_alone(&self) -> bool {
        let asking = self.runs.asking();
        asking > 0
            && matches!(self.status, Status::Running | Status::Resuming)
            && !self.is_ending()
            && !self.staging.has_open()
            && self.runs.count(Status::is_active) == asking
    }

    /// Whether the workflow has failed and still has tasks to start that deal with that.
    pub(crate) fn remediates(&self) -> bool {
        self.status == Status::Failed && self.staging.open().any(|(_, staged)| staged.run_on_fail)
    }

    /// Gives up the tasks that would deal with the failure of the workflow, because they cannot be started. Whether its end
    /// goes on because of that.
    pub(crate) fn give_up_remediation(&mut self) -> bool {
        // Of a task with items that run, others follow.
        let rests = |staged: &Staged| staged.items.as_ref().is_none_or(|items| items.active() == 0);
        let remediation = self.staging.open().filter(|(_, staged)| staged.run_on_fail && rests(staged));
        let given_up: Vec<StagedId> = remediation.map(|(id, _)| id).collect();
        let goes_on = self.is_ending() && !given_up.is_empty();
        for id in given_up {
            self.change_staged(id, |staged| staged.run_on_fail = false);
            if goes_on {
                self.rest_items(id);
            }
        }
        self.advance_ending();
        goes_on
    }

    /// Lets a task rest of whose items none runs and none is begun any more, so that nothing waits for it.
    fn rest_items(&mut self, id: StagedId) {
        let Some(staged) = self.staging.get(id) else { return };
        let Some(run) = self.runs.latest(staged.task, staged.route) else { return };
        let runs = matches!(self.runs.get(run).status, Status::Running | Status::Pausing);
        if runs && self.definition.task(staged.task).with.is_some() {
            self.set_run_status(run, Status::Paused);
        }
    }

    /// About how many bytes its variables have, and what failed tasks have resulted in.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.published_bytes + self.errors.result_bytes() + self.log.result_bytes()
    }

    /// Bytes of all variables that it began with or that have been published.
    pub(crate) fn published_bytes(&self) -> usize {
        self.published_bytes
    }

    /// How many items a task has that is staged; none if it has no items that could be told of.
    pub(crate) fn item_count_of(&self, task: &str, route: u32) -> Option<usize> {
        self.staged_of_task(task, route)?.items.as_ref().map(super::items::Items::len)
    }

    /// Whether one of the items of a task that is staged has begun.
    pub(crate) fn items_have_begun(&self, task: &str, route: u32) -> bool {
        let items = self.staged_of_task(task, route).and_then(|staged| staged.items.as_ref());
        items.is_some_and(super::items::Items::have_begun)
    }

    /// The status of one of the items of a task that is staged.
    pub(crate) fn item_status(&self, task: &str, route: u32, item: usize) -> Option<Status> {
        self.staged_of_task(task, route)?.items.as_ref()?.statuses().get(item).copied()
    }

    /// Of the input of what runs under a name, the names of what stands in the workflow's text as it is and reads like the
    /// name of a secret. `notice`: it calls people about the question of that task, or about a freeze.
    pub(crate) fn names_of_secrets(&self, name: &str, notice: bool, input: &Json) -> Vec<String> {
        let reads_like_one = |value: &&str| value.starts_with("${");
        if !input
            .as_object()
            .into_iter()
            .flatten()
            .any(|(_, value)| value.as_str().is_some_and(|text| reads_like_one(&text)))
        {
            return Vec::new();
        }
        let written = self.written_inputs(name, notice);
        let is_written = |name: &str, value: &str| {
            let of = |written: &&Value| written.get(name).and_then(Value::as_str) == Some(value);
            written.iter().any(of)
        };
        let texts = input.as_object().into_iter().flatten();
        let texts = texts.filter_map(|(name, value)| Some((name, value.as_str().filter(reads_like_one)?)));
        texts.filter(|(name, value)| is_written(name, value)).map(|(name, _)| name.clone()).collect()
    }

    /// What stands in the workflow's text as the input of what runs under a name.
    fn written_inputs(&self, name: &str, notice: bool) -> Vec<&Value> {
        let native = self.definition.native.as_ref();
        let task = |name: &str| self.definition.task_index(name).map(|task| self.definition.task(task));
        if notice {
            let of_task = task(name).and_then(|task| task.native.ask.as_deref()).map(|ask| &ask.call_outs);
            let call_outs = of_task.or(native.map(|native| &native.on_freeze));
            return call_outs.into_iter().flat_map(CallOuts::calls).map(|call| call.input.source()).collect();
        }
        let mut parts = name.splitn(3, '/');
        let source = match (parts.next(), parts.next(), parts.next()) {
            (Some("undo"), Some(_), Some(of)) => {
                task(of).and_then(|task| task.native.undo.as_deref()).map(|undo| undo.input.source())
            }
            (Some("finally"), Some(number), _) => {
                let entry = number.parse::<usize>().ok().zip(native);
                entry.and_then(|(number, native)| native.finally.get(number)).map(|entry| entry.call.input.source())
            }
            _ => task(name).map(|task| task.input.source()),
        };
        source.into_iter().collect()
    }

    fn staged_of_task(&self, task: &str, route: u32) -> Option<&Staged> {
        self.staging.find(self.definition.task_index(task)?, route).and_then(|id| self.staging.get(id))
    }
}
