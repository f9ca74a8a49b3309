//! Runs a case of vectors of expressions: what Orquesta and its functions did, one JSON object a case.

use std::collections::BTreeSet;
use std::sync::Arc;

use petrel_workflow::expression::{
    CurrentTask, Dialect, Language, Scope, Tasks, Template, Value, call_function, references,
};
use serde_json::{Value as Json, json};

/// Why a case fails; `Ok` if it passes.
pub fn check(case: &Json) -> Result<(), String> {
    let got = match case["op"].as_str() {
        Some("evaluate") => evaluate(case),
        Some("function") => function(case),
        Some("validate") => Ok(validate(case)),
        Some("extract_vars") => Ok(extract(case)),
        Some("has_expressions") => Ok(json!(template(case).has_expressions())),
        op => return Err(format!("unknown operation {op:?}")),
    };
    let expected = match case.get("error") {
        Some(error) => Err(error),
        None => Ok(&case["result"]),
    };
    let same = match (&got, &expected) {
        (Ok(got), Ok(expected)) if case["op"] == "extract_vars" => as_set(got) == as_set(expected),
        (Ok(got), Ok(expected)) => got == *expected,
        (Err(got), Err(expected)) => same_error(got, expected),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("expected {expected:?}, got {got:?}")) }
}

/// Whether a case can only pass where a string that came out of an expression is evaluated again, which is refused here.
pub fn evaluates_twice(case: &Json) -> bool {
    let has_delimiters = |value: &Json| {
        let text = value.to_string();
        ["<%", "{{", "{%"].iter().any(|open| text.contains(open))
    };
    case["op"] == "evaluate" && has_delimiters(&case["context"])
}

/// Messages are the same up to the text of Python's exception.
fn same_error(got: &Json, expected: &Json) -> bool {
    let head = |error: &Json| {
        let message = error["message"].as_str().unwrap_or_default();
        let end = message.find("'. ").map_or(message.len(), |at| at + 3);
        (error["type"].clone(), message[..end].to_owned())
    };
    head(got) == head(expected)
}

fn as_set(list: &Json) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(Json::to_string).collect()
}

fn template(case: &Json) -> Template {
    Template::compile(&Value::from(case["expression"].clone()), Dialect::Orquesta)
}

fn evaluate(case: &Json) -> Result<Json, Json> {
    let scope = Scope::new(Arc::new(Value::from(case["context"].clone())));
    let result = template(case).evaluate(&scope);
    result.map(|value| value.to_json()).map_err(|e| json!({"type": e.class(), "message": e.message}))
}

fn validate(case: &Json) -> Json {
    let problems = template(case).problems().into_iter();
    let problems = problems.map(|problem| {
        let language = problem.language.map(Language::name);
        json!({"type": language, "expression": problem.expression, "message": problem.message})
    });
    let problems: Json = problems.collect();
    if case["api"] == "evaluator" { problems } else { json!({ "errors": problems }) }
}

fn extract(case: &Json) -> Json {
    if case["api"] == "evaluator" {
        let language = if case["language"] == "yaql" { Language::Yaql } else { Language::Jinja };
        return json!(references(case["expression"].as_str().unwrap_or_default(), language));
    }
    let variables = template(case).variables().into_iter();
    variables.map(|variable| json!([variable.language.name(), variable.text, variable.name])).collect()
}

fn function(case: &Json) -> Result<Json, Json> {
    let context = &case["context"];
    let name = case["function"].as_str().unwrap_or_default();
    // Here is always a scope; functions of Orquesta that are given none say so.
    let no_context = context.as_object().is_none_or(serde_json::Map::is_empty);
    if no_context && ["item", "result", "succeeded", "failed", "completed"].contains(&name) {
        return Err(json!({"type": "ExpressionEvaluationException", "message": "The context is not set."}));
    }
    let mut scope = Scope::new(Arc::new(Value::from(context["vars"].clone())));
    let text = |step: &Json| step.as_str().unwrap_or_default().to_owned();
    let steps = |route: &Json| route.as_array().into_iter().flatten().map(text).collect();
    let routes = context["routes"].as_array().into_iter().flatten().map(steps).collect();
    scope.tasks = Arc::new(Statuses { statuses: context["task_statuses"].clone(), routes });
    scope.item = context.get("current_item").map(|item| Value::from(item.clone()));
    scope.task = context["current_task"].as_object().map(|task| CurrentTask {
        id: task["id"].as_str().unwrap_or_default().into(),
        route: task["route"].as_u64().and_then(|route| usize::try_from(route).ok()).unwrap_or(0),
        result: task.get("result").map(|result| Value::from(result.clone())),
    });
    let args: Vec<Value> = case["args"].as_array().into_iter().flatten().cloned().map(Value::from).collect();
    let named = case["kwargs"].as_object().into_iter().flatten();
    let named: Vec<(String, Value)> = named.map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let result = call_function(name, &args, &named, &scope);
    result.map(|value| value.to_json()).map_err(|e| json!({"type": e.class, "message": e.message}))
}

/// The statuses of a case.
#[derive(Debug)]
struct Statuses {
    /// By `task__rROUTE`.
    statuses: Json,
    routes: Vec<Vec<String>>,
}

impl Tasks for Statuses {
    fn status(&self, task: &str, route: usize) -> Option<&str> {
        self.statuses[format!("{task}__r{route}")].as_str()
    }

    fn route(&self, route: usize) -> &[String] {
        self.routes.get(route).map_or(&[], Vec::as_slice)
    }
}
