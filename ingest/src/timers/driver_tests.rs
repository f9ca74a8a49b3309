//! The stage under the real driver on the simulated log: what a crash at any point leaves behind. The
//! log's own faults are for the buses' conformance suite, many processes for the simulation.

use std::sync::{Arc, Mutex};

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{
    Bus, Clock, Driver, DriverError, DriverOptions, DriverPoint, Output, Publisher, SessionOptions, StageStats,
    TopicSpec, Versioned,
};
use petrel_schemas::{TimerDefinition, Topics, TriggerEvent, decode, encode};

use super::{TimerOptions, TimerStage};

const T0: i64 = 1_700_000_000_000;
const TIMERS: &str = "petrel.timers";
/// Time that passes between two turns of a process.
const TURN_MS: i64 = 20;

/// One partition of every topic, and the clock.
#[derive(Clone)]
struct Log {
    bus: SimBus,
    clock: Arc<SimClock>,
}

impl Log {
    fn append(&self, topic: &str, key: &str, value: Option<Vec<u8>>) {
        let output = Output::to_partition(&topic.into(), 0, key.as_bytes(), value);
        self.bus.publish(vec![output]).wait().unwrap();
    }

    fn define(&self, timer: &str, every_ms: i64, catch_up: &str) {
        let definition = TimerDefinition {
            timer: timer.to_owned(),
            every_ms,
            catch_up: catch_up.to_owned(),
            anchor_ms: T0,
            revision: "r".to_owned(),
        };
        self.append(TIMERS, timer, Some(encode(&definition)));
    }

    fn fired(&self, timer: &str) -> Vec<i64> {
        let records = self.bus.records("petrel.triggers").into_iter();
        let events = records.map(|(_, r)| decode::<TriggerEvent>(r.value.as_ref().unwrap()).unwrap());
        events.filter(|e| e.trigger == timer).map(|e| e.occurred_at_ms - T0).collect()
    }

    fn count(&self, topic: &str) -> usize {
        self.bus.records(topic).len()
    }

    fn driver<'s>(&self, stage: &'s mut TimerStage) -> Driver<'s, TimerStage> {
        let session = self.bus.session(&session_options()).unwrap();
        let globals = Arc::new(Versioned { version: 1, value: Arc::new(()) });
        let (options, stats) = (DriverOptions::default(), Arc::new(StageStats::default()));
        Driver::new(stage, session, globals, self.clock.clone(), options, stats)
    }
}

fn session_options() -> SessionOptions {
    SessionOptions { group: "timers".into(), member: "one".into(), transactional: true }
}

/// Runs processes one after the other, each until it crashes, up to an instant. `crash` is asked at
/// every point.
fn run(log: &Log, until_ms: i64, crash: impl Fn(DriverPoint) -> bool + Clone + 'static) {
    while log.clock.now_ms() < T0 + until_ms {
        let mut stage = TimerStage::new(&Topics::new("petrel.", 1, 1), TimerOptions::default());
        let mut driver = log.driver(&mut stage);
        driver.crash_when(crash.clone());
        loop {
            match driver.tick() {
                Ok(_) if log.clock.now_ms() >= T0 + until_ms => return,
                Ok(_) => log.clock.advance(TURN_MS),
                Err(DriverError::Crashed(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // The next process comes a little later.
        log.clock.advance(700);
    }
}

fn log() -> Log {
    let clock = SimClock::at(T0);
    let bus = SimBus::new(clock.clone(), SimOptions::default());
    let topic = |name: &str, compacted| TopicSpec {
        name: name.into(),
        partitions: 1,
        compacted,
        retention_ms: None,
        delete_retention_ms: None,
    };
    bus.ensure_topics(&[topic(TIMERS, true), topic("petrel.triggers", false), topic("petrel.dead_letters", false)])
        .unwrap();
    Log { bus, clock }
}

fn instants(every_ms: i64, until_ms: i64) -> Vec<i64> {
    (1..).map(|n| n * every_ms).take_while(|i| *i <= until_ms).collect()
}

#[test]
fn crashes_at_every_point_lose_and_repeat_nothing() {
    use DriverPoint::{AfterCommit, Assigned, BeforeCommit, Restored, Sent, Stepped};
    for point in [Assigned, Restored, Stepped, Sent, BeforeCommit, AfterCommit] {
        for every in [1_usize, 2, 3, 5] {
            let log = log();
            log.define("t.all", 1_000, "all");
            log.define("t.slow", 3_500, "all");
            // Half of the time nothing crashes, so that there is progress where a point is met each turn.
            let (met, crashes) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
            let crashed = crashes.clone();
            let clock = log.clone();
            let crash = move |here: DriverPoint| {
                let mut met = met.lock().unwrap();
                *met += usize::from(here == point);
                let crash = here == point && *met % every == 0 && (clock.clock.now_ms() - T0) % 4_000 < 2_000;
                *crashed.lock().unwrap() += u32::from(crash);
                crash
            };
            run(&log, 80_000, crash);
            run(&log, 81_900, |_| false);
            assert_eq!(log.fired("t.all"), instants(1_000, 81_000), "{point:?} every {every}");
            assert_eq!(log.fired("t.slow"), instants(3_500, 81_000), "{point:?} every {every}");
            assert_eq!(log.count("petrel.dead_letters"), 0);
            // A process is assigned its partition once: fewer chances than at the other points.
            let enough = if matches!(point, Assigned | Restored) && every > 1 { 0 } else { 1 };
            assert!(*crashes.lock().unwrap() >= enough, "{point:?} every {every}: nothing crashed");
        }
    }
}

#[test]
fn a_quiet_timer_writes_nothing() {
    let log = log();
    log.define("t.tick", 10_000, "last");
    run(&log, 100_500, |_| false);
    assert_eq!(log.fired("t.tick"), instants(10_000, 100_000));
    // The definition; the state and the timer as they are installed, and with each of ten ticks.
    assert_eq!(log.count(TIMERS), 1 + 2 + 10 * 2);
}

#[test]
fn what_changed_while_nobody_ran_counts() {
    let log = log();
    log.define("t.gone", 1_000, "all");
    log.define("t.slower", 1_000, "last");
    run(&log, 5_500, |_| false);
    log.append(TIMERS, "t.gone", None);
    log.define("t.slower", 20_000, "last");
    log.clock.advance(10_000);
    run(&log, 45_000, |_| false);
    assert_eq!(log.fired("t.gone"), instants(1_000, 5_000));
    assert_eq!(log.fired("t.slower"), [1_000, 2_000, 3_000, 4_000, 5_000, 20_000, 40_000]);
}
