//! Runners: how an action is carried out. One enum, one file for each runner, from the pack's file to the
//! worker: the keys that it takes, the spec with its compiled templates, and the call that a worker makes of it.

mod command;
mod keys;
mod noop;
#[cfg(test)]
mod tests;

use petrel_cel::{Constants, Scope};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

pub use command::{CommandCall, CommandSpec};
pub use keys::{Mistake, SpecError};
pub use noop::{NoopCall, NoopSpec};

/// The files of the pack that an action belongs to.
pub trait PackFiles {
    /// Whether there is a file of that path, relative to the pack, and whether it is executable.
    fn executable(&self, path: &str) -> Option<bool>;

    /// `, did you mean …?` for a path that is not there, or nothing.
    fn hint(&self, path: &str) -> String;

    /// What its texts may name beside parameters: the pack's configuration, if it has any.
    fn constants(&self) -> Option<&dyn Constants> {
        None
    }
}

/// What a runner needs of an action, checked and compiled.
#[derive(Debug)]
pub enum RunnerSpec {
    /// A program with arguments.
    Command(CommandSpec),
    /// Nothing at all.
    Noop(NoopSpec),
}

/// What a worker does for one attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum RunnerCall {
    /// Run a program.
    Command(CommandCall),
    /// Nothing at all.
    Noop(NoopCall),
}

/// Why an action cannot be rendered for an execution: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

/// What is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'r> {
    /// The completed parameters.
    pub parameters: &'r Value,
    /// The secrets that the action itself names, name by name, space by space.
    pub secrets: &'r Value,
    /// Id of the execution, the same for every attempt.
    pub execution_id: &'r str,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl Rendering<'_> {
    fn scope(&self) -> Scope<'static> {
        Scope::action(self.parameters, self.secrets, self.execution_id, self.attempt)
    }
}

impl RunnerSpec {
    /// Names of the runners.
    pub const NAMES: [&'static str; 2] = [command::NAME, noop::NAME];

    /// Keys of an action that belong to a runner, beside those that every action has; nothing for a runner that
    /// does not exist.
    pub fn keys(runner: &str) -> Option<&'static [&'static str]> {
        match runner {
            command::NAME => Some(command::KEYS),
            noop::NAME => Some(noop::KEYS),
            _ => None,
        }
    }

    /// Keys of all runners.
    pub fn all_keys() -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter_map(Self::keys).flatten().copied()
    }

    /// Reads a runner's keys, those that are there, and compiles what they hold.
    ///
    /// # Errors
    /// Every mistake. A runner that does not exist is one.
    pub fn parse(runner: &str, keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        match runner {
            command::NAME => CommandSpec::parse(keys, files).map(Self::Command),
            noop::NAME => Ok(Self::Noop(NoopSpec)),
            _ => Err(vec![SpecError::new("", Mistake::BadValue, format!("unknown runner {runner:?}"))]),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Command(_) => command::NAME,
            Self::Noop(_) => noop::NAME,
        }
    }

    /// Whether an attempt is over as soon as it is claimed: nothing is started, and nothing is waited for.
    pub fn is_instant(&self) -> bool {
        match self {
            Self::Command(_) => false,
            Self::Noop(_) => true,
        }
    }

    /// The secrets that it names beside its parameters, each with a JSON pointer into the action's keys.
    pub fn secrets(&self) -> &[(String, SecretRef)] {
        match self {
            Self::Command(spec) => spec.secrets(),
            Self::Noop(_) => &[],
        }
    }

    /// What a worker does for one attempt.
    ///
    /// # Errors
    /// An expression that has no value, or a value that the runner cannot be given.
    pub fn render(&self, rendering: Rendering<'_>) -> Result<RunnerCall, RenderError> {
        match self {
            Self::Command(spec) => spec.render(rendering).map(RunnerCall::Command),
            Self::Noop(spec) => Ok(RunnerCall::Noop(spec.render(rendering))),
        }
    }
}
