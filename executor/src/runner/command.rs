//! The runner `command`: an argv, never a shell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use petrel_execution::runner::{Limits, May};
use petrel_execution::worker::{self, Exit, Holding};
use petrel_execution::{Stream, code};
use tokio::sync::watch;

use super::RunnerOptions;
use super::supervised::{self, Ended, Failed};
use crate::supervise::{Job, StreamSpec, Supervisor, Why};

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory: the `actions` folder of the pack.
    pub directory: PathBuf,
    /// Variables beside those of [`RunnerOptions`].
    pub environment: BTreeMap<String, String>,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// What it may do beyond its own processes.
    pub may: May,
    /// What it may use up.
    pub limits: Limits,
}

/// Runs a command to its end. `started` is called once it runs. Dropping the future ends the command.
pub async fn run(
    supervisor: &Supervisor,
    options: &RunnerOptions,
    command: Command,
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> Exit {
    if let Some(error) = refusal(&command) {
        return Exit::bare(worker::Why::NotStarted(code::NOT_STARTED), Some(error));
    }
    let job = job(options, command, held.borrow().lease_deadline_ms());
    match supervised::run(supervisor, &job, &[], held, started).await {
        Ok(ended) => exit(ended),
        Err(Failed::NotBegun(why)) => Exit::bare(worker::Why::NotBegun, Some(why)),
        Err(Failed::Lost(why)) => Exit::bare(worker::Why::Unknown, Some(why)),
    }
}

/// What no process can be given.
fn refusal(command: &Command) -> Option<String> {
    if command.argv.first().is_none_or(String::is_empty) {
        return Some("the command is empty".to_owned());
    }
    let at = command.argv.iter().position(|argument| argument.contains('\0'))?;
    Some(format!("argument {at} of the command contains a NUL character, which no program can be given"))
}

fn job(options: &RunnerOptions, command: Command, lease_deadline_ms: u64) -> Job {
    let inherited =
        options.inherited_variables.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    let mut environment: BTreeMap<String, String> = inherited.collect();
    environment.extend(options.environment.clone());
    environment.extend(command.environment);
    Job {
        argv: command.argv,
        environment,
        directory: command.directory,
        stdin_bytes: 0,
        streams: [1, 2].map(|fd| StreamSpec { fd, bytes_max: options.output_bytes_max }).to_vec(),
        timeout_ms: command.timeout_ms,
        lease_deadline_ms,
        kill_grace_ms: options.kill_grace_ms,
        user: None,
        limits: command.limits,
        may: command.may,
    }
}

fn exit(ended: Ended) -> Exit {
    let Ended { report, captured } = ended;
    let error = report.error.clone().or_else(|| report.signal.map(|s| format!("ended by signal {s}")));
    let why = match report.why {
        Why::NotStarted => worker::Why::NotStarted(code::NOT_STARTED),
        Why::NotBegun => worker::Why::NotBegun,
        Why::Exited => worker::Why::Exited,
        Why::Timeout => worker::Why::Timeout,
        Why::Canceled => worker::Why::Stopped,
        Why::LeaseLost | Why::WorkerGone => worker::Why::LeaseLost,
        Why::SupervisorGone => worker::Why::Unknown,
    };
    let mut streams = report.streams.iter().zip(captured);
    let mut stream = || {
        let next = streams.next();
        next.map(|(told, bytes)| Stream { bytes, truncated: told.truncated }).unwrap_or_default()
    };
    let (stdout, stderr) = (stream(), stream());
    Exit { why, return_code: report.return_code, error, result: None, stdout, stderr }
}
