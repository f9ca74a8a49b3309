//! Processes of actions: what the runners `command`, `shell` and `script` have in common.
//!
//! `confined` (what it may reach), `sizes` (what the system can give a process), `user` (who it runs as), `work` (a directory
//! for each attempt), `empty` (one that is used again), `remove` (what goes of it), `judged` (what is made of its end).

mod confined;
mod empty;
mod judged;
mod remove;
mod sizes;
mod user;
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use petrel_execution::code;
use petrel_execution::runner::{Folder, Limits, May, ProcessCall};
use petrel_execution::worker::{self, Exit, Holding};
use petrel_schemas::Task;
use tokio::sync::watch;

use super::limited::{Leave, limited};
use super::supervised::{self, Ended, Failed};
use super::{Context, RunnerOptions};
use crate::live::Live;
use crate::supervise::{Confinement, Job, StreamSpec, Supervisor, Telling, User, Why};
pub(super) use confined::{confined, variables as confined_variables};
pub(super) use judged::judged;
use sizes::Sizes;
use user::{As, Refused};
pub use work::{WorkDirectories, WorkDirectory};

/// A program to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory.
    pub directory: PathBuf,
    /// Variables beside those of [`RunnerOptions`].
    pub environment: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Who it runs as; none for the worker's own user.
    pub user: Option<User>,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// What it may do beyond its own processes.
    pub may: May,
    /// What it may use up.
    pub limits: Limits,
    /// What it may reach.
    pub confinement: Confinement,
}

/// Without arguments, the values of variables, and what it reads: there may be secrets in them.
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

