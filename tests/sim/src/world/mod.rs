//! The log, the clock and the processes of one run, and the scheduler that a seed drives.
//!
//! One thread does everything, so that a run is a function of its seed. A process that stands still in
//! the middle of a turn, at a point of its driver, is a call that has not returned: the others go on
//! inside it.

mod outside;
mod people;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use people::People;
use petrel_audit::MemoryTables;
use petrel_bus::sim::{CommitFault, SimBus, SimClock, SimOptions};
use petrel_bus::{Bus, Clock, DriverPoint, Output, Publisher};
use petrel_executor::Drain;
use petrel_schemas::{ExecutionId, Task};

use crate::fault::{Coverage, Fault, FaultKind, Place};
use crate::pack::{self, ALERTS, revisions};
use crate::plan::{Item, Plan};
use crate::process::{Process, Role, Turn};
use crate::product;
use crate::rng::Rng;
use crate::supervisor::Supervisors;
use crate::trace::Trace;
use crate::workflows::outcome::{self, Ends};

/// When a run begins, in milliseconds since the epoch.
pub const START_MS: i64 = 1_700_000_000_000;
/// How deep processes may stand still inside each other's turns.
const DEPTH_MAX: usize = 2;
/// Time that passes after a round in which something was done, at most, in milliseconds.
const BUSY_MS: i64 = 15;
/// Time that passes after a round in which nothing was done, in milliseconds.
const IDLE_MS: (i64, i64) = (40, 400);
/// How many of the latest records are sent again by a fault that sends again.
const AGAIN_LATEST: usize = 12;
/// Commits of which some are refused, one after the other.
const REFUSED_WITHIN: usize = 30;
/// How long what never ends by itself takes, in milliseconds: longer than any run.
const NEVER_MS: i64 = 86_400_000;
/// How long a process may take to learn of a revision, in milliseconds.
const LEARN_MS: i64 = 3_000;

/// A run.
pub struct World {
    /// The log.
    pub bus: SimBus,
    /// True time.
    pub clock: Arc<SimClock>,
    /// In a fixed order.
    pub processes: RefCell<Vec<Rc<Process>>>,
    /// What happened.
    pub trace: RefCell<Trace>,
    /// What went wrong where.
    pub coverage: RefCell<Coverage>,
    /// What must not have happened, as it was noticed.
    pub violations: RefCell<Vec<String>>,
    /// What the sinks have written.
    pub tables: MemoryTables,
    /// What workers started.
    pub supervisors: Supervisors,
    /// Number of the newest revision.
    pub revision: Cell<usize>,
    rng: RefCell<Rng>,
    script: RefCell<VecDeque<(i64, Item)>>,
    /// Events over HTTP and reports of workers that were sent, for sending them once more.
    sent: RefCell<Vec<Output>>,
    /// When the first fault happened that concerns everybody, in true milliseconds since the epoch.
    pub all_harmed_ms: Cell<i64>,
    /// When a transaction was left open for the first time, in true milliseconds since the epoch.
    pub held_back_ms: Cell<i64>,
    /// Workers that are drained, by name: how, and until when, in true milliseconds since the epoch.
    drains: RefCell<BTreeMap<String, (Drain, i64)>>,
    /// Whether the log has forgotten what the sinks have written.
    pub sinks_forgotten: Cell<bool>,
    /// Workflows that somebody wanted to rest, and nobody yet to go on.
    paused: RefCell<Vec<ExecutionId>>,
    people: RefCell<People>,
    depth: Cell<usize>,
    calm: Cell<bool>,
}

impl World {
    /// A run before its first turn; the caller adds processes.
    pub fn new(plan: &Plan, keeps_lines: bool) -> Rc<Self> {
        let clock = SimClock::at(START_MS);
        let bus = SimBus::new(clock.clone(), SimOptions::default());
        bus.ensure_topics(&pack::topic_specs()).unwrap_or_else(|e| unreachable!("an empty log takes topics: {e}"));
        let script = plan.items.iter().map(|(at_ms, item)| (START_MS + at_ms, item.clone())).collect();
        Rc::new(Self {
            bus,
            clock,
            processes: RefCell::default(),
            trace: RefCell::new(Trace::new(keeps_lines)),
            coverage: RefCell::default(),
            violations: RefCell::default(),
            tables: MemoryTables::default(),
            supervisors: Supervisors::default(),
            revision: Cell::new(0),
            rng: RefCell::new(Rng::new(plan.seed)),
            script: RefCell::new(script),
            sent: RefCell::default(),
            all_harmed_ms: Cell::new(i64::MAX),
            held_back_ms: Cell::new(i64::MAX),
            drains: RefCell::default(),
            sinks_forgotten: Cell::new(false),
            paused: RefCell::default(),
            people: RefCell::default(),
            depth: Cell::new(0),
            calm: Cell::new(false),
        })
    }

