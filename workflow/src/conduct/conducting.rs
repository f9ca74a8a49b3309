//! A workflow that runs: what its owner tells it, told to the conductor.

use petrel_execution::workflow::{Asked, Changed, ChildEnd, Conduct, Moved, Standing, Start};
use serde_json::Value as Json;

use super::children::{Child, Children, Done};
use super::workflow::status_of;
use crate::conductor::{self, Conductor, Event, Level, LogEntry, Status, json_bytes};
use crate::expression::Value;
use crate::limits::Limits;

/// A conductor, and the children that run for it.
pub(super) struct Conducting {
    pub(super) conductor: Conductor,
    pub(super) children: Children,
    pub(super) limits: Limits,
    /// The status that its tasks have been told of.
    pub(super) told: Status,
    /// Whether the last call for starts left some.
    pub(super) more: bool,
    /// How many errors there were when it was over.
    pub(super) over: Option<usize>,
    pub(super) over_changed: bool,
    /// Children that are to be ended and were not told yet.
    pub(super) stops: Vec<u32>,
}

impl Conducting {
    pub(super) fn blank(mut conductor: Conductor, limits: Limits) -> Self {
        conductor.tell_moves();
        Conducting {
            told: conductor.status(),
            conductor,
            children: Children::default(),
            limits,
            more: false,
            over: None,
            over_changed: false,
            stops: Vec::new(),
        }
    }

    /// One that begins.
    pub(super) fn begun(conductor: Conductor, limits: Limits) -> Self {
        let mut begun = Conducting { children: Children::new(), ..Conducting::blank(conductor, limits) };
        begun.settle();
        begun
    }

    /// What ran for a task or an item has ended. What ran without a child has no number yet.
    pub(super) fn ended(&mut self, child: &Child, number: Option<u32>, status: Status, result: Value) {
        if self.has_gone_on_without(child) {
            return;
        }
        let (task, route) = (&child.task, child.route);
        // What undoes an item is nothing that the results of its task are made of.
        let Some(item) = child.item.filter(|_| !child.is_of_end()) else {
            if let Err(error) = self.conductor.update(task, route, Event::Action { status, result }) {
                self.fail_at(child, error.to_string());
            }
            if self.has_gone_on_without(child) {
                self.children.set_aside(task, route);
            }
            return;
        };
        let number = number.unwrap_or_else(|| self.children.take_number());
        let result = self.bounded(child, result);
        let done = Done { child: child.clone(), status, result: result.clone() };
        self.children.finish_item(number, item, done);
        let ends = self.conductor.ends_with(task, route, item, status);
        let accumulated = if ends {
            let count = self.conductor.item_count_of(task, route).unwrap_or_default();
            self.children.results(child, count)
        } else {
            Value::Null
        };
        let told = self.conductor.update(task, route, Event::Item { item, status, result, accumulated });
        if ends || told.is_err() {
            // A task that ended badly keeps its items, so that it can be run again from those that failed.
            self.forget_lost_items(child);
        }
        if let Err(error) = told {
            self.fail_at(child, error.to_string());
        }
    }

    /// Whether what ran for a task or an item is waited for no more. A task that something leads to while it runs has more
    /// than one child: the first of them ends its run, and Orquesta's machine would take the end of another one for that
    /// of whatever the task does next, so that those are set aside. Items begin anew then, and how the former ones end is of
    /// no account.
    fn has_gone_on_without(&self, child: &Child) -> bool {
        let (task, route) = (&child.task, child.route);
        match child.item {
            _ if child.is_of_end() => false,
            Some(item) => {
                let status = self.conductor.item_status(task, route, item);
                status.is_none_or(|status| status == Status::Unset || status.is_completed())
            }
            None => {
                let status = self.conductor.task_status(task, route);
                status.is_some_and(|status| status == Status::Retrying || status.is_completed())
            }
        }
    }

