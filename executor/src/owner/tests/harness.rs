//! An owner of one partition, driven by hand; what it writes comes out as short texts.

use std::sync::Arc;

use petrel_bus::{Batch, Context, Facts, Output, PartitionState, Record, Stage, Taken, TimerKind};
use petrel_execution::codec::from_bytes;
use petrel_execution::runner::{NoopSpec, RunnerSpec};
use petrel_execution::{ActionPlan, CompleteParameters, Delivery, Known, ParameterError};
use petrel_schemas::{
    ActionRequest, AuditRecord, CancelRequest, Claim, DeadLetter, Declined, Heartbeat, Order, Task, TaskResult, Topics,
    decode, encode,
};
use serde_json::Value;

use crate::metrics::ExecutorMetrics;
use crate::owner::{OwnerOptions, OwnerStage};
use crate::view::{EachFile, ExecutorView, PackContent, Resolution, ResolvedAction};
use crate::worker::Letter;

/// The owner's partition.
pub(super) const PARTITION: u32 = 2;
pub(super) const LEASE_MS: i64 = 1_000;
pub(super) const DEDUP_MS: i64 = 60_000;
pub(super) const START_MS: i64 = 30_000;

/// What can happen to an owner. Executions are named by a digit, tokens by their number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Do {
    /// A request for that execution, of that action, in that revision.
    Request(u8, &'static str, &'static str),
    /// The same for a child of it.
    Child(u8, &'static str),
    Claim(u8, i64),
    Beat(u8, i64),
    Result(u8, i64, &'static str),
    /// The worker in the same process has told it beside the log.
    Told,
    Decline(u8, i64),
    Cancel(u8),
    /// Time passes and timers fire, those of silence too if everything was heard.
    Wait(i64, bool),
    Pause,
    Resume,
    /// The revision `later` arrives.
    Arrive,
    /// Another member gets the partition.
    TakeOver,
    /// Bytes that are no record, on `requests`; else a record that does not belong on `results`.
    Rubbish(bool),
    /// A record of a release to come, on `requests`.
    Newer,
    /// A request and a report whose ids are none.
    BadIds,
}

#[derive(Debug, Default, Clone)]
pub(super) struct View {
    paused: bool,
    later_is_here: bool,
    /// Whether the action `demo.deadly` kills the owner.
    is_deadly: bool,
    pub(super) letters: Vec<Arc<Letter>>,
}

impl View {
    pub(super) fn of(later_is_here: bool, is_deadly: bool) -> Self {
        Self { later_is_here, is_deadly, ..Self::default() }
    }
}

struct NoFiles;

impl PackContent for NoFiles {
    fn name(&self) -> String {
        "revision/demo".to_owned()
    }

    fn hash(&self) -> Result<String, String> {
        Ok("abc".to_owned())
    }

    fn files(&self, _: &mut EachFile<'_>) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Debug)]
struct AsGiven;

impl CompleteParameters for AsGiven {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        Ok(given.clone())
    }
}

impl ExecutorView for View {
    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn letters(&self) -> &[Arc<Letter>] {
        &self.letters
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        if revision == "later" && !self.later_is_here {
            return Resolution::NotYet;
        }
        let delivery = match action {
            "demo.deadly" if self.is_deadly => panic!("as told"),
            "demo.missing" => return Resolution::NoSuchAction,
            "demo.broken" => return Resolution::Broken("of a newer release".to_owned()),
            "demo.once" => Delivery::AtMostOnce,
            _ => Delivery::AtLeastOnce,
        };
        let plan = ActionPlan {
            pool: "default".to_owned(),
            delivery,
            timeout_ms: 5_000,
            output_bytes_max: 1_000,
            runner: Arc::new(RunnerSpec::Noop(NoopSpec)),
            parameters: Arc::new(AsGiven),
        };
        Resolution::Ready(ResolvedAction { plan: Arc::new(plan), pack: Arc::new(NoFiles) })
    }
}

pub(super) fn id(execution: u8) -> String {
    format!("{execution:032x}")
}

pub(super) struct Owner {
    stage: OwnerStage<View>,
    pub(super) state: PartitionState,
    pub(super) view: View,
    pub(super) now_ms: i64,
    pub(super) outputs: Vec<Output>,
    options: OwnerOptions,
    topics: Topics,
    /// Whether the last record could not be taken.
    pub(super) is_blocked: bool,
}

impl Owner {
    pub(super) fn new() -> Self {
        let topics = Topics::new("petrel.", 4, 16);
        let mut options = OwnerOptions::new(topics.clone(), 16);
        options.limits.lease_ms = LEASE_MS;
        options.limits.request_dedup_ms = DEDUP_MS;
        options.limits.schedule_to_start_ms = START_MS;
        options.limits.lost_leases_max = 3;
        options.release_batch_max = 2;
        Self {
            stage: stage(&options),
            state: PartitionState::default(),
            view: View::default(),
            now_ms: 1_000_000,
            outputs: Vec::new(),
            options,
            topics,
            is_blocked: false,
        }
    }

    /// Does it and returns what was written, in order.
    pub(super) fn act(&mut self, what: &Do) -> Vec<String> {
        self.step(what);
        let written: Vec<String> = std::mem::take(&mut self.outputs).iter().map(|o| self.tell(o)).collect();
        self.commit();
        written
    }

    /// Does it without committing.
    pub(super) fn step(&mut self, what: &Do) {
        match what {
            Do::Wait(ms, heard) => self.wait(*ms, *heard),
            Do::Pause | Do::Resume => {
                self.view.paused = *what == Do::Pause;
                self.in_context(|stage, context| stage.globals_changed(context));
            }
            Do::Arrive => {
                self.view.later_is_here = true;
                self.in_context(|stage, context| stage.globals_changed(context));
            }
            Do::Told => {
                for partition in self.stage.told(&self.view, &[PARTITION]) {
                    assert_eq!(partition, PARTITION);
                    self.in_context(|stage, context| stage.take_told(context));
                }
            }
            Do::TakeOver => {
                self.restart();
                self.in_context(|stage, context| stage.globals_changed(context));
            }
            Do::BadIds => {
                let bad = ActionRequest { execution_id: "x".to_owned(), ..request(1, "demo.ok", "now") };
                self.record(self.topics.requests(), encode(&bad));
                let bad = TaskResult { execution_id: "y".to_owned(), ..result(1, 1, "failed") };
                self.record(self.topics.results(), encode(&bad));
            }
            record => {
                let (topic, value) = self.record_of(record);
                self.record(topic, value);
            }
        }
    }

    fn wait(&mut self, ms: i64, heard: bool) {
        self.now_ms += ms;
        let kinds = [TimerKind::Time, TimerKind::Silence];
        for kind in &kinds[..if heard { 2 } else { 1 }] {
            while let due = self.state.take_due(*kind, self.now_ms, 100)
                && !due.is_empty()
            {
                self.in_context(|stage, context| stage.timers(&due, context));
            }
        }
    }

    fn record_of(&self, what: &Do) -> (Arc<str>, Vec<u8>) {
        let (requests, results) = (self.topics.requests(), self.topics.results());
        let (worker, pool) = ("w".to_owned(), "default".to_owned());
        match what {
            Do::Request(n, action, revision) => (requests, encode(&request(*n, action, revision))),
            Do::Child(n, action) => {
                let child = ActionRequest { execution_id: format!("{}.1", id(*n)), ..request(*n, action, "now") };
                (requests, encode(&child))
            }
            Do::Newer => (requests, b"\xC3\x01newer-release".to_vec()),
            Do::Rubbish(true) => (requests, b"rubbish".to_vec()),
            Do::Rubbish(false) => (results, encode(&request(9, "demo.ok", "now"))),
            Do::Claim(n, token) => {
                let claim = Claim {
                    execution_id: id(*n),
                    root_execution_id: id(*n),
                    attempt: *token as i32,
                    token: *token,
                    worker,
                    pool,
                    claimed_at_ms: 0,
                };
                (results, encode(&claim))
            }
            Do::Beat(n, token) => {
                let beat = Heartbeat {
                    execution_id: id(*n),
                    root_execution_id: id(*n),
                    attempt: *token as i32,
                    token: *token,
                    worker,
                    pool,
                    awaits_grant: false,
                    sent_at_ms: 0,
                };
                (results, encode(&beat))
            }
            Do::Decline(n, token) => {
                let declined = Declined {
                    execution_id: id(*n),
                    root_execution_id: id(*n),
                    attempt: *token as i32,
                    token: *token,
                    worker,
                    reason: "full".to_owned(),
                    declined_at_ms: 0,
                };
                (results, encode(&declined))
            }
            Do::Result(n, token, status) => (results, encode(&result(*n, *token, status))),
            Do::Cancel(n) => {
                let cancel = CancelRequest {
                    execution_id: id(*n),
                    root_execution_id: id(*n),
                    requested_by: "eve".to_owned(),
                    requested_at_ms: 0,
                };
                (requests, encode(&cancel))
            }
            other => unreachable!("{other:?} is no record"),
        }
    }

    fn record(&mut self, topic: Arc<str>, value: Vec<u8>) {
        let records = [Record { offset: 7, timestamp_ms: 5, key: None, value: Some(&value) }];
        let batch = Batch { topic: &topic, partition: PARTITION, records: &records };
        self.is_blocked = match self.in_context(|stage, context| stage.records(batch, context)) {
            Taken::All => false,
            Taken::Blocked { consumed, .. } => consumed == 0,
        };
    }

    fn in_context<R>(&mut self, f: impl FnOnce(&mut OwnerStage<View>, &mut Context<'_, View>) -> R) -> R {
        let facts = Facts { partition: PARTITION, now_ms: self.now_ms, blocked_ms: 0, is_careful: false };
        f(&mut self.stage, &mut Context::new(facts, &self.view, &mut self.state, &mut self.outputs))
    }

    /// Asks which partitions have something to be told, as a member that has these.
    pub(super) fn told(&mut self, mine: &[u32]) -> Vec<u32> {
        self.stage.told(&self.view, mine)
    }

    pub(super) fn commit(&mut self) {
        self.state.commit(self.now_ms).unwrap();
        self.stage.committed();
    }

    pub(super) fn abort(&mut self) {
        self.state.abort();
        self.stage.aborted();
        self.outputs.clear();
    }

    /// A member that knows nothing but the state.
    pub(super) fn restart(&mut self) {
        self.stage = stage(&self.options);
    }

    pub(super) fn status(&self, execution: u8) -> Option<&'static str> {
        let bytes = self.state.get(id(execution).as_bytes())?;
        Some(match from_bytes(&bytes).unwrap() {
            Known::Live(execution) => execution.status().as_str(),
            Known::Over(ended) => ended.status.as_str(),
        })
    }

    /// `task 1` is the task of token 1, `cancel 1` an order, `running` a row of that status.
    fn tell(&self, output: &Output) -> String {
        let value = output.value.as_deref().unwrap();
        if output.topic == self.topics.audit() {
            return match AuditRecord::decode(value).unwrap() {
                AuditRecord::ExecutionChanged(row) => row.status,
                AuditRecord::OutputCaptured(row) => format!("{}={}", row.stream, row.content),
                other => panic!("unexpected {other:?}"),
            };
        }
        if output.topic == self.topics.tasks("default") {
            return format!("task {}", decode::<Task>(value).unwrap().token);
        }
        if output.topic == self.topics.orders("default") {
            let order: Order = decode(value).unwrap();
            return format!("{} {}", order.order, order.token);
        }
        assert_eq!(output.topic, self.topics.dead_letters());
        format!("dead {}", decode::<DeadLetter>(value).unwrap().reason)
    }
}

pub(super) fn stage(options: &OwnerOptions) -> OwnerStage<View> {
    let metrics = ExecutorMetrics::new(&prometheus::Registry::new()).unwrap();
    OwnerStage::new(options.clone(), Arc::new(metrics))
}

pub(super) fn request(n: u8, action: &str, revision: &str) -> ActionRequest {
    ActionRequest {
        execution_id: id(n),
        root_execution_id: id(n),
        event_id: Some("event".to_owned()),
        event_at_ms: Some(1),
        trigger: Some("demo.alert".to_owned()),
        rule: Some("demo.rule".to_owned()),
        action_index: 0,
        redrive: 0,
        action: action.to_owned(),
        parameters: "{}".to_owned(),
        revision: revision.to_owned(),
        kv_version: 3,
        requested_at_ms: 500_000 + i64::from(n),
        requested_by: "rule".to_owned(),
    }
}

pub(super) fn result(n: u8, token: i64, status: &str) -> TaskResult {
    TaskResult {
        execution_id: id(n),
        root_execution_id: id(n),
        attempt: token as i32,
        token,
        worker: "w".to_owned(),
        status: status.to_owned(),
        return_code: (status == "succeeded").then_some(0),
        code: None,
        error: None,
        result: None,
        retriable: false,
        stdout: "out".to_owned(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        started_at_ms: Some(3),
        ended_at_ms: 4,
    }
}
