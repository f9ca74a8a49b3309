//! A busy worker takes turns between the classes of its pool, whatever order tasks come in and however often it dies:
//! none starves, and within a class each partition's tasks are claimed in their order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{Bus, Clock, DriverOptions, Output, Publisher, SessionOptions};
use petrel_executor::metrics::ExecutorMetrics;
use petrel_executor::worker::{Attempts, ClaimStage, Claimed, Slots, WorkerOptions};
use petrel_schemas::{Class, ExecutionId, Task, encode};
use petrel_sim_tests::pack::{self, Known, POOL, TASK_PARTITIONS, revisions};
use petrel_sim_tests::process::{Body, Catalog, Inputs, Seat, StageBody, Turn};
use petrel_sim_tests::rng::Rng;
use tokio::sync::mpsc;

/// Seeds of the gate.
const SEEDS: u64 = 1_000;
/// Tasks of each class, on every partition.
const TASKS: usize = 60;
/// Slots of the worker.
const SLOTS: usize = 3;
/// Claims after which the shares are looked at: of no class all tasks are claimed by then.
const CLAIMS: usize = 260;
/// Turns within which that must have happened.
const TURNS_MAX: usize = 20_000;

/// Class, partition and number of a task.
type Place = (Class, u32, usize);

struct Run {
    bus: SimBus,
    clock: Arc<SimClock>,
    rng: Rc<RefCell<Rng>>,
    /// Whether the worker may die.
    dies: bool,
    places: BTreeMap<String, Place>,
}

/// A life of the worker.
struct Life {
    claims: StageBody<ClaimStage<Known>>,
    claimed: mpsc::UnboundedReceiver<Claimed>,
    running: Vec<Claimed>,
}

impl Run {
    fn new(seed: u64, dies: bool) -> Self {
        let clock = SimClock::at(1_700_000_000_000);
        let bus = SimBus::new(clock.clone(), SimOptions::default());
        bus.ensure_topics(&pack::topic_specs()).unwrap();
        let rng = Rc::new(RefCell::new(Rng::new(seed)));
        let mut run = Self { bus, clock, rng, dies, places: BTreeMap::new() };
        run.publish();
        run
    }

    /// The classes in random order.
    fn publish(&mut self) {
        let mut classes = Class::ALL.to_vec();
        classes.rotate_left(self.rng.borrow_mut().below(3));
        for class in classes {
            for (partition, number) in (0..TASK_PARTITIONS).flat_map(|p| (0..TASKS).map(move |n| (p, n))) {
                let id = ExecutionId::of_manual(&format!("{class} {partition} {number}")).to_string();
                let task = encode(&self.task(&id));
                let topic = pack::topics().tasks(POOL, class);
                let record = Output::to_partition(&topic, partition, id.as_bytes(), Some(task));
                self.bus.publish(vec![record]).wait().unwrap();
                self.places.insert(id, (class, partition, number));
            }
        }
    }

    fn task(&self, id: &str) -> Task {
        let now_ms = self.clock.now_ms();
        Task {
            execution_id: id.to_owned(),
            root_execution_id: id.to_owned(),
            event_id: None,
            event_at_ms: None,
            rule: None,
            action: "sim.clean".to_owned(),
            revision: revisions()[0].compiled.hash().to_owned(),
            parameters: "{}".to_owned(),
            attempt: 1,
            token: 1,
            delivery: "at_least_once".to_owned(),
            timeout_ms: 15_000,
            lease_ms: 30_000,
            dispatched_at_ms: now_ms,
            start_by_ms: now_ms + 86_400_000,
            declines: 0,
        }
    }