/// Runs a program to its end. `started` is called once it runs. Dropping the future ends it.
pub async fn run(
    supervisor: &Supervisor,
    options: &RunnerOptions,
    command: Command,
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> Exit {
    run_told(supervisor, options, command, held, started, (&Live::default(), 0)).await.0
}

/// The same, and what the program writes is told while it runs. Beside where to: how much of what stood before an end that
/// is kept has to be known, in bytes. Beside how it ended: whether it did so by itself, and is known to have left nothing
/// anywhere.
async fn run_told(
    supervisor: &Supervisor,
    options: &RunnerOptions,
    command: Command,
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
    (live, lead_bytes): (&Live, usize),
) -> (Exit, bool) {
    if let Some(error) = refusal(&command) {
        return (not_started(error), false);
    }
    let (mut job, stdin) = job(options, command, held.borrow().lease_deadline_ms());
    job.telling = Telling { live_bytes_max: live.bytes_max(), lead_bytes };
    if let Some(error) = too_large(&job) {
        return (not_started(error), false);
    }
    match supervised::run_told(supervisor, &job, &stdin, held, started, live).await {
        Ok(ended) => {
            live.end(ended.read_bytes(), ended.is_whole());
            let is_all_gone = ended.is_whole() && !ended.report.is_held;
            (exit(ended), is_all_gone)
        }
        Err(Failed::NotBegun(why)) => (lacking(why), false),
        Err(Failed::Lost(why)) => (Exit::bare(worker::Why::Unknown, Some(why)), false),
    }
}

/// What this system has no room for.
pub(super) fn too_large(job: &Job) -> Option<String> {
    Sizes::of_this_system().over(job)
}

/// It cannot be started, here or elsewhere.
pub(super) fn not_started(error: String) -> Exit {
    Exit::bare(worker::Why::NotStarted(code::NOT_STARTED), Some(error))
}

/// This worker lacks what it takes.
pub(super) fn lacking(error: String) -> Exit {
    Exit::bare(worker::Why::GivenBack { begun: false }, Some(error))
}

/// What no process can be given.
fn refusal(command: &Command) -> Option<String> {
    if command.argv.first().is_none_or(String::is_empty) {
        return Some("the command is empty".to_owned());
    }
    let at = command.argv.iter().position(|argument| argument.contains('\0'))?;
    Some(format!("argument {at} of the command contains a NUL character, which no program can be given"))
}

pub(super) fn job(options: &RunnerOptions, command: Command, lease_deadline_ms: u64) -> (Job, Vec<u8>) {
    let inherited =
        options.inherited_variables.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    let mut environment: BTreeMap<String, String> = inherited.collect();
    environment.extend(options.environment.clone());
    environment.extend(command.environment);
    let job = Job {
        argv: command.argv,
        environment,
        directory: command.directory,
        stdin_bytes: command.stdin.len(),
        streams: vec![
            StreamSpec { fd: 1, bytes_max: options.output_bytes_max.max(options.result_bytes_max) },
            StreamSpec { fd: 2, bytes_max: options.output_bytes_max },
        ],
        telling: Telling::default(),
        timeout_ms: command.timeout_ms,
        lease_deadline_ms,
        kill_grace_ms: options.kill_grace_ms,
        user: command.user,
        limits: command.limits,
        may: command.may,
        container: None,
        confinement: command.confinement,
    };
    (job, command.stdin)
}

pub(super) fn exit(ended: Ended) -> Exit {
    let report = &ended.report;
    let error = report.error.clone().or_else(|| report.signal.map(|s| format!("ended by signal {s}")));
    let why = match report.why {
        Why::NotStarted => worker::Why::NotStarted(code::NOT_STARTED),
        Why::NotConfined => worker::Why::NotStarted(code::NOT_CONFINED),
        Why::NotBegun => worker::Why::GivenBack { begun: false },
        Why::Exited => worker::Why::Exited,
        Why::Timeout => worker::Why::Timeout,
        Why::Canceled => worker::Why::Stopped,
        Why::LeaseLost | Why::WorkerGone => worker::Why::LeaseLost,
        Why::SupervisorGone => worker::Why::Unknown,
    };
    let (return_code, is_cut) = (report.return_code, report.left_others);
    let mut streams = ended.into_streams();
    let (stdout, stderr) = (streams.next().unwrap_or_default(), streams.next().unwrap_or_default());
    Exit { return_code, is_cut, stdout, stderr, ..Exit::bare(why, error) }
}

/// What is made of an end. What it results in may be long to parse and to check, and the runtime's threads keep the leases of
/// other attempts.
pub(super) async fn judged_beside(call: ProcessCall, exit: impl FnOnce() -> Exit + Send + 'static) -> Exit {
    let judged = tokio::task::spawn_blocking(move || judged(exit(), &call));
    judged.await.unwrap_or_else(|_| Exit::bare(worker::Why::Unknown, Some(NOT_JUDGED.to_owned())))
}

/// What an action starts.
#[derive(Clone, PartialEq)]
pub struct Process {
    /// Program and arguments.
    pub(super) argv: Vec<String>,
    /// How it is started, and what is made of its end.
    pub(super) call: ProcessCall,
    /// The folder of its pack's programs.
    pub(super) actions: PathBuf,
}

/// What is to be known of an attempt beside what it starts.
#[derive(Debug, Clone)]
pub struct ProcessAttempt {
    /// Variables that the action cannot set.
    pub variables: BTreeMap<String, String>,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: usize,
    /// Bytes that are to be known of what stood before an end that is kept.
    pub lead_bytes: usize,
    /// Where it tells what it writes.
    pub live: Live,
}

/// What the processes of a worker share.
#[derive(Debug, Clone, Copy)]
pub struct Processes<'w> {
    /// Starts them.
    pub supervisor: &'w Supervisor,
    /// How.
    pub options: &'w RunnerOptions,
    /// Where each of them may write.
    pub work: &'w WorkDirectories,
}

/// Folder of a pack's programs. A pack whose actions only call programs of the system has no such folder.
pub(super) fn actions_of(pack: &Path) -> PathBuf {
    let actions = pack.join("actions");
    if actions.is_dir() { actions } else { pack.to_owned() }
}

/// A program with a relative path is one of the pack, one without a slash is looked up in `PATH`.
pub(super) fn program_in(program: &str, actions: &Path) -> String {
    let relative = program.strip_prefix("./").unwrap_or(program);
    let is_of_pack = program.contains('/') && !program.starts_with('/');
    if is_of_pack { actions.join(relative).to_string_lossy().into_owned() } else { program.to_owned() }
}

