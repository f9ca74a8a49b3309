//! Which actions a workflow calls, and with what, as far as that is written and need not be evaluated.

use std::sync::Arc;

use crate::expression::{Template, Value};
use crate::spec::{NativeTaskSpec, TaskSpec, WorkflowSpec};
use crate::yaml::At;

/// The action that asks people for a task with `approve`.
pub const ASK: &str = "core.ask";

/// What is run for a task, or for the workflow as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The task; `on_freeze`, or the entry of `finally`, for what is of the workflow as a whole.
    pub task: Arc<str>,
    /// The reference of the action, which is no expression.
    pub action: Arc<str>,
    /// Where that stands.
    pub at: At,
    /// What the action is given.
    pub input: Input,
    /// Where that stands; where there is none, where the action does.
    pub input_at: At,
    /// Whether the task asks people with `approve`, so that nothing names the action, [`ASK`].
    pub is_question: bool,
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
    /// The calls of its tasks in the order written, each with what undoes it and calls people about it, then those of
    /// `on_freeze` and `finally`; those whose action is an expression are left out.
    pub fn calls(&self) -> Vec<Call> {
        let tasks = self.tasks.iter().flat_map(|(name, task)| self.calls_of(name, task));
        let on_freeze = self.call_outs(&Arc::from("on_freeze"), "on_freeze", &self.native.on_freeze);
        let finally = self.native.finally.as_list().unwrap_or_default().iter().enumerate();
        // A task that it names stands among the tasks.
        let finally = finally.filter(|(_, entry)| entry.as_map().is_some());
        let finally = finally.filter_map(|(number, entry)| {
            let path = format!("finally[{number}]");
            self.call_in(&Arc::from(path.as_str()), &path, entry)
        });
        tasks.chain(on_freeze).chain(finally).collect()
    }

    fn calls_of(&self, name: &Arc<str>, task: &TaskSpec) -> Vec<Call> {
        let path = format!("tasks.{name}");
        let NativeTaskSpec { approve, undo, .. } = &task.native;
        let own = self.call(name, &path, &task.action, &task.input);
        let approve_path = format!("{path}.approve");
        let question = (!approve.is_null()).then(|| {
            let at = self.place(&approve_path);
            let (task, action) = (name.clone(), Arc::from(ASK));
            Call { task, action, at, input: Input::Evaluated, input_at: at, is_question: true }
        });
        let call_outs = self.call_outs(name, &approve_path, approve);
        let undo = self.call_in(name, &format!("{path}.undo"), undo);
        own.into_iter().chain(question).chain(call_outs).chain(undo).collect()
    }

    /// Those of `notify` and `remind`.
    fn call_outs(&self, task: &Arc<str>, path: &str, written: &Value) -> Vec<Call> {
        let call = |key: &str| self.call_in(task, &format!("{path}.{key}"), written.get(key)?);
        ["notify", "remind"].into_iter().filter_map(call).collect()
    }

    /// That of a mapping with `action` and `input`.
    fn call_in(&self, task: &Arc<str>, path: &str, written: &Value) -> Option<Call> {
        let input = written.get("input").cloned().unwrap_or_default();
        self.call(task, path, written.get("action")?, &input)
    }

    fn call(&self, task: &Arc<str>, path: &str, action: &Value, input: &Value) -> Option<Call> {
        let name = action.as_str().filter(|action| !action.is_empty())?;
        if self.is_evaluated(action) {
            return None;
        }
        let at = self.place(&format!("{path}.action"));
        // Parameters that stand behind the action have no place of their own.
        let written = self.place(&format!("{path}.input"));
        let input_at = if written == self.place(path) { at } else { written };
        let argument = |(parameter, value): (&Arc<str>, &Value)| Argument {
            name: parameter.clone(),
            value: value.clone(),
            is_evaluated: self.is_evaluated(value),
            at: if input_at == at { at } else { self.place(&format!("{path}.input.{parameter}")) },
        };
        let input = match input {
            Value::Null => Input::Arguments(Vec::new()),
            Value::Map(map) if map.iter().any(|(name, _)| self.is_evaluated(&Value::String(name.clone()))) => {
                Input::Evaluated
            }
            Value::Map(map) => Input::Arguments(map.iter().map(argument).collect()),
            _ => Input::Evaluated,
        };
        Some(Call { task: task.clone(), action: name.trim().into(), at, input, input_at, is_question: false })
    }

    fn is_evaluated(&self, value: &Value) -> bool {
        Template::compile(value, self.dialect).has_expressions()
    }
}
