//! The smallest thing around the decisions that keeps executions, timers and the index; what is decided comes out
//! as short texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petrel_schemas::{ActionRequest, Class, ExecutionId, HandedOver, TaskResult, TriggerEvent};
use serde_json::{Value, json};

use super::super::*;
use crate::attempt::Attempt;
use crate::code;
use crate::codec::{from_bytes, to_bytes};
use crate::delivery::Delivery;
use crate::execution::{Execution, Known};
use crate::gate::{GateId, InForce, Kind, Numbers, Stamp, What};
use crate::plan::{ActionPlan, CompleteParameters, NameGates, OwnTerms, ParameterError, Resolution};
use crate::retry::{BackOff, Retry};
use crate::runner::{NoopSpec, PackFiles, RunnerSpec};
use crate::status::Status;
use crate::subject::Subject;
use crate::switch::SwitchedOff;
use crate::timer::{TimerKind, timer_key};
use crate::windows::{Span, Windows};

pub const LEASE_MS: i64 = 1_000;
pub const DEDUP_MS: i64 = 60_000;
pub const START_MS: i64 = 20_000;
pub const PAUSE_MS: i64 = 500;

/// What can happen to an owner. Executions are named by a digit, attempts by their token; `w` is the worker unless
/// another one is named.
#[derive(Debug, Clone, PartialEq)]
pub enum Do {
    /// A request for that execution, of that action, in that revision.
    Request(u8, &'static str, &'static str),
    Claim(u8, i64),
    ClaimBy(u8, i64, &'static str),
    Beat(u8, i64),
    /// A heartbeat of one that waits for its grant.
    Ask(u8, i64),
    Result(u8, i64, &'static str),
    /// It ended so, and would end the same way again.
    Final(u8, i64, &'static str),
    /// The timer of its pause fires, whatever the time is.
    Early(u8),
    Decline(u8, i64, DeclineReason),
    HandOver(u8, i64, bool),
    Cancel(u8),
    /// Time passes, and timers fire.
    Wait(i64),
    Pause,
    Resume,
    /// Somebody switches a scope off, until then, and says whether what comes is dropped.
    Off(&'static str, Option<i64>, bool),
    /// Somebody switches it on.
    On(&'static str),
    /// The revision `later` arrives.
    Arrive,
    /// The revision `later` turns out to be gone.
    Vanish,
    /// A worker of that pool stands beside the owner and has room, or none does.
    Beside(Option<&'static str>),
}

/// Two repetitions, after a second and after two.
const AGAIN: Retry = Retry {
    on_failure: true,
    on_timeout: true,
    on_lost_worker: false,
    when: None,
    heeds_server: true,
    retries_max: 2,
    delay_ms: 1_000,
    back_off: BackOff::Exponential,
    delay_ms_max: 10_000,
    jitter_percent: 0,
    total_ms_max: None,
};

#[derive(Debug, Default, Clone)]
struct Catalog {
    tells_ends: bool,
    paused: bool,
    later: Option<bool>,
    /// Whether what is gated is tried again.
    retries: bool,
    /// Scopes that are switched off, until when, and whether what comes is dropped.
    off: BTreeMap<&'static str, (Option<i64>, bool)>,
}

#[derive(Debug)]
struct Filled(usize);

impl CompleteParameters for Filled {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        let required = "parameter \"host\" is required".to_owned();
        match given["host"] {
            Value::Null => Err(ParameterError { action: "demo.bad".to_owned(), reasons: vec![required] }),
            _ => Ok(json!({ "host": given["host"], "filled": "x".repeat(self.0) })),
        }
    }
}

/// Terms that owners decide by themselves, of the actions of those names. Model time is a thousand seconds after the epoch,
/// which was a Thursday, and executions are requested at half of that.
#[derive(Debug)]
struct Own(String);

impl NameGates for Own {
    fn gates(&self, id: &ExecutionId, rule: Option<&str>, parameters: &Value) -> Result<Vec<GateId>, String> {
        match &*self.0 {
            "demo.careful" => TwoGates("host").gates(id, rule, parameters),
            _ => Ok(Vec::new()),
        }
    }

    fn own_terms(&self, _: Option<&str>) -> OwnTerms {
        let thursday = |from_minute, to_minute| Span::Weekly { days: vec![4], from_minute, to_minute };
        let windows = |open, drops| Windows {
            policy: "demo.hours".to_owned(),
            time_zone: "UTC".to_owned(),
            open: vec![open],
            closed: Vec::new(),
            drops,
        };
        match &*self.0 {
            "demo.late" => OwnTerms { deadline_ms: Some(510_000), ..OwnTerms::default() },
            // From 00:20 on, which is 1,200 s.
            "demo.strict" => OwnTerms { windows: vec![windows(thursday(20, 30), true)], ..OwnTerms::default() },
            _ => OwnTerms { windows: vec![windows(thursday(20, 30), false)], ..OwnTerms::default() },
        }
    }
}

impl Actions for Catalog {
    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn tells_ends(&self) -> bool {
        self.tells_ends
    }

    fn has_switches(&self) -> bool {
        !self.off.is_empty()
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let (until_ms, drops) = *self.off.get(scope)?;
        let off = || SwitchedOff { by: "eve".to_owned(), reason: "it burns".to_owned(), until_ms, drops };
        until_ms.is_none_or(|until_ms| now_ms < until_ms).then(off)
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        match (revision, self.later) {
            ("later", None) => return Resolution::NotYet,
            ("later", Some(false)) => return Resolution::Removed,
            _ => {}
        }
        let delivery = match action {
            "demo.missing" => return Resolution::NoSuchAction,
            "demo.broken" => return Resolution::Broken("it does not compile".to_owned()),
            "demo.once" => Delivery::AtMostOnce,
            _ => Delivery::AtLeastOnce,
        };
        Resolution::Ready(Arc::new(ActionPlan {
            pool: if matches!(action, "demo.elsewhere" | "demo.zone") { "gpu" } else { "default" }.to_owned(),
            class: if action == "demo.bulk" { Class::Bulk } else { Class::Normal },
            requires: match action {
                "demo.zone" => BTreeMap::from([("zone".to_owned(), "dmz".to_owned())]),
                "demo.nozone" => BTreeMap::from([("zone".to_owned(), "moon".to_owned())]),
                _ => BTreeMap::new(),
            },
            delivery,
            timeout_ms: 5_000,
            output_bytes_max: 1_000,
            retry: match action {
                "demo.again" | "demo.once" => Some(AGAIN),
                "demo.gated" if self.retries => Some(AGAIN),
                "demo.late" => Some(AGAIN),
                "demo.soon" => Some(Retry { total_ms_max: Some(5_000), ..AGAIN }),
                "demo.lost" => Some(Retry { on_lost_worker: true, retries_max: 1, ..AGAIN }),
                "demo.polls" => {
                    let when = Some("result.state == 'pending'".into());
                    Some(Retry { on_failure: false, on_timeout: false, when, ..AGAIN })
                }
                _ => None,
            },
            policies: match action {
                "demo.gated" => Some(Arc::new(TwoGates("host"))),
                "demo.keyless" => Some(Arc::new(TwoGates("nothing"))),
                "demo.late" | "demo.office" | "demo.strict" | "demo.careful" => Some(Arc::new(Own(action.to_owned()))),
                _ => None,
            },
            runner: if action == "demo.noop" { Arc::new(RunnerSpec::Noop(NoopSpec)) } else { command() },
            parameters: Arc::new(Filled(if action == "demo.large" { 300 << 10 } else { 1 })),
        }))
    }
}

/// What a gated action has to pass: the key that its parameter says, and the whole.
#[derive(Debug)]
struct TwoGates(&'static str);

impl NameGates for TwoGates {
    fn gates(&self, _: &ExecutionId, _: Option<&str>, parameters: &Value) -> Result<Vec<GateId>, String> {
        let host = parameters[self.0].as_str().ok_or("the key is no string")?;
        let key = GateId::of_key("demo.one", Kind::Concurrency, host).map_err(|e| e.to_string())?;
        Ok(vec![GateId::total("demo.one", Kind::Rate), key])
    }
}

/// An owner as gates see it.
struct Speaker(Option<Stamp>, i64);

impl Sender for Speaker {
    fn partition(&self) -> u32 {
        3
    }

    fn numbers(&self) -> Numbers {
        self.0.map_or_else(|| Numbers::begin(self.1), Numbers::after)
    }

    fn in_force(&self) -> InForce {
        InForce { revision: "now".into(), since_ms: 1 }
    }
}

fn command() -> Arc<RunnerSpec> {
    let keys = serde_json::Map::from_iter([("command".to_owned(), json!(["true"]))]);
    Arc::new(RunnerSpec::parse("command", &keys, &NoFiles).unwrap())
}

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

pub fn id(execution: u8) -> ExecutionId {
    ExecutionId::parse(&format!("{execution:032x}")).unwrap()
}

pub struct Model {
    pub limits: Limits,
    /// A worker beside the owner, of that pool, that has room.
    pub beside: Option<&'static str>,
    /// The last stamp of what was told to gates.
    pub last: Option<Stamp>,
    catalog: Catalog,
    pub now_ms: i64,
    pub states: BTreeMap<String, Vec<u8>>,
    pub timers: BTreeMap<Vec<u8>, (i64, ExecutionId, TimerKind)>,
    pub waiting: BTreeSet<Vec<u8>>,
    /// Statuses that each execution took.
    pub history: BTreeMap<String, Vec<(i64, Status)>>,
    /// Partitions of the tasks, and their latest starts.
    pub tasks: Vec<(u32, i64)>,
    pub parents_told: Vec<crate::family::ChildEnded>,
    pub events: Vec<TriggerEvent>,
}

impl Model {
    pub fn new() -> Self {
        Self {
            beside: None,
            last: None,
            limits: Limits {
                pools: vec!["default".into()],
                pool_labels: BTreeMap::from([(
                    "default".to_owned(),
                    BTreeMap::from([("zone".to_owned(), "dmz".to_owned())]),
                )]),
                task_partitions: 16,
                lease_ms: LEASE_MS,
                request_dedup_ms: DEDUP_MS,
                lost_leases_max: 3,
                schedule_to_start_ms: START_MS,
                decline_pause_ms: PAUSE_MS,
                not_begun_pause_ms: PAUSE_MS,
                not_begun_pause_ms_max: 4 * PAUSE_MS,
                parameters_bytes_max: 256 << 10,
            },
            catalog: Catalog::default(),
            now_ms: 1_000_000,
            states: BTreeMap::new(),
            timers: BTreeMap::new(),
            waiting: BTreeSet::new(),
            history: BTreeMap::new(),
            tasks: Vec::new(),
            parents_told: Vec::new(),
            events: Vec::new(),
        }
    }

    /// From now on rules react to how executions end.
    pub fn tell_ends(&mut self) {
        self.catalog.tells_ends = true;
    }

    pub fn retries(&mut self, retries: bool) {
        self.catalog.retries = retries;
    }

    pub fn known(&self, id: &ExecutionId) -> Option<Known> {
        self.states.get(id.as_str()).map(|bytes| from_bytes(bytes).unwrap())
    }

    pub fn live(&self, execution: u8) -> Execution {
        match self.known(&id(execution)) {
            Some(Known::Live(execution)) => execution,
            other => panic!("{other:?}"),
        }
    }

    pub fn status(&self, execution: u8) -> Option<Status> {
        self.known(&id(execution)).map(|known| match known {
            Known::Live(execution) => execution.status(),
            Known::Over(ended) => ended.status,
        })
    }

    /// What is decided, in order.
    pub fn act(&mut self, what: &Do) -> Vec<String> {
        match what {
            Do::Wait(ms) => self.wait(*ms),
            Do::Pause => self.switch(|c| c.paused = true),
            Do::Resume => self.switch(|c| c.paused = false),
            Do::Off(scope, until_ms, drops) => self.switch(|c| _ = c.off.insert(scope, (*until_ms, *drops))),
            Do::On(scope) => self.switch(|c| _ = c.off.remove(scope)),
            Do::Arrive => self.switch(|c| c.later = Some(true)),
            Do::Vanish => self.switch(|c| c.later = Some(false)),
            Do::Early(n) => {
                let known = self.known(&id(*n));
                self.timers.remove(&timer_key(&id(*n), TimerKind::BackOff));
                self.decide(|owner| owner.timer(TimerKind::BackOff, known))
            }
            Do::Beside(pool) => {
                self.beside = *pool;
                Vec::new()
            }
            message => {
                let message = message_of(message);
                self.tell(message)
            }
        }
    }

    pub fn tell(&mut self, message: Message) -> Vec<String> {
        let known = message.execution().and_then(|id| self.known(id));
        self.decide(|owner| match message {
            Message::Request { subject, parameters } => owner.request(subject, parameters, known.as_ref()),
            Message::Cancel { by, .. } => owner.cancel(&by, known),
            Message::Report(about, report) => owner.report(&about, report, known),
            Message::Gate { gate, about, answer } => owner.gate_answered(&gate, &about, answer, known),
            Message::GateOrder { gate, what, at_ms } => owner.gate_ordered(gate, what, at_ms),
            Message::Behind { epoch } => owner.behind(epoch),
        })
    }

    fn wait(&mut self, ms: i64) -> Vec<String> {
        let end_ms = self.now_ms + ms;
        let mut told = Vec::new();
        while let Some((key, (due_ms, id, kind))) =
            self.timers.iter().min_by_key(|(_, (due_ms, ..))| *due_ms).map(|(k, v)| (k.clone(), v.clone()))
            && due_ms <= end_ms
        {
            self.now_ms = self.now_ms.max(due_ms);
            self.timers.remove(&key);
            let known = self.known(&id);
            told.extend(self.decide(|owner| owner.timer(kind, known)));
        }
        self.now_ms = end_ms;
        told
    }

    fn switch(&mut self, change: impl FnOnce(&mut Catalog)) -> Vec<String> {
        change(&mut self.catalog);
        let mut told = Vec::new();
        for key in self.waiting.clone() {
            let waiting = Waiting::parse(&key).unwrap();
            let is_off = |switch: &String| self.catalog.switched_off(switch, self.now_ms).is_some();
            if waiting.switch.as_ref().is_some_and(is_off) {
                continue;
            }
            if waiting.revision.is_none() && waiting.switch.is_none() && self.catalog.paused {
                continue;
            }
            let known = self.known(&waiting.id);
            told.extend(self.decide(|owner| owner.release(known)));
        }
        told
    }

    pub fn decide(&mut self, what: impl FnOnce(&mut Owner<'_>)) -> Vec<String> {
        let catalog = self.catalog.clone();
        let limits = self.limits.clone();
        let beside = self.beside.map(|pool| Beside { worker: "w", pool });
        let gates = Speaker(self.last, self.now_ms);
        let facts = Facts { now_ms: self.now_ms, limits: &limits, actions: &catalog, beside, gates: &gates };
        let mut owner = Owner::new(facts);
        what(&mut owner);
        owner.into_effects().into_iter().filter_map(|effect| self.apply(effect)).collect()
    }

    fn apply(&mut self, effect: Effect) -> Option<String> {
        match effect {
            Effect::Save(execution) => {
                let row = changed(&execution, self.now_ms);
                let history = self.history.entry(row.execution_id.clone()).or_default();
                history.push((row.sequence, execution.status()));
                self.states.insert(row.execution_id.clone(), to_bytes(&execution));
                return Some(match row.code {
                    // It says nothing that the status does not.
                    None => row.status,
                    Some(code) if code == row.status || code == code::CANCELED => row.status,
                    Some(code) => format!("{}({code})", row.status),
                });
            }
            Effect::Update(execution) => {
                self.states.insert(execution.id().to_string(), to_bytes(&execution));
            }
            Effect::Forget(id) => {
                self.states.remove(id.as_str());
                self.history.remove(id.as_str());
            }
            Effect::SetTimer { id, kind, due_ms } => {
                self.timers.insert(timer_key(&id, kind), (due_ms, id, kind));
            }
            Effect::CancelTimer { id, kind } => {
                // One that has just fired is gone already.
                self.timers.remove(&timer_key(&id, kind));
            }
            Effect::Wait(key) => assert!(self.waiting.insert(key)),
            Effect::Unwait(key) => assert!(self.waiting.remove(&key)),
            Effect::Dispatch { pool, class, partition, task } => {
                assert_eq!((&*pool, task.attempt as i64), ("default", task.token));
                self.tasks.push((partition, task.start_by_ms));
                let of = if class == Class::Normal { String::new() } else { format!(" {class}") };
                return Some(format!("task {}{of}", task.token));
            }
            Effect::Start(task) => return Some(format!("start {}", task.token)),
            Effect::Order { pool, order } => {
                assert_eq!(pool, "default");
                let to = order.worker.filter(|w| w != "w").map(|w| format!(" of {w}")).unwrap_or_default();
                return Some(format!("{} {}{to}", order.order, order.token));
            }
            Effect::ToGate(message) => {
                assert!(self.last.is_none_or(|last| last < message.stamp), "stamps go up");
                self.last = Some(message.stamp);
                let what = match &message.what {
                    What::Acquire { about, .. } => format!("ask {} {}", message.gate, about.acquisition.number),
                    What::Release { about, outcome } => {
                        format!("return {} {} {}", message.gate, about.acquisition.number, outcome.as_str())
                    }
                    other => format!("{other:?}"),
                };
                return Some(what);
            }
            Effect::Number(stamp) => self.last = Some(stamp),
            Effect::Output(row) => return Some(format!("{}={}", row.stream, row.content)),
            Effect::Event(event) => {
                let told = format!("event {}", event.trigger);
                self.events.push(event);
                return Some(told);
            }
            Effect::Parent(told) => self.parents_told.push(told),
            Effect::GiveUp { code, .. } => return Some(format!("dead {code}")),
            Effect::Count(_) => {}
        }
        None
    }
}

pub fn message_of(what: &Do) -> Message {
    let about = |n: &u8, token: &i64, worker: &str| About {
        id: id(*n),
        attempt: Attempt { number: *token as i32, token: *token },
        worker: worker.to_owned(),
    };
    let pool = "default".to_owned();
    match what {
        Do::Request(n, action, revision) => {
            let (subject, parameters) = Subject::of_request(request(*n, action, revision)).unwrap();
            Message::Request { subject, parameters }
        }
        Do::Claim(n, token) => Message::Report(about(n, token, "w"), Report::Claimed { pool }),
        Do::ClaimBy(n, token, worker) => Message::Report(about(n, token, worker), Report::Claimed { pool }),
        Do::Beat(n, token) => Message::Report(about(n, token, "w"), Report::Alive { pool, awaits_grant: false }),
        Do::Ask(n, token) => Message::Report(about(n, token, "w"), Report::Alive { pool, awaits_grant: true }),
        Do::Result(n, token, status) => {
            Message::Report(about(n, token, "w"), Report::Ended(result(*n, *token, status)))
        }
        Do::Final(n, token, status) => {
            let ended = TaskResult { retriable: false, ..result(*n, *token, status) };
            Message::Report(about(n, token, "w"), Report::Ended(ended))
        }
        Do::Decline(n, token, reason) => Message::Report(about(n, token, "w"), Report::Declined(*reason)),
        Do::HandOver(n, token, begun) => {
            Message::Report(about(n, token, "w"), Report::HandedOver(handed_over(*n, *token, *begun)))
        }
        Do::Cancel(n) => Message::Cancel { id: id(*n), by: "eve".to_owned() },
        other => unreachable!("{other:?} is no message"),
    }
}

fn request(n: u8, action: &str, revision: &str) -> ActionRequest {
    ActionRequest {
        execution_id: id(n).into(),
        root_execution_id: id(n).into(),
        event_id: Some("event".to_owned()),
        event_at_ms: Some(1),
        trigger: Some("demo.alert".to_owned()),
        rule: Some("demo.rule".to_owned()),
        action_index: 0,
        redrive: 0,
        action: action.to_owned(),
        parameters: if action == "demo.bad" { "{}" } else { "{\"host\":\"db\"}" }.to_owned(),
        revision: revision.to_owned(),
        kv_version: 3,
        requested_at_ms: 500_000 + i64::from(n),
        requested_by: "rule".to_owned(),
        cause_depth: 3,
        class: None,
    }
}

fn result(n: u8, token: i64, status: &str) -> TaskResult {
    TaskResult {
        execution_id: id(n).into(),
        root_execution_id: id(n).into(),
        attempt: token as i32,
        token,
        worker: "w".to_owned(),
        status: status.to_owned(),
        return_code: (status == "succeeded").then_some(0),
        code: (status != "succeeded").then(|| status.to_owned()),
        error: (status != "succeeded").then(|| format!("it {status}")),
        result: None,
        extracted: None,
        result_object: None,
        retriable: true,
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

fn handed_over(n: u8, token: i64, begun: bool) -> HandedOver {
    HandedOver {
        execution_id: id(n).into(),
        root_execution_id: id(n).into(),
        attempt: token as i32,
        token,
        worker: "w".to_owned(),
        begun,
        stdout: if begun { "part" } else { "" }.to_owned(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
        stdout_omitted_bytes: 0,
        stderr_omitted_bytes: 0,
        handed_over_at_ms: 4,
    }
}