/// Runs what an attempt starts to its end.
pub(super) async fn carry_out(process: impl FnOnce(&Path) -> Process, context: &Context<'_>) -> Exit {
    let Some(pack) = context.pack else { return Exit::bare(worker::Why::NotStarted(code::PACK_UNUSABLE), None) };
    let attempt = attempt_of(context);
    context.runners.processes().run(process(pack), attempt, context.held.subscribe(), context.started).await
}

/// What is to be known of an attempt beside what it starts.
pub(super) fn attempt_of(context: &Context<'_>) -> ProcessAttempt {
    ProcessAttempt {
        variables: variables(context.task),
        timeout_ms: context.timeout_ms(),
        output_bytes_max: context.plan.output_bytes_max,
        lead_bytes: context.mask.lead_bytes(),
        live: context.live.clone(),
    }
}

/// What an action finds of its execution.
pub(super) fn variables(task: &Task) -> BTreeMap<String, String> {
    let own = [
        ("PETREL_EXECUTION_ID", Some(task.execution_id.clone())),
        ("PETREL_ATTEMPT", Some(task.attempt.to_string())),
        ("PETREL_ACTION", Some(task.action.clone())),
        ("PETREL_EVENT_ID", task.event_id.clone()),
        ("PETREL_RULE", task.rule.clone()),
    ];
    own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl Processes<'_> {
    /// Runs a process to its end. `started` is called once it runs. Dropping the future ends it.
    pub async fn run(
        &self,
        process: Process,
        attempt: ProcessAttempt,
        held: watch::Receiver<Holding>,
        started: impl FnOnce() + Send,
    ) -> Exit {
        let Process { argv, mut call, actions } = process;
        let Prepared { becoming, work, directory, confinement } =
            match self.prepared(&mut call, &actions, &attempt, &held).await {
                Ok(prepared) => prepared,
                Err(exit) => return exit,
            };
        // What other rights may still reach it by, or is bound to it, is not told by the folder itself.
        let is_plain = call.may == May::default() && confinement == Confinement::default();
        let mut environment = becoming.variables();
        if let Some(work) = work.as_ref().filter(|_| confinement.files.is_some()) {
            environment.extend(confined::variables(work));
        }
        environment.extend(std::mem::take(&mut call.env));
        environment.extend(attempt.variables);
        environment.insert("PETREL_ACTION_DIR".to_owned(), actions.to_string_lossy().into_owned());
        if let Some(work) = &work {
            environment.insert("PETREL_WORK_DIR".to_owned(), work.path().to_string_lossy().into_owned());
        }
        let command = Command {
            argv,
            directory,
            environment,
            stdin: std::mem::take(&mut call.stdin),
            user: becoming.user().cloned(),
            timeout_ms: attempt.timeout_ms,
            may: call.may,
            limits: call.limits,
            confinement,
        };
        let result_bytes_max = call.output.as_ref().and_then(|output| output.shape.bytes_max).unwrap_or(0);
        let output_bytes_max = attempt.output_bytes_max;
        let options = RunnerOptions { output_bytes_max, result_bytes_max, ..self.options.clone() };
        let command = match self.through_sudo(&options, command, &becoming, &held).await {
            Ok(command) => command,
            Err(exit) => return exit,
        };
        let directory = command.directory.clone();
        let telling = (&attempt.live, attempt.lead_bytes);
        let (exit, is_all_gone) = run_told(self.supervisor, &options, command, held, started, telling).await;
        // Who has something of an action, and is none of its processes, may have its folder open, too.
        if let Some(work) = work.filter(|_| is_plain && is_all_gone) {
            self.work.take_back(work);
        }
        if becoming == As::Own && call.output.is_none() {
            return judged(exit, &call);
        }
        judged_beside(call, move || becoming.explained(exit, &directory)).await
    }

    /// What a process needs before it starts: for as long as its attempt may go on, and on no thread of the runtime, for
    /// users and folders may be far away.
    async fn prepared(
        &self,
        call: &mut ProcessCall,
        actions: &Path,
        attempt: &ProcessAttempt,
        held: &watch::Receiver<Holding>,
    ) -> Result<Prepared, Exit> {
        let user = call.user.take();
        let prepare = async {
            let becoming = match user {
                None => As::Own,
                Some(name) => user::find(name, call.may).await.map_err(refused)?,
            };
            // Who is another one by `sudo` may not write where the worker's user may.
            let place = match becoming {
                As::Sudo(_) => None,
                As::Own | As::User(_) => Some(self.work.place()),
            };
            let (cwd, confine, may) = (call.cwd.clone(), call.confine.clone(), call.may);
            let (options, actions) = (self.options.clone(), actions.to_owned());
            let made = tokio::task::spawn_blocking(move || {
                let work = place.map(|place| place.take(becoming.user())).transpose();
                let work = work.map_err(|error| no_work(&error))?;
                let directory = directory(&cwd, &actions, work.as_ref()).map_err(not_started)?;
                let confinement = confined(&confine, may, &options, &actions, work.as_ref()).map_err(not_started)?;
                Ok(Prepared { becoming, work, directory, confinement })
            });
            made.await.map_err(|error| lacking(error.to_string()))?.map_err(|exit: Box<Exit>| *exit)
        };
        match limited(Leave::new(held.clone(), attempt.timeout_ms), prepare).await {
            Ok(prepared) => prepared,
            Err(worker::Why::Timeout) => Err(lacking("its user or its folders were not found in time".to_owned())),
            Err(_) => Err(lacking("it ended before it had begun".to_owned())),
        }
    }

    /// The command as `sudo` starts it, where it has to; before that, whether it does.
    async fn through_sudo(
        &self,
        options: &RunnerOptions,
        command: Command,
        becoming: &As,
        held: &watch::Receiver<Holding>,
    ) -> Result<Command, Exit> {
        let As::Sudo(account) = becoming else { return Ok(command) };
        let probe = Command { stdin: Vec::new(), ..user::probe(account, &command) };
        let exit = run(self.supervisor, options, probe, held.clone(), || {}).await;
        match user::refused(account, &exit) {
            Some(why) => Err(refused(why)),
            None if exit.why == worker::Why::Exited => Ok(user::by_sudo(account, command)),
            // It was told to stop, or its lease passed: nothing has begun.
            None => Err(lacking(exit.error.unwrap_or_else(|| "it ended before it had begun".to_owned()))),
        }
    }
}

