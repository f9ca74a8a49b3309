//! The claim stage as a function, and what follows the cancels.

use std::sync::Arc;

use petrel_bus::{Batch, Context, Facts, Output, PartitionState, Record, Stage, Taken};
use petrel_schemas::{Claim, DeadLetter, Task, TaskCancel, Topics, decode, encode};
use tokio::sync::{mpsc, watch};

use super::cancels::Cancels;
use super::options::WorkerOptions;
use super::slots::Slots;
use super::stage::{ClaimStage, Claimed};
use crate::metrics::ExecutorMetrics;
use crate::runner::Directive;
use crate::supervise::boot_ms;
use crate::view::{ExecutorView, Prepared, Rendered, Resolution};

struct View;

impl ExecutorView for View {
    fn dispatch_paused(&self) -> bool {
        false
    }

    fn resolve(&self, _: &str, _: &str) -> Resolution {
        unreachable!("what is asked of this view it answers below")
    }

    fn prepare(&self, _: &str, _: &str, _: &str) -> Prepared {
        unreachable!("workers prepare nothing")
    }

    fn command(&self, task: &Task) -> Rendered {
        match task.revision.as_str() {
            "later" => Rendered::RevisionUnknown,
            _ => Rendered::Refused("no such action".to_owned()),
        }
    }
}

struct Worker {
    stage: ClaimStage<View>,
    slots: Slots,
    cancels: Arc<Cancels>,
    claims: mpsc::UnboundedReceiver<Claimed>,
    topics: Topics,
}

impl Worker {
    fn new(slots: usize) -> Self {
        let topics = Topics::new("petrel.", 4, 16);
        let options = WorkerOptions::new(topics.clone(), "w1".into(), "unused".into());
        let (slots, cancels) = (Slots::new(slots), Arc::new(Cancels::default()));
        let (sender, claims) = mpsc::unbounded_channel();
        let metrics = Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap());
        cancels.set_current();
        Self {
            stage: ClaimStage::new(&options, slots.clone(), cancels.clone(), sender, metrics),
            slots,
            cancels,
            claims,
            topics,
        }
    }

    /// How many records were taken, and what was written.
    fn step(&mut self, values: &[Vec<u8>]) -> (usize, Vec<Output>) {
        let records: Vec<Record<'_>> = values
            .iter()
            .enumerate()
            .map(|(i, value)| Record { offset: i as i64, timestamp_ms: 0, key: None, value: Some(value) })
            .collect();
        let topic = self.topics.tasks("default");
        let batch = Batch { topic: &topic, partition: 3, records: &records };
        let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
        let facts = Facts { partition: 3, now_ms: 9_000, blocked_ms: 0 };
        let mut context = Context::new(facts, &View, &mut state, &mut outputs);
        let consumed = match self.stage.records(batch, &mut context) {
            Taken::All => records.len(),
            Taken::Blocked { consumed, .. } => consumed,
        };
        assert!(state.is_empty(), "a claim stage has no state");
        (consumed, outputs)
    }

    /// Executions that the pool was given.
    fn handed_over(&mut self) -> Vec<Claimed> {
        std::iter::from_fn(|| self.claims.try_recv().ok()).collect()
    }
}

fn task(execution: &str, revision: &str) -> Vec<u8> {
    encode(&Task {
        execution_id: execution.to_owned(),
        root_execution_id: format!("root-{execution}"),
        event_id: None,
        event_at_ms: None,
        rule: None,
        action: "demo.x".to_owned(),
        revision: revision.to_owned(),
        parameters: "{}".to_owned(),
        attempt: 2,
        token: 5,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 1_000,
        lease_ms: 1_000,
        dispatched_at_ms: 8_000,
    })
}

fn order(execution: &str, token: i64) -> TaskCancel {
    TaskCancel { execution_id: execution.to_owned(), root_execution_id: execution.to_owned(), attempt: 1, token }
}

#[test]
fn a_claim_is_written_and_the_task_handed_over_once_committed() {
    let mut worker = Worker::new(2);
    let before_ms = boot_ms();
    let (consumed, outputs) = worker.step(&[task("a", "now")]);
    assert_eq!((consumed, outputs.len(), worker.slots.busy()), (1, 1, 1));
    assert_eq!((&outputs[0].topic, outputs[0].key.as_deref()), (&worker.topics.results(), Some(&b"root-a"[..])));
    let claim: Claim = decode(outputs[0].value.as_deref().unwrap()).unwrap();
    assert_eq!((claim.attempt, claim.token, &*claim.worker, claim.claimed_at_ms), (2, 5, "w1", 9_000));
    assert!(worker.handed_over().is_empty(), "handed over before the commit");
    worker.stage.committed();
    let claims = worker.handed_over();
    assert_eq!(claims[0].task.execution_id, "a");
    assert!((before_ms..=boot_ms()).contains(&claims[0].slot.taken_at_ms()));
    drop(claims);
    assert_eq!(worker.slots.busy(), 0);
}