    /// Time since the start, in milliseconds.
    pub fn elapsed_ms(&self) -> i64 {
        self.clock.now_ms() - START_MS
    }

    /// What asks this run what happens at the points of a process's driver.
    pub fn at_points(self: &Rc<Self>, process: usize) -> Rc<dyn Fn(DriverPoint) -> bool> {
        let world: Weak<Self> = Rc::downgrade(self);
        Rc::new(move |point| world.upgrade().is_some_and(|world| world.at_point(process, point)))
    }

    /// Adds a process, which starts with the first round.
    pub fn add(&self, process: Process) {
        self.processes.borrow_mut().push(Rc::new(process));
    }

    /// One turn of every process that can take one, in random order, and a step of time. Whether
    /// anything was done.
    pub fn round(&self) -> bool {
        self.supervisors.look(self.clock.now_ms());
        self.outside();
        let mut order: Vec<usize> = (0..self.processes.borrow().len()).collect();
        self.rng.borrow_mut().shuffle(&mut order);
        let mut busy = false;
        for number in order {
            busy |= self.turn(number);
        }
        let step_ms = match busy {
            true => self.rng.borrow_mut().between(1, BUSY_MS),
            false => self.until_next(self.rng.borrow_mut().between(IDLE_MS.0, IDLE_MS.1)),
        };
        self.clock.advance(step_ms);
        busy
    }

    /// Not beyond what the script has next.
    fn until_next(&self, step_ms: i64) -> i64 {
        let next_ms = self.script.borrow().front().map_or(i64::MAX, |(at_ms, _)| *at_ms);
        step_ms.min(next_ms.saturating_sub(self.clock.now_ms())).max(1)
    }

    /// What comes from outside: events, faults, the catalog.
    fn outside(&self) {
        let now_ms = self.clock.now_ms();
        loop {
            let due = {
                let mut script = self.script.borrow_mut();
                if script.front().is_some_and(|(at_ms, _)| *at_ms <= now_ms) { script.pop_front() } else { None }
            };
            let Some((_, item)) = due else { break };
            match item {
                // The log is away: whoever sends tries again.
                Item::Event(event) => {
                    if !self.send(&event) {
                        self.script.borrow_mut().push_front((now_ms + 500, Item::Event(event)));
                        break;
                    }
                }
                Item::Fault(fault) if !self.calm.get() => self.arm(fault),
                Item::Fault(_) => {}
                Item::CorrectClock(process) => self.process(process).clock.set_machine(0),
            }
        }
        self.look_people();
        for process in self.processes.borrow().iter() {
            if process.learns_ms.get() <= now_ms {
                process.learns_ms.set(i64::MAX);
                process.catalog.learn(self.revision.get());
            }
        }
    }

    fn process(&self, number: usize) -> Rc<Process> {
        self.processes.borrow()[number].clone()
    }

    fn turn(&self, number: usize) -> bool {
        let process = self.process(number);
        let now_ms = self.clock.now_ms();
        if now_ms < process.away_until_ms.get() {
            return false;
        }
        let Ok(mut body) = process.body.try_borrow_mut() else { return false };
        let start = || {
            process.clock.start();
            (process.start)()
        };
        let turn = body.get_or_insert_with(start).tick();
        match &turn {
            Turn::Idle => {}
            Turn::Busy => self.note(format_args!("{now_ms} {} works", process.name)),
            Turn::Killed => {
                *body = None;
                self.note(format_args!("{now_ms} {} is killed", process.name));
            }
            Turn::Halted(why) => {
                let why = format!("{} halted: {why}", process.name);
                self.violations.borrow_mut().push(why);
            }
        }
        drop(body);
        self.armed_between(number);
        turn != Turn::Idle
    }

    /// Lets a fault wait for its place. Places that are met only when partitions move are made to be met.
    fn arm(&self, fault: Fault) {
        let number = fault.process;
        let place = fault.place;
        self.note(format_args!(
            "{} {:?} waits for {place} of {}",
            self.clock.now_ms(),
            fault.kind,
            self.process(number).name
        ));
        self.process(number).armed.borrow_mut().push_back(fault);
        match place {
            Place::Between => self.armed_between(number),
            Place::At(DriverPoint::Assigned | DriverPoint::Restored) => self.take_down(number, 100, false),
            Place::At(DriverPoint::Revoking) => {
                if let Some(peer) = self.peer_of(number) {
                    self.take_down(peer, 2_000, true);
                }
            }
            Place::At(_) => {}
        }
    }

