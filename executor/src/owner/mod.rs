//! The owners: a stage around the decisions of [`petrel_execution::owner`] (guarantees.md §2).
//!
//! One owner has a partition of `petrel.requests`, the one of `petrel.results` with the same number, and
//! the state of their executions. It loads what a message is about, asks, and writes what it is told to: state,
//! tasks, orders, audit rows and dead letters commit in one transaction with the input's offsets.
//!
//! State keys: an execution's id, `waiting/…` for what waits for a revision or the end of a pause, `sender` for the
//! numbering of what is told to gates, and `<id>/w/…` for the pieces of a workflow, small ones in pages and large ones in
//! parts. Timer keys: an execution's id and a kind, `waiting/from/…` where the release of what waits goes on, and
//! `waiting/one/…` what is released alone.

mod layout;
mod options;
mod pages;
mod pieces;
mod release;
mod sender;
mod service;
#[cfg(test)]
mod tests;
mod turn;
mod workflows;

use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{
    About, Batch, Context, DueTimer, InputTopic, Longest, NotYet, Reason, Record, Silence, Stage, StageSpec,
    Start as StartAt, Taken, Unreadable,
};
use petrel_execution::owner::{Message, MessageError};
use petrel_execution::{TimerKind, parse_timer_key};
use petrel_schemas::{RequestsRecord, ResultsRecord};

use crate::metrics::ExecutorMetrics;
use crate::view::ExecutorView;
use crate::worker::{Letter, Start};
pub use options::OwnerOptions;
use release::Release;
pub use service::{OwnerHandle, OwnerService};
use turn::{Counts, Source, Turn};
use workflows::AtHand;

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
    /// What that worker told in the open transaction.
    letters: Vec<Arc<Letter>>,
    workflows: AtHand,
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
                longest: Some(Longest {
                    key_ends_with: TimerKind::Lease.key_end().as_bytes(),
                    ms: options.limits.lease_ms,
                }),
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
            letters: Vec::new(),
            workflows: AtHand::default(),
            globals: PhantomData,
        }
    }

    fn turn<'t, 'c>(&'t mut self, context: &'t mut Context<'c, G>) -> Turn<'t, 'c, G> {
        let fixed = (&self.spec, &self.options);
        Turn::new(context, fixed, &mut self.counts, &mut self.starts, &self.workflows)
    }

    fn has_taken(&self, letter: &Arc<Letter>) -> bool {
        self.letters.iter().any(|taken| Arc::ptr_eq(taken, letter))
    }

    fn record(&mut self, batch: &Batch<'_>, record: &Record<'_>, context: &mut Context<'_, G>) -> Result<(), NotYet> {
        let is_request = *batch.topic == self.requests;
        let value = record.value.unwrap_or_default();
        let source = Source { batch, record };
        let mut turn = self.turn(context);
        let message = match is_request {
            true => RequestsRecord::decode(value).map(Message::of_request),
            false => ResultsRecord::decode(value).map(|record| Message::of_result(record).map_err(MessageError::from)),
        };
        let message = match message.map_err(Unreadable::from) {
            Ok(Ok(message)) => message,
            Ok(Err(e)) => {
                let code = match &e {
                    MessageError::Id(_) => "malformed_id",
                    MessageError::Gate(_) => "malformed_answer",
                    MessageError::Order(_) => "unknown_order",
                };
                turn.give_up(source, Reason::new(code, e.to_string()));
                return Ok(());
            }
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => {
                turn.give_up(source, reason);
                return Ok(());
            }
        };
        let Some(id) = message.execution().cloned() else {
            turn.message(message, None, Some(source));
            return Ok(());
        };
        match turn.load(&id) {
            Ok(known) => turn.message(message, known, Some(source)),
            Err(Unreadable::Newer(why)) => return Err(why),
            Err(Unreadable::Damaged(reason)) => {
                let execution_id = Some(id.to_string());
                turn.give_up(source, reason.about(About { execution_id, ..About::default() }));
            }
        }
        Ok(())
    }

    /// Whether the owner knows what to make of it: what is to wait, or is to be a dead letter, comes over the log.
    fn letter(&mut self, letter: &Arc<Letter>, context: &mut Context<'_, G>) -> bool {
        let mut turn = self.turn(context);
        let Ok(message) = letter.message() else { return false };
        let Some(known) = message.execution().and_then(|id| turn.load(id).ok()) else { return false };
        turn.message(message, known, None);
        true
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
            if let Some(release) = Release::of_timer(&timer.key) {
                turn.release(release);
            } else if let Some((id, kind)) = parse_timer_key(&timer.key) {
                turn.timer(&id, kind);
            }
        }
    }

    fn globals_changed(&mut self, context: &mut Context<'_, G>) {
        self.turn(context).release_all();
    }

    fn told(&mut self, globals: &G, mine: &[u32]) -> Vec<u32> {
        let (here, elsewhere): (Vec<_>, Vec<_>) = globals.letters().iter().partition(|l| mine.contains(&l.partition));
        elsewhere.into_iter().for_each(|letter| letter.refuse());
        let mut partitions: Vec<u32> = here.into_iter().filter(|l| !self.has_taken(l)).map(|l| l.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    fn take_told(&mut self, context: &mut Context<'_, G>) {
        let partition = context.partition();
        let here = |letter: &&Arc<Letter>| letter.partition == partition && letter.waits();
        for letter in context.globals().letters().iter().filter(here) {
            if self.has_taken(letter) {
                continue;
            }
            match self.letter(letter, context) {
                true => self.letters.push(letter.clone()),
                false => letter.refuse(),
            }
        }
    }

    fn committed(&mut self) {
        self.letters.drain(..).for_each(|letter| letter.committed());
        for start in self.starts.drain(..) {
            self.metrics.claimed(0);
            start.committed();
        }
        self.workflows.committed();
        std::mem::take(&mut self.counts).tell(&self.metrics);
    }

    fn aborted(&mut self) {
        self.starts.clear();
        self.letters.clear();
        self.counts = Counts::default();
        self.workflows.clear();
    }

    fn revoked(&mut self, partition: u32) {
        self.workflows.revoked(partition);
    }
}
