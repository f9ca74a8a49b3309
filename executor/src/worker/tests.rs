//! The claim stage as a function, and what an owner's orders reach.

mod closed;
mod orders;
mod room;
mod turns;

use std::sync::Arc;

use petrel_bus::{Batch, Context, Facts, Output, PartitionState, Record, Stage, Taken};
use petrel_execution::gate::InForce;
use petrel_execution::runner::{NoopSpec, RunnerSpec};
use petrel_execution::worker::Stop;
use petrel_execution::{ActionPlan, CompleteParameters, Delivery, Needs, Note, ParameterError, SwitchedOff, code};
use petrel_schemas::{Claim, Class, DeadLetter, Declined, Order, Task, TaskResult, Topics, decode, encode, kind_of};
use serde_json::Value;
use tokio::sync::mpsc;

use super::attempts::Attempts;
use super::beside::{Neighbour, Start};
use super::example::EmptyPack;
use super::inputs::WorkerInputs;
use super::options::WorkerOptions;
use super::slots::Slots;
use super::stage::{ClaimStage, Claimed};
use super::told::Told;
use crate::metrics::ExecutorMetrics;
use crate::view::{ExecutorView, Resolution, ResolvedAction};

const NOW_MS: i64 = 9_000;
const BOOT_MS: u64 = 77;
const PARTITIONS: u32 = 24;

#[derive(Debug, Clone, Default)]
struct View {
    /// The scope that is switched off.
    off: Option<&'static str>,
}

#[derive(Debug)]
struct Nothing;

impl CompleteParameters for Nothing {
    fn complete(&self, _: &Value) -> Result<Value, ParameterError> {
        unreachable!("workers complete nothing")
    }
}

fn command(token: &str) -> RunnerSpec {
    let Value::Object(keys) = serde_json::json!({ "command": ["true"], "env": { "TOKEN": token } }) else {
        unreachable!()
    };
    RunnerSpec::parse("command", &keys, &EmptyPack).unwrap()
}

/// `needs 2` is a revision whose actions need two bytes of memory.
fn needs_of(revision: &str) -> Needs {
    let bytes = revision.strip_prefix("needs ").map_or(0, |bytes| bytes.parse().unwrap());
    Needs { memory_bytes: bytes, cpu_milli: 0 }
}

impl ExecutorView for View {
    fn in_force(&self) -> InForce {
        InForce { revision: "now".into(), since_ms: 0 }
    }

    fn dispatch_paused(&self) -> bool {
        false
    }

    fn has_switches(&self) -> bool {
        self.off.is_some()
    }

    fn has_unreadable_switches(&self) -> bool {
        self.off == Some("unreadable")
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let [by, reason] = ["eve", "it burns"].map(str::to_owned);
        let off = || SwitchedOff { by, reason, until_ms: Some(NOW_MS + 1), drops: false };
        (self.off == Some(scope) && now_ms <= NOW_MS).then(off)
    }

    fn resolve(&self, revision: &str, _: &str) -> Resolution {
        match revision {
            "later" => return Resolution::NotYet,
            "newer" => return Resolution::Broken("of a newer release".to_owned()),
            "gone" => return Resolution::Removed,
            "other" => return Resolution::NoSuchAction,
            _ => {}
        }
        let plan = ActionPlan {
            pool: "default".to_owned(),
            class: Class::Normal,
            needs: needs_of(revision),
            requires: Default::default(),
            delivery: Delivery::AtLeastOnce,
            timeout_ms: 5_000,
            output_bytes_max: 1_000,
            retry: None,
            policies: closed::policies(revision),
            runner: Arc::new(match revision {
                "noop" => RunnerSpec::Noop(NoopSpec),
                "secret" => command("${secret.demo.token}"),
                _ => command("none"),
            }),
            parameters: Arc::new(Nothing),
        };
        Resolution::Ready(ResolvedAction { plan: Arc::new(plan), pack: Arc::new(EmptyPack) })
    }
}

struct Worker {
    view: View,
    stage: ClaimStage<View>,
    slots: Slots,
    claims: mpsc::UnboundedReceiver<Claimed>,
    topics: Topics,
    now_ms: i64,
    blocked_ms: i64,
    following: bool,
    secrets_unread: bool,
    workers: u32,
    attempts: Attempts,
    /// When it looked last at what was said.
    looked_ms: u64,
}

