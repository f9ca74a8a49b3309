//! The smallest thing around the decisions that keeps executions, timers and the index; what is decided comes out
//! as short texts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petrel_schemas::{Class, ExecutionId, TriggerEvent};

use super::super::*;
use super::catalog::Catalog;
use super::family::{FakeWorkflows, Family};
use super::messages::message_of;
use crate::code;
use crate::codec::{from_bytes, to_bytes};
use crate::execution::{Execution, Known};
use crate::gate::{GateMessage, InForce, Numbers, Stamp, What};
use crate::limits::PARAMETERS_BYTES_MAX;
use crate::status::Status;
use crate::timer::{TimerKind, timer_key};

pub const LEASE_MS: i64 = 1_000;
pub const DEDUP_MS: i64 = 60_000;
pub const START_MS: i64 = 20_000;
pub const NO_ROOM_MS: i64 = 5_000;
pub const PAUSE_MS: i64 = 500;
pub const FROZEN_MS: i64 = 3_000;

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
    /// Its worker lacked something once it had begun.
    HandOverLacking(u8, i64),
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
    /// A process goes on that has not got the revision `later` yet.
    Leave,
    /// A worker of that pool stands beside the owner and has room, or none does.
    Beside(Option<&'static str>),
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
    /// What gates were told.
    pub told_gates: Vec<GateMessage>,
    /// The errors of the rows of each execution, empty where there is none.
    notes: BTreeMap<String, Vec<String>>,
    pub parents_told: Vec<crate::family::ChildEnded>,
    pub events: Vec<TriggerEvent>,
    /// What executions of a family have for each other in the step.
    family: VecDeque<Family>,
    pub workflows: FakeWorkflows,
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
                no_room_ms: NO_ROOM_MS,
                decline_pause_ms: PAUSE_MS,
                not_begun_pause_ms: PAUSE_MS,
                not_begun_pause_ms_max: 4 * PAUSE_MS,
                rerun_within_ms: 2 * DEDUP_MS,
                frozen_after_ms: FROZEN_MS,
                parameters_bytes_max: PARAMETERS_BYTES_MAX,
            },
            catalog: Catalog::default(),
            now_ms: 1_000_000,
            states: BTreeMap::new(),
            timers: BTreeMap::new(),
            waiting: BTreeSet::new(),
            history: BTreeMap::new(),
            tasks: Vec::new(),
            told_gates: Vec::new(),
            notes: BTreeMap::new(),
            parents_told: Vec::new(),
            events: Vec::new(),
            family: VecDeque::new(),
            workflows: FakeWorkflows::default(),
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

    /// The errors of its rows, in order.
    pub fn notes(&self, execution: u8) -> Vec<String> {
        self.notes[id(execution).as_str()].clone()
    }

    /// Its deadline passes, and nothing else happens meanwhile.
    pub fn pass_deadline(&mut self, execution: u8) -> Vec<String> {
        let (key, mut live) = (timer_key(&id(execution), TimerKind::Deadline), self.live(execution));
        let terms = live.core_mut().terms.as_mut().unwrap();
        if terms.deadline_ms.is_none() {
            terms.deadline_ms = Some(1);
        }
        self.now_ms = self.now_ms.max(live.core().deadline_at_ms().unwrap());
        self.timers.remove(&key);
        self.decide(|owner| owner.timer(TimerKind::Deadline, Some(Known::Live(live))))
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
            Do::Leave => self.switch(|c| c.later = None),
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
            Message::Workflow { id, asked, by, at_ms } => owner.ask(&id, &asked, &by, at_ms, known),
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
        self.workflows.begin_step();
        let mut told = self.ask(what);
        while let Some(next) = self.family.pop_front() {
            let known = self.known(next.id());
            told.extend(self.ask(|owner| next.tell(owner, known)));
        }
        told
    }

    fn ask(&mut self, what: impl FnOnce(&mut Owner<'_>)) -> Vec<String> {
        let catalog = self.catalog.clone();
        let limits = self.limits.clone();
        let beside = self.beside.map(|pool| Beside { worker: "w", pool });
        let gates = Speaker(self.last, self.now_ms);
        self.workflows.see(&self.states);
        let workflows = self.workflows.clone();
        let (now_ms, limits, actions) = (self.now_ms, &limits, &catalog);
        let facts = Facts { now_ms, limits, actions, beside, gates: &gates, workflows: &workflows };
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
                let notes = self.notes.entry(row.execution_id.clone()).or_default();
                notes.push(row.error.clone().unwrap_or_default());
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
            Effect::Forget { id, conducted } => {
                // One that never began has none.
                assert!(!self.workflows.forget(&id) || conducted, "{id}");
                self.states.remove(id.as_str());
                self.history.remove(id.as_str());
                self.notes.remove(id.as_str());
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
                self.told_gates.push(message.clone());
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
            Effect::Moved(_) => {}
            Effect::Output(row) => return Some(format!("{}={}", row.stream, row.content)),
            Effect::Event(event) => {
                let told = format!("event {}", event.trigger);
                self.events.push(event);
                return Some(told);
            }
            Effect::Parent(told) => {
                self.parents_told.push(told.clone());
                self.family.push_back(Family::Ended(told));
            }
            Effect::Child(child) => self.family.push_back(Family::Child(child)),
            Effect::StopChild { id, by } => self.family.push_back(Family::Stop(id, by)),
            Effect::AskChild { id, asked, by } => self.family.push_back(Family::Ask(id, asked, by)),
            Effect::Rests { child, rests } => {
                let parent = child.parent().unwrap();
                self.family.push_back(Family::Rests { parent, child, rests });
            }
            Effect::Piece { id, changed } => self.workflows.put(&id, changed),
            Effect::GiveUp { code, .. } => return Some(format!("dead {code}")),
            Effect::Count(_) => {}
        }
        None
    }
}