    /// What an item has resulted in; nothing, and the workflow fails, if it is too much to remember until its task ends.
    fn bounded(&mut self, child: &Child, result: Value) -> Value {
        let bytes = self.conductor.published_bytes() + self.children.done_bytes() + json_bytes(&result);
        if bytes <= self.limits.published_bytes_max {
            return result;
        }
        self.fail_at(
            child,
            format!(
                "LimitExceeded: What items have resulted in, and the variables of the workflow, have {bytes} bytes, the \
                 limit PUBLISHED_BYTES_MAX is {}.",
                self.limits.published_bytes_max
            ),
        );
        Value::Null
    }

    /// Forgets what items have resulted in that the conductor does not know any more, or that have to run again.
    pub(super) fn forget_lost_items(&mut self, task: &Child) {
        let Conducting { conductor, children, .. } = self;
        let keep = |item| {
            let status = conductor.item_status(&task.task, task.route, item);
            status.is_some_and(|status| status != Status::Unset)
        };
        children.forget_items(task, keep);
    }

    /// Stops what runs for the items of a task of which none has begun: something has led to it since those did.
    pub(super) fn stop_former_items(&mut self, task: &Child) {
        if self.conductor.items_have_begun(&task.task, task.route) {
            return;
        }
        let former = self.children.stop_items(&task.task, task.route);
        self.stops.extend(former);
        if self.children.has_items_of(task) {
            self.forget_lost_items(task);
        }
    }

    /// Fails a workflow that nothing happens in any more, though it is to go on, and says whether it was such a one.
    /// Orquesta's machine comes to that, and would wait without an end, when it is told of an end that it took for that of
    /// a later run.
    pub(super) fn fail_stranded(&mut self) -> bool {
        let goes_on = matches!(self.conductor.status(), Status::Running | Status::Resuming);
        if !goes_on || self.children.run_for_tasks() || self.conductor.request(Status::Failed).is_err() {
            return false;
        }
        self.conductor.add_log_entry(LogEntry::error(
            "Stranded: No task of the workflow runs and none is to begin, though it has not come to its end. Run it \
             again from the tasks that are to go on.",
        ));
        true
    }

    /// Fails the workflow with an error at a task. What comes when it is over changes nothing of what it came to.
    pub(super) fn fail_at(&mut self, child: &Child, message: String) {
        self.log_error_at(child, message);
        if !self.conductor.status().is_completed() {
            // Whatever is not over can fail.
            let _ = self.conductor.request(Status::Failed);
        }
    }

    pub(super) fn log_error_at(&mut self, child: &Child, message: String) {
        self.conductor.add_log_entry(LogEntry {
            level: Level::Error,
            task_id: Some(child.task.clone()),
            route: Some(child.route),
            ..LogEntry::error(message)
        });
    }

    /// Lets a task with items go on that was to rest once the items that run have ended. Else it would rest then, and
    /// its workflow with it, though somebody has resumed that.
    fn resume_tasks(&mut self) {
        let mut resting: Vec<Child> = Vec::new();
        for (_, child) in self.children.iter() {
            let pausing = self.conductor.task_status(&child.task, child.route) == Some(Status::Pausing);
            let same = |other: &Child| (&other.task, other.route) == (&child.task, child.route);
            if child.item.is_some() && pausing && !resting.last().is_some_and(same) && !resting.iter().any(same) {
                resting.push(child.clone());
            }
        }
        for task in resting {
            for status in [Status::Resuming, Status::Running] {
                let event = Event::Action { status, result: Value::Null };
                if let Err(error) = self.conductor.update(&task.task, task.route, event) {
                    self.fail_at(&task, error.to_string());
                }
            }
        }
    }

    /// What runs for tasks that have ended without it is stopped, before anything begins under the same name.
    pub(super) fn collect_stops(&mut self) {
        for (task, route) in self.conductor.take_stops() {
            self.stops.extend(self.children.stop(&task, route));
        }
    }

    /// Why somebody cannot ask that now, for people.
    fn refusal(&self, asked: &Asked) -> Option<String> {
        let status = self.conductor.status();
        if *asked == Asked::Resume && status == Status::Pausing && self.conductor.is_frozen() {
            return Some(self.freezes());
        }
        let (can, what) = match asked {
            Asked::Pause => (status.is_running() || status.is_pause(), "paused"),
            Asked::Resume => (status.is_pause(), "resumed"),
            Asked::Cancel => (!status.is_completed(), "canceled"),
            Asked::Answer(_) => (false, "answered: it is no question"),
            Asked::Rerun(_) | Asked::Decide(_) => return None,
        };
        (!can).then(|| format!("The workflow is {status} and cannot be {what}."))
    }
}

