//! What comes behind a task that has ended.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Conductor;
use super::context::{ContextId, Published, Rolling};
use super::log::LogEntry;
use super::runs::{JoinStatus, RunId};
use super::staged::{Staged, StagedId};
use super::status::Status;
use crate::definition::{Command, Entry, Task, TaskIndex, Transition};
use crate::expression::{Scope, Value};

/// Whether something comes behind a task that has ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Behind {
    /// A task that can run, or a join that may still be met.
    pub(super) next: bool,
    /// Anything, a join that can not be met included.
    pub(super) any: bool,
}

impl Behind {
    pub(super) fn of(conductor: &Conductor, task: TaskIndex, route: u32) -> Behind {
        let mut behind = Behind::default();
        let Some(run) = conductor.runs.latest(task, route).map(|run| conductor.runs.get(run)) else { return behind };
        if !run.status.is_completed() {
            return behind;
        }
        let transitions = conductor.definition.task(task).next.iter().zip(&run.next);
        for (transition, _) in transitions.filter(|(_, taken)| **taken == Some(true)) {
            let to = conductor.definition.task(transition.to);
            if to.command == Some(Command::Continue) {
                continue;
            }
            behind.any = true;
            if to.join.is_none() || conductor.join_status(transition.to, route) != JoinStatus::Unmet {
                behind.next = true;
                return behind;
            }
        }
        behind
    }
}

/// What an entry of `next` comes to.
#[derive(Clone)]
enum Outcome {
    /// Its condition could not be evaluated.
    Undecided(String),
    NotTaken,
    /// What it publishes could not be evaluated.
    Unpublished(Vec<String>),
    /// With what it publishes.
    Taken(Published),
}

impl Conductor {
    /// Decides every transition of a task that has ended and stages what they lead to. What the engine does itself is
    /// handed back.
    pub(super) fn complete(&mut self, run: RunId, result: Value) -> VecDeque<(TaskIndex, u32)> {
        let definition = Arc::clone(&self.definition);
        let (index, route, context) = {
            let run = self.runs.get(run);
            (run.task, run.route, run.context)
        };
        let task = definition.task(index);
        if task.next.is_empty() {
            self.set_terminal(run, true);
        }
        let outcomes = self.outcomes(task, run, &result);
        let mut commands = VecDeque::new();
        let mut staged_tasks = Vec::new();
        let mut manual_fail = false;
        let mut published: Vec<Option<ContextId>> = vec![None; task.entries.len()];
        for (number, transition) in task.next.iter().enumerate() {
            let variables = match &outcomes[transition.entry] {
                Some(Outcome::Taken(published)) => published,
                Some(Outcome::Undecided(message)) => {
                    self.fail_transition(task, route, transition, std::slice::from_ref(message));
                    continue;
                }
                Some(Outcome::Unpublished(messages)) => {
                    self.set_next(run, number, true);
                    self.fail_transition(task, route, transition, messages);
                    continue;
                }
                Some(Outcome::NotTaken) | None => {
                    self.set_next(run, number, false);
                    continue;
                }
            };
            self.set_next(run, number, true);
            if let Some(message) = self.over_limit(variables, published[transition.entry].is_some()) {
                self.fail_transition(task, route, transition, &[message]);
                continue;
            }
            let behind = *published[transition.entry].get_or_insert_with(|| self.publish(context, variables));
            let staged = self.stage_next(run, route, transition, behind);
            if let Some(command) = definition.task(transition.to).command {
                manual_fail |= command == Command::Fail;
                let route = self.staging.get(staged).map_or(route, |staged| staged.route);
                commands.push_back((transition.to, route));
            } else if self.staging.get(staged).is_some_and(|staged| staged.ready) {
                staged_tasks.push(staged);
            }
        }
        if manual_fail {
            for staged in staged_tasks {
                self.change_staged(staged, |staged| staged.run_on_fail = true);
            }
        }
        commands
    }

