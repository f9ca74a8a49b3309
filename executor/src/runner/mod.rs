//! Carrying out actions: a file for each runner, beside its spec in [`petrel_execution::runner`].
//!
//! A runner is told of its attempt by a [`Context`], ends as soon as the attempt may not go on, and tells how it ended by
//! an [`Exit`](petrel_execution::worker::Exit), from which the attempt knows what to tell its owner.

mod command;
mod http;
mod limited;
mod sleep;
mod ssh;

use std::path::Path;

use petrel_bus::Clock;
use petrel_execution::ActionPlan;
use petrel_execution::runner::RunnerCall;
use petrel_execution::worker::{Holding, Verdict};
use petrel_schemas::Task;
use tokio::sync::watch;

pub use command::{Command, RunnerOptions, run};
pub use http::{AddressGuard, GuardError, HttpOptions, HttpRequest, HttpRunner, LookedUp, Lookup, SystemLookup};
pub use sleep::sleep;
pub use ssh::{SshOptions, SshRequest, SshRunner};

/// What the runners of a worker share between attempts.
#[derive(Debug, Default)]
pub struct Runners {
    command: RunnerOptions,
    http: HttpRunner,
    ssh: SshRunner,
}

impl Runners {
    /// Runners with these settings.
    pub fn new(command: RunnerOptions, http: HttpOptions, ssh: SshOptions) -> Self {
        Self { command, http: HttpRunner::new(http), ssh: SshRunner::new(ssh) }
    }
}

/// What a runner is told of the attempt that it carries out.
pub(crate) struct Context<'a> {
    pub(crate) task: &'a Task,
    pub(crate) plan: &'a ActionPlan,
    /// The files of its pack, where its call uses them.
    pub(crate) pack: Option<&'a Path>,
    pub(crate) runners: &'a Runners,
    /// The lease and what the owner wants.
    pub(crate) held: &'a watch::Sender<Holding>,
    pub(crate) clock: &'a dyn Clock,
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
    let exit = match call {
        RunnerCall::End(outcome) => {
            (context.started)();
            return Verdict::Ended(outcome);
        }
        RunnerCall::Command(call) => command::carry_out(call, &context).await,
        RunnerCall::Http(call) => http::carry_out(call, &context).await,
        RunnerCall::Sleep(call) => sleep::carry_out(call, &context).await,
        RunnerCall::Ssh(call) => ssh::carry_out(call, &context).await,
    };
    context.held.borrow().ended(exit)
}
