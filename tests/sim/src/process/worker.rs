//! A worker: the claim stage, the owners' orders, and what it holds, step by step what the real one does
//! on its threads. What it decides is [`petrel_execution::worker`]'s.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use petrel_bus::sim::SimBus;
use petrel_bus::{Bus, Clock, GlobalsSource, Output, Publisher, Tail, Versioned};
use petrel_execution::runner::{Rendering, RunnerCall};
use petrel_execution::worker::{Begin, Exit, Final, Holding, Verdict, Why, heartbeat_again_ms, heartbeat_every_ms};
use petrel_execution::{Note, Outcome, Status, Stream, Switch, code};
use petrel_executor::worker::{Attempts, ClaimStage, Claimed, Draining, Owner, Slot, Slots, Telling, WorkerInputs};
use petrel_executor::{ExecutorView as _, ResolvedAction};
use petrel_schemas::{Order, Task, decode, encode};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, watch};

use super::{Body, Catalog, StageBody, Turn};
use crate::pack::{self, Known, revisions_without_switches};
use crate::product::MEMBERS;
use crate::supervisor::{Action, Effect};
use crate::workflows::outcome;
use crate::world::World;

/// Pause before the end is reported again: first and longest, in milliseconds, as at a real worker.
const RETRY_MS: (i64, i64) = (100, 5_000);

/// How long an owner in the same process may take to commit what it is told, in milliseconds, as at a real worker.
const TELL_MS: i64 = 2_000;

/// The claim stage's globals.
pub struct Inputs {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// Number of the last turn.
    pub turn: AtomicU64,
    /// The worker's slots.
    pub slots: Slots,
    /// What it holds.
    pub attempts: Arc<Attempts>,
    /// A clock that nobody sets.
    pub boot: Arc<dyn Clock>,
    /// Partitions of the pool's tasks.
    pub partitions: u32,
    /// Whether it hears what people have switched off.
    pub hears_switches: bool,
}

impl GlobalsSource<WorkerInputs<Known>> for Inputs {
    fn current(&self) -> Versioned<WorkerInputs<Known>> {
        self.look(self.turn.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn anew(&self) -> Arc<WorkerInputs<Known>> {
        self.look(self.turn.load(Ordering::Relaxed)).value
    }
}

impl Inputs {
    fn look(&self, turn: u64) -> Versioned<WorkerInputs<Known>> {
        let Versioned { version, value: known } = self.catalog.current();
        let view = if self.hears_switches { known } else { revisions_without_switches()[known.number].clone() };
        let inputs = WorkerInputs {
            view,
            turn,
            free_slots: self.slots.free(),
            free_room: self.slots.free_room(),
            room: self.slots.room(),
            following: self.attempts.is_following(),
            secrets_unread: false,
            said: self.attempts.said(boot_ms(&*self.boot)),
            workers: u32::try_from(MEMBERS).unwrap_or(u32::MAX),
            partitions: self.partitions,
            draining: self.slots.is_closed(),
            drained: self.slots.is_drained(),
            boot_ms: boot_ms(&*self.boot),
        };
        Versioned { version, value: Arc::new(inputs) }
    }
}

fn boot_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now_ms()).unwrap_or(0)
}

/// What a claimed attempt is doing.
enum Phase {
    /// It may have to wait for its owner.
    Waiting(Box<RunnerCall>),
    /// Its action runs.
    Running(Rc<Action>),
    /// Its owner is told how it ended.
    Telling { end: Box<Final>, again_ms: i64, pause_ms: i64 },
    /// The owner beside it is told, until an instant.
    TellingBeside { end: Box<Final>, telling: Telling, until_ms: i64 },
    /// Its owner knows.
    Over,
}

struct Attempt {
    task: Task,
    held: watch::Sender<Holding>,
    _slot: Option<Slot>,
    beat_ms: i64,
    phase: Phase,
    started_at_ms: Option<i64>,
    /// The owner in the same process that started it.
    owner: Option<Owner>,
}

/// A worker that runs.
pub struct WorkerBody {
    world: Rc<World>,
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    catalog: Arc<Catalog>,
    /// Since when its process has known what is switched off, in milliseconds of virtual time.
    knows_switches_since_ms: Option<u64>,
    /// By how much its clock has been wrong so far, in milliseconds.
    wrong_ms: Vec<i64>,
    claims: Box<StageBody<ClaimStage<Known>>>,
    claimed: mpsc::UnboundedReceiver<Claimed>,
    slots: Slots,
    draining: Draining,
    attempts: Arc<Attempts>,
    reports: petrel_execution::worker::Reports,
    orders: Option<Box<dyn Tail>>,
    running: Vec<Attempt>,
}

