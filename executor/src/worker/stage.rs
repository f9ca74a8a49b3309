//! Claims: the stage between a pool's tasks and the worker that runs them.
//!
//! It claims a task only with a free slot and blocks its partition otherwise. The claim commits together
//! with the task's offset, and only then does the worker get the task: a task is run by whoever committed
//! its claim, or by nobody, in which case the lease passes and the owner decides.
//!
//! Whether a slot is free, and which attempts must not run, it asks of its worker. That is input like the
//! records; nothing else it does depends on anything outside.

use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{Batch, Context, InputTopic, Output, Record, Stage, StageSpec, Start};
use petrel_schemas::{Claim, DecodeError, Task, TaskRecord, encode};
use tokio::sync::mpsc;

use super::cancels::Cancels;
use super::options::WorkerOptions;
use super::slots::{Slot, Slots};
use crate::dead_letters;
use crate::metrics::ExecutorMetrics;
use crate::view::{CommandPlan, ExecutorView, Rendered};

/// Name of the stage.
pub(super) const STAGE: &str = "worker";

/// A task that this worker has claimed, and has to run or to report.
pub struct Claimed {
    /// The task.
    pub task: Task,
    /// How to run it, or why it cannot be.
    pub command: Result<CommandPlan, String>,
    /// Its slot.
    pub slot: Slot,
}

/// The stage that claims tasks.
pub struct ClaimStage<G> {
    spec: StageSpec,
    tasks: Arc<str>,
    results: Arc<str>,
    dead_letters: Arc<str>,
    worker: Arc<str>,
    slots: Slots,
    cancels: Arc<Cancels>,
    /// Where committed claims go.
    pool: mpsc::UnboundedSender<Claimed>,
    metrics: Arc<ExecutorMetrics>,
    /// Claims of the open transaction, with the time each task waited, in milliseconds.
    open: Vec<(Claimed, i64)>,
    open_dead_letters: u64,
    globals: PhantomData<fn(&G)>,
}

enum Taken {
    Yes,
    NotYet(String),
}

impl<G: ExecutorView> ClaimStage<G> {
    /// A stage that claims for this worker; the channel holds at most as many as there are slots.
    pub fn new(
        options: &WorkerOptions,
        slots: Slots,
        cancels: Arc<Cancels>,
        pool: mpsc::UnboundedSender<Claimed>,
        metrics: Arc<ExecutorMetrics>,
    ) -> Self {
        Self {
            spec: StageSpec { name: STAGE.into(), changelog: None, silence: None },
            tasks: options.topics.tasks(&options.pool),
            results: options.topics.results(),
            dead_letters: options.topics.dead_letters(),
            worker: options.instance.clone(),
            slots,
            cancels,
            pool,
            metrics,
            open: Vec::new(),
            open_dead_letters: 0,
            globals: PhantomData,
        }
    }

    fn record(&mut self, batch: &Batch<'_>, record: &Record<'_>, context: &mut Context<'_, G>) -> Taken {
        // Looked at first, for a full worker is offered the same records again and again.
        if self.slots.is_full() {
            return Taken::NotYet("no slot is free".to_owned());
        }
        match TaskRecord::decode(record.value.unwrap_or_default()) {
            Ok(TaskRecord::Task(task)) => return self.task(task, context),
            // Orders to stop come on a topic of their own; one that is here is as good.
            Ok(TaskRecord::TaskCancel(order)) => self.cancels.order(order),
            // A newer release wrote it: wait until this process is upgraded too, or gives the partition away.
            Err(e @ DecodeError::UnknownSchema { .. }) => return Taken::NotYet(e.to_string()),
            Err(e) => {
                self.open_dead_letters += 1;
                context.emit(dead_letters::of_record(STAGE, &self.dead_letters, batch, record, e.into()));
            }
        }
        Taken::Yes
    }

    fn task(&mut self, task: Task, context: &mut Context<'_, G>) -> Taken {
        if !self.cancels.is_current() {
            return Taken::NotYet("the cancels have not been read yet".to_owned());
        }
        if self.cancels.is_ordered(&task.execution_id, task.token) {
            // The owner has ended it, or has given it to somebody else.
            return Taken::Yes;
        }
        let Some(slot) = self.slots.try_take() else {
            return Taken::NotYet("no slot is free".to_owned());
        };
        let command = match context.globals().command(&task) {
            Rendered::Command(plan) => Ok(plan),
            Rendered::Refused(reason) => Err(reason),
            Rendered::RevisionUnknown => {
                return Taken::NotYet(format!("revision {} has not arrived yet", task.revision));
            }
        };
        let now_ms = context.now_ms();
        let claim = Claim {
            execution_id: task.execution_id.clone(),
            root_execution_id: task.root_execution_id.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.worker.to_string(),
            claimed_at_ms: now_ms,
        };
        context.emit(Output::keyed(&self.results, task.root_execution_id.as_bytes(), encode(&claim)));
        let waited_ms = now_ms.saturating_sub(task.dispatched_at_ms);
        self.open.push((Claimed { task, command, slot }, waited_ms));
        Taken::Yes
    }
}

impl<G: ExecutorView> Stage for ClaimStage<G> {
    type Globals = G;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, _: &G) -> Vec<InputTopic> {
        vec![InputTopic { name: self.tasks.clone(), start: Start::Beginning, with: None }]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, G>) -> petrel_bus::Taken {
        for (consumed, record) in batch.records.iter().enumerate() {
            if let Taken::NotYet(reason) = self.record(&batch, record, context) {
                return petrel_bus::Taken::Blocked { consumed, reason };
            }
        }
        petrel_bus::Taken::All
    }

    fn too_large(&self, output: &Output, limit_bytes: usize) -> Vec<Output> {
        vec![dead_letters::of_output(STAGE, &self.dead_letters, output, limit_bytes)]
    }

    fn committed(&mut self) {
        self.metrics.dead_letters.inc_by(std::mem::take(&mut self.open_dead_letters));
        for (claimed, waited_ms) in self.open.drain(..) {
            self.metrics.claimed(waited_ms);
            // A worker that has stopped leaves the attempt to the lease.
            if self.pool.send(claimed).is_err() {
                tracing::warn!("a claimed task came after the worker had stopped");
            }
        }
    }

    fn aborted(&mut self) {
        self.open.clear();
        self.open_dead_letters = 0;
    }
}
