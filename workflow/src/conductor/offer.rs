//! Which tasks are to be started, with what.

use std::sync::Arc;

use super::Conductor;
use super::ask::Ask;
use super::context::{View, merged};
use super::items::Items;
use super::log::LogEntry;
use super::staged::StagedId;
use crate::definition::{Task, With};
use crate::expression::{CurrentTask, Map, Scope, Template, Value, Variables};

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

/// A task whose expressions have been evaluated. It is kept as long as the task is staged.
#[derive(Debug)]
pub(crate) struct Rendered {
    actions: Vec<ActionSpec>,
    delay: Option<i64>,
    concurrency: Value,
    ask: Option<Ask>,
    /// The items, where something but the actions of the items asks for them.
    items: Vec<Value>,
}

impl Conductor {
    /// The tasks to start, by name and route. They are offered again until an event tells that they have begun. A task
    /// that cannot be rendered fails the workflow, and nothing is offered.
    pub fn next_tasks(&mut self) -> Vec<NextTask> {
        if self.is_ending() {
            let of_ending = self.next_of_ending();
            if !of_ending.is_empty() || !self.ends_failed() {
                return of_ending;
            }
        }
        let remediation = |(id, staged): (StagedId, &super::staged::Staged)| staged.run_on_fail.then_some(id);
        let failed = self.ends_failed();
        let mut ids: Vec<StagedId> =
            if failed { self.staging.open().filter_map(remediation).collect() } else { Vec::new() };
        if (!self.status.is_running() || self.is_ending()) && ids.is_empty() {
            return Vec::new();
        }
        if ids.is_empty() {
            ids = self.staging.open().map(|(id, _)| id).collect();
        }
        let mut tasks = Vec::new();
        let mut errors = Vec::new();
        for id in ids {
            match self.offer(id) {
                Ok(task) => tasks.extend(task),
                Err(message) => errors.push((id, message)),
            }
        }
        if errors.is_empty() {
            tasks.sort_by(|one, other| (&one.id, one.route).cmp(&(&other.id, other.route)));
            return tasks;
        }
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
            return self.next_of_ending();
        }
        Vec::new()
    }

    fn offer(&mut self, id: StagedId) -> Result<Option<NextTask>, String> {
        let Some(staged) = self.staging.get(id) else { return Ok(None) };
        let definition = Arc::clone(&self.definition);
        let task = definition.task(staged.task);
        let rendered = match &staged.rendered {
            Some(rendered) if !task.reads_statuses => Arc::clone(rendered),
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
        self.prepare_items(id, rendered.actions.len());
        next.concurrency = concurrency?;
        next.items_count = Some(rendered.actions.len());
        let items = self.staging.get(id).and_then(|staged| staged.items.as_ref());
        if let Some(items) = items {
            let room = next
                .concurrency
                .map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(items.active()));
            let unset = items.unset().take(room).filter_map(|item| rendered.actions.get(item));
            next.actions = unset.cloned().collect();
        }
        let nothing_now = next.actions.is_empty() && !rendered.actions.is_empty();
        Ok((!nothing_now).then_some(next))
    }

    fn prepare_items(&mut self, id: StagedId, count: usize) {
        let prepared = self.staging.get(id).and_then(|staged| staged.items.as_ref());
        if prepared.is_none_or(|items| items.len() == 0) {
            let is_new = prepared.is_none();
            self.staging.change(id, |staged| staged.items = Some(Items::new(count)));
            if is_new || count > 0 {
                self.items_prepared(id, count);
            }
        }
    }

    /// What `item()` is for an item of a staged task. It is rendered again where it was rendered before a restart.
    pub(super) fn item_value(&mut self, task: &Task, id: StagedId, item: usize) -> Result<Value, String> {
        let rendered = self.staging.get(id).and_then(|staged| staged.rendered.clone());
        let rendered = match rendered {
            Some(rendered) => rendered,
            None => {
                let rendered = Arc::new(self.render(task, id)?);
                self.staging.change(id, |staged| staged.rendered = Some(Arc::clone(&rendered)));
                rendered
            }
        };
        rendered.items.get(item).cloned().ok_or_else(|| format!("the task has no item {item}"))
    }

    fn render(&self, task: &Task, id: StagedId) -> Result<Rendered, String> {
        let staged = self.staging.get(id).ok_or("the task is not staged")?;
        let variables: Arc<dyn Variables> = self.contexts.view(staged.context).clone();
        let current = CurrentTask { id: task.name.clone(), route: staged.route as usize, result: None };
        let scope = self.scope(variables, Some(current));
        let evaluate = |template: &Template, scope: &Scope| template.evaluate(scope).map_err(|e| e.to_string());
        let ask = task.native.ask.as_ref().map(|ask| self.render_ask(ask, &scope)).transpose()?;
        let mut items = Vec::new();
        let actions = match &task.with {
            None if ask.is_some() => Vec::new(),
            None => vec![ActionSpec {
                action: evaluate(&task.action, &scope)?,
                input: changed(evaluate(&task.input, &scope)?, &staged.input),
                item: None,
            }],
            Some(with) => self.render_items(task, with, &scope, &staged.input, &mut items)?,
        };
        let delay = match &task.delay {
            None => None,
            Some(delay) => {
                let not_integer = || "TypeError: The value of task delay is not type of integer.".to_owned();
                Some(integer(&evaluate(delay, &scope)?).ok_or_else(not_integer)?)
            }
        };
        if let (Some(timeout), Some(index)) = (&task.native.timeout, self.definition.task_index(&task.name)) {
            self.timeout_ms(timeout, index, staged.route, staged.context)?;
        }
        let concurrency = task.with.as_ref().and_then(|with| with.concurrency.as_ref());
        let concurrency = concurrency.map(|template| evaluate(template, &scope)).transpose()?.unwrap_or_default();
        Ok(Rendered { actions, delay, concurrency, ask, items })
    }

    fn render_items(
        &self,
        task: &Task,
        with: &With,
        scope: &Scope,
        input: &Map,
        kept: &mut Vec<Value>,
    ) -> Result<Vec<ActionSpec>, String> {
        let items = with.items.evaluate(scope).map_err(|e| e.to_string())?;
        let Some(items) = items.as_list() else {
            return Err(format!("TypeError: The value of \"{}\" is not type of list.", with.text));
        };
        if items.len() > self.limits.items_max {
            return Err(format!(
                "LimitExceeded: The task \"{}\" has {} items, the limit ITEMS_MAX is {}.",
                task.name,
                items.len(),
                self.limits.items_max
            ));
        }
        let mut scope = scope.clone();
        let mut actions = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let named = named_item(with.names.as_deref(), item);
            if task.native.undo.is_some() {
                kept.push(named.clone());
            }
            scope.item = Some(named);
            actions.push(ActionSpec {
                action: task.action.evaluate(&scope).map_err(|e| e.to_string())?,
                input: changed(task.input.evaluate(&scope).map_err(|e| e.to_string())?, input),
                item: Some(number),
            });
        }
        Ok(actions)
    }
}

/// What a task gives its action, with what a person has changed of it.
fn changed(input: Value, by: &Map) -> Value {
    if by.is_empty() {
        return input;
    }
    Value::Map(merged(input.as_map().unwrap_or(&Map::default()), by))
}

/// Names for the parts of an item that is a list, or one name for all of it.
fn named_item(names: Option<&[Arc<str>]>, item: &Value) -> Value {
    match (names, item) {
        (Some(names), Value::List(parts)) => {
            Value::Map(names.iter().cloned().zip(parts.items().iter().cloned()).collect())
        }
        (Some([name]), item) => Value::Map([(name.clone(), item.clone())].into_iter().collect()),
        _ => item.clone(),
    }
}

/// An integer as Python takes one: a boolean is one, too.
fn integer(value: &Value) -> Option<i64> {
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