impl Worker {
    fn new(slots: usize) -> Self {
        Self::with_slots(Slots::new(slots))
    }

    fn with_slots(slots: Slots) -> Self {
        let topics = Topics::new("petrel.", 4, 16);
        let options = WorkerOptions::new(topics.clone(), "w1".into(), "unused".into());
        let (sender, claims) = mpsc::unbounded_channel();
        let metrics = Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap());
        Self {
            view: View::default(),
            stage: ClaimStage::new(&options, slots.clone(), sender, metrics),
            slots,
            claims,
            topics,
            now_ms: NOW_MS,
            blocked_ms: 0,
            following: true,
            secrets_unread: false,
            workers: 1,
            looked_ms: 0,
            attempts: Attempts::new("w1".into()),
        }
    }

    /// How many records were taken, and what was written.
    fn step(&mut self, values: &[Vec<u8>]) -> (usize, Vec<Output>) {
        self.looked_ms += 1_000;
        self.offer(Class::Normal, values)
    }

    /// In the same turn.
    fn offer(&mut self, class: Class, values: &[Vec<u8>]) -> (usize, Vec<Output>) {
        let records: Vec<Record<'_>> = values
            .iter()
            .enumerate()
            .map(|(i, value)| Record { offset: i as i64, timestamp_ms: 0, key: None, value: Some(value) })
            .collect();
        let topic = self.topics.tasks("default", class);
        let batch = Batch { topic: &topic, partition: 3, records: &records };
        let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
        let inputs = self.inputs();
        let facts = Facts { partition: 3, now_ms: self.now_ms, blocked_ms: self.blocked_ms, is_careful: false };
        let mut context = Context::new(facts, &inputs, &mut state, &mut outputs);
        let consumed = match self.stage.records(batch, &mut context) {
            Taken::All => records.len(),
            Taken::Blocked { consumed, .. } => consumed,
        };
        assert!(state.is_empty(), "a claim stage has no state");
        (consumed, outputs)
    }

    fn inputs(&self) -> WorkerInputs<View> {
        WorkerInputs {
            view: Arc::new(self.view.clone()),
            turn: self.looked_ms / 1_000,
            free_slots: self.slots.free(),
            free_room: self.slots.free_room(),
            room: self.slots.room(),
            following: self.following,
            secrets_unread: self.secrets_unread,
            said: self.attempts.said(self.looked_ms),
            workers: self.workers,
            partitions: PARTITIONS,
            draining: self.slots.is_closed(),
            drained: self.slots.is_drained(),
            boot_ms: BOOT_MS,
        }
    }

    /// Executions that the pool was given.
    fn handed_over(&mut self) -> Vec<Claimed> {
        std::iter::from_fn(|| self.claims.try_recv().ok()).collect()
    }
}

fn task(execution: &str, revision: &str) -> Task {
    Task {
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
        start_by_ms: NOW_MS,
        declines: 0,
    }
}

fn now(execution: &str) -> Vec<u8> {
    encode(&task(execution, "now"))
}

/// What was written: `claim a`, or `full a`.
fn told(outputs: &[Output]) -> Vec<String> {
    let told = |output: &Output| {
        let value = output.value.as_deref().unwrap();
        match kind_of(value).unwrap() {
            "Claim" => format!("claim {}", decode::<Claim>(value).unwrap().execution_id),
            "TaskResult" => {
                let result: TaskResult = decode(value).unwrap();
                format!("{} {}", result.status, result.execution_id)
            }
            "DeadLetter" => format!("dead {}", decode::<DeadLetter>(value).unwrap().reason),
            _ => {
                let declined: Declined = decode(value).unwrap();
                format!("{} {}", declined.reason, declined.execution_id)
            }
        }
    };
    outputs.iter().map(told).collect()
}

