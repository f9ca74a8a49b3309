//! One attempt at an execution, from its claim to its acknowledged end: a shell around
//! [`petrel_execution::worker::Holding`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use petrel_execution::worker::{Begin, Holding, Verdict};
use petrel_execution::{Outcome, Status, code};
use petrel_schemas::Task;
use tokio::sync::watch;

use super::attempts::Attempts;
use super::call::{self, cannot_run, label, render};
use super::large;
use super::referenced::{self, NotResolved};
use super::report::Reporter;
use super::secrets::{self, NotOpened, Opened};
use super::stage::Claimed;
use crate::SecretSource;
use crate::live::LiveOutput;
use crate::metrics::ExecutorMetrics;
use crate::objects::Objects;
use crate::packs_cache::{CacheError, LaidOut, PacksCache};
use crate::runner::{self, Runners};
use crate::supervise::boot_ms;
use crate::view::{PackContent, ResolvedAction};

/// What all attempts of a worker share.
pub(super) struct Shared {
    pub(super) runners: Runners,
    pub(super) reporter: Reporter,
    pub(super) live: LiveOutput,
    pub(super) attempts: Arc<Attempts>,
    pub(super) packs: Arc<PacksCache>,
    pub(super) secrets: Arc<dyn SecretSource>,
    pub(super) objects: Arc<Objects>,
    pub(super) metrics: Arc<ExecutorMetrics>,
}

/// Runs a claimed task and reports its end.
pub(super) async fn run(shared: Arc<Shared>, claimed: Claimed) {
    let Claimed { task, action, claim_began_ms, slot, said, owner } = claimed;
    let held = shared.attempts.hold(&task, claim_began_ms);
    held.send_modify(|h| h.order(said));
    let busy = slot.as_ref().map(|_| &shared.metrics.slots_busy);
    busy.inspect(|slots| slots.inc());
    let work = async {
        let started_at_ms = OnceLock::new();
        let verdict = match action {
            // Somebody else was faster, or it cannot be started here: another worker may.
            _ if slot.is_none() => held.borrow().not_begun(),
            Ok(action) => carry_out(&shared, &task, &action, &held, &started_at_ms).await,
            Err(note) => Verdict::Ended(Outcome::bare(Status::Failed, note, false)),
        };
        let ended_at_ms = shared.reporter.clock.now_ms();
        let verdict = large::put_away(&shared.objects, &held, verdict).await;
        shared.metrics.attempt_ended(label(&verdict));
        let end = shared.reporter.reports.end(&task, verdict, started_at_ms.get().copied(), ended_at_ms);
        shared.reporter.end(&task, end, owner).await;
    };
    // The lease is kept until the end is acknowledged: while the log is away, both wait.
    tokio::select! {
        never = shared.reporter.heartbeats(&task, &held) => match never {},
        () = work => {}
    }
    // Also what has ended holds its slot until its owner knows: a worker that cannot tell takes nothing more.
    busy.inspect(|slots| slots.dec());
    drop(slot);
    shared.attempts.ended(&task);
}

async fn carry_out(
    shared: &Arc<Shared>,
    task: &Task,
    action: &ResolvedAction,
    held: &watch::Sender<Holding>,
    started_at_ms: &OnceLock<i64>,
) -> Verdict {
    // Nothing is opened for what must not begin.
    if !may(held, |held, now_ms| held.borrow().may_begin(now_ms)).await {
        return held.borrow().not_begun();
    }
    let parameters = match call::parameters(task) {
        Ok(parameters) => parameters,
        Err(why) => return cannot_run(code::RENDER_FAILED, &why),
    };
    let resolved = tokio::select! {
        resolved = referenced::resolve(&shared.objects, action, parameters) => resolved,
        () = told_to_stop(held) => return held.borrow().not_begun(),
    };
    let parameters = match resolved {
        Ok(parameters) => parameters,
        Err(NotResolved::Failed(code, why)) => return cannot_run(code, &why),
        Err(NotResolved::Away(why)) => return give_back(task, held, &why).await,
    };
    let opens = secrets::open(&*shared.secrets, task, action, parameters, shared.reporter.clock.now_ms());
    // It may have to wait for the topic of secrets.
    let opened = tokio::select! {
        opened = opens => opened,
        () = told_to_stop(held) => return held.borrow().not_begun(),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(NotOpened::Failed(code, why)) => return cannot_run(code, &why),
        Err(NotOpened::Unread) => {
            tracing::warn!(
                execution = task.execution_id,
                attempt = task.attempt,
                "the topic of secrets was not read to its end in time: the attempt is given back"
            );
            return held.borrow().not_begun();
        }
    };
    carry_out_with(shared, task, action, held, started_at_ms, &opened).await
}

