//! The runner `python`: an interpreter that calls a function or a class of a pack's file.
//!
//! `environment` (interpreters with what packs require) and `steps` (how they are made), `zygotes` (processes that have
//! imported a file), `judged` (what is made of the end of a call). What the interpreter itself runs is `python/` in this
//! crate.

mod environment;
mod judged;
mod options;
mod steps;
mod zygotes;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use petrel_execution::code;
use petrel_execution::runner::{Callee, Limits, May, PythonCall};
use petrel_execution::worker::{Exit, Holding, Why};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::limited::{Leave, limited};
use super::process::{self, Command, ProcessAttempt, Processes, WorkDirectory};
use super::supervised::{self, Ended, Failed};
use super::{Context, RunnerOptions};
use crate::supervise::{Confinement, Job, LANDLOCK_SCOPES, StreamSpec, Telling, boot_ms, landlock_abi};
use environment::{Environments, InUse};
pub use options::PythonOptions;
use zygotes::{NewZygote, Zygotes};

/// What an interpreter runs.
const SHIM: &str = concat!(include_str!("../../../python/shim.py"), include_str!("../../../python/zygote.py"));
/// Where it tells how a call ended.
const END_FD: i32 = 3;

/// Runs Python code of packs.
#[derive(Debug)]
pub struct PythonRunner {
    options: PythonOptions,
    environments: Environments,
    shim: Arc<OnceLock<PathBuf>>,
    zygotes: Zygotes,
}

/// A call, ready to be made.
struct Prepared {
    command: Command,
    environment: InUse,
    /// To be kept until the call has ended.
    work: WorkDirectory,
}

impl PythonRunner {
    /// A runner with these settings. Nothing is made before it is needed.
    pub fn new(options: PythonOptions) -> Self {
        let zygotes = Zygotes::new(options.idle_ms, options.zygotes_max);
        Self { environments: Environments::new(options.clone()), options, shim: Arc::default(), zygotes }
    }

    /// Makes a call, to its end. `pack` is its pack's folder; `started` is called once its interpreter runs. Dropping the
    /// future ends it.
    pub async fn run(
        &self,
        call: PythonCall,
        pack: &Path,
        processes: Processes<'_>,
        attempt: ProcessAttempt,
        held: watch::Receiver<Holding>,
        started: impl FnOnce() + Send,
    ) -> Exit {
        let prepared = match self.prepare(&call, pack, processes, &attempt, &held).await {
            Ok(prepared) => prepared,
            Err(exit) => return exit,
        };
        let Prepared { command, environment, work } = prepared;
        let options = RunnerOptions { output_bytes_max: attempt.output_bytes_max, ..processes.options.clone() };
        let (mut job, stdin) = process::job(&options, command, held.borrow().lease_deadline_ms());
        job.telling = Telling { live_bytes_max: attempt.live.bytes_max(), lead_bytes: attempt.lead_bytes };
        job.streams.push(StreamSpec { fd: END_FD, bytes_max: judged::told_bytes_max(&call) });
        if let Some(error) = process::too_large(&job) {
            return process::not_started(error);
        }
        let (zygote, timeout_at_ms) = (self.zygote(&call, &job), boot_ms().saturating_add(job.timeout_ms));
        let (mut started, mut ended) = (Some(started), None);
        if let Some(forking) = zygote.as_ref().and_then(|zygote| self.zygotes.get(&zygote.key)) {
            let told = || {
                if let Some(started) = started.take() {
                    started();
                }
            };
            ended = forking.run(&job, &stdin, held.clone(), told, &attempt.live).await;
        }
        let is_fork = ended.is_some();
        let ended = match (ended, started) {
            (Some(ended), _) => ended,
            // It had not begun.
            (None, started) => match supervised::within(&job, timeout_at_ms, &held) {
                Some(job) => {
                    let told = || started.into_iter().for_each(|started| started());
                    supervised::run_told(processes.supervisor, &job, &stdin, held, told, &attempt.live).await
                }
                None => Err(Failed::NotBegun("what was to fork it took half of its time or more".to_owned())),
            },
        };
        let exit = match ended {
            Ok(ended) => {
                attempt.live.end(ended.read_bytes(), ended.is_whole());
                self.judged(ended, call, is_fork).await
            }
            Err(Failed::NotBegun(why)) => process::lacking(why),
            Err(Failed::Lost(why)) => Exit::bare(Why::Unknown, Some(why)),
        };
        // What is called again and again is kept for the next call.
        if let Some(zygote) = zygote.filter(|_| judged::was_called(&exit)) {
            self.zygotes.start(zygote, processes.supervisor);
        }
        drop((environment, work));
        exit
    }