#[test]
fn a_claim_is_written_and_the_task_handed_over_once_committed() {
    let mut worker = Worker::new(2);
    let (consumed, outputs) = worker.step(&[now("a")]);
    assert_eq!((consumed, outputs.len(), worker.slots.busy()), (1, 1, 0));
    assert_eq!((&outputs[0].topic, outputs[0].key.as_deref()), (&worker.topics.results(), Some(&b"root-a"[..])));
    let claim: Claim = decode(outputs[0].value.as_deref().unwrap()).unwrap();
    assert_eq!((claim.attempt, claim.token, &*claim.worker, &*claim.pool), (2, 5, "w1", "default"));
    assert!(worker.handed_over().is_empty(), "handed over before the commit");
    worker.stage.committed();
    let claims = worker.handed_over();
    assert_eq!((&*claims[0].task.execution_id, claims[0].claim_began_ms), ("a", BOOT_MS));
    assert_eq!(worker.slots.busy(), 1);
    drop(claims);
    assert_eq!(worker.slots.busy(), 0);
}

#[test]
fn claims_of_the_open_transaction_take_slots_and_an_abort_gives_them_back() {
    let mut worker = Worker::new(2);
    worker.looked_ms = 1_000;
    assert_eq!(worker.offer(Class::Urgent, &[now("a")]).0, 1);
    // The snapshot says two, and one of them is spoken for.
    assert_eq!(worker.offer(Class::Urgent, &[now("b"), now("c")]).0, 1);
    worker.stage.aborted();
    worker.stage.committed();
    assert!(worker.handed_over().is_empty());
    assert_eq!((worker.slots.busy(), worker.offer(Class::Urgent, &[now("a"), now("b"), now("c")]).0), (0, 2));
    worker.stage.committed();
    assert_eq!(worker.handed_over().len(), 2);
    assert_eq!(worker.slots.busy(), 0);
}

#[test]
fn a_full_worker_waits_and_then_sends_elsewhere_what_stands_before_it() {
    let mut worker = Worker::new(1);
    let (consumed, outputs) = worker.step(&[now("a"), now("b"), now("c")]);
    assert_eq!((consumed, told(&outputs)), (1, vec!["claim a".to_owned()]));
    worker.stage.committed();
    let rest = [now("b"), now("c")];
    worker.blocked_ms = 1_999;
    assert_eq!(worker.step(&rest).0, 0);
    worker.blocked_ms = 2_000;
    let (consumed, outputs) = worker.step(&rest);
    assert_eq!((consumed, told(&outputs)), (2, vec!["full b".to_owned(), "full c".to_owned()]));
    assert_eq!(outputs[0].key.as_deref(), Some(&b"root-b"[..]));
    // What was declined before may stand for longer, up to a limit.
    worker.blocked_ms = 5_999;
    let again = |declines: i32| encode(&Task { declines, ..task("d", "now") });
    assert_eq!(worker.step(&[now("b"), again(2)]).0, 1);
    worker.blocked_ms = 6_000;
    assert_eq!(worker.step(&[now("b"), again(2)]).0, 2);
    worker.blocked_ms = 32_000;
    assert_eq!(worker.step(&[again(i32::MAX)]).0, 1);
    // Each of the others is asked as soon as this one was.
    worker.workers = 3;
    worker.blocked_ms = 2_000;
    assert_eq!(worker.step(&[again(2)]).0, 1);
    assert_eq!(worker.step(&[again(3)]).0, 0);
    // One that has become free claims, however long they have stood there.
    worker.stage.committed();
    drop(worker.handed_over());
    assert_eq!(told(&worker.step(&rest[..1]).1), ["claim b"]);
}

