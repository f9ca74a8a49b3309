//! The keys that native workflows have and Orquesta's do not, compiled.

use std::sync::Arc;

use crate::expression::{Dialect, Template, Value};
use crate::spec::WorkflowSpec;

/// Those of a workflow. Orquesta's workflows have none of them.
#[derive(Debug, Default)]
pub(crate) struct NativeWorkflow {
    /// How long it may take.
    pub(crate) timeout: Option<Template>,
    /// What tasks do that say nothing about it.
    pub(crate) on_error: OnError,
    pub(crate) rollback: Rollback,
    /// Whether a task has something that undoes it.
    pub(crate) has_undo: bool,
    /// What runs at the very end, in order.
    pub(crate) finally: Vec<Finally>,
    /// What calls people when the workflow has frozen.
    pub(crate) on_freeze: CallOuts,
}

/// What calls people who are waited for: once, and again and again.
#[derive(Debug, Default)]
pub(crate) struct CallOuts {
    pub(crate) notify: Option<Call>,
    /// How often people are reminded, and by what.
    pub(crate) remind: Option<(Template, Call)>,
}

impl CallOuts {
    /// Of a mapping with `notify` and `remind`, and whatever else.
    pub(super) fn of(value: &Value, dialect: Dialect) -> Self {
        let written = |name| value.get(name).filter(|value| !value.is_null());
        let every = |remind: &Value| Template::compile(remind.get("every").unwrap_or(&Value::Null), dialect);
        CallOuts {
            notify: written("notify").map(|notify| Call::of(notify, dialect)),
            remind: written("remind").map(|remind| (every(remind), Call::of(remind, dialect))),
        }
    }

    /// Whether nobody is called.
    pub(crate) fn is_empty(&self) -> bool {
        self.notify.is_none() && self.remind.is_none()
    }

    /// The calls, which may be none.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.notify.iter().chain(self.remind.iter().map(|(_, call)| call))
    }
}

/// When a workflow that ends is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rollback {
    pub(crate) on_fail: bool,
    pub(crate) on_cancel: bool,
}

impl Default for Rollback {
    fn default() -> Self {
        Rollback { on_fail: true, on_cancel: true }
    }
}

impl Rollback {
    /// What is written; always where nothing is.
    pub(super) fn of(value: &Value) -> Self {
        let (on_fail, on_cancel) = match value.as_str() {
            Some("on_fail") => (true, false),
            Some("on_cancel") => (false, true),
            Some("never") => (false, false),
            _ => (true, true),
        };
        Rollback { on_fail, on_cancel }
    }
}

/// An entry of `finally`.
#[derive(Debug)]
pub(crate) struct Finally {
    /// The task whose action it is; none if the entry has its own.
    pub(crate) task: Option<Arc<str>>,
    pub(crate) call: Call,
}

impl Finally {
    /// The entries of `finally`; a task that is not there was found by the inspection.
    pub(super) fn of(spec: &WorkflowSpec) -> Vec<Self> {
        let entry = |value: &Value| match value {
            Value::String(name) => {
                let task = spec.tasks.get(name)?;
                let template = |value: &Value| Template::compile(value, spec.dialect);
                let call = Call { action: template(&task.action), input: template(&task.input) };
                Some(Finally { task: Some(name.clone()), call })
            }
            other => Some(Finally { task: None, call: Call::of(other, spec.dialect) }),
        };
        spec.native.finally.as_list().unwrap_or_default().iter().filter_map(entry).collect()
    }
}

/// What the failure of a task leads to that nothing remedies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnError {
    /// The workflow fails.
    #[default]
    Fail,
    /// It waits for a person.
    Pause,
}

impl OnError {
    /// What is written; none where nothing is.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value.as_str() {
            Some("pause") => Some(OnError::Pause),
            Some("fail") => Some(OnError::Fail),
            _ => None,
        }
    }
}

/// Those of a task.
#[derive(Debug, Default)]
pub(crate) struct NativeTask {
    /// How long all of its attempts and items may take together.
    pub(crate) timeout: Option<Template>,
    pub(crate) on_error: Option<OnError>,
    /// What it asks a person in place of running an action.
    pub(crate) ask: Option<Box<AskTask>>,
    /// What undoes it.
    pub(crate) undo: Option<Box<Call>>,
}

/// A question.
#[derive(Debug)]
pub(crate) struct AskTask {
    pub(crate) question: Template,
    pub(crate) schema: Template,
    pub(crate) expires: Option<Template>,
    pub(crate) default: Option<Template>,
    pub(crate) call_outs: CallOuts,
}

/// What a task with `map` says beyond its items and their concurrency.
#[derive(Debug)]
pub(crate) struct MapLimits {
    pub(crate) chunk: Template,
    pub(crate) failures_max: Template,
}

/// An action and its parameters.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) action: Template,
    pub(crate) input: Template,
}

impl Call {
    /// Of `{action, input}`.
    pub(super) fn of(value: &Value, dialect: Dialect) -> Self {
        let field = |name| Template::compile(value.get(name).unwrap_or(&Value::Null), dialect);
        Call { action: field("action"), input: field("input") }
    }
}

impl AskTask {
    /// Of what stands behind `approve`.
    pub(super) fn of(value: &Value, dialect: Dialect) -> Self {
        let template = |value: &Value| Template::compile(value, dialect);
        let written = |name| value.get(name).filter(|value| !value.is_null());
        AskTask {
            question: template(value.get("question").unwrap_or(&Value::Null)),
            schema: template(value.get("schema").unwrap_or(&Value::Null)),
            expires: written("expires").map(template),
            default: written("default").map(template),
            call_outs: CallOuts::of(value, dialect),
        }
    }
}
