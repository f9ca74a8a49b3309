//! The keys that native workflows have and Orquesta's do not, compiled.

use crate::expression::{Dialect, Template, Value};

/// Those of a workflow. Orquesta's workflows have none of them.
#[derive(Debug, Default)]
pub(crate) struct NativeWorkflow {
    /// How long it may take.
    pub(crate) timeout: Option<Template>,
    /// What tasks do that say nothing about it.
    pub(crate) on_error: OnError,
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
}

/// A question.
#[derive(Debug)]
pub(crate) struct AskTask {
    pub(crate) question: Template,
    pub(crate) schema: Template,
    pub(crate) expires: Option<Template>,
    pub(crate) default: Option<Template>,
    /// How often people are reminded, and by what.
    pub(crate) remind: Option<(Template, Call)>,
    pub(crate) notify: Option<Call>,
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
            remind: written("remind")
                .map(|remind| (template(remind.get("every").unwrap_or(&Value::Null)), Call::of(remind, dialect))),
            notify: written("notify").map(|notify| Call::of(notify, dialect)),
        }
    }
}
