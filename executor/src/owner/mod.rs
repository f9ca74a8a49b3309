//! The owners: what an execution is, from its request to its end (guarantees.md §2).
//!
//! One owner has a partition of `petrel.requests`, the one of `petrel.results` with the same number, and
//! the state of their executions. Everything that it decides (state, tasks, audit rows, dead letters)
//! commits in one transaction with the input's offsets.
//!
//! ```text
//! requested ──► scheduled ──► running ──► succeeded, failed, timeout
//!     │             │            │  └──► canceling ──► canceled
//!     └► canceled ◄─┘            └─ lease lost ─► scheduled again, or abandoned
//! ```
//!
//! State keys: the execution's id (an `ExecutionState`), `waiting/…` for what a pause holds, `to-cancel/…` for
//! a cancel that was read before its request. An execution has one timer: the lease while a worker has it,
//! the end of remembering once it is over.

mod cancel;
mod dispatch;
mod lease;
mod options;
mod report;
mod request;
mod service;
mod status;
#[cfg(test)]
mod tests;
mod turn;

use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{Batch, Context, DueTimer, InputTopic, Output, Record, Silence, Stage, StageSpec, Start};
use petrel_schemas::{ActionRequest, RequestsRecord, ResultsRecord};

use crate::dead_letters;
use crate::metrics::ExecutorMetrics;
use crate::view::ExecutorView;
pub use options::OwnerOptions;
pub use service::{OwnerHandle, OwnerService};
pub use status::Status;
use turn::{Counts, Source, Taken, Turn};

/// Name of the stage.
const STAGE: &str = "owner";

/// The owners' stage.
pub struct OwnerStage<G> {
    spec: StageSpec,
    requests: Arc<str>,
    results: Arc<str>,
    options: OwnerOptions,
    metrics: Arc<ExecutorMetrics>,
    counts: Counts,
    globals: PhantomData<fn(&G)>,
}

impl<G: ExecutorView> OwnerStage<G> {
    /// An owner without partitions.
    pub fn new(options: OwnerOptions, metrics: Arc<ExecutorMetrics>) -> Self {
        let spec = StageSpec {
            name: STAGE.into(),
            changelog: Some(options.topics.executions()),
            // A new owner gives everybody the time of a whole lease to be heard.
            silence: Some(Silence { input: options.topics.results(), grace_ms: options.lease_ms }),
        };
        Self {
            spec,
            requests: options.topics.requests(),
            results: options.topics.results(),
            options,
            metrics,
            counts: Counts::default(),
            globals: PhantomData,
        }
    }

    fn turn<'t, 'c>(&'t mut self, context: &'t mut Context<'c, G>) -> Turn<'t, 'c, G> {
        Turn { context, options: &self.options, counts: &mut self.counts }
    }

    fn record(&mut self, batch: &Batch<'_>, record: &Record<'_>, context: &mut Context<'_, G>) -> Taken {
        let is_request = *batch.topic == self.requests;
        let value = record.value.unwrap_or_default();
        let source = Source { batch, record };
        let mut turn = self.turn(context);
        let message = match is_request {
            true => RequestsRecord::decode(value).map(Message::from),
            false => ResultsRecord::decode(value).map(Message::from),
        };
        match message {
            Ok(message) => turn.message(message, source),
            Err(e) => turn.unusable(source, e, None),
        }
    }
}

/// What an owner is told.
enum Message {
    Request(ActionRequest),
    Report(ResultsRecord),
}

impl From<RequestsRecord> for Message {
    fn from(RequestsRecord::ActionRequest(request): RequestsRecord) -> Self {
        Self::Request(request)
    }
}

impl From<ResultsRecord> for Message {
    fn from(report: ResultsRecord) -> Self {
        Self::Report(report)
    }
}

impl Message {
    fn execution(&self) -> &str {
        match self {
            Self::Request(request) => &request.execution_id,
            Self::Report(ResultsRecord::Claim(claim)) => &claim.execution_id,
            Self::Report(ResultsRecord::Heartbeat(heartbeat)) => &heartbeat.execution_id,
            Self::Report(ResultsRecord::TaskResult(result)) => &result.execution_id,
            Self::Report(ResultsRecord::CancelRequest(cancel)) => &cancel.execution_id,
        }
    }
}

impl<G: ExecutorView> Turn<'_, '_, G> {
    fn message(&mut self, message: Message, source: Source<'_>) -> Taken {
        let known = match self.load(message.execution()) {
            Ok(known) => known,
            Err(e) => return self.unusable(source, e, Some(message.execution())),
        };
        match message {
            Message::Request(request) => return self.on_request(request, known, source),
            Message::Report(ResultsRecord::Claim(claim)) => self.on_claim(claim, known),
            Message::Report(ResultsRecord::Heartbeat(heartbeat)) => self.on_heartbeat(heartbeat, known),
            Message::Report(ResultsRecord::TaskResult(result)) => self.on_result(result, known, source),
            Message::Report(ResultsRecord::CancelRequest(cancel)) => self.on_cancel(cancel, known),
        }
        Taken::Yes
    }
}

impl<G: ExecutorView> Stage for OwnerStage<G> {
    type Globals = G;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, _: &G) -> Vec<InputTopic> {
        let input = |name: &Arc<str>, with| InputTopic { name: name.clone(), start: Start::Beginning, with };
        vec![input(&self.requests, None), input(&self.results, Some(self.requests.clone()))]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, G>) -> petrel_bus::Taken {
        for (consumed, record) in batch.records.iter().enumerate() {
            if let Taken::NotYet(reason) = self.record(&batch, record, context) {
                return petrel_bus::Taken::Blocked { consumed, reason };
            }
        }
        petrel_bus::Taken::All
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, G>) {
        let mut turn = self.turn(context);
        for timer in due {
            if dispatch::is_release_timer(&timer.key) {
                turn.release_waiting();
            } else if cancel::is_early_cancel(&timer.key) {
                turn.context.delete(&timer.key);
            } else {
                turn.on_timer(&timer.key);
            }
        }
    }

    fn globals_changed(&mut self, context: &mut Context<'_, G>) {
        self.turn(context).release_waiting();
    }

    fn too_large(&self, output: &Output, limit_bytes: usize) -> Vec<Output> {
        vec![dead_letters::of_output(STAGE, &self.options.topics.dead_letters(), output, limit_bytes)]
    }

    fn committed(&mut self) {
        let Counts { changes, duplicates, stale, leases_lost, dead_letters } = std::mem::take(&mut self.counts);
        for (status, count) in changes {
            self.metrics.status_changes(status, count);
        }
        self.metrics.duplicates.inc_by(duplicates);
        self.metrics.stale_reports.inc_by(stale);
        self.metrics.leases_lost.inc_by(leases_lost);
        self.metrics.dead_letters.inc_by(dead_letters);
    }

    fn aborted(&mut self) {
        self.counts = Counts::default();
    }
}
