//! Expressions as workflows have them, and the functions that they call.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use petrel_workflow::expression::{
    CurrentTask, Dialect, Language, Scope, Tasks, Template, Value as Data, call_function, references,
};
use serde_json::{Value, json};

use petrel_workflow::rehearsal::compare::{difference, difference_of_sets, message};

/// Runs one case, and says where it differs.
pub(crate) fn run(row: &Value) -> Result<Option<String>> {
    let got = match row["op"].as_str().context("no op")? {
        "evaluate" => evaluate(row),
        "function" => function(row),
        "validate" => Ok(problems(row)),
        "extract_vars" => Ok(variables(row)),
        "has_expressions" => Ok(template(row).has_expressions().into()),
        other => bail!("unknown op {other}"),
    };
    Ok(match (got, row.get("error")) {
        (Ok(got), None) if row["op"] == "extract_vars" => difference_of_sets(&row["result"], &got),
        (Ok(got), None) => difference(&row["result"], &got),
        (Err(got), Some(expected)) => difference(&comparable(expected), &comparable(&got)),
        (Ok(got), Some(expected)) => Some(format!("expected the error {expected} and got {got}")),
        (Err(got), None) => Some(format!("expected {} and got the error {got}", row["result"])),
    })
}

fn comparable(error: &Value) -> Value {
    json!({"type": error["type"], "message": message(error["message"].as_str().unwrap_or_default())})
}

fn template(row: &Value) -> Template {
    Template::compile(&Data::from(row["expression"].clone()), Dialect::Orquesta)
}

fn evaluate(row: &Value) -> Result<Value, Value> {
    let scope = Scope::new(Arc::new(Data::from(row["context"].clone())));
    let value = template(row).evaluate(&scope).map_err(|e| json!({"type": e.class(), "message": e.message}))?;
    Ok(value.to_json())
}

fn problems(row: &Value) -> Value {
    let problem = |problem: petrel_workflow::expression::Problem| {
        let language = problem.language.map(Language::name);
        json!({"type": language, "expression": problem.expression, "message": problem.message})
    };
    let problems: Value = template(row).problems().into_iter().map(problem).collect();
    if row["api"] == "evaluator" { problems } else { json!({ "errors": problems }) }
}

fn variables(row: &Value) -> Value {
    if row["api"] == "evaluator" {
        let language = if row["language"] == "yaql" { Language::Yaql } else { Language::Jinja };
        return references(row["expression"].as_str().unwrap_or_default(), language).into();
    }
    let found = template(row).variables().into_iter();
    found.map(|variable| json!([variable.language.name(), variable.text, variable.name])).collect()
}

fn function(row: &Value) -> Result<Value, Value> {
    let context = &row["context"];
    let task = |task: &serde_json::Map<String, Value>| CurrentTask {
        id: task["id"].as_str().unwrap_or_default().into(),
        route: task.get("route").and_then(Value::as_u64).and_then(|route| route.try_into().ok()).unwrap_or_default(),
        result: task.get("result").map(|result| Data::from(result.clone())),
    };
    let mut scope = Scope::new(Arc::new(Data::from(context["vars"].clone())));
    let steps =
        |route: &Value| route.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let routes = context["routes"].as_array().into_iter().flatten().map(steps).collect();
    scope.tasks = Arc::new(Recorded { statuses: context["task_statuses"].clone(), routes });
    scope.item = context.get("current_item").map(|item| Data::from(item.clone()));
    scope.task = context["current_task"].as_object().map(task);
    let arguments: Vec<Data> = row["args"].as_array().into_iter().flatten().cloned().map(Data::from).collect();
    let named = row["kwargs"].as_object().into_iter().flatten();
    let named: Vec<(String, Data)> = named.map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let name = row["function"].as_str().unwrap_or_default();
    let value = call_function(name, &arguments, &named, &scope);
    value.map(|value| value.to_json()).map_err(|e| json!({"type": e.class, "message": e.message}))
}

/// The statuses and routes of a case.
struct Recorded {
    statuses: Value,
    routes: Vec<Vec<String>>,
}

impl Tasks for Recorded {
    fn status(&self, task: &str, route: usize) -> Option<&str> {
        self.statuses[format!("{task}__r{route}")].as_str()
    }

    fn route(&self, route: usize) -> &[String] {
        self.routes.get(route).map_or(&[], Vec::as_slice)
    }
}
