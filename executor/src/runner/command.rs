//! The runner `command`: an argv, never a shell.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use petrel_execution::runner::{CommandCall, Limits, May};
use petrel_execution::worker::{self, Exit, Holding};
use petrel_execution::{Stream, code};
use petrel_schemas::Task;
use tokio::sync::watch;

use super::supervised::{self, Ended, Failed};
use super::{Context, RunnerOptions};
use crate::supervise::{Job, StreamSpec, Supervisor, Why};

/// A command to run.
#[derive(Clone, PartialEq, Eq)]
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

/// Without arguments and the values of variables: there may be secrets in them.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.argv.first())
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("variables", &self.environment.keys())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
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
        Err(Failed::NotBegun(why)) => Exit::bare(worker::Why::GivenBack { begun: false }, Some(why)),
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
        Why::NotBegun => worker::Why::GivenBack { begun: false },
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
    Exit { return_code: report.return_code, stdout, stderr, ..Exit::bare(why, error) }
}

/// Runs the command of an attempt to its end.
pub(super) async fn carry_out(call: CommandCall, context: &Context<'_>) -> Exit {
    let Some(pack) = context.pack else { return Exit::bare(worker::Why::NotStarted(code::PACK_UNUSABLE), None) };
    let output_bytes_max = context.plan.output_bytes_max;
    let options = RunnerOptions { output_bytes_max, ..context.runners.command.clone() };
    let command = command_of(context.task, call, pack);
    run(&context.runners.supervisor, &options, command, context.held.subscribe(), context.started).await
}

fn command_of(task: &Task, call: CommandCall, pack: &Path) -> Command {
    let actions = pack.join("actions");
    // A pack whose actions only call programs of the system has no such folder.
    let directory = if actions.is_dir() { actions } else { pack.to_owned() };
    let mut environment: BTreeMap<String, String> = call.env.into_iter().collect();
    let own = [
        ("PETREL_EXECUTION_ID", Some(task.execution_id.clone())),
        ("PETREL_ATTEMPT", Some(task.attempt.to_string())),
        ("PETREL_ACTION", Some(task.action.clone())),
        ("PETREL_ACTION_DIR", Some(directory.display().to_string())),
        ("PETREL_EVENT_ID", task.event_id.clone()),
        ("PETREL_RULE", task.rule.clone()),
    ];
    environment.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let timeout_ms = u64::try_from(task.timeout_ms).unwrap_or(0);
    Command { argv: call.argv, directory, environment, timeout_ms, may: call.may, limits: call.limits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_command_nor_what_a_guard_is_told_of_it_shows_a_secret() {
        let command = Command {
            argv: vec!["curl".to_owned(), "--user=s3cret".to_owned()],
            directory: "/tmp".into(),
            environment: BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]),
            timeout_ms: 1,
            may: May::default(),
            limits: Limits::default(),
        };
        let shown = format!("{command:?} {:?}", job(&RunnerOptions::default(), command.clone(), 0));
        assert_eq!((shown.matches("TOKEN").count(), shown.matches("s3cret").count()), (2, 0), "{shown}");
    }
}
