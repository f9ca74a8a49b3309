//! Runners: how a worker carries an action out. A runner without processes, such as `noop`, has nothing here: its
//! call says its outcome itself.

mod command;
mod options;
mod supervised;

pub use command::{Command, run};
pub use options::RunnerOptions;
pub use supervised::{Ended, Failed, run as run_supervised};
