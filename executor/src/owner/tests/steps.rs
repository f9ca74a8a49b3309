//! What can happen to an owner, as records and globals.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_execution::codec::from_bytes;
use petrel_execution::gate::InForce;
use petrel_execution::runner::{NoopSpec, RunnerSpec};
use petrel_execution::{ActionPlan, CompleteParameters, Delivery, Known, ParameterError, SwitchedOff};
use petrel_schemas::{ActionRequest, CancelRequest, Claim, Class, Declined, Heartbeat, TaskResult, Topics, encode};
use serde_json::Value;

use super::large;
use crate::metrics::ExecutorMetrics;
use crate::owner::{OwnerOptions, OwnerStage};
use crate::view::{EachFile, ExecutorView, PackContent, Resolution, ResolvedAction};
use crate::worker::Letter;

/// The owner's partition.
pub(super) const PARTITION: u32 = 2;
/// When a test begins.
pub(super) const NOW_MS: i64 = 1_000_000;
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
    /// Somebody switches a scope off, until then.
    Off(&'static str, Option<i64>),
    /// Somebody switches it on.
    On(&'static str),
    Resume,
    /// The revision `later` arrives.
    Arrive,
    /// Bytes that are no record, on `requests`; else a record that does not belong on `results`.
    Rubbish(bool),
    /// A record of a release to come, on `requests`.
    Newer,
    /// A request, and a report, whose id is none.
    BadRequest,
    BadReport,
}

#[derive(Debug, Default, Clone)]
pub(super) struct View {
    paused: bool,
    /// What is switched off, and until when.
    off: BTreeMap<&'static str, Option<i64>>,
    later_is_here: bool,
    /// Whether the action `demo.deadly` kills the owner.
    is_deadly: bool,
    /// Whether rules react to how executions end.
    pub(super) tells_ends: bool,
    pub(super) letters: Vec<Arc<Letter>>,
}

impl View {
    pub(super) fn of(later_is_here: bool, is_deadly: bool) -> Self {
        Self { later_is_here, is_deadly, ..Self::default() }
    }

    /// With rules that react to how executions end.
    pub(super) fn telling_ends() -> Self {
        Self { tells_ends: true, ..Self::default() }
    }

    /// Whether that changes the globals, which it does then.
    pub(super) fn change(&mut self, what: &Do) -> bool {
        match what {
            Do::Pause | Do::Resume => self.paused = *what == Do::Pause,
            Do::Off(scope, until_ms) => _ = self.off.insert(scope, *until_ms),
            Do::On(scope) => _ = self.off.remove(scope),
            Do::Arrive => self.later_is_here = true,
            _ => return false,
        }
        true
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
    fn in_force(&self) -> InForce {
        InForce { revision: "now".into(), since_ms: 0 }
    }

    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn has_switches(&self) -> bool {
        !self.off.is_empty()
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let until_ms = *self.off.get(scope)?;
        let off = || SwitchedOff { by: "eve".to_owned(), reason: "it burns".to_owned(), until_ms, drops: false };
        until_ms.is_none_or(|until_ms| now_ms < until_ms).then(off)
    }

    fn letters(&self) -> &[Arc<Letter>] {
        &self.letters
    }

    fn tells_ends(&self) -> bool {
        self.tells_ends
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
            class: Class::Normal,
            needs: Default::default(),
            requires: Default::default(),
            delivery,
            timeout_ms: 5_000,
            output_bytes_max: 1_000,
            retry: None,
            policies: None,
            runner: large::runner(action).unwrap_or_else(|| Arc::new(RunnerSpec::Noop(NoopSpec))),
            parameters: Arc::new(AsGiven),
        };
        Resolution::Ready(ResolvedAction { plan: Arc::new(plan), pack: Arc::new(NoFiles) })
    }
}

pub(super) fn id(execution: u8) -> String {
    format!("{execution:032x}")
}

pub(super) fn topics() -> Topics {
    Topics::new("petrel.", 4, 16)
}

pub(super) fn owner_options() -> OwnerOptions {
    let mut options = OwnerOptions::new(topics(), 16);
    options.limits.lease_ms = LEASE_MS;
    options.limits.request_dedup_ms = DEDUP_MS;
    options.limits.schedule_to_start_ms = START_MS;
    options.limits.lost_leases_max = 3;
    options.release_batch_max = 2;
    options
}

/// An owner that knows nothing.
pub(super) fn stage() -> OwnerStage<View> {
    stage_of(owner_options())
}

pub(super) fn stage_of(options: OwnerOptions) -> OwnerStage<View> {
    let metrics = ExecutorMetrics::new(&prometheus::Registry::new()).unwrap();
    OwnerStage::new(options, Arc::new(metrics))
}

/// What the state says of an execution.
pub(super) fn status_in(state: &[u8]) -> &'static str {
    match from_bytes(state).unwrap() {
        Known::Live(execution) => execution.status().as_str(),
        Known::Over(ended) => ended.status.as_str(),
    }
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
        cause_depth: 3,
        class: None,
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
        extracted: None,
        result_object: None,
        retriable: false,
        stdout: "out".to_owned(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
        stdout_omitted_bytes: 0,
        stderr_omitted_bytes: 0,
        started_at_ms: Some(3),
        ended_at_ms: 4,
        events: Vec::new(),
        retry_after_ms: None,
    }
}

/// The record that it puts on the owner's partition of a topic.
pub(super) fn record_of(topics: &Topics, what: &Do) -> (Arc<str>, Vec<u8>) {
    let (requests, results) = (topics.requests(), topics.results());
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
        Do::BadRequest => {
            (requests, encode(&ActionRequest { execution_id: "x".to_owned(), ..request(1, "demo.ok", "now") }))
        }
        Do::BadReport => (results, encode(&TaskResult { execution_id: "y".to_owned(), ..result(1, 1, "failed") })),
        other => unreachable!("{other:?} is no record"),
    }
}
