//! Functions that ask the scope: variables, the current task and item, the statuses of tasks.

use super::call::{Answer, Arguments, Function, FunctionError};
use crate::expression::scope::{CurrentTask, INTERNAL, status_in_route};
use crate::expression::{Scope, Value};

pub(super) const TABLE: &[Function] = &[
    Function::new("ctx", &["key"], 0, ctx),
    Function::new("item", &["key"], 0, item),
    Function::new("task_status", &["task_id", "route"], 1, task_status),
    Function::new("succeeded", &[], 0, succeeded),
    Function::new("failed", &[], 0, failed),
    Function::new("timed_out", &[], 0, timed_out),
    Function::new("completed", &[], 0, completed),
    Function::new("result", &[], 0, result),
    Function::new("task", &["task_id", "route"], 0, task),
    Function::new("st2kv", &["key", "decrypt", "default"], 1, st2kv),
    Function::new("decrypt_kv", &["value"], 1, decrypt_kv),
];

/// The statuses of a task that has ended.
const COMPLETED: [&str; 5] = ["succeeded", "failed", "timeout", "abandoned", "canceled"];

fn ctx(args: &Arguments<'_>) -> Answer {
    let key = args.value(0);
    if !key.is_true() {
        return Ok(args.scope.variables.all());
    }
    let name = key.as_str().ok_or_else(|| undefined(key))?;
    if name.starts_with(INTERNAL) {
        let message = format!("The variable \"{name}\" is for internal use and inaccessible.");
        return Err(FunctionError::new("VariableInaccessibleError", message));
    }
    args.scope.variables.get(name).ok_or_else(|| undefined(key))
}

fn undefined(key: &Value) -> FunctionError {
    let name = crate::expression::python::to_str(key).unwrap_or_default();
    FunctionError::new("VariableUndefinedError", format!("The variable \"{name}\" is undefined."))
}

fn item(args: &Arguments<'_>) -> Answer {
    let item = args.scope.item.clone().unwrap_or_default();
    let key = args.value(0);
    if !key.is_true() {
        return Ok(item);
    }
    let Value::Map(entries) = &item else {
        return Err(FunctionError::of_evaluation("Item is not type of collections.abc.Mapping."));
    };
    let name = key.as_str().unwrap_or_default();
    entries
        .get(name)
        .cloned()
        .ok_or_else(|| FunctionError::of_evaluation(format!("Item does not have key \"{name}\".")))
}

fn current_task(scope: &Scope) -> Result<&CurrentTask, FunctionError> {
    let message = "The current task is not set in the context.";
    scope.task.as_ref().ok_or_else(|| FunctionError::of_evaluation(message))
}

/// The route that a call names, else the current task's, else the first.
fn route_of(args: &Arguments<'_>, place: usize) -> Result<usize, FunctionError> {
    match args.value(place) {
        Value::Null => Ok(args.scope.task.as_ref().map_or(0, |task| task.route)),
        value => {
            let route = value.as_i64().and_then(|route| usize::try_from(route).ok());
            route.ok_or_else(|| FunctionError::of_value("a route is a number from 0 on"))
        }
    }
}

fn task_status(args: &Arguments<'_>) -> Answer {
    let task = args.text(0)?;
    let found = status_in_route(&*args.scope.tasks, task, route_of(args, 1)?);
    // Orquesta has a status for what has none, and it is this text.
    Ok(Value::text(found.map_or("null", |(_, status)| status)))
}

fn own_status(scope: &Scope) -> Result<&str, FunctionError> {
    let task = current_task(scope)?;
    Ok(status_in_route(&*scope.tasks, &task.id, task.route).map_or("null", |(_, status)| status))
}

fn succeeded(args: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(own_status(args.scope)? == "succeeded"))
}

/// A native task that took too long has failed as well; in Orquesta's workflows `timeout` is another status.
fn failed(args: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(own_status(args.scope)? == "failed" || took_too_long(args.scope)?))
}

fn timed_out(args: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(own_status(args.scope)? == "timeout" || took_too_long(args.scope)?))
}

fn took_too_long(scope: &Scope) -> Result<bool, FunctionError> {
    let task = current_task(scope)?;
    let found = status_in_route(&*scope.tasks, &task.id, task.route);
    Ok(found.is_some_and(|(route, _)| scope.tasks.took_too_long(&task.id, route)))
}

fn completed(args: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(COMPLETED.contains(&own_status(args.scope)?)))
}

fn result(args: &Arguments<'_>) -> Answer {
    Ok(current_task(args.scope)?.result.clone().unwrap_or_default())
}

fn task(args: &Arguments<'_>) -> Answer {
    let name = match args.value(0) {
        Value::Null => &*current_task(args.scope)?.id,
        _ => args.text(0)?,
    };
    let route = route_of(args, 1)?;
    let tasks = &*args.scope.tasks;
    let described = status_in_route(tasks, name, route).and_then(|(route, _)| tasks.describe(name, route));
    described.ok_or_else(|| FunctionError::of_evaluation(format!("Unable to find task execution for \"{name}\".")))
}

fn st2kv(args: &Arguments<'_>) -> Answer {
    let key = args.text(0)?;
    Err(FunctionError::of_evaluation(format!(
        "st2kv('{key}') is not supported in this version; pass the value as an input of the workflow"
    )))
}

fn decrypt_kv(_: &Arguments<'_>) -> Answer {
    Err(FunctionError::of_evaluation(
        "decrypt_kv is not supported; a parameter that is marked as a secret takes the secret's name",
    ))
}
