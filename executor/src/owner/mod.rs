//! The owners: a stage around the decisions of [`petrel_execution::owner`] (guarantees.md §2).
//!
//! One owner has a partition of `petrel.requests`, the one of `petrel.results` with the same number, and
//! the state of their executions. It loads what a message is about, asks, and writes what it is told to: state,
//! tasks, orders, audit rows and dead letters commit in one transaction with the input's offsets.
//!
//! State keys: an execution's id, and `waiting/…` for what waits for a revision or the end of a pause. Timer keys:
//! an execution's id and a kind, and `waiting/from/…` where the release of what waits goes on.

mod options;
mod release;
mod service;
#[cfg(test)]
mod tests;
mod turn;

use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{
    About, Batch, Context, DueTimer, InputTopic, Longest, NotYet, Reason, Record, Silence, Stage, StageSpec,
    Start as StartAt, Taken, Unreadable,
};
use petrel_execution::owner::Message;
use petrel_execution::parse_timer_key;
use petrel_schemas::{RequestsRecord, ResultsRecord};

use crate::metrics::ExecutorMetrics;
use crate::view::ExecutorView;
use crate::worker::Start;
pub use options::OwnerOptions;
pub use service::{OwnerHandle, OwnerService};
use turn::{Counts, Source, Turn};

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
    /// What the worker beside this owner starts once the open transaction has committed.
    starts: Vec<Start>,
    globals: PhantomData<fn(&G)>,
}

impl<G: ExecutorView> OwnerStage<G> {
    /// An owner without partitions.
    pub fn new(options: OwnerOptions, metrics: Arc<ExecutorMetrics>) -> Self {
        let spec = StageSpec {
            name: STAGE.into(),
            changelog: Some(options.topics.executions()),
            // A new owner gives everybody the time of a whole lease to be heard.
            silence: Some(Silence {
                input: options.topics.results(),
                grace_ms: options.limits.lease_ms,
                longest: Some(Longest { key_ends_with: b"/lease", ms: options.limits.lease_ms }),
            }),
            dead_letters: options.topics.dead_letters(),
        };
        Self {
            spec,
            requests: options.topics.requests(),
            results: options.topics.results(),
            options,
            metrics,
            counts: Counts::default(),
            starts: Vec::new(),
            globals: PhantomData,
        }
    }

    fn turn<'t, 'c>(&'t mut self, context: &'t mut Context<'c, G>) -> Turn<'t, 'c, G> {
        Turn { context, spec: &self.spec, options: &self.options, counts: &mut self.counts, starts: &mut self.starts }
    }

    fn record(&mut self, batch: &Batch<'_>, record: &Record<'_>, context: &mut Context<'_, G>) -> Result<(), NotYet> {
        let is_request = *batch.topic == self.requests;
        let value = record.value.unwrap_or_default();
        let source = Source { batch, record };
        let mut turn = self.turn(context);
        let message = match is_request {
            true => RequestsRecord::decode(value).map(Message::of_request),
            false => ResultsRecord::decode(value).map(Message::of_result),
        };
        let message = match message.map_err(Unreadable::from) {
            Ok(Ok(message)) => message,
            Ok(Err(e)) => {
                turn.give_up(source, Reason::new("malformed_id", e.to_string()));
                return Ok(());
            }
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => {
                turn.give_up(source, reason);
                return Ok(());
            }
        };
        match turn.load(message.execution()) {
            Ok(known) => turn.message(message, known, source),
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => {
                let execution_id = Some(message.execution().to_string());
                turn.give_up(source, reason.about(About { execution_id, ..About::default() }));
            }
        }
        Ok(())
    }
}

impl<G: ExecutorView> Stage for OwnerStage<G> {
    type Globals = G;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, _: &G) -> Vec<InputTopic> {
        let input = |name: &Arc<str>, with| InputTopic { name: name.clone(), start: StartAt::Beginning, with };
        vec![input(&self.requests, None), input(&self.results, Some(self.requests.clone()))]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, G>) -> Taken {
        batch.take_each(|record| self.record(&batch, record, context))
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, G>) {
        let mut turn = self.turn(context);
        for timer in due {
            if let Some(from) = release::goes_on_from(&timer.key) {
                turn.release_from(from);
            } else if let Some((id, kind)) = parse_timer_key(&timer.key) {
                turn.timer(&id, kind);
            }
        }
    }

    fn globals_changed(&mut self, context: &mut Context<'_, G>) {
        self.turn(context).release();
    }

    fn committed(&mut self) {
        for start in self.starts.drain(..) {
            self.metrics.claimed(0);
            start.committed();
        }
        std::mem::take(&mut self.counts).tell(&self.metrics);
    }

    fn aborted(&mut self) {
        self.starts.clear();
        self.counts = Counts::default();
    }
}
