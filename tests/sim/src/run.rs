//! One run of one seed.

use std::rc::Rc;

use petrel_bus::{Output, Publisher};
use petrel_schemas::{TimerDefinition, encode};

use crate::checks;
use crate::fault::{Coverage, FaultKind};
use crate::history::History;
use crate::pack::{self, TICK_MS, TIMER};
use crate::plan::Plan;
use crate::planted::{OffsetsFirst, Planted};
use crate::process::{Role, Wrap};
use crate::product;
use crate::world::{START_MS, World};

/// How long nothing must happen before the end is looked for, in milliseconds of virtual time.
const QUIET_MS: i64 = 3_000;
/// How long it takes at least until the last transaction that hangs is found, in milliseconds of virtual
/// time: its time-out, and the broker's scan.
const HANGS_MS: i64 = 26_000;
/// How long after the calm it is told that something waits by a clock that is ahead, in milliseconds of virtual time: nothing
/// else takes as long.
const CLOCKS_MS: i64 = 60_000;
/// In one of how many runs with workflows the time passes for which they are remembered.
const FORGETS_EVERY: u64 = 8;
/// How far a clock is ahead of another one at most, in milliseconds.
const AHEAD_MS: i64 = 2 * product::JUMP_MS;
/// How long everything may take once nothing goes wrong any more, in milliseconds of virtual time.
const PATIENCE_MS: i64 = 180_000;

/// How a seed is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The mistake, if any.
    pub planted: Option<Planted>,
    /// What may go wrong.
    pub faults: Vec<FaultKind>,
    /// Whether the trace is kept as text.
    pub keeps_lines: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { planted: None, faults: FaultKind::ALL.to_vec(), keeps_lines: false }
    }
}

impl Options {
    /// What is between the driver and the session of a role.
    pub fn wrap(&self, role: Role) -> Wrap {
        match self.planted {
            Some(Planted::OffsetBeforeOutputs) if role == Role::Rules => {
                Rc::new(|session| Box::new(OffsetsFirst::new(session)))
            }
            _ => Rc::new(|session| session),
        }
    }
}

/// What a run was.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What was wrong.
    pub violations: Vec<String>,
    /// What went wrong where.
    pub coverage: Coverage,
    /// Over everything that happened and all that is on the log.
    pub hash: u64,
    /// The last lines of the trace, if they were kept.
    pub lines: Vec<String>,
    /// How often somebody had to wait at a gate.
    pub gate_waits: usize,
    /// How often an execution had to wait for a switch.
    pub switch_waits: usize,
    /// How often a worker did not claim a task because it was switched off.
    pub switch_declines: usize,
    /// What there was of workflows.
    pub workflows: checks::workflows::Seen,
    /// Events that were sent.
    pub events: usize,
    /// How long it took, in milliseconds of virtual time.
    pub took_ms: i64,
}

/// Runs a seed.
pub fn run(seed: u64, options: &Options) -> Report {
    let plan = Plan::new(seed, &product::targets(), &options.faults);
    let world = World::new(&plan, options.keeps_lines);
    product::populate(&world, options);
    define_timer(&world, true);
    while world.elapsed_ms() < plan.calm_ms && world.violations.borrow().is_empty() {
        world.round();
    }
    world.calm();
    define_timer(&world, false);
    let mut history = come_to_an_end(&world, plan.calm_ms);
    let mut violations = world.violations.borrow().clone();
    violations.extend(checks::run(&checks::SAFETY, &history));
    if violations.is_empty() {
        violations.extend(checks::run(&checks::LIVENESS, &history));
    }
    if violations.is_empty() && plan.has_workflows() && seed.is_multiple_of(FORGETS_EVERY) {
        history = forget(&world);
        violations.extend(checks::run(&checks::FORGOTTEN, &history));
    }
    let gate_waits = history.decisions.iter().filter(|(_, row)| row.decided == "waits").count();
    let is_off = |row: &&petrel_schemas::ExecutionChanged| row.code.as_deref() == Some("action_off");
    let switch_waits = history.changes.values().flatten().filter(is_off).count();
    let switch_declines = history.switched_off;
    let workflows = checks::workflows::seen(&history);
    let report = Report { gate_waits, switch_waits, switch_declines, workflows, ..report(&plan, &world, violations) };
    // Workers know their world, and it knows them: one of the two must let go.
    world.processes.borrow_mut().clear();
    report
}

