//! The processes of the product, two of each role; beside the first owner runs a worker in the same process.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use petrel_audit::{MemoryTables, SinkOptions, SinkTopics};
use petrel_bus::sim::{ProcessClock, SimOptions};
use petrel_bus::{DriverOptions, MemoryStores, SessionOptions, Versioned};
use petrel_executor::gate::GateStage;
use petrel_executor::metrics::ExecutorMetrics;
use petrel_executor::owner::{OwnerOptions, OwnerStage};
use petrel_executor::worker::{Attempts, ClaimStage, Neighbour, Slots, Told, WorkerOptions};
use petrel_ingest::timers::{TimerOptions, TimerStage};
use petrel_rules::{MatchCounters, MatchOptions, MatchStage};
use tokio::sync::mpsc;

use crate::pack::{self, CLUSTER, Known, TASK_PARTITIONS};
use crate::plan::Target;
use crate::planted::{GullibleGate, GullibleOwner, Planted};
use crate::process::{
    Body, Catalog, Inputs, OwnerBody, OwnerSource, Process, Role, Seat, SinkBody, StageBody, Start, WorkerBody,
    WorkerParts,
};
use crate::run::Options;
use crate::world::World;

/// Processes of each role.
pub const MEMBERS: usize = 2;
/// Length of a lease, in milliseconds: longer than a session.
pub const LEASE_MS: i64 = 12_000;
/// How long a task may wait for a worker, in milliseconds: longer than a lease, shorter than some workers stay away.
pub const SCHEDULE_TO_START_MS: i64 = 25_000;
/// Longest wait for an attempt behind several that never began, in milliseconds: short beside the end of a run, in which
/// everything has to end.
const NOT_BEGUN_PAUSE_MS_MAX: i64 = 4_000;
/// How long owners remember what has ended, in milliseconds: workflows and all else alike.
pub const REMEMBERED_MS: i64 = 3_600_000;
/// Slots of a worker: few, so that it is full now and then.
const SLOTS: usize = 3;
/// Furthest that a clock jumps, in milliseconds: between two of them still less than owners remember ids, an hour.
pub const JUMP_MS: i64 = 1_700_000;
/// As far as the clock may jump of whoever waits by it: of the timers, for what one fired early it does not fire
/// again, of the rules, which wait for an unknown trigger, and of the gates, at which others wait.
const WAITING_JUMP_MS: i64 = 20_000;

/// The roles, in the order of the processes.
pub const ROLES: [Role; 6] = [Role::Rules, Role::Timers, Role::Owner, Role::Gate, Role::Worker, Role::Sink];

/// The processes as plans must know them.
pub fn targets() -> Vec<Target> {
    let of = |role: &Role| Target {
        has_driver: *role != Role::Sink,
        jump_ms_max: if matches!(role, Role::Timers | Role::Rules | Role::Gate) { WAITING_JUMP_MS } else { JUMP_MS },
    };
    ROLES.iter().flat_map(|role| std::iter::repeat_n(of(role), MEMBERS)).collect()
}

/// Adds all processes to a world.
pub fn populate(world: &Rc<World>, options: &Options) {
    for role in ROLES {
        for member in 0..MEMBERS {
            let number = world.processes.borrow().len();
            let (clock, catalog) = (ProcessClock::new(world.clock.clone()), Arc::<Catalog>::default());
            let name = name(role, member);
            let disk = MemoryStores::with_age_ms_max(SimOptions::default().delete_retention_ms / 2);
            let driver = DriverOptions {
                stores: Some(Arc::new(disk.clone())),
                positions: Some(pack::topics().positions()),
                ..DriverOptions::default()
            };
            let seat = Seat {
                bus: world.bus.clone(),
                session: session(role, &name),
                driver,
                clock: clock.clone(),
                at_point: world.at_points(number),
                wrap: options.wrap(role),
            };
            world.add(Process {
                role,
                name,
                clock,
                disk,
                catalog: catalog.clone(),
                start: start(world, (role, member), seat, catalog, options),
                body: RefCell::default(),
                away_until_ms: Cell::new(i64::MIN),
                armed: RefCell::default(),
                learns_ms: Cell::new(i64::MAX),
                harmed_ms: Cell::new(i64::MAX),
            });
        }
    }
}

fn name(role: Role, member: usize) -> String {
    format!("{role:?}-{member}").to_lowercase()
}

/// Names of the workers: one is beside an owner.
pub fn workers() -> Vec<String> {
    let alone = (0..MEMBERS).map(|member| name(Role::Worker, member));
    std::iter::once(name(Role::Owner, 0)).chain(alone).collect()
}

/// Name of the consumer group of a role.
pub fn group(role: Role) -> String {
    format!("petrel.{role:?}").to_lowercase()
}

fn session(role: Role, name: &str) -> SessionOptions {
    let transactional = role != Role::Sink;
    SessionOptions { group: group(role).into(), member: name.into(), transactional }
}

fn metrics() -> Arc<ExecutorMetrics> {
    static METRICS: OnceLock<Arc<ExecutorMetrics>> = OnceLock::new();
    let new = || match ExecutorMetrics::new(&prometheus::Registry::new()) {
        Ok(metrics) => Arc::new(metrics),
        Err(error) => unreachable!("a registry of its own takes them: {error}"),
    };
    METRICS.get_or_init(new).clone()
}

