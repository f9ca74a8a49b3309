//! Which actions a workflow's tasks call, and with what, as far as that is written and need not be evaluated.

use std::sync::Arc;

use crate::expression::{Template, Value};
use crate::spec::{TaskSpec, WorkflowSpec};
use crate::yaml::At;

/// What a task runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The task.
    pub task: Arc<str>,
    /// The reference of the action, which is no expression.
    pub action: Arc<str>,
    /// Where that stands.
    pub at: At,
    /// What the action is given.
    pub input: Input,
    /// Where that stands; where there is none, where the action does.
    pub input_at: At,
}

/// What an action is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// These, in the order written.
    Arguments(Vec<Argument>),
    /// What only a run will tell: an expression stands for all of it, or for the name of a parameter.
    Evaluated,
}

/// What one parameter is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The parameter.
    pub name: Arc<str>,
    /// The value as it is written.
    pub value: Value,
    /// Whether it has to be evaluated.
    pub is_evaluated: bool,
    /// Where it stands.
    pub at: At,
}

impl WorkflowSpec {
    /// The calls of its tasks in the order written; those whose action is an expression are left out.
    pub fn calls(&self) -> Vec<Call> {
        self.tasks.iter().filter_map(|(name, task)| self.call(name, task)).collect()
    }

    fn call(&self, name: &Arc<str>, task: &TaskSpec) -> Option<Call> {
        let action = task.action.as_str().filter(|action| !action.is_empty())?;
        if self.is_evaluated(&task.action) {
            return None;
        }
        let path = format!("tasks.{name}");
        let at = self.place(&format!("{path}.action"));
        // Parameters that stand behind the action have no place of their own.
        let written = self.place(&format!("{path}.input"));
        let input_at = if written == self.place(&path) { at } else { written };
        let argument = |(parameter, value): (&Arc<str>, &Value)| Argument {
            name: parameter.clone(),
            value: value.clone(),
            is_evaluated: self.is_evaluated(value),
            at: if input_at == at { at } else { self.place(&format!("{path}.input.{parameter}")) },
        };
        let input = match &task.input {
            Value::Null => Input::Arguments(Vec::new()),
            Value::Map(map) if map.iter().any(|(name, _)| self.is_evaluated(&Value::String(name.clone()))) => {
                Input::Evaluated
            }
            Value::Map(map) => Input::Arguments(map.iter().map(argument).collect()),
            _ => Input::Evaluated,
        };
        Some(Call { task: name.clone(), action: action.trim().into(), at, input, input_at })
    }

    fn is_evaluated(&self, value: &Value) -> bool {
        Template::compile(value, self.dialect).has_expressions()
    }
}