    /// What the entries of `next` that transitions belong to come to.
    fn outcomes(&self, task: &Task, run: RunId, result: &Value) -> Vec<Option<Outcome>> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; task.entries.len()];
        let mut scope = None;
        for transition in &task.next {
            if outcomes[transition.entry].is_some() {
                continue;
            }
            let entry = &task.entries[transition.entry];
            let outcome = if entry.when.is_none() && entry.publish.is_empty() {
                Outcome::Taken(Published::new())
            } else {
                let scope = scope.get_or_insert_with(|| self.scope_of(self.runs.get(run), result));
                outcome_of(entry, scope)
            };
            outcomes[transition.entry] = Some(outcome);
        }
        outcomes
    }

    fn fail_transition(&mut self, task: &Task, route: u32, transition: &Transition, messages: &[String]) {
        for message in messages {
            self.log_error(LogEntry {
                task_id: Some(task.name.clone()),
                route: Some(route),
                task_transition_id: Some(transition.id.clone()),
                ..LogEntry::error(message.clone())
            });
        }
        self.fail();
    }

    /// Why nothing may come behind this transition: too much has been published, or too many tasks have begun.
    fn over_limit(&self, variables: &[(Arc<str>, Value)], counted: bool) -> Option<String> {
        let more = if counted { 0 } else { bytes_of(variables) };
        if !variables.is_empty() && self.published_bytes + more > self.limits.published_bytes_max {
            return Some(format!(
                "LimitExceeded: The variables of the workflow have {} bytes with what is published here, the limit \
                 PUBLISHED_BYTES_MAX is {}.",
                self.published_bytes + more,
                self.limits.published_bytes_max
            ));
        }
        (self.runs.len() >= self.limits.runs_max).then(|| {
            format!(
                "LimitExceeded: The tasks of the workflow have begun {} times, the limit RUNS_MAX is {}.",
                self.runs.len(),
                self.limits.runs_max
            )
        })
    }

    fn publish(&mut self, context: ContextId, variables: &[(Arc<str>, Value)]) -> ContextId {
        if variables.is_empty() {
            return context;
        }
        self.published_bytes += bytes_of(variables);
        self.workflow_changed();
        let behind = self.contexts.publish(context, variables.to_vec());
        self.context_added(behind);
        behind
    }

    /// Stages the task that a transition leads to, or lets the transition arrive at what is staged already.
    fn stage_next(&mut self, run: RunId, route: u32, transition: &Transition, context: ContextId) -> StagedId {
        let to = transition.to;
        let next_route = self.route_behind(transition, route);
        let staged = match self.staging.find(to, next_route) {
            Some(id) => {
                let there = self.staging.get(id).map_or(0, |staged| staged.context);
                let before = self.contexts.len();
                let joined = self.contexts.join(there, context);
                if self.contexts.len() > before {
                    self.context_added(joined);
                }
                self.stop_items_of_former_arrival(id);
                self.restage(id, |staged| staged.context = joined);
                self.led_by(id, &transition.step, run);
                id
            }
            None => {
                let mut staged = Staged::new(to, next_route, context, vec![(transition.step.clone(), run)]);
                staged.ready = false;
                self.stage(staged)
            }
        };
        let ready = self.join_status(to, route) == JoinStatus::Met;
        self.change_staged(staged, |staged| staged.ready = ready);
        staged
    }

    /// Stops what runs for the items of a staged task that something else has led to. They begin anew, in a run of their
    /// own, and nothing would be known any more of those that run. Orquesta lets them run on, and fails by their ends.
    fn stop_items_of_former_arrival(&mut self, id: StagedId) {
        let Some(staged) = self.staging.get(id).filter(|staged| staged.items.is_some()) else { return };
        let Some(run) = self.runs.latest(staged.task, staged.route) else { return };
        let status = self.runs.get(run).status;
        let has_begun = !status.is_completed() && !matches!(status, Status::Unset | Status::Retrying);
        if has_begun && self.definition.native.is_some() {
            self.stop(run, Status::Abandoned);
        }
    }

    /// A task that splits begins a route of its own for every arrival.
    fn route_behind(&mut self, transition: &Transition, route: u32) -> u32 {
        if !self.definition.task(transition.to).split {
            return route;
        }
        let mut steps = self.runs.routes().get(route as usize).cloned().unwrap_or_default();
        if steps.iter().any(|step| **step == *transition.step) {
            return route;
        }
        steps.push(transition.step.to_string());
        self.add_route(steps)
    }

    pub(super) fn join_status(&self, join: TaskIndex, route: u32) -> JoinStatus {
        let something_left = self.runs.count(Status::is_active) > 0 || self.staging.has_open();
        self.runs.join_status(join, route, something_left)
    }
}

fn outcome_of(entry: &Entry, scope: &Scope) -> Outcome {
    match entry.when.as_ref().map_or(Ok(true), |when| when.is_true(scope)) {
        Ok(true) => {}
        Ok(false) => return Outcome::NotTaken,
        Err(error) => return Outcome::Undecided(error.to_string()),
    }
    if entry.publish.is_empty() {
        return Outcome::Taken(Published::new());
    }
    let mut rolling = Rolling::on(Arc::clone(&scope.variables));
    let mut errors = Vec::new();
    for (name, template) in &entry.publish {
        let value = if template.has_expressions() {
            template.evaluate(&Scope { variables: Arc::new(rolling.clone()), ..scope.clone() })
        } else {
            Ok(template.source().clone())
        };
        match value {
            Ok(value) => rolling.assign(name, value),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() { Outcome::Taken(rolling.into_published()) } else { Outcome::Unpublished(errors) }
}

/// About how many bytes they have as a JSON object.
fn bytes_of(variables: &[(Arc<str>, Value)]) -> usize {
    2 + variables.iter().map(|(name, value)| name.len() + 4 + json_bytes(value)).sum::<usize>()
}

/// About how many bytes a value has as JSON.
pub(crate) fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::List(list) => 2 + list.items().iter().map(|item| json_bytes(item) + 1).sum::<usize>(),
        Value::Map(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + json_bytes(value)).sum::<usize>(),
    }
}