fn start(
    world: &Rc<World>,
    (role, member): (Role, usize),
    seat: Seat,
    catalog: Arc<Catalog>,
    options: &Options,
) -> Start {
    let planted = options.planted;
    let topics = pack::topics();
    match role {
        Role::Rules => Rc::new(move || {
            let options = MatchOptions::new(CLUSTER, topics.clone());
            let stage: MatchStage<Known> = MatchStage::new(options, Arc::new(MatchCounters::default()));
            Box::new(StageBody::new(stage, seat.clone(), catalog.clone())) as Box<dyn Body>
        }),
        Role::Timers => Rc::new(move || {
            let stage = TimerStage::new(&topics, TimerOptions::default());
            let globals = Arc::new(Versioned { version: 1, value: Arc::new(()) });
            Box::new(StageBody::new(stage, seat.clone(), globals)) as Box<dyn Body>
        }),
        Role::Owner => {
            let (world, has_worker) = (world.clone(), member == 0);
            Rc::new(move || {
                let worker = has_worker.then(|| {
                    let session = session(Role::Worker, &seat.session.member);
                    worker(&world, &Seat { session, ..seat.clone() }, catalog.clone(), planted)
                });
                Box::new(owner(&world, &seat, catalog.clone(), planted, worker)) as Box<dyn Body>
            })
        }
        Role::Gate => Rc::new(move || {
            let stage = GullibleGate::new(GateStage::new(topics.clone()), planted);
            Box::new(StageBody::new(stage, seat.clone(), catalog.clone())) as Box<dyn Body>
        }),
        Role::Worker => {
            let world = world.clone();
            Rc::new(move || Box::new(worker(&world, &seat, catalog.clone(), planted).0) as Box<dyn Body>)
        }
        Role::Sink => {
            let tables = world.tables.clone();
            Rc::new(move || Box::new(sink(&seat, &tables)) as Box<dyn Body>)
        }
    }
}

fn sink(seat: &Seat, tables: &MemoryTables) -> SinkBody {
    let topics = pack::topics();
    SinkBody {
        bus: seat.bus.clone(),
        session: seat.session.clone(),
        clock: seat.clock.clone(),
        tables: tables.clone(),
        topics: SinkTopics { audit: topics.audit(), dead_letters: topics.dead_letters() },
        // Small batches, so that their ends differ from life to life.
        options: SinkOptions { batch_rows_max: 7, ..SinkOptions::default() },
        sink: None,
        again_ms: i64::MIN,
    }
}

/// With a worker or without one in the same process.
fn owner(
    world: &Rc<World>,
    seat: &Seat,
    catalog: Arc<Catalog>,
    planted: Option<Planted>,
    worker: Option<(WorkerBody, Neighbour)>,
) -> OwnerBody {
    let mut options = OwnerOptions::new(pack::topics(), TASK_PARTITIONS);
    options.limits.lease_ms = LEASE_MS;
    options.limits.schedule_to_start_ms = SCHEDULE_TO_START_MS;
    options.limits.not_begun_pause_ms_max = NOT_BEGUN_PAUSE_MS_MAX;
    options.limits.request_dedup_ms = REMEMBERED_MS;
    options.limits.rerun_within_ms = REMEMBERED_MS;
    options.limits.pools.push(pack::DESERTED_POOL.into());
    let (worker, neighbour) = worker.unzip();
    if let Some(neighbour) = &neighbour {
        neighbour.slots.share_with_owners(1);
    }
    // What an owner does not hear, a worker beside it would have to hear, too.
    let planted = planted.filter(|planted| *planted != Planted::KeptConductors || neighbour.is_none());
    let stage = GullibleOwner::new(OwnerStage::new(options, metrics()), planted);
    let globals = OwnerSource { catalog, neighbour, told: Told::new(1_000_000), boot: world.clock.clone() };
    OwnerBody { owner: StageBody::new(stage, seat.clone(), Arc::new(globals)), worker }
}

/// The settings of every worker, but for its name: what they say of the machine is looked up once.
fn worker_options() -> &'static WorkerOptions {
    static OPTIONS: OnceLock<WorkerOptions> = OnceLock::new();
    OPTIONS.get_or_init(|| WorkerOptions::new(pack::topics(), "worker".into(), std::path::PathBuf::new()))
}

fn worker(world: &Rc<World>, seat: &Seat, catalog: Arc<Catalog>, planted: Option<Planted>) -> (WorkerBody, Neighbour) {
    let name = seat.session.member.clone();
    let options = WorkerOptions { instance: name.clone(), ..worker_options().clone() };
    let (slots, attempts) = (Slots::new(SLOTS), Arc::new(Attempts::new(name.clone())));
    let (sender, claimed) = mpsc::unbounded_channel();
    let neighbour = Neighbour {
        worker: name.clone(),
        pool: options.pool.clone(),
        slots: slots.clone(),
        attempts: attempts.clone(),
        claims: sender.downgrade(),
    };
    let stage: ClaimStage<Known> = ClaimStage::new(&options, slots.clone(), sender, metrics());
    let inputs = Inputs {
        catalog: catalog.clone(),
        turn: Default::default(),
        slots: slots.clone(),
        attempts: attempts.clone(),
        boot: world.clock.clone(),
        partitions: TASK_PARTITIONS,
        hears_switches: planted != Some(Planted::SwitchesUnheard),
    };
    let claims = StageBody::new(stage, seat.clone(), Arc::new(inputs));
    let body = WorkerBody::new(WorkerParts {
        world: world.clone(),
        name,
        clock: seat.clock.clone(),
        catalog,
        claims,
        claimed,
        slots,
        attempts,
        reports: options.reports(),
    });
    (body, neighbour)
}
