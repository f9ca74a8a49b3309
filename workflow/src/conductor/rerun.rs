//! Running a workflow that has ended once more, from tasks that failed or from named ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::ContextId;
use super::led::Led;
use super::log::LogEntry;
use super::runs::{JoinStatus, Run, RunId};
use super::staged::Staged;
use super::status::Status;
use super::{Conductor, ConductorError};
use crate::definition::TaskIndex;

/// A task to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerun {
    /// The task's name.
    pub task: String,
    /// Its route's number.
    pub route: u32,
    /// Of a task with items, whether all of them run again, and not only those that ended badly or never ran.
    pub reset_items: bool,
}

/// The tasks that run again, each in its route, and whether all of its items do.
type Candidates = BTreeMap<(TaskIndex, u32), bool>;

/// A join that something has arrived at which does not run again.
struct Joining {
    task: TaskIndex,
    route: u32,
    context: ContextId,
    before: Vec<(Arc<str>, RunId)>,
}

impl Conductor {
    /// Lets a workflow that has ended run again, as Orquesta does: from these tasks, or from all that ended badly with
    /// nothing behind them or were stopped when it ended. It is `resuming` then; its tasks are offered as always. What
    /// came behind them counts on, at joins for one, until it has run again; and one that never began is `resuming` with
    /// nothing to do.
    ///
    /// # Errors
    /// A workflow that has not ended, and tasks that never ran. Nothing changes then.
    pub fn rerun(&mut self, tasks: &[Rerun]) -> Result<(), ConductorError> {
        self.check_ended()?;
        let candidates = if tasks.is_empty() { self.failed_ends() } else { self.named(tasks)? };
        self.rerun_from(candidates)
    }

    /// Lets a workflow that has ended run again from these tasks, and from those that were stopped or canceled, which
    /// would cancel it again. Of these, the ones that nothing else of them leads to. What came behind them is as if it
    /// had never been; what had not begun when the workflow ended begins as well.
    ///
    /// # Errors
    /// As for [`Conductor::rerun`], and a workflow that never began.
    pub fn rerun_tasks(&mut self, tasks: &[Rerun]) -> Result<(), ConductorError> {
        self.check_rerun()?;
        let named = self.named(tasks)?;
        let mut wanted = self.canceled_tasks();
        wanted.extend(named.keys().filter_map(|(task, route)| self.runs.latest(*task, *route)));
        let (mut candidates, reached) = self.first_of(wanted);
        for (key, reset_items) in &mut candidates {
            *reset_items = named.get(key).copied().unwrap_or_default();
        }
        self.take_back(&candidates, &reached);
        self.rerun_from(candidates)
    }

    /// Lets a workflow that has ended run again from whatever keeps it from success: tasks that ended badly with nothing
    /// behind them, tasks that were stopped or canceled, those that led to the command `fail`, and those that were undone.
    /// Of these, the ones that nothing else of them leads to. What had not begun when it ended begins as well.
    ///
    /// # Errors
    /// As for [`Conductor::rerun_tasks`], and a workflow in which there is none of that.
    pub fn rerun_what_failed(&mut self) -> Result<(), ConductorError> {
        self.check_rerun()?;
        let (candidates, reached) = self.first_of(self.failed_tasks());
        if candidates.is_empty() && !self.staging.has_open() {
            return Err(ConductorError::NothingFailed);
        }
        self.take_back(&candidates, &reached);
        self.rerun_from(candidates)
    }

    fn check_ended(&self) -> Result<(), ConductorError> {
        if self.status.is_completed() { Ok(()) } else { Err(ConductorError::StillActive) }
    }

    fn check_rerun(&self) -> Result<(), ConductorError> {
        self.check_ended()?;
        // What has begun has a route.
        if self.runs.routes().is_empty() { Err(ConductorError::NeverBegan) } else { Ok(()) }
    }