    /// What is made of an end, away from the threads that keep the leases of other attempts: what was returned may be long.
    async fn judged(&self, ended: Ended, call: PythonCall, is_fork: bool) -> Exit {
        let import_ms_max = self.options.import_ms_max;
        let judged = tokio::task::spawn_blocking(move || judged::judged(ended, &call, is_fork, import_ms_max));
        judged.await.unwrap_or_else(|_| Exit::bare(Why::Unknown, Some(process::NOT_JUDGED.to_owned())))
    }

    /// What imports the file of a call once, for all that come; none where each has to run by itself.
    fn zygote(&self, call: &PythonCall, job: &Job) -> Option<NewZygote> {
        // What a fork enters is a domain and nothing else: no control group, no files of its own.
        let is_bound = call.process.may != May::default()
            || call.process.limits.has_tree()
            || job.confinement != Confinement::default();
        if self.options.zygotes_max == 0 || is_bound || landlock_abi() < LANDLOCK_SCOPES {
            return None;
        }
        let import_s = std::time::Duration::from_millis(self.options.import_ms_max).as_secs_f64();
        let file = job.directory.join(&call.file).to_string_lossy().into_owned();
        let mut argv = job.argv.clone();
        argv.extend(["zygote".to_owned(), file, import_s.to_string()]);
        let key = format!("{argv:?} {:?}", job.environment);
        let job = Job { argv, stdin_bytes: 0, limits: Limits::default(), ..job.clone() };
        Some(NewZygote { key, job, import_ms_max: self.options.import_ms_max })
    }

    async fn prepare(
        &self,
        call: &PythonCall,
        pack: &Path,
        processes: Processes<'_>,
        attempt: &ProcessAttempt,
        held: &watch::Receiver<Holding>,
    ) -> Result<Prepared, Exit> {
        let ready = self.ready(call, pack, processes, attempt, held).await?;
        let Ready { shim, work, actions, directory, mut confinement } = ready;
        let environment = self.environments.get(call, pack, &confinement, processes, held).await?;
        let lease_deadline_ms = held.borrow().lease_deadline_ms();
        if let Some(files) = &mut confinement.files {
            // What runs the code, which no pack has written.
            files.reads.extend(environment.folder().map(Path::to_owned).into_iter().chain([shim.clone()]));
        }
        let payload = self.payload(call, (&actions, &directory), &work, attempt, lease_deadline_ms);
        let fixed = |(name, value): &(String, String)| call.fixed.contains(name).then(|| (name.clone(), value.clone()));
        let mut variables = environment.variables(processes.options);
        if confinement.files.is_some() {
            variables.extend(process::confined_variables(&work));
        }
        // What an action says itself goes before it; only what it requires is found first in any case.
        let programs = variables.get("PATH").cloned();
        variables.extend(call.process.env.iter().filter_map(fixed));
        if let (Some(programs), Some(path)) = (programs, variables.get_mut("PATH")) {
            *path = environment::first_of(&programs, path);
        }
        let interpreter = environment.interpreter.to_string_lossy().into_owned();
        let argv = [&*interpreter, "-s", "-B", &*shim.to_string_lossy()].map(str::to_owned).to_vec();
        let command = Command {
            argv,
            directory: actions,
            environment: variables,
            stdin: payload.to_string().into_bytes(),
            user: None,
            timeout_ms: attempt.timeout_ms,
            may: call.process.may,
            limits: call.process.limits,
            confinement,
        };
        Ok(Prepared { command, environment, work })
    }