/// The answer of a question that has ended with one.
fn response(result: Json) -> Json {
    match result {
        Json::Object(mut result) => result.remove("response").unwrap_or_default(),
        _ => Json::Null,
    }
}

impl Conduct for Conducting {
    fn set_now(&mut self, now_ms: i64) {
        self.conductor.set_now(Some(now_ms));
    }

    fn starts(&mut self, most: usize) -> Vec<Start> {
        self.next_starts(most)
    }

    fn has_more(&self) -> bool {
        let calls = self.over.is_none() && self.conductor.has_notices();
        self.more || calls || self.children.has_to_end()
    }

    fn child_ended(&mut self, number: u32, end: ChildEnd) -> Result<(), String> {
        let status = status_of(end.status)
            .ok_or_else(|| format!("The child {number} has not ended, it is {}.", end.status.as_str()))?;
        let child = self.children.close(number).ok_or_else(|| format!("The workflow has no open child {number}."))?;
        if !child.stopped && !child.set_aside && !child.notice {
            let answers = status == Status::Succeeded && self.conductor.definition().asks(&child.task);
            let result = if answers { response(end.result) } else { end.result };
            self.ended(&child, Some(number), status, result.into());
        }
        self.settle();
        Ok(())
    }

    fn child_rests(&mut self, number: u32, rests: bool) {
        self.children.rest(number, rests);
    }

    fn ask(&mut self, asked: &Asked) -> Result<(), String> {
        if *asked == Asked::Cancel {
            // Also where the workflow is over, or on its way to another end already.
            self.children.end_all();
        }
        if let Some(refusal) = self.refusal(asked) {
            return Err(refusal);
        }
        let status = match asked {
            Asked::Pause => Status::Paused,
            Asked::Resume => Status::Resuming,
            Asked::Cancel => Status::Canceled,
            Asked::Decide(decision) => return self.decide(decision),
            Asked::Rerun(tasks) => return self.rerun(tasks),
            Asked::Answer(_) => return Ok(()),
        };
        self.conductor.request(status).map_err(|error| error.to_string())?;
        self.told = self.conductor.status();
        if *asked == Asked::Resume {
            self.resume_tasks();
        }
        self.settle();
        Ok(())
    }

    fn take_stops(&mut self) -> Vec<u32> {
        self.collect_stops();
        std::mem::take(&mut self.stops)
    }

    fn next_to_end(&mut self, most: usize) -> Vec<u32> {
        self.children.next_to_end(most)
    }

    fn open(&self) -> Vec<u32> {
        self.children.iter().map(|(number, _)| number).collect()
    }

    fn due_ms(&self) -> Option<i64> {
        // What runs though the workflow is over has its time, too: nobody else would end it.
        self.conductor.due_ms()
    }

    fn time_passed(&mut self) {
        if let Err(error) = self.conductor.time_passed() {
            self.conductor.add_log_entry(LogEntry::error(error.to_string()));
            // Whatever is not over can fail.
            let _ = self.conductor.request(Status::Failed);
        }
        self.settle();
    }

    fn standing(&self) -> Standing {
        self.stands()
    }

    fn frozen(&self) -> Option<Json> {
        self.conductor.frozen().map(|frozen| frozen.shown())
    }

    fn gathered_bytes(&self) -> usize {
        self.conductor.kept_bytes() + self.children.done_bytes()
    }

    fn take_moves(&mut self) -> Vec<Moved> {
        let moves = self.conductor.take_moves().into_iter();
        let moved = |moved: conductor::Moved| {
            let conductor::Moved { task, route, run, change, status } = moved;
            Moved { task, route, run, change, status: status.name() }
        };
        moves.map(moved).collect()
    }

    fn take_changes(&mut self) -> Vec<Changed> {
        self.changes()
    }
}
