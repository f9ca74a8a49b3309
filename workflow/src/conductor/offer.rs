//! Which tasks are to be started, with what.

use std::sync::Arc;

use super::Conductor;
use super::ask::Ask;
use super::context::View;
use super::items::Items;
use super::log::LogEntry;
use super::staged::StagedId;
use crate::expression::{Value, Variables};

/// A task that is to be started, and is offered until an event says that it has begun.
#[derive(Debug, Clone)]
pub struct NextTask {
    /// Its name.
    pub id: Arc<str>,
    /// Its route's number.
    pub route: u32,
    /// What runs for it: one action, or one for each item that is to be started now.
    pub actions: Vec<ActionSpec>,
    /// Seconds to wait before it starts.
    pub delay: Option<i64>,
    /// Of a task with items, how many it has in all. Of none, nothing is started: the task itself gets its events.
    pub items_count: Option<usize>,
    /// How many of its items may run at the same time; none for no limit.
    pub concurrency: Option<i64>,
    /// What it asks a person, in place of an action. The task is to be made `pending`, and its answer is the result
    /// that it succeeds with.
    pub ask: Option<Ask>,
    /// Whether it undoes a task. Its name is not that of a task then, but the one that its events are told with.
    pub undo: bool,
    context: Arc<View>,
}

impl NextTask {
    /// One action that is no task of the definition.
    pub(super) fn plain(id: Arc<str>, route: u32, action: ActionSpec, context: Arc<View>) -> Self {
        let actions = vec![action];
        NextTask {
            id,
            route,
            actions,
            delay: None,
            items_count: None,
            concurrency: None,
            ask: None,
            undo: false,
            context,
        }
    }

    /// The task's variables as one map, without internal ones.
    pub fn variables(&self) -> Value {
        self.context.all()
    }
}

/// An action to start.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSpec {
    /// The action's reference; `null` if the task has none.
    pub action: Value,
    /// Its parameters; `null` if the task has none.
    pub input: Value,
    /// The number of the item that it is for.
    pub item: Option<usize>,
}

impl Conductor {
    /// The tasks to start, by name and route. They are offered again until an event tells that they have begun. A task
    /// that cannot be rendered fails the workflow, and nothing is offered.
    pub fn next_tasks(&mut self) -> Vec<NextTask> {
        self.offer_at_most(usize::MAX).0
    }

    /// As [`Conductor::next_tasks`], but at most so many tasks and items, the first ones, and whether there are more.
    /// What is over the limit is not copied.
    pub fn offer_at_most(&mut self, most: usize) -> (Vec<NextTask>, bool) {
        if self.is_ending() {
            let of_ending = self.next_of_ending();
            if !of_ending.is_empty() || !self.ends_failed() {
                return first(of_ending, most);
            }
        }
        let mut left = most;
        let mut more = false;
        let mut tasks = Vec::new();
        let mut errors = Vec::new();
        for id in self.to_offer() {
            if left == 0 && self.is_rendered_for_good(id) {
                more = true;
                continue;
            }
            match self.offer(id, left.saturating_add(1)) {
                Ok(None) => {}
                Ok(Some(mut task)) => {
                    let wanted = task.actions.len().max(1);
                    more |= wanted > left;
                    task.actions.truncate(left);
                    if left > 0 {
                        tasks.push(task);
                    }
                    left = left.saturating_sub(wanted);
                }
                Err(message) => errors.push((id, message)),
            }
        }
        if errors.is_empty() {
            return (tasks, more);
        }
        errors.sort_by_key(|(id, _)| *id);
        for (id, message) in errors {
            let Some(staged) = self.staging.get(id) else { continue };
            let (task_id, route) = (self.definition.task(staged.task).name.clone(), staged.route);
            self.log_error(LogEntry { task_id: Some(task_id), route: Some(route), ..LogEntry::error(message) });
            if self.is_ending() {
                // It would be in the way of what follows.
                self.change_staged(id, |staged| staged.run_on_fail = false);
            }
        }
        self.fail();
        if self.is_ending() {
            return first(self.next_of_ending(), most);
        }
        (Vec::new(), false)
    }

