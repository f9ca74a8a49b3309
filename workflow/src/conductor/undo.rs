//! What is remembered of what tasks did, so that it can be undone.
//!
//! What undoes a task is evaluated when the task has succeeded, while its result is there, and kept until it is used.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Conductor;
use super::ask::evaluate_call;
use super::complete::json_bytes;
use super::context::ContextId;
use super::log::LogEntry;
use super::pieces::Piece;
use super::runs::RunId;
use super::staged::StagedId;
use crate::expression::Value;

/// What undoes a task, or an item of one, that has succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) task: Arc<str>,
    pub(crate) route: u32,
    pub(crate) context: ContextId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<usize>,
    #[serde(default)]
    pub(crate) action: Value,
    #[serde(default)]
    pub(crate) input: Value,
    /// Why it cannot be undone: an expression of it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mistake: Option<String>,
}

impl Conductor {
    /// Remembers what undoes a task that has just succeeded, or this item of one that is staged.
    pub(super) fn remember_undo(&mut self, id: RunId, item: Option<(StagedId, usize)>, result: &Value) {
        let definition = Arc::clone(&self.definition);
        let task = definition.task(self.runs.get(id).task);
        let Some(call) = &task.native.undo else { return };
        let named = item.map(|(staged, item)| self.item_value(task, staged, item));
        let run = self.runs.get(id);
        let mut scope = self.scope_of(run, result);
        let evaluated = match named {
            Some(Err(message)) => Err(message),
            Some(Ok(value)) => {
                scope.item = Some(value);
                evaluate_call(call, &scope)
            }
            None => evaluate_call(call, &scope),
        };
        let (action, input, mistake) = match evaluated {
            Ok(spec) => (spec.action, spec.input, None),
            Err(message) => (Value::Null, Value::Null, Some(message)),
        };
        let bytes = self.published_bytes + json_bytes(&action) + json_bytes(&input);
        if bytes > self.limits.published_bytes_max {
            return self.too_much_to_undo(id, bytes);
        }
        self.published_bytes = bytes;
        self.workflow_changed();
        let run = self.runs.get(id);
        let undo = Undo {
            task: task.name.clone(),
            route: run.route,
            context: run.context,
            item: item.map(|(_, item)| item),
            action,
            input,
            mistake,
        };
        let number = self.native.undos.last_key_value().map_or(0, |(last, _)| last + 1);
        self.native.undos.insert(number, undo);
        self.changed.insert(Piece::Undo(number));
    }

    /// What undoes a task counts as published. Where it is too much the workflow fails, and says of which task it keeps
    /// nothing.
    fn too_much_to_undo(&mut self, id: RunId, bytes: usize) {
        let run = self.runs.get(id);
        let (task_id, route) = (Some(self.definition.task(run.task).name.clone()), Some(run.route));
        let message = format!(
            "LimitExceeded: The variables of the workflow, and what undoes its tasks, have {bytes} bytes, the limit \
             PUBLISHED_BYTES_MAX is {}. What this task did will not be undone.",
            self.limits.published_bytes_max
        );
        self.log_error(LogEntry { task_id, route, ..LogEntry::error(message) });
        self.fail();
    }

    pub(super) fn forget_undo(&mut self, number: u32) -> Option<Undo> {
        self.changed.insert(Piece::Undo(number));
        self.native.undos.remove(&number)
    }
}