/// What a worker is made of.
pub struct WorkerParts {
    /// The run.
    pub world: Rc<World>,
    /// Its name.
    pub name: Arc<str>,
    /// Its clock, which may be wrong.
    pub clock: Arc<dyn Clock>,
    /// What its process knows of the catalog.
    pub catalog: Arc<Catalog>,
    /// Its claim stage.
    pub claims: StageBody<ClaimStage<Known>>,
    /// What the stage has claimed.
    pub claimed: mpsc::UnboundedReceiver<Claimed>,
    /// Its slots.
    pub slots: Slots,
    /// What it holds.
    pub attempts: Arc<Attempts>,
    /// Writes what it says.
    pub reports: petrel_execution::worker::Reports,
}

impl WorkerBody {
    /// A worker that has not begun.
    pub fn new(parts: WorkerParts) -> Self {
        let WorkerParts { world, name, clock, catalog, claims, claimed, slots, attempts, reports } = parts;
        let (claims, draining) = (Box::new(claims), Draining::new(slots.clone(), attempts.clone()));
        let running = Vec::new();
        let (knows_switches_since_ms, wrong_ms) = (None, Vec::new());
        Self {
            world,
            name,
            clock,
            catalog,
            knows_switches_since_ms,
            wrong_ms,
            claims,
            claimed,
            slots,
            draining,
            attempts,
            reports,
            orders: None,
            running,
        }
    }

    /// From now on nothing more is claimed, and what has not begun is given back.
    pub fn begin_to_leave(&mut self) {
        self.slots.close();
        self.attempts.drain();
    }

    /// As well, and what runs is ended and given back: its grace is over at once.
    pub fn end(&mut self) {
        self.begin_to_leave();
        self.attempts.end_all();
    }

    fn bus(&self) -> &SimBus {
        &self.world.bus
    }