/// What was made ready for a process.
struct Prepared {
    becoming: As,
    work: Option<WorkDirectory>,
    directory: PathBuf,
    confinement: Confinement,
}

/// Told where what judges a process panicked.
pub(super) const NOT_JUDGED: &str = "what judges its output panicked, and the output is left out";

fn refused(why: Refused) -> Exit {
    match why {
        Refused::Never(why) => not_started(why),
        Refused::Now(why) => lacking(why),
    }
}

/// Whom a folder cannot be given to, that one can be nowhere here; else this machine has no room.
fn no_work(error: &io::Error) -> Exit {
    let why = format!("there is no work directory for it: {error}");
    let is_never = error.raw_os_error().is_some_and(|code| [libc::EPERM, libc::EINVAL].contains(&code));
    if is_never { not_started(why) } else { lacking(why) }
}

/// Where a process begins. May wait for a disk that is far away.
pub(super) fn directory(cwd: &Folder, actions: &Path, work: Option<&WorkDirectory>) -> Result<PathBuf, String> {
    let directory = match (cwd, work) {
        (Folder::Actions, _) => actions.to_owned(),
        (Folder::Pack(inside), _) => actions.join(inside),
        (Folder::Machine(path), _) => PathBuf::from(path),
        (Folder::Work, Some(work)) => work.path().to_owned(),
        (Folder::Work, None) => return Err("who becomes another user by sudo has no work directory".to_owned()),
    };
    match std::fs::metadata(&directory) {
        Ok(found) if found.is_dir() => Ok(directory),
        Ok(_) => Err(format!("the working directory {} is no folder", directory.display())),
        Err(error) => Err(format!("the working directory {} cannot be used: {error}", directory.display())),
    }
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
            stdin: b"s3cret".to_vec(),
            user: None,
            timeout_ms: 1,
            may: May::default(),
            limits: Limits::default(),
            confinement: Confinement::default(),
        };
        let shown = format!("{command:?} {:?}", job(&RunnerOptions::default(), command.clone(), 0).0);
        assert_eq!((shown.matches("TOKEN").count(), shown.matches("s3cret").count()), (2, 0), "{shown}");
    }
}