    fn begin(&self) -> Life {
        let name: Arc<str> = "w".into();
        let mut options = WorkerOptions::new(pack::topics(), name.clone(), std::path::PathBuf::new());
        // There is nobody else to send them to.
        options.decline_ms = 86_400_000;
        let (slots, attempts) = (Slots::new(SLOTS), Arc::new(Attempts::new(name.clone())));
        attempts.follow();
        let (sender, claimed) = mpsc::unbounded_channel();
        let metrics = Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap());
        let stage: ClaimStage<Known> = ClaimStage::new(&options, slots.clone(), sender, metrics);
        let (rng, dies) = (self.rng.clone(), self.dies);
        let seat = Seat {
            bus: self.bus.clone(),
            session: SessionOptions { group: "petrel.worker".into(), member: name, transactional: true },
            driver: DriverOptions { positions: Some(pack::topics().positions()), ..DriverOptions::default() },
            clock: self.clock.clone(),
            at_point: Rc::new(move |_| dies && rng.borrow_mut().below(400) == 0),
            wrap: Rc::new(|session| session),
        };
        let (catalog, boot) = (Arc::<Catalog>::default(), self.clock.clone());
        let (partitions, hears_switches) = (TASK_PARTITIONS, true);
        let inputs = Inputs { catalog, turn: Default::default(), slots, attempts, boot, partitions, hears_switches };
        Life { claims: StageBody::new(stage, seat, Arc::new(inputs)), claimed, running: Vec::new() }
    }

    /// What was claimed and handed to the worker, in that order; and how often it died.
    fn claim(&self) -> (Vec<Place>, usize) {
        let (mut life, mut claimed, mut deaths) = (self.begin(), Vec::new(), 0);
        for _ in 0..TURNS_MAX {
            if claimed.len() >= CLAIMS {
                break;
            }
            match life.claims.tick() {
                Turn::Killed => {
                    deaths += 1;
                    life = self.begin();
                    // The group waits until the dead member's session has passed.
                    self.clock.advance(15_000);
                }
                Turn::Halted(why) => panic!("{why}"),
                Turn::Idle | Turn::Busy => {}
            }
            while let Ok(claim) = life.claimed.try_recv() {
                claimed.push(self.places[&claim.task.execution_id]);
                life.running.push(claim);
            }
            // Some end, in whatever order.
            let mut rng = self.rng.borrow_mut();
            life.running.retain(|_| rng.percent(70));
            self.clock.advance(rng.between(1, 20));
        }
        (claimed, deaths)
    }
}

/// What is wrong with a seed, if anything is.
fn check(seed: u64, dies: bool) -> Result<usize, String> {
    let (claimed, deaths) = Run::new(seed, dies).claim();
    if claimed.len() < CLAIMS {
        return Err(format!("seed {seed}: only {} tasks were claimed, with {deaths} deaths", claimed.len()));
    }
    let mut last: BTreeMap<(Class, u32), usize> = BTreeMap::new();
    for (class, partition, number) in &claimed {
        let before = last.insert((*class, *partition), *number);
        if before.is_some_and(|before| before >= *number) {
            return Err(format!("seed {seed}: {class} {partition} {number} was claimed after {before:?}"));
        }
    }
    // A life begins without knowing who waits, and what its last commit claimed nobody has heard of: for a slot each.
    let slack = (deaths + 1) * (2 * SLOTS + 13);
    for class in Class::ALL {
        let count = claimed.iter().filter(|(of, ..)| *of == class).count();
        let share = claimed.len() * usize::try_from(class.weight()).unwrap() / 13;
        if count.abs_diff(share) > slack {
            return Err(format!("seed {seed}: {count} of {class}, whose share is {share}, with {deaths} deaths"));
        }
    }
    Ok(deaths)
}

fn check_all(dies: bool) -> usize {
    let results: Vec<_> = (0..SEEDS).map(|seed| check(seed, dies)).collect();
    let wrong: Vec<&String> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} seeds fail, the first of them: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    results.into_iter().flatten().sum()
}

#[test]
fn each_class_has_its_share_of_a_busy_worker() {
    assert_eq!(check_all(false), 0);
}

#[test]
fn and_of_one_that_dies_now_and_then() {
    assert!(check_all(true) > 100);
}