    /// Reads the owners' orders; nothing is claimed before their end is known.
    fn follow(&mut self) -> bool {
        if self.orders.is_none() {
            let topic = pack::topics().orders(pack::POOL);
            let Ok(ends) = self.bus().end_offsets(&topic) else { return false };
            self.attempts.follow();
            self.orders = self.bus().tail_from(&topic, &ends).ok();
        }
        let (attempts, now_ms) = (self.attempts.clone(), self.clock.now_ms());
        let mut any = false;
        let mut each = |_: u32, record: petrel_bus::Record<'_>| {
            any = true;
            if let Some(Ok(order)) = record.value.map(decode::<Order>) {
                attempts.order(&order, now_ms);
            }
        };
        if let Some(orders) = &mut self.orders
            && orders.next(Duration::ZERO, &mut each).is_err()
        {
            return false;
        }
        any
    }

    fn take(&mut self, claimed: Claimed) {
        let Claimed { task, action, claim_began_ms, slot, said, owner } = claimed;
        let held = self.attempts.hold(&task, claim_began_ms);
        held.send_modify(|h| h.order(said));
        let beat_ms = self.world.clock.now_ms() + every_ms(&task);
        let failed = |note| Verdict::Ended(Outcome::bare(Status::Failed, note, false));
        let phase = match action.map(|action| render(&task, &action)) {
            // Somebody else was faster, or it cannot be started here.
            _ if slot.is_none() => {
                let verdict = held.borrow().not_begun();
                self.told(&task, verdict, None)
            }
            Ok(Ok(call)) => Phase::Waiting(Box::new(call)),
            Ok(Err(why)) => self.told(&task, failed(Note::new(code::RENDER_FAILED, why)), None),
            Err(note) => self.told(&task, failed(note), None),
        };
        self.running.push(Attempt { task, held, _slot: slot, beat_ms, phase, started_at_ms: None, owner });
    }

    /// Remembers since when its process has known what is switched off, and by how much its clock has been wrong.
    fn look_at_clock(&mut self, known: &Known, now_ms: i64) {
        let boot = boot_ms(&*self.world.clock);
        if known.has_switches() {
            self.knows_switches_since_ms.get_or_insert(boot);
        }
        let wrong_ms = now_ms - self.world.clock.now_ms();
        if self.wrong_ms.last() != Some(&wrong_ms) {
            self.wrong_ms.push(wrong_ms);
        }
    }

    /// Nothing is claimed that is switched off, as its process knows, from the turn that claims it until that is committed:
    /// when exactly it is decided nobody tells, and the clock may have been set meanwhile.
    fn look_at_switches(&self, claimed: &Claimed, known: &Known, now_ms: i64) {
        let Task { execution_id, action, rule, .. } = &claimed.task;
        let knew = self.knows_switches_since_ms.is_some_and(|since_ms| since_ms < claimed.claim_began_ms);
        // An owner beside it has asked by its own clock.
        if claimed.owner.is_some() || !knew {
            return;
        }
        let began_ms = i64::try_from(claimed.claim_began_ms).unwrap_or(i64::MAX);
        let instants = self.wrong_ms.iter().map(|wrong_ms| began_ms + wrong_ms).chain([now_ms]);
        let mut off = instants.map(|at_ms| {
            let off = |scope: &str| known.switched_off(scope, at_ms);
            Switch::first_off(action, rule.as_deref(), off).map(|(_, scope, off)| (scope, off.until_ms))
        });
        let Some(Some(first)) = off.next() else { return };
        if off.all(|other| other.as_ref() == Some(&first)) {
            let (scope, _) = first;
            let why = format!("switches: {} claimed {execution_id} while {scope} was switched off", self.name);
            self.world.violations.borrow_mut().push(why);
        }
    }

    fn told(&self, task: &Task, verdict: Verdict, started_at_ms: Option<i64>) -> Phase {
        let end = self.reports.end(task, verdict, started_at_ms, self.clock.now_ms());
        Phase::Telling { end: Box::new(end), again_ms: i64::MIN, pause_ms: RETRY_MS.0 }
    }

    fn publish(&self, task: &Task, value: Vec<u8>) -> bool {
        let output = self.output(task, value);
        let sent = self.bus().publish(vec![output.clone()]).wait().is_ok();
        if sent {
            self.world.remember(output);
        }
        sent
    }

    fn output(&self, task: &Task, value: Vec<u8>) -> Output {
        Output::keyed(&pack::topics().results(), task.root_execution_id.as_bytes(), value)
    }

    /// One step of one attempt; whether anything was done.
    fn step(&self, attempt: &mut Attempt) -> bool {
        let boot = self.world.clock.now_ms();
        if boot >= attempt.beat_ms {
            attempt.beat_ms = boot + every_ms(&attempt.task);
            let awaits_grant = attempt.held.borrow().awaits_grant();
            let heartbeat = self.reports.heartbeat(&attempt.task, awaits_grant, self.clock.now_ms());
            match self.publish(&attempt.task, encode(&heartbeat)) {
                true => attempt.held.send_modify(|h| h.acknowledged(boot_ms(&*self.world.clock))),
                false => attempt.beat_ms = boot + again_ms(&attempt.task),
            }
        }
        match &mut attempt.phase {
            Phase::Waiting(call) => {
                let mut begin = Begin::Never;
                attempt.held.send_modify(|h| begin = h.begin(boot_ms(&*self.world.clock)));
                let next = match begin {
                    Begin::AwaitGrant => return false,
                    Begin::Never => {
                        let verdict = attempt.held.borrow().not_begun();
                        self.told(&attempt.task, verdict, None)
                    }
                    Begin::Now => {
                        if self.slots.is_drained() {
                            let why = format!("{} began {} while it was drained", self.name, attempt.task.execution_id);
                            self.world.violations.borrow_mut().push(why);
                        }
                        attempt.started_at_ms = Some(self.clock.now_ms());
                        let call = (**call).clone();
                        self.begin(attempt, call)
                    }
                };
                attempt.phase = next;
                true
            }
            Phase::Running(action) => {
                let action = action.clone();
                let (lease_ms, stop) = {
                    let held = attempt.held.borrow();
                    (i64::try_from(held.lease_deadline_ms()).unwrap_or(i64::MAX), held.stop())
                };
                action.extend(lease_ms);
                if stop.is_some() {
                    self.world.supervisors.stop(&action, Why::Stopped, boot);
                }
                let Some((why, _)) = action.exit() else { return false };
                let exit = exit_of(&attempt.task, why, action.return_code());
                let verdict = attempt.held.borrow().ended(exit);
                attempt.phase = self.told(&attempt.task, verdict, attempt.started_at_ms);
                true
            }
            Phase::Telling { end, again_ms, pause_ms } => {
                if let Some(telling) = attempt.owner.take().and_then(|owner| owner.tell(end, false)) {
                    let until_ms = boot + TELL_MS;
                    attempt.phase = Phase::TellingBeside { end: end.clone(), telling, until_ms };
                    return true;
                }
                if boot < *again_ms {
                    return false;
                }
                if self.publish(&attempt.task, end.encode()) {
                    self.attempts.ended(&attempt.task);
                    attempt.phase = Phase::Over;
                } else {
                    *again_ms = boot + *pause_ms;
                    *pause_ms = (*pause_ms * 2).min(RETRY_MS.1);
                }
                true
            }
            Phase::TellingBeside { end, telling, until_ms } => match telling.committed.try_recv() {
                Ok(()) => {
                    // What was said once may be said again, by a log that delays it.
                    self.world.remember(self.output(&attempt.task, end.encode()));
                    self.attempts.ended(&attempt.task);
                    attempt.phase = Phase::Over;
                    true
                }
                Err(TryRecvError::Empty) if boot < *until_ms => false,
                Err(_) => {
                    let (end, again_ms, pause_ms) = (end.clone(), i64::MIN, RETRY_MS.0);
                    attempt.phase = Phase::Telling { end, again_ms, pause_ms };
                    true
                }
            },
            Phase::Over => false,
        }
    }

    fn begin(&self, attempt: &Attempt, call: RunnerCall) -> Phase {
        let task = &attempt.task;
        let now_ms = self.world.clock.now_ms();
        let mut effect = Effect {
            execution: task.execution_id.clone(),
            action: task.action.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.name.to_string(),
            began_ms: now_ms,
            ended_ms: None,
        };
        match call {
            RunnerCall::End(outcome) => {
                effect.ended_ms = Some(now_ms);
                self.world.supervisors.record(effect);
                self.told(task, Verdict::Ended(outcome), attempt.started_at_ms)
            }
            _ => {
                let (takes_ms, return_code) = self.world.how_it_goes(task);
                let lease_ms = i64::try_from(attempt.held.borrow().lease_deadline_ms()).unwrap_or(i64::MAX);
                Phase::Running(self.world.supervisors.start(effect, takes_ms, task.timeout_ms, lease_ms, return_code))
            }
        }
    }

    /// One step of everything that it holds; whether anything was done.
    pub fn steps(&mut self) -> bool {
        let mut running = std::mem::take(&mut self.running);
        let mut busy = false;
        for attempt in &mut running {
            busy |= self.step(attempt);
        }
        running.retain(|attempt| !matches!(attempt.phase, Phase::Over));
        self.running = running;
        busy
    }
}