#[test]
fn what_starts_nothing_ends_in_the_place_of_its_claim_and_needs_no_slot() {
    let mut worker = Worker::new(1);
    let noop = |execution: &str| encode(&task(execution, "noop"));
    let once = encode(&Task { delivery: "at_most_once".to_owned(), ..task("e", "noop") });
    worker.attempts.order(&order("c", 5, "cancel"), NOW_MS);
    worker.attempts.order(&order("d", 4, "cancel"), NOW_MS);
    let (consumed, outputs) = worker.step(&[now("a"), noop("b"), noop("d"), noop("c"), once.clone()]);
    // What is not to run is claimed, and ends as canceled; what awaits a grant is claimed, too. Both wait for a slot.
    assert_eq!((consumed, told(&outputs)), (3, ["claim a", "succeeded b", "succeeded d"].map(String::from).to_vec()));
    let ended: TaskResult = decode(outputs[1].value.as_deref().unwrap()).unwrap();
    assert_eq!((ended.attempt, ended.token, &*ended.worker, ended.started_at_ms), (2, 5, "w1", Some(NOW_MS)));
    assert_eq!(
        (outputs[1].key.as_deref(), ended.result.as_deref()),
        (Some(&b"root-b"[..]), Some(r#"{"parameters":{}}"#))
    );
    worker.stage.committed();
    drop(worker.handed_over());
    assert_eq!(told(&worker.step(&[noop("c")]).1), ["claim c"]);
    worker.stage.aborted();
    assert_eq!(told(&worker.step(&[once]).1), ["claim e"]);
    worker.stage.aborted();
    let refused = Task { parameters: "{".to_owned(), ..task("f", "noop") };
    assert_eq!(told(&worker.step(&[encode(&refused)]).1), ["failed f"]);
    worker.slots.close();
    assert_eq!(told(&worker.step(&[noop("g")]).1), ["shutting_down g"]);
}

#[test]
fn what_is_late_or_comes_to_one_that_stops_is_declined_at_once() {
    let mut worker = Worker::new(1);
    let late = encode(&Task { start_by_ms: NOW_MS - 1, ..task("a", "later") });
    assert_eq!(told(&worker.step(std::slice::from_ref(&late)).1), ["late a"]);
    worker.slots.close();
    assert_eq!(told(&worker.step(&[late, now("b")]).1), ["late a", "shutting_down b"]);
    worker.stage.committed();
    assert!(worker.handed_over().is_empty());
}

/// It would hold a slot for as long as it waits in vain.
#[test]
fn what_needs_secrets_is_not_claimed_while_nobody_can_read_them() {
    let mut worker = Worker::new(4);
    let secret = || encode(&task("a", "secret"));
    worker.secrets_unread = true;
    worker.blocked_ms = 1_999;
    assert_eq!(told(&worker.step(&[now("b"), secret()]).1), ["claim b"]);
    worker.blocked_ms = 2_000;
    assert_eq!(told(&worker.step(&[secret()]).1), ["not_following a"], "others may read them");
    worker.secrets_unread = false;
    assert_eq!(told(&worker.step(&[secret()]).1), ["claim a"]);
}

#[test]
fn a_worker_waits_for_what_it_must_know_and_for_nothing_that_will_never_come() {
    let mut worker = Worker::new(4);
    worker.following = false;
    worker.blocked_ms = 1_999;
    assert_eq!(worker.step(&[now("a")]).0, 0);
    worker.blocked_ms = 1_000_000;
    assert_eq!(told(&worker.step(&[now("a")]).1), ["not_following a"], "others may hear their owners");
    worker.following = true;
    for revision in ["later", "newer"] {
        assert_eq!(worker.step(&[encode(&task("a", revision))]).0, 0, "{revision}");
    }
    assert_eq!(worker.step(&[encode(&task("a", "gone")), encode(&task("b", "other"))]).0, 2);
    worker.stage.committed();
    let claims = worker.handed_over();
    let codes: Vec<_> = claims.iter().map(|c| c.action.as_ref().err().unwrap().code.clone().unwrap()).collect();
    assert_eq!(codes, [code::REVISION_REMOVED, code::NO_SUCH_ACTION]);
    assert_eq!(worker.step(&[b"\xC3\x01newer-release".to_vec()]).0, 0);
    let (consumed, outputs) = worker.step(&[b"rubbish".to_vec(), encode(&order("c", 5, "cancel")), now("d")]);
    assert_eq!(
        (consumed, told(&outputs)),
        (3, ["dead not_a_record", "dead unexpected_kind", "claim d"].map(String::from).to_vec())
    );
}

fn order(execution: &str, token: i64, what: &str) -> Order {
    Order {
        execution_id: execution.to_owned(),
        root_execution_id: execution.to_owned(),
        attempt: 1,
        token,
        worker: None,
        order: what.to_owned(),
        start_by_ms: NOW_MS,
    }
}
