//! The processes of the product, two of each role.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use petrel_bus::sim::{ProcessClock, SimOptions};
use petrel_bus::{DriverOptions, MemoryStores, SessionOptions, Versioned};
use petrel_ingest::timers::{TimerOptions, TimerStage};
use petrel_rules::{MatchCounters, MatchOptions, MatchStage};

use crate::ACCEPTED;
use crate::counter::Counter;
use crate::pack::{self, CLUSTER, Known};
use crate::plan::Target;
use crate::process::{Body, Catalog, Process, Role, Seat, StageBody, Start};
use crate::run::Options;
use crate::world::World;

/// Processes of each role.
pub const MEMBERS: usize = 2;
/// Furthest that a clock jumps, in milliseconds.
const JUMP_MS: i64 = 3_600_000;
/// As far as the clock of the timers may jump: a timer goes by the clock, so that what it fired early
/// it does not fire again.
const TIMER_JUMP_MS: i64 = 20_000;

/// The roles, in the order of the processes.
pub const ROLES: [Role; 3] = [Role::Rules, Role::Timers, Role::Counter];

/// The processes as plans must know them.
pub fn targets() -> Vec<Target> {
    let of = |role: &Role| Target {
        has_driver: true,
        jump_ms_max: if *role == Role::Timers { TIMER_JUMP_MS } else { JUMP_MS },
    };
    ROLES.iter().flat_map(|role| std::iter::repeat_n(of(role), MEMBERS)).collect()
}

/// Adds all processes to a world.
pub fn populate(world: &Rc<World>, options: &Options) {
    for role in ROLES {
        for member in 0..MEMBERS {
            let number = world.processes.borrow().len();
            let (clock, catalog) = (ProcessClock::new(world.clock.clone()), Arc::<Catalog>::default());
            let name = format!("{role:?}-{member}").to_lowercase();
            let disk = MemoryStores::with_age_ms_max(SimOptions::default().delete_retention_ms / 2);
            let driver = DriverOptions { stores: Some(Arc::new(disk.clone())), ..DriverOptions::default() };
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
                start: start(role, seat, catalog),
                body: RefCell::default(),
                away_until_ms: Cell::new(i64::MIN),
                armed: RefCell::default(),
                learns_ms: Cell::new(i64::MAX),
            });
        }
    }
}

/// Name of the consumer group of a role.
pub fn group(role: Role) -> String {
    format!("petrel.{role:?}").to_lowercase()
}

fn session(role: Role, name: &str) -> SessionOptions {
    SessionOptions { group: group(role).into(), member: name.into(), transactional: true }
}

fn start(role: Role, seat: Seat, catalog: Arc<Catalog>) -> Start {
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
        Role::Counter => Rc::new(move || {
            let stage = Counter::new(topics.requests(), ACCEPTED.into(), topics.executions());
            let globals = Arc::new(Versioned { version: 1, value: Arc::new(()) });
            Box::new(StageBody::new(stage, seat.clone(), globals)) as Box<dyn Body>
        }),
    }
}