fn every_ms(task: &Task) -> i64 {
    i64::try_from(heartbeat_every_ms(task.lease_ms)).unwrap_or(i64::MAX)
}

fn again_ms(task: &Task) -> i64 {
    i64::try_from(heartbeat_again_ms(task.lease_ms)).unwrap_or(i64::MAX)
}

fn render(task: &Task, action: &ResolvedAction) -> Result<RunnerCall, String> {
    let parameters = serde_json::from_str(&task.parameters).map_err(|e| format!("the parameters are no JSON: {e}"))?;
    let attempt = u32::try_from(task.attempt).unwrap_or(0);
    let rendering = Rendering {
        parameters: &parameters,
        secrets: &serde_json::Value::Null,
        execution_id: &task.execution_id,
        attempt,
    };
    action.plan.runner.render(rendering).map_err(|e| e.to_string())
}

/// What a simulated action tells: its output names the attempt that wrote it, and of a step of a workflow its value.
fn exit_of(task: &Task, why: Why, return_code: i32) -> Exit {
    let mut text = format!("attempt {} token {}", task.attempt, task.token);
    if outcome::STEPS.contains(&task.action.as_str()) {
        text += &outcome::says(&serde_json::from_str(&task.parameters).unwrap_or_default());
    }
    Exit {
        return_code: (why == Why::Exited).then_some(return_code),
        stdout: Stream::whole(text.into_bytes()),
        ..Exit::bare(why, None)
    }
}

impl Body for WorkerBody {
    fn tick(&mut self) -> Turn {
        self.draining.look(self.world.drain_of(&self.name), self.world.clock.now_ms());
        let mut busy = self.follow();
        let (known, now_ms) = (self.catalog.current().value, self.clock.now_ms());
        self.look_at_clock(&known, now_ms);
        match self.claims.tick() {
            Turn::Idle => {}
            Turn::Busy => busy = true,
            ended => return ended,
        }
        let now_ms = self.clock.now_ms();
        while let Ok(claimed) = self.claimed.try_recv() {
            self.look_at_switches(&claimed, &known, now_ms);
            self.take(claimed);
            busy = true;
        }
        busy |= self.steps();
        if busy { Turn::Busy } else { Turn::Idle }
    }

    fn leave(mut self: Box<Self>) {
        self.begin_to_leave();
        self.claims.leave_in_place();
        while let Ok(claimed) = self.claimed.try_recv() {
            self.take(claimed);
        }
        // An owner beside it has left before.
        self.end();
        self.running.iter_mut().for_each(|attempt| attempt.owner = None);
        for _ in 0..3 {
            self.steps();
        }
    }
}

impl Drop for WorkerBody {
    fn drop(&mut self) {
        // Supervisors see that their worker is gone.
        for attempt in &self.running {
            if let Phase::Running(action) = &attempt.phase {
                self.world.supervisors.stop(action, Why::Unknown, self.world.clock.now_ms());
            }
        }
    }
}