    fn rerun_from(&mut self, candidates: Candidates) -> Result<(), ConductorError> {
        for ((task, route), reset_items) in candidates {
            self.rerun_task(task, route, reset_items)?;
        }
        let is_continued = |id: &RunId| {
            let run = self.runs.get(*id);
            run.terminal && run.next.contains(&Some(true))
        };
        let continued: Vec<RunId> = self.runs.iter().map(|(id, _)| id).filter(is_continued).collect();
        for id in continued {
            self.set_terminal(id, false);
        }
        self.output = None;
        if self.definition.native.is_some() {
            // What was wrong with the workflow as a whole, its time for one, was so the last time.
            self.forget_errors_of_the_whole();
            self.change_native(|native| {
                native.rolled_back = None;
                native.undone.clear();
            });
        }
        self.set_status(Status::Resuming);
        if let Err(message) = self.begin_time() {
            self.log_error(LogEntry::error(message));
            self.fail();
        }
        self.advance_ending();
        Ok(())
    }

    /// The tasks that ended badly with nothing behind them, and those that were stopped when the workflow ended.
    fn failed_ends(&self) -> Candidates {
        let is_latest = |id, run: &Run| self.runs.latest(run.task, run.route) == Some(id);
        let ends = self.runs.iter().filter(|(id, run)| {
            let stopped = run.stopped && run.status == Status::Canceled && is_latest(*id, run);
            stopped || (run.terminal && run.status.is_abended())
        });
        ends.map(|(_, run)| ((run.task, run.route), false)).collect()
    }

    /// The latest runs of tasks that ended badly, were canceled, led to the command `fail` or were undone.
    fn failed_tasks(&self) -> BTreeSet<RunId> {
        let is_task = |task: TaskIndex| self.definition.task(task).command.is_none();
        let ends = self.failed_ends().into_keys().filter(|(task, _)| is_task(*task));
        let undone = self.native.kept.undone.iter();
        let undone = undone.filter_map(|(task, route)| Some((self.definition.task_index(task)?, *route)));
        let mut failed: BTreeSet<RunId> =
            ends.chain(undone).filter_map(|(task, route)| self.runs.latest(task, route)).collect();
        failed.extend(self.canceled_tasks());
        for (_, run) in self.runs.iter().filter(|(id, run)| self.runs.latest(run.task, run.route) == Some(*id)) {
            if !is_task(run.task) && run.terminal && run.status.is_abended() {
                let led = run.before.iter().map(|(_, before)| self.runs.get(*before));
                failed.extend(led.filter_map(|led| self.runs.latest(led.task, led.route)));
            }
        }
        failed
    }

    /// The latest runs of tasks that were stopped or canceled.
    fn canceled_tasks(&self) -> BTreeSet<RunId> {
        let is_canceled = |id: &RunId| {
            let run = self.runs.get(*id);
            run.status == Status::Canceled && self.definition.task(run.task).command.is_none()
        };
        self.runs.latest_in_order().into_iter().filter(is_canceled).collect()
    }

    /// Those of some runs that no other one of them leads to, over however many tasks; and with them the runs that they led
    /// to.
    fn first_of(&self, wanted: BTreeSet<RunId>) -> (Candidates, BTreeSet<RunId>) {
        let mut reached: BTreeSet<RunId> = BTreeSet::new();
        let mut first = BTreeMap::new();
        // What led to a run began before it.
        for (id, run) in self.runs.iter() {
            if run.before.iter().any(|(_, before)| reached.contains(before)) {
                reached.insert(id);
            } else if wanted.contains(&id) {
                reached.insert(id);
                first.insert((run.task, run.route), false);
            }
        }
        (first, reached)
    }

    /// Takes back what came behind tasks that run again, because they lead to it once more: it counts no more, at joins
    /// for one, what is about to begin does not, and its errors are forgotten.
    fn take_back(&mut self, candidates: &Candidates, reached: &BTreeSet<RunId>) {
        let joins = self.joins_behind(candidates, reached);
        for id in reached {
            let run = self.runs.get(*id);
            if candidates.contains_key(&(run.task, run.route)) && self.runs.latest(run.task, run.route) == Some(*id) {
                // Its next run takes its place.
                self.forget_next(*id);
                continue;
            }
            let name = self.definition.task(run.task).name.clone();
            self.forget_errors_of(&name);
            self.take_back_run(*id);
        }
        for id in self.staging.ids() {
            let Some(staged) = self.staging.get(id) else { continue };
            let (task, route) = (staged.task, staged.route);
            let mut before = staged.before.as_slice().to_vec();
            before.retain(|(_, run)| !reached.contains(run));
            if before.len() == staged.before.len() || candidates.contains_key(&(task, route)) {
                continue;
            }
            if before.is_empty() {
                self.unstage(id);
                continue;
            }
            let ready = self.join_status(task, route) == JoinStatus::Met;
            self.led_only_by(id, Led::of(before));
            self.change_staged(id, |staged| staged.ready = ready);
        }
        for Joining { task, route, context, before } in joins {
            if self.staging.find(task, route).is_none() {
                let ready = self.join_status(task, route) == JoinStatus::Met;
                self.stage(Staged { ready, ..Staged::new(task, route, context, before) });
            }
        }
    }

