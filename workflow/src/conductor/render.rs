//! The expressions of a task that is to be started, evaluated.

use std::sync::Arc;

use super::Conductor;
use super::ask::Ask;
use super::context::merged;
use super::offer::{ActionSpec, integer};
use super::staged::{Staged, StagedId};
use crate::definition::{MapLimits, Task, With};
use crate::expression::{CurrentTask, Map, Scope, Template, Value, Variables};
use crate::spec::map;

/// A task whose expressions have been evaluated. It is kept as long as the task is staged.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// One of a task, or one for each item; none of a question, and of `map` none before its chunk is offered.
    pub(super) actions: Vec<ActionSpec>,
    pub(super) delay: Option<i64>,
    pub(super) concurrency: Value,
    pub(super) ask: Option<Ask>,
    /// What `item()` is for each item, where something but its action asks for it.
    items: Vec<Value>,
    pub(super) map: Option<RenderedMap>,
}

/// What a task with `map` says of its items.
#[derive(Debug, Clone, Copy)]
pub(super) struct RenderedMap {
    /// How many are offered at a time.
    pub(super) chunk: usize,
    /// How many may fail.
    pub(super) failures_max: usize,
}

impl Rendered {
    pub(super) fn item_count(&self) -> usize {
        if self.map.is_some() { self.items.len() } else { self.actions.len() }
    }
}

impl Conductor {
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

    pub(super) fn render(&self, task: &Task, id: StagedId) -> Result<Rendered, String> {
        let staged = self.staging.get(id).ok_or("the task is not staged")?;
        let scope = self.scope_of_staged(task, staged);
        let evaluate = |template: &Template, scope: &Scope| template.evaluate(scope).map_err(|e| e.to_string());
        let ask = task.native.ask.as_ref().map(|ask| self.render_ask(ask, &scope)).transpose()?;
        let (mut items, mut map) = (Vec::new(), None);
        let actions = match &task.with {
            None if ask.is_some() => Vec::new(),
            None => vec![ActionSpec {
                action: evaluate(&task.action, &scope)?,
                input: changed(evaluate(&task.input, &scope)?, &staged.input),
                item: None,
            }],
            Some(with) => {
                items = self.evaluate_items(task, with, &scope)?;
                map = with.map.as_ref().map(|limits| rendered_map(limits, &scope, items.len())).transpose()?;
                let at_once = if map.is_some() { 0 } else { items.len() };
                let actions = items.iter().take(at_once).enumerate();
                actions
                    .map(|(number, item)| render_item(task, staged, &scope, number, item))
                    .collect::<Result<_, _>>()?
            }
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
        if map.is_none() && task.native.undo.is_none() {
            items.clear();
        }
        Ok(Rendered { actions, delay, concurrency, ask, items, map })
    }

    /// What expressions see of a staged task.
    fn scope_of_staged(&self, task: &Task, staged: &Staged) -> Scope {
        let variables: Arc<dyn Variables> = self.contexts.view(staged.context).clone();
        let current = CurrentTask { id: task.name.clone(), route: staged.route as usize, result: None };
        self.scope(variables, Some(current))
    }

    /// The items of a task, under their names.
    fn evaluate_items(&self, task: &Task, with: &With, scope: &Scope) -> Result<Vec<Value>, String> {
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
        Ok(items.iter().map(|item| named_item(with, item)).collect())
    }

    /// The actions of some items of a task with `map`.
    pub(super) fn render_chunk(
        &self,
        task: &Task,
        id: StagedId,
        rendered: &Rendered,
        numbers: &[usize],
    ) -> Result<Vec<ActionSpec>, String> {
        let staged = self.staging.get(id).ok_or("the task is not staged")?;
        let scope = self.scope_of_staged(task, staged);
        let known = numbers.iter().filter_map(|number| Some((*number, rendered.items.get(*number)?)));
        known.map(|(number, item)| render_item(task, staged, &scope, number, item)).collect()
    }
}

fn render_item(task: &Task, staged: &Staged, scope: &Scope, number: usize, item: &Value) -> Result<ActionSpec, String> {
    let scope = Scope { item: Some(item.clone()), ..scope.clone() };
    let evaluate = |template: &Template| template.evaluate(&scope).map_err(|e| e.to_string());
    Ok(ActionSpec {
        action: evaluate(&task.action)?,
        input: changed(evaluate(&task.input)?, &staged.input),
        item: Some(number),
    })
}

fn rendered_map(limits: &MapLimits, scope: &Scope, items: usize) -> Result<RenderedMap, String> {
    let evaluate = |template: &Template| template.evaluate(scope).map_err(|e| e.to_string());
    let refused = |message: String| format!("ValueError: The items of the task: {message}");
    Ok(RenderedMap {
        chunk: map::chunk(&evaluate(&limits.chunk)?).map_err(refused)?,
        failures_max: map::failures_max(&evaluate(&limits.failures_max)?, items).map_err(refused)?,
    })
}

/// What a task gives its action, with what a person has changed of it.
fn changed(input: Value, by: &Value) -> Value {
    let Some(by) = by.as_map() else { return input };
    Value::Map(merged(input.as_map().unwrap_or(&Map::default()), by))
}

/// Names for the parts of an item that is a list, or one name for all of it.
fn named_item(with: &With, item: &Value) -> Value {
    match (with.names.as_deref(), item) {
        (Some(names), Value::List(parts)) if with.map.is_none() => {
            Value::Map(names.iter().cloned().zip(parts.items().iter().cloned()).collect())
        }
        (Some([name]), item) => Value::Map([(name.clone(), item.clone())].into_iter().collect()),
        _ => item.clone(),
    }
}
