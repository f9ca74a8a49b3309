//! The text of a workflow as its parts, before anything of it is judged.
//!
//! `read` takes a text apart as leniently as Orquesta's constructors do; what is wrong with the parts is for
//! `inspect` to say. What cannot be taken apart at all is a [`SpecError`].

pub(crate) mod duration;
mod inline;
pub(crate) mod map;
mod native;
pub(crate) mod python;
mod read;

use std::sync::Arc;

use indexmap::IndexMap;

use crate::expression::{Dialect, Value};
use crate::yaml::{At, Places};

pub(crate) use inline::parameters;
pub(crate) use native::{CONDITIONS, NativeSpec, NativeTaskSpec, keys_at};

/// The names that transitions may lead to without a task of that name.
pub(crate) const COMMANDS: [&str; 4] = ["continue", "fail", "noop", "retry"];

/// A text that is no workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}", line = at.line, column = at.column)]
pub struct SpecError {
    /// Where.
    pub at: At,
    /// What is wrong.
    pub message: String,
}

/// A workflow as it is written.
#[derive(Debug, Clone)]
pub struct WorkflowSpec {
    /// The whole, without its version.
    pub(crate) raw: Value,
    pub(crate) input: Value,
    pub(crate) vars: Value,
    pub(crate) output: Value,
    pub(crate) tasks: IndexMap<Arc<str>, TaskSpec>,
    pub(crate) places: Places,
    pub(crate) dialect: Dialect,
    /// Empty in Orquesta's dialect, where its keys are refused.
    pub(crate) native: NativeSpec,
}

/// One task.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskSpec {
    pub(crate) delay: Value,
    pub(crate) join: Value,
    pub(crate) with: Option<WithSpec>,
    pub(crate) action: Value,
    pub(crate) input: Value,
    pub(crate) retry: Option<RetrySpec>,
    pub(crate) next: Vec<TransitionSpec>,
    pub(crate) native: NativeTaskSpec,
}

/// Which items a task runs for.
#[derive(Debug, Clone, Default)]
pub(crate) struct WithSpec {
    pub(crate) items: Value,
    pub(crate) concurrency: Value,
}

/// When and how often a task is tried again.
#[derive(Debug, Clone, Default)]
pub(crate) struct RetrySpec {
    pub(crate) when: Value,
    pub(crate) count: Value,
    pub(crate) delay: Value,
}

/// What comes behind a task.
#[derive(Debug, Clone)]
pub(crate) struct TransitionSpec {
    pub(crate) when: Value,
    /// A list of maps of one variable each, if it is well-formed.
    pub(crate) publish: Value,
    /// The names, in the order written.
    pub(crate) to: Vec<Arc<str>>,
    /// What is written for them, `continue` where nothing is.
    pub(crate) to_raw: Value,
}

impl TaskSpec {
    pub(crate) fn is_join(&self) -> bool {
        !self.join.is_null()
    }
}

impl WorkflowSpec {
    /// Reads a workflow's text. `version: 1.0` is asked for.
    ///
    /// # Errors
    /// What is no YAML, no mapping, of another version, or holds a task that is no mapping.
    pub fn read(text: &str, dialect: Dialect) -> Result<WorkflowSpec, SpecError> {
        read::read(text, dialect, true)
    }

    /// As [`WorkflowSpec::read`], for texts that may lack the version.
    ///
    /// # Errors
    /// As for [`WorkflowSpec::read`].
    pub fn read_unversioned(text: &str, dialect: Dialect) -> Result<WorkflowSpec, SpecError> {
        read::read(text, dialect, false)
    }

    /// Where a part of the text stands, by its path, for example `tasks.t1.next[0].do`.
    pub fn place(&self, path: &str) -> At {
        self.places.of(path)
    }

    /// Whether `finally` names a task: it runs then and at no other time.
    pub(crate) fn runs_finally(&self, task: &str) -> bool {
        self.native.finally.as_list().is_some_and(|entries| entries.iter().any(|entry| entry.as_str() == Some(task)))
    }

    /// The transitions of a task as (target, number of its entry in `next`), sorted by target. None of an unknown task.
    pub(crate) fn next_of(&self, task: &str) -> Vec<(&str, usize)> {
        let Some(task) = self.tasks.get(task) else { return Vec::new() };
        let mut next: Vec<_> = task
            .next
            .iter()
            .enumerate()
            .flat_map(|(number, transition)| transition.to.iter().map(move |to| (&**to, number)))
            .collect();
        next.sort_by(|one, other| one.0.cmp(other.0));
        next
    }
}

#[cfg(test)]
mod tests;