    /// What the interpreter is told of the call.
    fn payload(
        &self,
        call: &PythonCall,
        (actions, directory): (&Path, &Path),
        work: &WorkDirectory,
        attempt: &ProcessAttempt,
        lease_deadline_ms: u64,
    ) -> Value {
        let (function, class) = match &call.callee {
            Callee::Function(name) => (Some(name), None),
            Callee::Class(name) => (None, Some(name)),
        };
        let own = call.process.env.iter().filter(|(name, _)| !call.fixed.contains(name)).cloned();
        let mut environment: BTreeMap<String, String> = own.collect();
        environment.extend(attempt.variables.clone());
        environment.insert("PETREL_ACTION_DIR".to_owned(), actions.to_string_lossy().into_owned());
        environment.insert("PETREL_WORK_DIR".to_owned(), work.path().to_string_lossy().into_owned());
        json!({
            "file": actions.join(&call.file),
            "function": function,
            "class": class,
            "parameters": call.parameters,
            "config": call.config,
            "environment": environment,
            "directory": directory,
            "limits": call.process.limits,
            "lease_deadline_ms": lease_deadline_ms,
            "import_s": std::time::Duration::from_millis(self.options.import_ms_max).as_secs_f64(),
        })
    }

    /// What is made for a call on disks, on no thread of the runtime, and for as long as its attempt may go on.
    async fn ready(
        &self,
        call: &PythonCall,
        pack: &Path,
        processes: Processes<'_>,
        attempt: &ProcessAttempt,
        held: &watch::Receiver<Holding>,
    ) -> Result<Ready, Exit> {
        let (written, folder) = (self.shim.clone(), self.environments.directory().to_owned());
        let (path, options, pack) = (processes.work.next(), processes.options.clone(), pack.to_owned());
        let (cwd, confine, may) = (call.process.cwd.clone(), call.process.confine.clone(), call.process.may);
        let ready = environment::beside(move || {
            let lacking = |what: &str, error: &io::Error| {
                Box::new(process::lacking(format!("there is no {what} for it: {error}")))
            };
            let shim = shim(&written, &folder);
            let shim = shim.map_err(|error| lacking("room for what its interpreter runs", &error))?;
            let work = WorkDirectory::make(path, None).map_err(|error| lacking("work directory", &error))?;
            let actions = process::actions_of(&pack);
            let directory = process::directory(&cwd, &actions, Some(&work));
            let directory = directory.map_err(|error| Box::new(process::not_started(error)))?;
            let confinement = process::confined(&confine, may, &options, &actions, Some(&work));
            let confinement = confinement.map_err(|error| Box::new(process::not_started(error)))?;
            Ok(Ready { shim, work, confinement, actions, directory })
        });
        match limited(Leave::new(held.clone(), attempt.timeout_ms), ready).await {
            Ok(ready) => ready?.map_err(|exit: Box<Exit>| *exit),
            Err(Why::Timeout) => Err(process::lacking("its folders were not found in time".to_owned())),
            Err(_) => Err(process::lacking("it ended before it had begun".to_owned())),
        }
    }
}

/// What a call needs on disks before its environment.
struct Ready {
    /// What the interpreter runs.
    shim: PathBuf,
    work: WorkDirectory,
    /// The folder of its pack's programs.
    actions: PathBuf,
    /// Where it begins.
    directory: PathBuf,
    confinement: Confinement,
}

/// The file that an interpreter runs, which is written once for each text that it ever had.
fn shim(written: &OnceLock<PathBuf>, folder: &Path) -> io::Result<PathBuf> {
    if let Some(path) = written.get() {
        return Ok(path.clone());
    }
    let path = Environments::write_once(folder, "shim", "py", SHIM)?;
    Ok(written.get_or_init(|| path).clone())
}

/// Calls what an attempt says, to its end.
pub(super) async fn carry_out(call: Box<PythonCall>, context: &Context<'_>) -> Exit {
    let Some(pack) = context.pack else { return Exit::bare(Why::NotStarted(code::PACK_UNUSABLE), None) };
    let (runners, attempt) = (context.runners, process::attempt_of(context));
    runners.python.run(*call, pack, runners.processes(), attempt, context.held.subscribe(), context.started).await
}
