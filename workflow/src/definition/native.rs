//! The keys that native workflows have and Orquesta's do not, compiled.

use crate::expression::{Template, Value};

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
}
