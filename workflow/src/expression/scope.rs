//! What an expression sees: variables, the current task and item, the statuses of tasks.

use std::fmt;
use std::sync::Arc;

use super::{Map, Value};

/// How the names of variables begin that are internal.
pub(super) const INTERNAL: &str = "__";

/// The variables of a context. Names that begin with two underscores are internal and never asked for.
pub trait Variables: Send + Sync {
    /// One variable by its name. Cheap: no other variable is looked at, and a value is shared, not copied.
    fn get(&self, name: &str) -> Option<Value>;

    /// All of them as one map, for `ctx()`, without internal ones. A map is shared: whoever holds contexts keeps what it has merged once.
    fn all(&self) -> Value;
}

impl Variables for Value {
    fn get(&self, name: &str) -> Option<Value> {
        Value::get(self, name).cloned()
    }

    fn all(&self) -> Value {
        match self {
            Value::Map(map) if map.iter().any(|(name, _)| name.starts_with(INTERNAL)) => {
                let open = map.iter().filter(|(name, _)| !name.starts_with(INTERNAL));
                Value::Map(open.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            Value::Null => Value::Map(Map::default()),
            other => other.clone(),
        }
    }
}

/// The tasks of a workflow as far as expressions ask for them.
pub trait Tasks: Send + Sync {
    /// The status of a task's latest run in exactly this route.
    fn status(&self, task: &str, route: usize) -> Option<&str>;

    /// The transitions that make up a route, for example `["t2__t0"]`; empty for the first route.
    fn route(&self, route: usize) -> &[String];

    /// Whether a task's latest run in exactly this route ended because it, or its action, took too long. Native
    /// workflows alone tell.
    fn took_too_long(&self, _task: &str, _route: usize) -> bool {
        false
    }

    /// What StackStorm's `task(name)` tells of a task's latest run: `task_id`, `task_name`, `route`, `status`, `result`.
    fn describe(&self, _task: &str, _route: usize) -> Option<Value> {
        None
    }
}

/// A workflow of which no task has begun.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTasks;

impl Tasks for NoTasks {
    fn status(&self, _task: &str, _route: usize) -> Option<&str> {
        None
    }

    fn route(&self, _route: usize) -> &[String] {
        &[]
    }
}

/// A task's status in a route, and the route in which it has one: where the route has none, the nearest earlier one that
/// the route goes on from.
pub(crate) fn status_in_route<'t>(tasks: &'t dyn Tasks, task: &str, route: usize) -> Option<(usize, &'t str)> {
    let mut route = route;
    loop {
        if let Some(status) = tasks.status(task, route) {
            return Some((route, status));
        }
        let steps = tasks.route(route);
        route = (0..route).rev().find(|earlier| tasks.route(*earlier).iter().all(|step| steps.contains(step)))?;
    }
}

/// The task that an expression belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentTask {
    /// Its id in the workflow, which is its name.
    pub id: Arc<str>,
    /// Its route's number.
    pub route: usize,
    /// What `result()` yields; none while it has no result.
    pub result: Option<Value>,
}

/// Everything that an expression sees. It is made anew for each round of evaluations and cheap to make: what it holds
/// is shared with whoever holds the state. A holder that keeps its state in an `Arc` and changes it with
/// `Arc::make_mut` copies nothing once the scope is gone.
#[derive(Clone)]
pub struct Scope {
    /// The variables that `ctx()` yields.
    pub variables: Arc<dyn Variables>,
    /// The statuses of tasks, for `task_status()`, `succeeded()` and the like.
    pub tasks: Arc<dyn Tasks>,
    /// The task that the expression belongs to; none for a workflow's input, vars and output.
    pub task: Option<CurrentTask>,
    /// The item of a task with items; none outside of one.
    pub item: Option<Value>,
    /// The time for functions that ask for it, in milliseconds since 1970; none refuses them.
    pub now_ms: Option<i64>,
}

impl fmt::Debug for Scope {
    /// Variables are left out: they may be large, and secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("task", &self.task.as_ref().map(|task| &task.id)).finish_non_exhaustive()
    }
}

impl Scope {
    /// A scope of variables alone: no task has begun.
    pub fn new(variables: Arc<dyn Variables>) -> Self {
        Scope { variables, tasks: Arc::new(NoTasks), task: None, item: None, now_ms: None }
    }
}
