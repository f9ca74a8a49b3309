//! Runners: how a worker carries an action out.

mod command;

pub use command::{Command, Directive, Outcome, RunnerOptions, run};
