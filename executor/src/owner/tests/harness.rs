//! An owner of one partition, driven by hand; what it writes comes out as short texts.

use std::sync::Arc;

use petrel_bus::{Batch, Context, Facts, Output, PartitionState, Record, Stage, Taken, TimerKind};
use petrel_catalog::Delivery;
use petrel_schemas::{
    ActionRequest, AuditRecord, CancelRequest, Claim, DeadLetter, ExecutionState, Heartbeat, Task, TaskCancel,
    TaskResult, Topics, decode, encode,
};

use crate::metrics::ExecutorMetrics;
use crate::owner::{OwnerOptions, OwnerStage};
use crate::view::{ExecutorView, Plan, Prepared, Rendered, Resolution};

pub(super) const LEASE_MS: i64 = 1_000;
pub(super) const DEDUP_MS: i64 = 60_000;

/// What can happen to an owner. Executions are named by a digit, tokens by their number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Do {
    /// A request for that execution, of that action, in that revision.
    Request(u8, &'static str, &'static str),
    Claim(u8, i64),
    Beat(u8, i64),
    Result(u8, i64, &'static str),
    Cancel(u8),
    /// Time passes and timers fire; whether the input was read to its end.
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
}

#[derive(Debug, Default, Clone)]
pub(super) struct View {
    paused: bool,
    later_is_here: bool,
}

impl ExecutorView for View {
    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn resolve(&self, _: &str, _: &str) -> Resolution {
        unreachable!("what is asked of this view it answers below")
    }

    fn prepare(&self, revision: &str, action: &str, parameters: &str) -> Prepared {
        if revision == "later" && !self.later_is_here {
            return Prepared::RevisionUnknown;
        }
        let (pool, delivery) = match action {
            "demo.missing" => return Prepared::NoSuchAction,
            "demo.bad" => return Prepared::Refused("\"host\" is required".to_owned()),
            "demo.once" => ("default", Delivery::AtMostOnce),
            "demo.elsewhere" => ("gpu", Delivery::AtLeastOnce),
            _ => ("default", Delivery::AtLeastOnce),
        };
        let large = if action == "demo.large" { "x".repeat(300 << 10) } else { String::new() };
        let parameters = parameters.replace('}', &format!("\"filled\":\"in{large}\"}}"));
        Prepared::Ready(Plan { parameters, pool: pool.to_owned(), delivery, timeout_ms: 5_000 })
    }

    fn command(&self, _: &Task) -> Rendered {
        unreachable!("owners render nothing")
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
    /// A record that could not be taken, to be offered again.
    blocked: Option<(Arc<str>, Vec<u8>)>,
}

impl Owner {
    pub(super) fn new() -> Self {
        let topics = Topics::new("petrel.", 4, 16);
        let mut options = OwnerOptions::new(topics.clone(), 16);
        options.lease_ms = LEASE_MS;
        options.request_dedup_ms = DEDUP_MS;
        options.attempts_max = 3;
        options.release_batch_max = 2;
        Self {
            stage: stage(&options),
            state: PartitionState::default(),
            view: View::default(),
            now_ms: 1_000_000,
            outputs: Vec::new(),
            options,
            topics,
            blocked: None,
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
            Do::Wait(ms, caught_up) => {
                self.now_ms += ms;
                let kinds = [TimerKind::Time, TimerKind::Silence];
                for kind in &kinds[..if *caught_up { 2 } else { 1 }] {
                    while let due = self.state.take_due(*kind, self.now_ms, 100)
                        && !due.is_empty()
                    {
                        self.in_context(|stage, context| stage.timers(&due, context));
                    }
                }
            }
            Do::Pause | Do::Resume => {
                self.view.paused = *what == Do::Pause;
                self.in_context(|stage, context| stage.globals_changed(context));
            }
            Do::Arrive => {
                self.view.later_is_here = true;
                self.in_context(|stage, context| stage.globals_changed(context));
                if let Some((topic, value)) = self.blocked.take() {
                    self.record(topic, value);
                }
            }
            Do::TakeOver => {
                self.restart();
                self.in_context(|stage, context| stage.globals_changed(context));
            }
            record => {
                let (topic, value) = self.record_of(record);
                self.record(topic, value);
            }
        }
    }

