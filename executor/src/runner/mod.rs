//! Runners: how a worker carries an action out. A runner without processes, such as `noop`, has nothing here: its
//! call says its outcome itself.

mod command;

pub use command::{Command, RunnerOptions, run};