/// Runs on until everything is done or patience ends. What waits by a clock that is ahead others may wait for, its workflow or
/// its gates: then the whole difference passes, once.
fn come_to_an_end(world: &World, mut calm_ms: i64) -> History {
    let mut busy_ms = world.elapsed_ms();
    let mut has_passed = false;
    loop {
        if world.round() {
            busy_ms = world.elapsed_ms();
        }
        let (now_ms, since_ms) = (world.elapsed_ms(), world.elapsed_ms() - calm_ms);
        if now_ms - busy_ms >= QUIET_MS && since_ms > HANGS_MS {
            let history = History::read(world);
            if !has_passed && since_ms > CLOCKS_MS && checks::workflows::wait_by_a_clock_ahead(&history) {
                has_passed = true;
                world.clock.advance(AHEAD_MS);
                calm_ms += AHEAD_MS;
            } else if since_ms > PATIENCE_MS || checks::run(&checks::LIVENESS, &history).is_empty() {
                return history;
            }
            busy_ms = world.elapsed_ms();
        }
        if world.elapsed_ms() - calm_ms > PATIENCE_MS {
            return History::read(world);
        }
    }
}

/// Lets the time pass for which owners remember what has ended, by whichever clock.
fn forget(world: &World) -> History {
    world.clock.advance(product::REMEMBERED_MS + AHEAD_MS);
    let began_ms = world.elapsed_ms();
    let mut busy_ms = began_ms;
    loop {
        if world.round() {
            busy_ms = world.elapsed_ms();
        }
        let now_ms = world.elapsed_ms();
        if now_ms - busy_ms >= QUIET_MS && now_ms - began_ms > HANGS_MS || now_ms - began_ms > PATIENCE_MS {
            return History::read(world);
        }
    }
}

fn report(plan: &Plan, world: &World, violations: Vec<String>) -> Report {
    let mut trace = world.trace.borrow_mut();
    for topic in pack::topic_specs() {
        for (partition, record) in world.bus.stored_records(&topic.name) {
            trace.bytes(topic.name.as_bytes());
            trace.bytes(&partition.to_be_bytes());
            trace.bytes(&record.offset.to_be_bytes());
            trace.bytes(&record.timestamp_ms.to_be_bytes());
            trace.bytes(record.key.as_deref().unwrap_or_default());
            trace.bytes(record.value.as_deref().unwrap_or_default());
        }
    }
    Report {
        seed: plan.seed,
        violations,
        coverage: world.coverage.borrow().clone(),
        hash: trace.hash(),
        lines: trace.lines().map(str::to_owned).collect(),
        gate_waits: 0,
        switch_waits: 0,
        switch_declines: 0,
        workflows: checks::workflows::Seen::default(),
        events: plan.events(),
        took_ms: world.elapsed_ms(),
    }
}

/// Puts the timer's definition into the log, or its tombstone.
fn define_timer(world: &World, is_there: bool) {
    let definition = TimerDefinition {
        timer: TIMER.to_owned(),
        every_ms: TICK_MS,
        catch_up: "all".to_owned(),
        anchor_ms: START_MS,
        revision: pack::revisions()[0].compiled.hash().to_owned(),
    };
    let mut output = Output::keyed(&pack::topics().timers(), TIMER, encode(&definition));
    if !is_there {
        output.value = None;
    }
    if let Err(e) = world.bus.publish(vec![output]).wait() {
        unreachable!("the log is reachable now: {e}");
    }
}