    /// Faults that happen between two turns. One of a process that stands still in its turn waits.
    fn armed_between(&self, number: usize) {
        let process = self.process(number);
        if process.body.try_borrow_mut().is_err() {
            return;
        }
        loop {
            let next = {
                let mut armed = process.armed.borrow_mut();
                let at = armed.iter().position(|f| f.place == Place::Between);
                at.and_then(|at| armed.remove(at))
            };
            let Some(fault) = next else { return };
            if self.inflict(number, &fault) {
                self.take_down(number, fault.away_ms(), false);
            }
        }
    }

    fn at_point(&self, number: usize, point: DriverPoint) -> bool {
        let process = self.process(number);
        let mut dies = false;
        loop {
            let next = {
                let mut armed = process.armed.borrow_mut();
                let at = armed.iter().position(|f| f.place == Place::At(point));
                at.and_then(|at| armed.remove(at))
            };
            let Some(fault) = next else { return dies };
            if self.inflict(number, &fault) {
                process.away_until_ms.set(self.clock.now_ms() + fault.away_ms());
                dies = true;
            }
        }
    }

    /// Lets a fault happen; whether the process dies of it.
    fn inflict(&self, number: usize, fault: &Fault) -> bool {
        let process = self.process(number);
        let (now_ms, is_between) = (self.clock.now_ms(), fault.place == Place::Between);
        self.note(format_args!("{now_ms} {:?} at {} of {} for {}", fault.kind, fault.place, process.name, fault.ms));
        self.coverage.borrow_mut().met(fault.kind, fault.place);
        if fault.kind == FaultKind::Unreachable {
            self.all_harmed_ms.set(self.all_harmed_ms.get().min(now_ms));
        } else if fault.kind.is_of_a_process() {
            process.harmed(now_ms);
        }
        match fault.kind {
            FaultKind::Kill => return true,
            FaultKind::Pause if is_between => process.away_until_ms.set(now_ms + fault.ms),
            FaultKind::Pause => self.stand_still(now_ms + fault.ms),
            FaultKind::Duplicate => self.send_again(),
            FaultKind::Ambiguous | FaultKind::DelayedEnd => self.bus.fail_commit_of(&process.name, fault.commit),
            FaultKind::Refused => self.refuse(&process.name, fault.commit),
            FaultKind::Rebalance if is_between => self.take_down(number, fault.ms, true),
            FaultKind::Rebalance => {
                if let Some(peer) = self.peer_of(number) {
                    self.take_down(peer, fault.ms, true);
                }
            }
            FaultKind::LostOffsets => {
                self.sinks_forgotten.set(self.sinks_forgotten.get() || process.role == Role::Sink);
                self.bus.forget_offsets(&product::group(process.role));
            }
            FaultKind::LostCache if self.rng.borrow_mut().percent(50) => process.disk.lose(),
            FaultKind::LostCache => process.disk.fail_after(self.rng.borrow_mut().below(20) as u64),
            FaultKind::Revision => self.apply_revision(),
            FaultKind::ClockJump => {
                // A process that runs does not see it; one that starts does.
                process.clock.set_machine(fault.ms);
                return self.rng.borrow_mut().percent(60);
            }
            FaultKind::HangingTransaction => self.leave_open(),
            FaultKind::Unreachable => self.bus.unreachable_for(fault.ms.min(20_000)),
            FaultKind::Drain => self.drain(fault.ms),
        }
        false
    }

    /// The next commit of a process is refused, and some of those behind it: the driver tries again at once, and a stage that
    /// kept something over one of them goes on with it.
    fn refuse(&self, name: &str, refusal: CommitFault) {
        self.bus.fail_commit_of(name, refusal);
        for _ in 1..REFUSED_WITHIN {
            let is_refused = self.rng.borrow_mut().percent(50);
            self.bus.fail_commit_of(name, if is_refused { refusal } else { CommitFault::None });
        }
    }

    /// Somebody lets a worker take nothing more for so long; what it runs may end, or is handed over half-way.
    fn drain(&self, ms: i64) {
        let now_ms = self.clock.now_ms();
        let (name, hands_over) = {
            let mut rng = self.rng.borrow_mut();
            (rng.pick(&product::workers()).clone(), rng.percent(50))
        };
        self.note(format_args!("{now_ms} {name} is drained, handing over: {hands_over}"));
        let drain = Drain { at_ms: now_ms, hand_over_at_ms: hands_over.then_some(now_ms + ms / 2) };
        self.drains.borrow_mut().insert(name, (drain, now_ms + ms));
    }

    /// What people want of a worker.
    pub fn drain_of(&self, worker: &str) -> Option<Drain> {
        let until = |(_, until_ms): &&(Drain, i64)| self.clock.now_ms() < *until_ms;
        self.drains.borrow().get(worker).filter(until).map(|(drain, _)| *drain)
    }