    /// What can be offered, by task and route. Of a workflow that has failed that is what deals with the failure.
    fn to_offer(&self) -> Vec<StagedId> {
        let failed = self.ends_failed();
        let mut open: Vec<(StagedId, &super::staged::Staged)> =
            self.staging.open().filter(|(_, staged)| failed && staged.run_on_fail).collect();
        if open.is_empty() {
            if !self.status.is_running() || self.is_ending() {
                return Vec::new();
            }
            open = self.staging.open().collect();
        }
        open.sort_unstable_by_key(|(id, staged)| (staged.task, staged.route, *id));
        open.into_iter().map(|(id, _)| id).collect()
    }

    /// Whether a task without items has been offered before and is offered as it was.
    fn is_rendered_for_good(&self, id: StagedId) -> bool {
        let Some(staged) = self.staging.get(id) else { return false };
        let task = self.definition.task(staged.task);
        staged.rendered.is_some() && task.with.is_none() && !task.reads_statuses
    }

    /// Offers a task, of one with items at most so many of them.
    fn offer(&mut self, id: StagedId, most: usize) -> Result<Option<NextTask>, String> {
        let Some(staged) = self.staging.get(id) else { return Ok(None) };
        let definition = Arc::clone(&self.definition);
        let task = definition.task(staged.task);
        let rendered = match &staged.rendered {
            // Items that were counted stay what they are.
            Some(rendered) if !task.reads_statuses || staged.has_items() => Arc::clone(rendered),
            _ => {
                let rendered = Arc::new(self.render(task, id)?);
                self.staging.change(id, |staged| staged.rendered = Some(Arc::clone(&rendered)));
                rendered
            }
        };
        let Some(staged) = self.staging.get(id) else { return Ok(None) };
        let mut next = NextTask {
            id: task.name.clone(),
            route: staged.route,
            actions: Vec::new(),
            delay: staged.retry_delay.or(rendered.delay),
            items_count: None,
            concurrency: None,
            ask: rendered.ask.clone(),
            undo: false,
            context: Arc::clone(self.contexts.view(staged.context)),
        };
        if task.with.is_none() {
            next.actions.clone_from(&rendered.actions);
            return Ok(Some(next));
        }
        let concurrency = concurrency(&rendered.concurrency);
        let count = rendered.item_count();
        self.prepare_items(id, count, rendered.map.map(|map| map.failures_max));
        next.concurrency = concurrency?;
        next.items_count = Some(count);
        let items = self.staging.get(id).and_then(|staged| staged.items.as_ref());
        if let Some(items) = items {
            let room = next
                .concurrency
                .map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(items.active()));
            let chunk = rendered.map.map_or(usize::MAX, |map| map.chunk);
            let most = if items.are_given_up() { 0 } else { room.min(chunk).min(most) };
            let unset: Vec<usize> = items.unset().take(most).collect();
            next.actions = match rendered.map {
                Some(_) => self.render_chunk(task, id, &rendered, &unset)?,
                None => unset.into_iter().filter_map(|item| rendered.actions.get(item).cloned()).collect(),
            };
        }
        let nothing_now = next.actions.is_empty() && count > 0;
        Ok((!nothing_now).then_some(next))
    }

    fn prepare_items(&mut self, id: StagedId, count: usize, failures_max: Option<usize>) {
        let prepared = self.staging.get(id).and_then(|staged| staged.items.as_ref());
        if prepared.is_none_or(|items| items.len() == 0) {
            let is_new = prepared.is_none();
            self.staging.change(id, |staged| staged.items = Some(Items::new(count).tolerating(failures_max)));
            if is_new || count > 0 {
                self.items_prepared(id, count);
            }
        }
    }
}

/// An integer as Python takes one: a boolean is one, too.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(value) => Some(i64::from(*value)),
        other => other.as_i64(),
    }
}

/// How many items may run at once; what is below one is one.
fn concurrency(value: &Value) -> Result<Option<i64>, String> {
    let kind = match value {
        Value::Null => return Ok(None),
        Value::String(_) => "str",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
        other => {
            let below_one =
                matches!(other, Value::Number(number) if number.as_f64().is_some_and(|number| number <= 0.0));
            return match integer(other) {
                Some(most) => Ok(Some(most.max(1))),
                None if below_one => Ok(Some(1)),
                None => Err("TypeError: slice indices must be integers or None or have an __index__ method".to_owned()),
            };
        }
    };
    Err(format!("TypeError: '<=' not supported between instances of '{kind}' and 'int'"))
}

/// The first so many, and whether there are more.
fn first(mut tasks: Vec<NextTask>, most: usize) -> (Vec<NextTask>, bool) {
    let more = tasks.len() > most;
    tasks.truncate(most);
    (tasks, more)
}
