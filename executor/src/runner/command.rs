//! The runner `command`: an argv, never a shell, under a supervisor process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use petrel_execution::runner::CommandCall;
use petrel_execution::worker::{self, Exit, Holding};
use petrel_execution::{Stream, code};
use petrel_schemas::Task;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::Context;
use crate::supervise::{Control, Job, Report, STARTED, Why};

/// Longest line of the supervisor, in bytes; the captured output comes behind it.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// How commands are run.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// Program and first arguments of the supervisor. The default is this program itself with the
    /// sub-command `supervise`, by a path that still works after an upgrade replaced the file.
    pub supervisor: Vec<OsString>,
    /// Variables that a command inherits from this process, where they are set.
    pub inherited_variables: Vec<String>,
    /// Variables set for every command.
    pub environment: BTreeMap<String, String>,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: usize,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub kill_grace_ms: u64,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            supervisor: vec!["/proc/self/exe".into(), "supervise".into()],
            inherited_variables: ["PATH", "HOME", "LANG"].map(str::to_owned).to_vec(),
            environment: BTreeMap::new(),
            output_bytes_max: 64 << 10,
            kill_grace_ms: 5_000,
        }
    }
}

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
}

/// Runs a command to its end. `started` is called once it runs. Dropping the future ends the command.
pub async fn run(
    options: &RunnerOptions,
    command: Command,
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> Exit {
    if let Some(error) = refusal(&command) {
        return Exit::bare(worker::Why::NotStarted(code::NOT_STARTED), Some(error));
    }
    match supervised(options, command, held, started).await {
        Ok(exit) => exit,
        Err(e) => Exit::bare(worker::Why::Unknown, Some(format!("the supervisor of the command failed: {e}"))),
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

async fn supervised(
    options: &RunnerOptions,
    command: Command,
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> std::io::Result<Exit> {
    let (program, arguments) = options.supervisor.split_first().ok_or_else(|| missing("supervisor"))?;
    let mut child =
        tokio::process::Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let control = child.stdin.take().ok_or_else(|| missing("stdin"))?;
    let output = child.stdout.take().ok_or_else(|| missing("stdout"))?;
    let job = job(options, command, held.borrow().lease_deadline_ms());
    let answer = {
        let tell = tell(control, &job, held);
        let listen = listen(output, options.output_bytes_max, started);
        tokio::pin!(tell, listen);
        // What is told ends when the supervisor does or when nobody is left to direct it; then only listen.
        tokio::select! {
            answer = &mut listen => answer,
            control = &mut tell => {
                let answer = listen.await;
                drop(control);
                answer
            }
        }
    };
    child.wait().await?;
    answer
}

fn missing(what: &str) -> std::io::Error {
    std::io::Error::other(format!("it has no {what}"))
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
        timeout_ms: command.timeout_ms,
        lease_deadline_ms,
        kill_grace_ms: options.kill_grace_ms,
        output_bytes_max: options.output_bytes_max,
    }
}

/// Sends the job and then what the worker wants of it, whenever that changes. Gives the pipe back, for its closing means
/// that the worker is gone.
async fn tell(mut control: ChildStdin, job: &Job, mut held: watch::Receiver<Holding>) -> ChildStdin {
    // Strings and numbers always serialise; an empty line would make the supervisor give up.
    let mut line = serde_json::to_string(job).unwrap_or_default();
    line.push('\n');
    if control.write_all(line.as_bytes()).await.is_err() {
        return control;
    }
    let mut told = (job.lease_deadline_ms, false);
    loop {
        let wanted = {
            let held = held.borrow_and_update();
            (held.lease_deadline_ms(), held.stop().is_some())
        };
        let mut lines = String::new();
        if wanted.0 != told.0 {
            lines.push_str(&Control::Lease(wanted.0).line());
        }
        if wanted.1 && !told.1 {
            lines.push_str(&Control::Cancel.line());
        }
        told = wanted;
        // A supervisor that is gone shows at the other end.
        if control.write_all(lines.as_bytes()).await.is_err() || held.changed().await.is_err() {
            return control;
        }
    }
}

async fn listen(output: ChildStdout, output_bytes_max: usize, started: impl FnOnce()) -> std::io::Result<Exit> {
    let most = 2 * LINE_BYTES_MAX + 2 * output_bytes_max as u64;
    let mut output = BufReader::new(output.take(most));
    let mut line = String::new();
    output.read_line(&mut line).await?;
    if line.trim_end() == STARTED {
        started();
        line.clear();
        output.read_line(&mut line).await?;
    }
    if line.is_empty() {
        return Err(std::io::Error::other("it ended without a report"));
    }
    let report: Report = serde_json::from_str(&line)?;
    let mut stdout = vec![0; report.stdout_bytes.min(output_bytes_max)];
    output.read_exact(&mut stdout).await?;
    let mut stderr = vec![0; report.stderr_bytes.min(output_bytes_max)];
    output.read_exact(&mut stderr).await?;
    let error = report.error.clone().or_else(|| report.signal.map(|s| format!("ended by signal {s}")));
    let why = match report.why {
        Why::NotStarted => worker::Why::NotStarted(code::NOT_STARTED),
        Why::Exited => worker::Why::Exited,
        Why::Timeout => worker::Why::Timeout,
        Why::Canceled => worker::Why::Stopped,
        Why::LeaseLost | Why::WorkerGone => worker::Why::LeaseLost,
    };
    Ok(Exit {
        why,
        return_code: report.return_code,
        error,
        result: None,
        retry_after_ms: None,
        stdout: Stream { bytes: stdout, truncated: report.stdout_truncated },
        stderr: Stream { bytes: stderr, truncated: report.stderr_truncated },
    })
}

/// Runs the command of an attempt to its end.
pub(super) async fn carry_out(call: CommandCall, context: &Context<'_>) -> Exit {
    let Some(pack) = context.pack else { return Exit::bare(worker::Why::NotStarted(code::PACK_UNUSABLE), None) };
    let output_bytes_max = context.plan.output_bytes_max;
    let options = RunnerOptions { output_bytes_max, ..context.runners.command.clone() };
    run(&options, command_of(context.task, call, pack), context.held.subscribe(), context.started).await
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
    Command { argv: call.argv, directory, environment, timeout_ms }
}