    /// The joins that have begun behind tasks that run again, with what else has arrived at them: they wait for the
    /// others once more.
    fn joins_behind(&self, candidates: &Candidates, reached: &BTreeSet<RunId>) -> Vec<Joining> {
        let joining = |id: &RunId| {
            let run = self.runs.get(*id);
            let (task, route) = (run.task, run.route);
            let begins_behind = self.definition.task(task).join.is_some()
                && self.runs.latest(task, route) == Some(*id)
                && !candidates.contains_key(&(task, route));
            let before = run.before.iter().filter(|(_, before)| !reached.contains(before)).cloned();
            let before: Vec<_> = before.filter(|_| begins_behind).collect();
            (!before.is_empty()).then_some(Joining { task, route, context: run.context, before })
        };
        reached.iter().filter_map(joining).collect()
    }

    /// The named tasks without those that come behind another one of them anyway.
    fn named(&self, tasks: &[Rerun]) -> Result<Candidates, ConductorError> {
        let mut known = BTreeMap::new();
        let mut unknown: Vec<String> = Vec::new();
        for rerun in tasks {
            let task = self.definition.task_index(&rerun.task);
            match task.and_then(|task| Some((task, self.runs.latest(task, rerun.route)?))) {
                Some((task, run)) => {
                    let behind = self.directly_behind(run);
                    known.insert((task, rerun.route), (rerun.reset_items, behind));
                }
                None => unknown.push(format!("{}|{}", rerun.task, rerun.route)),
            }
        }
        if !unknown.is_empty() {
            unknown.dedup();
            return Err(ConductorError::NotRerunnable(unknown.join(", ")));
        }
        if known.len() > 1 {
            let behind: Vec<BTreeSet<RunId>> = known.values().map(|(_, behind)| behind.clone()).collect();
            known.retain(|_, (_, own)| behind.iter().any(|other| !own.is_subset(other)));
        }
        Ok(known.into_iter().map(|(key, (reset_items, _))| (key, reset_items)).collect())
    }

    /// A run, and those that it led to.
    fn directly_behind(&self, run: RunId) -> BTreeSet<RunId> {
        let (task, route) = (self.runs.get(run).task, self.runs.get(run).route);
        let is_own = |id: RunId| self.runs.get(id).task == task && self.runs.get(id).route == route;
        let led_to = self.runs.iter().filter(|(_, other)| other.before.iter().any(|(_, before)| is_own(*before)));
        led_to.map(|(id, _)| id).chain([run]).collect()
    }

    pub(super) fn rerun_task(&mut self, task: TaskIndex, route: u32, reset_items: bool) -> Result<(), ConductorError> {
        let Some(run) = self.runs.latest(task, route) else { return Ok(()) };
        let (context, before) = (self.runs.get(run).context, self.runs.get(run).before.clone());
        self.set_terminal(run, false);
        let staged = self.staging.find(task, route);
        if let Some(id) = staged {
            self.change_staged(id, |staged| staged.completed = false);
        }
        let definition = Arc::clone(&self.definition);
        self.forget_errors_of(&definition.task(task).name);
        match staged {
            Some(id) if definition.task(task).with.is_some() => self.reset_items(id, reset_items),
            _ => {
                if definition.task(task).with.is_none() {
                    self.add_run(task, route, context, before.clone())?;
                }
                self.stage(Staged::new(task, route, context, before));
            }
        }
        if let Some(latest) = self.runs.latest(task, route) {
            for id in self.directly_behind(latest) {
                self.set_terminal(id, false);
            }
        }
        Ok(())
    }
}