async fn carry_out_with(
    shared: &Arc<Shared>,
    task: &Task,
    action: &ResolvedAction,
    held: &watch::Sender<Holding>,
    started_at_ms: &OnceLock<i64>,
    opened: &Opened,
) -> Verdict {
    let call = match render(task, action, &opened.parameters, &opened.secrets) {
        Ok(call) => call,
        // It may quote what an expression was given.
        Err(why) => return cannot_run(code::RENDER_FAILED, &runner::masked_text(why, &opened.mask).await),
    };
    let pack = match call.uses_pack() {
        true => match lay_out(&shared.packs, action.pack.clone()).await {
            Ok(laid_out) => Some(laid_out),
            Err(NotLaidOut::Unusable(why)) => return cannot_run(code::PACK_UNUSABLE, &why),
            Err(NotLaidOut::Lacking(why)) => return give_back(task, held, &why).await,
        },
        false => None,
    };
    if !may(held, begin).await {
        return held.borrow().not_begun();
    }
    let started = || {
        let now_ms = shared.reporter.clock.now_ms();
        started_at_ms.get_or_init(|| now_ms);
        if let Some(event_at_ms) = task.event_at_ms {
            shared.metrics.action_started(now_ms.saturating_sub(event_at_ms));
        }
    };
    let context = runner::Context {
        task,
        plan: &action.plan,
        pack: pack.as_ref().map(LaidOut::path),
        runners: &shared.runners,
        mask: &opened.mask,
        held,
        clock: &*shared.reporter.clock,
        live: &shared.live.attempt(task, &opened.mask),
        started: &started,
    };
    runner::carry_out(call, context).await
}

/// Why there is no folder of a pack.
enum NotLaidOut {
    /// It is so everywhere.
    Unusable(String),
    /// Another worker may have one, and this one in a moment.
    Lacking(String),
}

async fn lay_out(packs: &Arc<PacksCache>, pack: Arc<dyn PackContent>) -> Result<LaidOut, NotLaidOut> {
    if let Some(laid_out) = packs.find(&*pack) {
        return Ok(laid_out);
    }
    let packs = packs.clone();
    match tokio::task::spawn_blocking(move || packs.lay_out(&*pack)).await {
        Ok(laid_out) => laid_out.map_err(|error| match error {
            CacheError::Content { .. } => NotLaidOut::Unusable(error.to_string()),
            CacheError::Io { .. } => NotLaidOut::Lacking(error.to_string()),
        }),
        Err(_) => Err(NotLaidOut::Lacking("what lays out the pack panicked".to_owned())),
    }
}

/// Before it begins, it is given back for what this worker lacks. The next one may lack it, too: no circle as fast as it
/// goes.
async fn give_back(task: &Task, held: &watch::Sender<Holding>, why: &str) -> Verdict {
    let (execution, attempt) = (&task.execution_id, task.attempt);
    tracing::warn!(execution, attempt, why, "an attempt is given back, for this worker lacks what it takes");
    // Whether it was told to stop meanwhile is seen below.
    let _ = tokio::time::timeout(runner::NOT_BEGUN_PAUSE, told_to_stop(held)).await;
    held.borrow().not_begun()
}

/// Waits until it must not begin any more, if that comes.
pub(super) async fn told_to_stop(held: &watch::Sender<Holding>) {
    // The sender lives as long as the attempt.
    let _ = held.subscribe().wait_for(|h| h.stop().is_some()).await;
}

/// Begins an attempt, if it may. From `Now` on, it has begun.
fn begin(held: &watch::Sender<Holding>, now_ms: u64) -> Begin {
    let mut begin = Begin::Never;
    held.send_if_modified(|h| {
        begin = h.begin(now_ms);
        begin == Begin::Now
    });
    begin
}

/// Waits for the grant, if there has to be one.
async fn may(held: &watch::Sender<Holding>, ask: impl Fn(&watch::Sender<Holding>, u64) -> Begin) -> bool {
    let mut changes = held.subscribe();
    loop {
        // Seen before it is asked: what changes behind that ends the wait below.
        let deadline_ms = changes.borrow_and_update().begin_by_ms();
        let now_ms = boot_ms();
        match ask(held, now_ms) {
            Begin::Now => return true,
            Begin::Never => return false,
            Begin::AwaitGrant => {
                // The sender lives as long as the attempt.
                let left = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
                let _ = tokio::time::timeout(left, changes.changed()).await;
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
