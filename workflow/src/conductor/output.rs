//! What a workflow begins with, and what it results in.

use std::sync::Arc;

use super::Conductor;
use super::complete::json_bytes;
use super::context::{Contexts, Rolling, View, merged};
use super::log::LogEntry;
use super::staged::Staged;
use super::status::Status;
use crate::expression::{EvaluationError, Map, Template, Value, Variables};

impl Conductor {
    /// Evaluates the parameters and variables and stages the first tasks. A mistake in them fails the workflow before
    /// it begins.
    pub(super) fn begin(&mut self, inputs: &Map, context: Map) {
        let definition = Arc::clone(&self.definition);
        let mut errors = Vec::new();
        let parent = Arc::new(Value::Map(context.clone()));
        let mut rolling = Rolling::on(parent);
        for (name, default) in &definition.input {
            // What is given is data and is not evaluated.
            let value = match (inputs.get(name), default) {
                (Some(given), _) => Ok(given.clone()),
                (None, Some(default)) => self.evaluate_on(default, &rolling),
                (None, None) => Ok(Value::Null),
            };
            match value {
                Ok(value) => rolling.assign(name, value),
                Err(error) => errors.push(error),
            }
        }
        let with_inputs = merged(&context, &rolling.into_map());
        let (vars, mistakes) = self.evaluate_all(&definition.vars, Arc::new(Value::Map(with_inputs.clone())));
        errors.extend(mistakes);
        if !errors.is_empty() {
            for error in errors {
                self.log_error(LogEntry::error(error.to_string()));
            }
            self.fail();
            return;
        }
        let root = merged(&with_inputs, &vars);
        let (bytes, limit) = (json_bytes(&Value::Map(root.clone())), self.limits.published_bytes_max);
        if bytes > limit {
            self.log_error(LogEntry::error(format!(
                "LimitExceeded: The inputs and variables that the workflow begins with have {bytes} bytes, the limit \
                 PUBLISHED_BYTES_MAX is {limit}."
            )));
            self.fail();
            return;
        }
        self.published_bytes = bytes;
        self.contexts = Contexts::new(root);
        self.context_added(0);
        if let Err(message) = self.begin_time() {
            self.log_error(LogEntry::error(message));
            self.fail();
            return;
        }
        self.add_route(Vec::new());
        for task in &definition.starts {
            self.stage(Staged::new(*task, 0, 0, Vec::new()));
        }
    }

    /// Evaluates the output of a workflow that has ended and has none yet.
    pub fn render_output(&mut self) {
        if !self.status.is_completed() || self.output.is_some() {
            return;
        }
        let definition = Arc::clone(&self.definition);
        let variables = self.terminal_variables();
        let (output, errors) = self.evaluate_all(&definition.output, variables);
        let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let output = Value::Map(output);
        let (bytes, limit) = (json_bytes(&output), self.limits.published_bytes_max);
        if bytes > limit {
            errors.push(format!(
                "LimitExceeded: The output of the workflow has {bytes} bytes and is left out, the limit \
                 PUBLISHED_BYTES_MAX is {limit}."
            ));
        } else if output.is_true() {
            self.output = Some(output);
            self.workflow_changed();
        }
        if errors.is_empty() {
            return;
        }
        for error in errors {
            self.log_error(LogEntry::error(error));
        }
        if !matches!(self.status, Status::Timeout | Status::Abandoned | Status::Canceled) {
            self.fail();
        }
    }

    /// The variables of all tasks that nothing comes behind, merged in the order in which they began.
    pub(super) fn terminal_variables(&self) -> Arc<View> {
        let mut terminal = self.runs.iter().filter(|(_, run)| run.terminal).map(|(_, run)| run.context);
        let Some(first) = terminal.next() else { return Arc::default() };
        let mut view = self.contexts.view(first).copy();
        for context in terminal.filter(|context| *context != 0) {
            view.append(self.contexts.view(context));
        }
        Arc::new(view)
    }

    /// Evaluates variables one after the other, each seeing the former.
    fn evaluate_all(
        &self,
        variables: &[(Arc<str>, Template)],
        below: Arc<dyn Variables>,
    ) -> (Map, Vec<EvaluationError>) {
        let mut rolling = Rolling::on(below);
        let mut errors = Vec::new();
        for (name, template) in variables {
            match self.evaluate_on(template, &rolling) {
                Ok(value) => rolling.assign(name, value),
                Err(error) => errors.push(error),
            }
        }
        (rolling.into_map(), errors)
    }

    fn evaluate_on(&self, template: &Template, rolling: &Rolling) -> Result<Value, EvaluationError> {
        if !template.has_expressions() {
            return Ok(template.source().clone());
        }
        template.evaluate(&self.scope(Arc::new(rolling.clone()), None))
    }
}