#[test]
fn a_full_worker_claims_nothing() {
    let mut worker = Worker::new(2);
    let tasks = ["a", "b", "c"].map(|e| task(e, "now"));
    let (consumed, outputs) = worker.step(&tasks);
    assert_eq!((consumed, outputs.len()), (2, 2));
    worker.stage.committed();
    assert_eq!(worker.step(&tasks[2..]).0, 0);
    worker.handed_over().pop();
    assert_eq!(worker.step(&tasks[2..]).0, 1);
    worker.stage.committed();
    worker.handed_over();
    worker.slots.close();
    assert_eq!(worker.step(&tasks[..1]).0, 0, "a worker that stops claims nothing");
}

#[test]
fn an_aborted_claim_runs_nothing() {
    let mut worker = Worker::new(1);
    worker.step(&[task("a", "now")]);
    worker.stage.aborted();
    worker.stage.committed();
    assert!(worker.handed_over().is_empty());
    assert_eq!(worker.slots.busy(), 0);
}

#[test]
fn what_must_not_run_is_skipped_and_what_cannot_be_read_given_up() {
    let mut worker = Worker::new(4);
    worker.cancels.order(order("a", 5));
    worker.cancels.order(order("b", 4));
    let stray = encode(&order("c", 5));
    let (consumed, outputs) =
        worker.step(&[task("a", "now"), b"rubbish".to_vec(), stray, task("b", "now"), task("c", "now")]);
    assert_eq!((consumed, outputs.len(), worker.slots.busy()), (5, 2, 1));
    let letter: DeadLetter = decode(outputs[0].value.as_deref().unwrap()).unwrap();
    assert_eq!((&*letter.stage, &*letter.reason, letter.partition, letter.offset), ("worker", "not_a_record", 3, 1));
    let claim: Claim = decode(outputs[1].value.as_deref().unwrap()).unwrap();
    assert_eq!(claim.execution_id, "b");
}

#[test]
fn a_worker_waits_for_what_it_must_know() {
    let mut worker = Worker::new(1);
    assert_eq!(worker.step(&[task("a", "later")]).0, 0, "its revision has not arrived");
    assert_eq!(worker.slots.busy(), 0);
    worker.cancels = Arc::new(Cancels::default());
    let options = WorkerOptions::new(worker.topics.clone(), "w1".into(), "unused".into());
    let (sender, _claims) = mpsc::unbounded_channel();
    let metrics = Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap());
    worker.stage = ClaimStage::new(&options, worker.slots.clone(), worker.cancels.clone(), sender, metrics);
    assert_eq!(worker.step(&[task("a", "now")]).0, 0, "the cancels are not known");
    worker.cancels.set_current();
    assert_eq!(worker.step(&[task("a", "now")]).0, 1);
}

#[test]
fn orders_reach_what_runs_and_what_is_about_to() {
    let director = || watch::channel(Directive { lease_deadline_ms: 0, cancel: false });
    let cancels = Cancels::default();
    let (early, is_early) = director();
    cancels.order(order("a", 1));
    cancels.running(("a".to_owned(), 1), early);
    assert!(is_early.borrow().cancel);

    let (late, is_late) = director();
    cancels.running(("a".to_owned(), 2), late);
    assert!(!is_late.borrow().cancel);
    cancels.order(order("a", 2));
    assert!(is_late.borrow().cancel);

    let (running, is_running) = director();
    let (next, is_next) = director();
    cancels.running(("b".to_owned(), 1), running);
    cancels.end_all();
    cancels.running(("b".to_owned(), 2), next);
    assert!(is_running.borrow().cancel && is_next.borrow().cancel);
    assert!(!cancels.is_ordered("b", 1), "the end of a worker is no cancel");
}

#[test]
fn old_orders_are_forgotten() {
    let cancels = Cancels::default();
    for token in 0..10_010 {
        cancels.order(order("a", token));
        cancels.order(order("a", token));
    }
    assert!(!cancels.is_ordered("a", 9) && cancels.is_ordered("a", 10) && cancels.is_ordered("a", 10_009));
}