    /// The process that is in its turn now stands still; the others go on.
    fn stand_still(&self, until_ms: i64) {
        if self.depth.get() >= DEPTH_MAX {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        while self.clock.now_ms() < until_ms && !self.calm.get() {
            self.round();
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// Kills a process between two turns, or lets it leave; it is started again after that time.
    fn take_down(&self, number: usize, ms: i64, in_order: bool) {
        let process = self.process(number);
        let Ok(mut body) = process.body.try_borrow_mut() else { return };
        process.harmed(self.clock.now_ms());
        process.away_until_ms.set(self.clock.now_ms() + ms);
        let body = body.take();
        if let Some(body) = body.filter(|_| in_order) {
            body.leave();
        }
    }

    /// Starts again, with a clock that is right, whatever lets tasks be too late for who could begin them.
    fn correct_clocks(&self) {
        for number in 0..self.processes.borrow().len() {
            let process = self.process(number);
            let is_wrong = match process.role {
                Role::Owner => process.clock.now_ms() < self.clock.now_ms(),
                Role::Worker => process.clock.now_ms() > self.clock.now_ms(),
                _ => false,
            };
            if is_wrong {
                self.note(format_args!("{} the clock of {} is corrected", self.clock.now_ms(), process.name));
                self.take_down(number, 1, true);
            }
        }
    }

    fn peer_of(&self, number: usize) -> Option<usize> {
        let processes = self.processes.borrow();
        let role = processes[number].role;
        (0..processes.len()).find(|n| *n != number && processes[*n].role == role)
    }

    fn apply_revision(&self) {
        let next = (self.revision.get() + 1).min(revisions().len() - 1);
        self.revision.set(next);
        let now_ms = self.clock.now_ms();
        for process in self.processes.borrow().iter() {
            process.learns_ms.set(now_ms + self.rng.borrow_mut().between(0, LEARN_MS));
        }
    }

    /// Something was published that can be published once more.
    pub fn remember(&self, output: Output) {
        self.sent.borrow_mut().push(output);
    }

    /// How long the action of a task takes, in milliseconds, and its exit code. What workflows run takes as long as the others,
    /// and comes to what its parameters say.
    pub fn how_it_goes(&self, task: &Task) -> (i64, i32) {
        let mut rng = self.rng.borrow_mut();
        if outcome::STEPS.contains(&task.action.as_str()) {
            let parameters = serde_json::from_str(&task.parameters).unwrap_or_default();
            let takes_ms = if rng.percent(10) { rng.between(500, 5_000) } else { rng.between(1, 50) };
            return match outcome::ends(&parameters) {
                Ends::Well => (takes_ms, 0),
                Ends::Badly => (takes_ms, 1),
                Ends::Never => (NEVER_MS, 0),
            };
        }
        let takes_ms = match rng.below(20) {
            0 => rng.between(10_000, 20_000),
            1..=3 => rng.between(500, 5_000),
            _ => rng.between(1, 50),
        };
        (takes_ms, i32::from(rng.percent(10)))
    }

    fn send_again(&self) {
        // Anything, once, and what was sent last: its execution may have gone on since.
        let again: Vec<Output> = {
            let (sent, mut rng) = (self.sent.borrow(), self.rng.borrow_mut());
            let latest = &sent[sent.len().saturating_sub(AGAIN_LATEST)..];
            let any = (!sent.is_empty()).then(|| rng.pick(&sent).clone());
            any.into_iter().chain(latest.iter().cloned()).collect()
        };
        for output in again {
            // A sensor that was killed after it had sent, say: where the log is away, it was not.
            let _ = self.bus.publish(vec![output]).wait();
        }
    }

    /// A publisher dies with records of any topic in an open transaction.
    fn leave_open(&self) {
        self.held_back_ms.set(self.held_back_ms.get().min(self.clock.now_ms()));
        let topics = pack::topics();
        let of = [topics.triggers(), topics.requests(), topics.results(), topics.audit(), ALERTS.into()];
        let topic = self.rng.borrow_mut().pick(&of).clone();
        let partition = u32::try_from(self.rng.borrow_mut().below(2)).unwrap_or(0);
        let output = Output::to_partition(&topic, partition, b"never", Some(b"never".to_vec()));
        // A topic that this world does not have yet holds nobody up.
        let _ = self.bus.leave_open("publisher", vec![output]);
    }

    /// From now on nothing goes wrong, and everybody is up.
    pub fn calm(&self) {
        self.calm.set(true);
        self.bus.set_reachable(true);
        self.drains.borrow_mut().clear();
        for process in self.processes.borrow().iter() {
            process.armed.borrow_mut().clear();
            process.away_until_ms.set(i64::MIN);
            process.clock.set_machine(0);
            process.learns_ms.set(i64::MIN);
        }
    }

    /// Takes a line into the trace.
    pub fn note(&self, line: std::fmt::Arguments<'_>) {
        self.trace.borrow_mut().note(line);
    }
}
