//! One attempt at an execution, from its claim to its acknowledged result.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;

use petrel_schemas::Task;
use tokio::sync::watch;

use super::cancels::Cancels;
use super::report::{Ended, Reporter, worker_lease_ms};
use super::stage::Claimed;
use crate::metrics::ExecutorMetrics;
use crate::owner::Status;
use crate::packs_cache::PacksCache;
use crate::runner::{self, Command, Directive, Outcome, RunnerOptions};
use crate::supervise::{Why, boot_ms};
use crate::view::CommandPlan;

/// What all attempts of a worker share.
pub(super) struct Shared {
    pub(super) runner: RunnerOptions,
    pub(super) reporter: Reporter,
    pub(super) cancels: Arc<Cancels>,
    pub(super) packs: Arc<PacksCache>,
    pub(super) metrics: Arc<ExecutorMetrics>,
}

/// Runs a claimed task and reports its end.
pub(super) async fn run(shared: Arc<Shared>, claimed: Claimed) {
    let Claimed { task, command, slot } = claimed;
    let lease_deadline_ms = slot.taken_at_ms() + worker_lease_ms(&task);
    let (director, directives) = watch::channel(Directive { lease_deadline_ms, cancel: false });
    let attempt = (task.execution_id.clone(), task.token);
    shared.cancels.running(attempt.clone(), director.clone());
    shared.metrics.slots_busy.inc();
    let work = async {
        let ended = carry_out(&shared, &task, command, directives).await;
        shared.metrics.attempt_ended(ended.status);
        shared.reporter.result(&task, ended).await;
    };
    // The lease is kept until the result is acknowledged: while the log is away, both wait.
    tokio::select! {
        never = shared.reporter.heartbeats(&task, &director) => match never {},
        () = work => {}
    }
    shared.metrics.slots_busy.dec();
    shared.cancels.ended(&attempt);
    drop(slot);
}

async fn carry_out(
    shared: &Arc<Shared>,
    task: &Task,
    command: Result<CommandPlan, String>,
    directives: watch::Receiver<Directive>,
) -> Ended {
    let not_begun = |status, error| Ended {
        status,
        started_at_ms: None,
        outcome: Outcome::without_report(Some(Why::NotStarted), error),
    };
    let plan = match command {
        Ok(plan) => plan,
        Err(reason) => return not_begun(Status::Failed, format!("cannot be run: {reason}")),
    };
    let (packs, pack) = (shared.packs.clone(), plan.pack.clone());
    let laid_out = match tokio::task::spawn_blocking(move || packs.lay_out(&*pack)).await {
        Ok(Ok(laid_out)) => laid_out,
        Ok(Err(error)) => return not_begun(Status::Failed, error.to_string()),
        Err(error) => return not_begun(Status::Failed, format!("cannot lay out the pack: {error}")),
    };
    let now = *directives.borrow();
    if now.cancel {
        let (status, error) = stopped(shared, task);
        return not_begun(status, error);
    }
    if boot_ms() >= now.lease_deadline_ms {
        return not_begun(Status::Abandoned, "the lease had passed before the action could start".to_owned());
    }
    let started_at_ms = OnceLock::new();
    let started = || {
        let now_ms = shared.reporter.clock.now_ms();
        started_at_ms.get_or_init(|| now_ms);
        if let Some(event_at_ms) = task.event_at_ms {
            shared.metrics.action_started(now_ms.saturating_sub(event_at_ms));
        }
    };
    let options = RunnerOptions { output_bytes_max: plan.output_bytes_max, ..shared.runner.clone() };
    let mut outcome = runner::run(&options, command_of(task, plan, laid_out.path()), directives, started).await;
    let (status, error) = judge(shared, task, &outcome);
    outcome.error = error.or(outcome.error);
    Ended { status, started_at_ms: started_at_ms.get().copied(), outcome }
}

fn command_of(task: &Task, plan: CommandPlan, pack: &Path) -> Command {
    let actions = pack.join("actions");
    // A pack whose actions only call programs of the system has no such folder.
    let directory = if actions.is_dir() { actions } else { pack.to_owned() };
    let mut environment: BTreeMap<String, String> = plan.environment;
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
    Command { argv: plan.argv, directory, environment, timeout_ms }
}

/// The attempt's status, and an error where the runner's own says too little.
fn judge(shared: &Shared, task: &Task, outcome: &Outcome) -> (Status, Option<String>) {
    match outcome.why {
        Some(Why::Exited) if outcome.return_code == Some(0) => (Status::Succeeded, None),
        Some(Why::Exited | Why::NotStarted) => (Status::Failed, None),
        Some(Why::Timeout) => (Status::Timeout, Some(format!("ended after its time-out of {} ms", task.timeout_ms))),
        Some(Why::Canceled) => {
            let (status, error) = stopped(shared, task);
            (status, Some(error))
        }
        Some(Why::LeaseLost | Why::WorkerGone) => {
            (Status::Abandoned, Some("ended because its lease passed unacknowledged".to_owned()))
        }
        None => (Status::Abandoned, None),
    }
}

/// Somebody canceled it, or the worker stops: then another one shall try.
fn stopped(shared: &Shared, task: &Task) -> (Status, String) {
    if shared.cancels.is_ordered(&task.execution_id, task.token) {
        (Status::Canceled, "canceled".to_owned())
    } else {
        (Status::Abandoned, "ended because its worker was shut down".to_owned())
    }
}
