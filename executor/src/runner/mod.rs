//! Carrying out actions: a file for each runner, beside its spec in [`petrel_execution::runner`].
//!
//! A runner is told of its attempt by a [`Context`], ends as soon as the attempt may not go on, and tells how it ended by
//! an [`Exit`](petrel_execution::worker::Exit), from which the attempt knows what to tell its owner.

mod command;
mod container;
mod email;
mod http;
mod kafka;
mod limited;
mod masking;
mod options;
mod process;
mod python;
mod script;
mod shaped;
mod shell;
mod sleep;
mod ssh;
mod supervised;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::Clock;
use petrel_execution::ActionPlan;
use petrel_execution::runner::RunnerCall;
use petrel_execution::worker::{Holding, Verdict, Why};
use petrel_schemas::Task;
use petrel_secrets::Mask;
use tokio::sync::watch;

use crate::live::Live;
use crate::supervise::Supervisor;
pub use container::{ContainerAttempt, ContainerOptions, Containers};
pub use email::{EmailRequest, EmailRunner};
pub use http::{AddressGuard, GuardError, HttpOptions, HttpRequest, HttpRunner, LookedUp, Lookup, SystemLookup};
pub use kafka::{EXECUTION_HEADER, KafkaRequest, KafkaRunner};
pub(crate) use masking::masked_text;
pub use options::RunnerOptions;
pub use process::{Command, Process, ProcessAttempt, Processes, WorkDirectories, WorkDirectory, run};
pub use python::{PythonOptions, PythonRunner};
pub use sleep::sleep;
pub use ssh::{SshOptions, SshRequest, SshRunner};
pub use supervised::{CapturedEnd, Ended, Failed, run as run_supervised, run_told as run_supervised_told};

/// Before an attempt is given back that could not be started here.
pub(crate) const NOT_BEGUN_PAUSE: Duration = Duration::from_secs(1);

/// What the runners of a worker share between attempts.
#[derive(Debug)]
pub struct Runners {
    command: RunnerOptions,
    supervisor: Supervisor,
    work: WorkDirectories,
    container: ContainerOptions,
    /// Instance id of the worker.
    worker: Arc<str>,
    http: HttpRunner,
    email: EmailRunner,
    kafka: KafkaRunner,
    python: PythonRunner,
    ssh: SshRunner,
}

/// What runners are made of.
#[derive(Debug)]
pub struct Parts {
    /// Name of the worker, which containers carry.
    pub worker: Arc<str>,
    /// How processes are run.
    pub command: RunnerOptions,
    /// How containers are run.
    pub container: ContainerOptions,
    /// Where requests may go.
    pub http: HttpOptions,
    /// How Python code is run.
    pub python: PythonOptions,
    /// What a worker knows of hosts.
    pub ssh: SshOptions,
    /// Where processes may write.
    pub work: WorkDirectories,
    /// Who writes records.
    pub kafka: KafkaRunner,
}

impl Runners {
    /// Runners of these parts, and the supervisor of what they start.
    pub fn new(parts: Parts) -> Self {
        let Parts { worker, command, container, http, python, ssh, work, kafka } = parts;
        let supervisor = Supervisor::new(command.supervisor.clone());
        let http = HttpRunner::new(http);
        let email = http.email();
        let (python, ssh) = (PythonRunner::new(python), SshRunner::new(ssh));
        Self { command, supervisor, work, container, worker, http, email, kafka, python, ssh }
    }

    /// What the processes of its attempts share.
    pub(crate) fn processes(&self) -> Processes<'_> {
        Processes { supervisor: &self.supervisor, options: &self.command, work: &self.work }
    }

    /// Starts the supervisor, so that the first action does not wait for it, and ends what an earlier life of this worker
    /// has left.
    pub(crate) fn start(&self) {
        self.container.end_left(&self.worker);
        if let Err(error) = self.supervisor.start() {
            // The first action tries again, and says so, too.
            tracing::error!(%error, "the supervisor of actions cannot be started");
        }
    }
}

/// What a runner is told of the attempt that it carries out.
pub(crate) struct Context<'a> {
    pub(crate) task: &'a Task,
    pub(crate) plan: &'a ActionPlan,
    /// The files of its pack, where its call uses them.
    pub(crate) pack: Option<&'a Path>,
    pub(crate) runners: &'a Runners,
    /// Masks the secrets that it was given.
    pub(crate) mask: &'a Arc<Mask>,
    /// The lease and what the owner wants.
    pub(crate) held: &'a watch::Sender<Holding>,
    pub(crate) clock: &'a dyn Clock,
    /// Where it tells what it writes, while it writes it.
    pub(crate) live: &'a Live,
    /// To be called when the action begins to do something.
    pub(crate) started: &'a (dyn Fn() + Send + Sync),
}

impl Context<'_> {
    fn timeout_ms(&self) -> u64 {
        u64::try_from(self.task.timeout_ms).unwrap_or(0)
    }
}

/// Carries out an attempt that has begun, to its end.
pub(crate) async fn carry_out(call: RunnerCall, context: Context<'_>) -> Verdict {
    // Of an answer, all is masked before anything of it is cut, and what is masked already is not searched again.
    let is_masked = matches!(call, RunnerCall::Http(_));
    let mut exit = match call {
        RunnerCall::End(outcome) => {
            (context.started)();
            return Verdict::Ended(masking::masked_outcome(outcome, context.mask).await);
        }
        RunnerCall::Command(call) => command::carry_out(call, &context).await,
        RunnerCall::Container(call) => container::carry_out(*call, &context).await,
        RunnerCall::Email(call) => email::carry_out(call, &context).await,
        RunnerCall::Http(call) => http::carry_out(call, &context).await,
        RunnerCall::Kafka(call) => kafka::carry_out(call, &context).await,
        RunnerCall::Python(call) => python::carry_out(call, &context).await,
        RunnerCall::Script(call) => script::carry_out(call, &context).await,
        RunnerCall::Shell(call) => shell::carry_out(call, &context).await,
        RunnerCall::Sleep(call) => sleep::carry_out(call, &context).await,
        RunnerCall::Ssh(call) => ssh::carry_out(call, &context).await,
    };
    if !is_masked {
        exit = masking::masked(exit, context.mask).await;
    }
    // Of what a result was made of there is more than an action's output may be told.
    shaped::cut(&mut exit.stdout, context.plan.output_bytes_max);
    if let Why::GivenBack { .. } = exit.why {
        let why = exit.error.as_deref().unwrap_or_default();
        tracing::warn!(
            execution = context.task.execution_id,
            attempt = context.task.attempt,
            why,
            "an attempt is given back, for this worker lacks what it takes"
        );
        // What this worker lacks it may lack for the next one, too: no circle as fast as it goes.
        tokio::time::sleep(NOT_BEGUN_PAUSE).await;
    }
    let verdict = context.held.borrow().ended(exit);
    shaped::shaped(verdict, context.plan).await
}