    fn record_of(&self, what: &Do) -> (Arc<str>, Vec<u8>) {
        let root = |n: &u8| (id(*n), id(*n));
        let results = self.topics.results();
        match what {
            Do::Request(n, action, revision) => (self.topics.requests(), encode(&request(*n, action, revision))),
            Do::Newer => (self.topics.requests(), b"\xC3\x01newer-release".to_vec()),
            Do::Rubbish(true) => (self.topics.requests(), b"rubbish".to_vec()),
            Do::Rubbish(false) => (results, encode(&request(9, "demo.ok", "now"))),
            Do::Claim(n, token) => {
                let (execution_id, root_execution_id) = root(n);
                let (attempt, token) = (*token as i32, *token);
                let worker = "w".to_owned();
                (results, encode(&Claim { execution_id, root_execution_id, attempt, token, worker, claimed_at_ms: 0 }))
            }
            Do::Beat(n, token) => {
                let (execution_id, root_execution_id) = root(n);
                let (attempt, token) = (*token as i32, *token);
                let worker = "w".to_owned();
                let beat = Heartbeat { execution_id, root_execution_id, attempt, token, worker, sent_at_ms: 0 };
                (results, encode(&beat))
            }
            Do::Result(n, token, status) => (results, encode(&result(*n, *token, status))),
            Do::Cancel(n) => {
                let (execution_id, root_execution_id) = root(n);
                let requested_by = "eve".to_owned();
                (results, encode(&CancelRequest { execution_id, root_execution_id, requested_by, requested_at_ms: 0 }))
            }
            other => unreachable!("{other:?} is no record"),
        }
    }

    fn record(&mut self, topic: Arc<str>, value: Vec<u8>) {
        let records = [Record { offset: 7, timestamp_ms: 5, key: None, value: Some(&value) }];
        let batch = Batch { topic: &topic, partition: 2, records: &records };
        if let Taken::Blocked { consumed, .. } = self.in_context(|stage, context| stage.records(batch, context)) {
            assert_eq!(consumed, 0);
            self.blocked = Some((topic.clone(), value.clone()));
        }
    }

    fn in_context<R>(&mut self, f: impl FnOnce(&mut OwnerStage<View>, &mut Context<'_, View>) -> R) -> R {
        let facts = Facts { partition: 2, now_ms: self.now_ms, blocked_ms: 0 };
        f(&mut self.stage, &mut Context::new(facts, &self.view, &mut self.state, &mut self.outputs))
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

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    pub(super) fn status(&self, execution: u8) -> Option<String> {
        let state: ExecutionState = decode(&self.state.get(id(execution).as_bytes())?).unwrap();
        Some(state.status)
    }

    /// `task 1` is the task of token 1, `cancel 1` the order to end it, `running` a row of that status.
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
        if output.topic == self.topics.cancels() {
            return format!("cancel {}", decode::<TaskCancel>(value).unwrap().token);
        }
        assert_eq!(output.topic, self.topics.dead_letters());
        format!("dead {}", decode::<DeadLetter>(value).unwrap().reason)
    }
}

fn stage(options: &OwnerOptions) -> OwnerStage<View> {
    let metrics = ExecutorMetrics::new(&prometheus::Registry::new()).unwrap();
    OwnerStage::new(options.clone(), Arc::new(metrics))
}

fn request(n: u8, action: &str, revision: &str) -> ActionRequest {
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

fn result(n: u8, token: i64, status: &str) -> TaskResult {
    TaskResult {
        execution_id: id(n),
        root_execution_id: id(n),
        attempt: token as i32,
        token,
        worker: "w".to_owned(),
        status: status.to_owned(),
        return_code: (status == "succeeded").then_some(0),
        error: (status != "succeeded").then(|| format!("it {status}")),
        stdout: "out".to_owned(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        started_at_ms: Some(3),
        ended_at_ms: 4,
    }
}
