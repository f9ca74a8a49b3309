//! One partition of every topic on the simulated log, and the processes that have the timers one after the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::sim::{CommitFault, SimBus, SimClock, SimOptions};
use petrel_bus::{
    Bus, Clock, Driver, DriverError, DriverOptions, DriverPoint, Output, OwnedRecord, Publisher, SessionOptions,
    StageStats, To, TopicSpec, Versioned,
};
use petrel_schemas::{DeadLetter, TimerDefinition, Topics, TriggerEvent, decode, encode};

use crate::timers::{TimerOptions, TimerStage};

pub(super) const T0: i64 = 1_700_000_000_000;
pub(super) const TIMERS: &str = "petrel.timers";
pub(super) const TRIGGERS: &str = "petrel.triggers";
pub(super) const DEAD_LETTERS: &str = "petrel.dead_letters";
/// Name of the only member: a process that follows a dead one returns under it, and waits for nobody to expire.
const MEMBER: &str = "one";
/// Turns that do nothing, one after the other, of a process that has nothing left to do: joining and restoring takes
/// two, and a driver that has noted an earlier end of its input forgets that in a turn of its own.
const IDLE_TURNS: u32 = 4;

/// The log and its clock.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) bus: SimBus,
    pub(super) clock: Arc<SimClock>,
}

impl Log {
    fn new(now_ms: i64) -> Self {
        let clock = SimClock::at(now_ms);
        // The clock leaps here, and whoever stands still in a leap has not been silent.
        let options = SimOptions { session_timeout_ms: i64::MAX / 4, delete_retention_ms: 0, ..SimOptions::default() };
        let bus = SimBus::new(clock.clone(), options);
        let topic = |name: &str, compacted| TopicSpec {
            name: name.into(),
            partitions: 1,
            compacted,
            retention_ms: None,
            delete_retention_ms: None,
        };
        bus.ensure_topics(&[topic(TIMERS, true), topic(TRIGGERS, false), topic(DEAD_LETTERS, false)]).unwrap();
        Self { bus, clock }
    }

    pub(super) fn append(&self, key: Option<&str>, value: Option<Vec<u8>>) {
        let key = key.map(|key| key.as_bytes().to_vec());
        let output =
            Output { topic: TIMERS.into(), to: To::Partition(0), key, value, timestamp_ms: None, headers: Vec::new() };
        self.bus.publish(vec![output]).wait().unwrap();
    }

    pub(super) fn define(&self, timer: &str, definition: TimerDefinition) {
        let definition = TimerDefinition { timer: timer.to_owned(), ..definition };
        self.append(Some(timer), Some(encode(&definition)));
    }

    pub(super) fn count(&self, topic: &str) -> usize {
        self.bus.records(topic).len()
    }

    /// Offset of the next record of the timers.
    pub(super) fn end(&self) -> i64 {
        self.bus.end_offsets(TIMERS).unwrap()[0]
    }

    /// The last value of a key of the timers' topic.
    pub(super) fn value(&self, key: &str) -> Option<Vec<u8>> {
        let of_key = |record: &OwnedRecord| record.key.as_deref() == Some(key.as_bytes());
        let mut records = self.bus.records(TIMERS).into_iter().map(|(_, record)| record);
        records.rfind(of_key).and_then(|record| record.value)
    }

    /// Instants of all ticks of a timer, in the order of the log.
    pub(super) fn fired(&self, timer: &str) -> Vec<i64> {
        let ticks = Written::of(self, (0, 0)).ticks.into_iter().map(|tick| tick.event);
        ticks.filter(|event| event.trigger == timer).map(|event| event.occurred_at_ms).collect()
    }
}

/// A definition without its timer's name.
pub(super) fn definition(every_ms: i64, catch_up: &str, anchor_ms: i64) -> TimerDefinition {
    let (timer, catch_up) = (String::new(), catch_up.to_owned());
    TimerDefinition { timer, every_ms, catch_up, anchor_ms, revision: "r1".to_owned() }
}

/// An event of a timer, and its record's key.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) key: Option<Vec<u8>>,
    pub(super) event: TriggerEvent,
}

/// What was committed beside the timers' own topic.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) ticks: Vec<Tick>,
    pub(super) letters: Vec<DeadLetter>,
}

impl Written {
    /// Behind so many events and so many dead letters.
    fn of(log: &Log, (ticks, letters): (usize, usize)) -> Self {
        let records = |topic, from| log.bus.records(topic).into_iter().skip(from).map(|(_, record)| record);
        let tick = |record: OwnedRecord| Tick { event: decode(&record.value.unwrap()).unwrap(), key: record.key };
        Self {
            ticks: records(TRIGGERS, ticks).map(tick).collect(),
            letters: records(DEAD_LETTERS, letters).map(|record| decode(&record.value.unwrap()).unwrap()).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ticks.is_empty() && self.letters.is_empty()
    }

    pub(super) fn instants(&self) -> Vec<i64> {
        self.ticks.iter().map(|tick| tick.event.occurred_at_ms).collect()
    }
}

/// What a turn of a process was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Idle,
    Busy,
    Died,
}

type Hook = Box<dyn FnMut(DriverPoint) -> bool>;

/// The process that has the timers; another one comes when it is asked to do something after its death.
pub(super) struct Machine {
    pub(super) log: Log,
    pub(super) stats: Arc<StageStats>,
    options: TimerOptions,
    driver_options: DriverOptions,
    process: Option<Driver<'static, TimerStage>>,
    hook: Rc<RefCell<Hook>>,
    /// Whether the log was told to fail commits.
    is_log_faulty: bool,
    /// How many events and dead letters were looked at.
    seen: (usize, usize),
}

impl Machine {
    /// Every turn of it that does something is a transaction.
    pub(super) fn new(options: TimerOptions) -> Self {
        Self::starting_at(T0, options)
    }

    pub(super) fn starting_at(now_ms: i64, options: TimerOptions) -> Self {
        Self::with(
            now_ms,
            options,
            DriverOptions { commit_interval_ms: 0, quiet_commit_interval_ms: 0, ..DriverOptions::default() },
        )
    }

    pub(super) fn with(now_ms: i64, options: TimerOptions, driver_options: DriverOptions) -> Self {
        Self {
            log: Log::new(now_ms),
            stats: Arc::default(),
            options,
            driver_options,
            process: None,
            hook: Rc::new(RefCell::new(Box::new(|_| false))),
            is_log_faulty: false,
            seen: (0, 0),
        }
    }

    fn start(&self) -> Driver<'static, TimerStage> {
        let stage = TimerStage::new(&Topics::new("petrel.", 1, 1), self.options.clone());
        let options = SessionOptions { group: "timers".into(), member: MEMBER.into(), transactional: true };
        let session = self.log.bus.session(&options).unwrap();
        let globals = Arc::new(Versioned { version: 1, value: Arc::new(()) });
        let (options, clock) = (self.driver_options.clone(), self.log.clock.clone());
        let mut driver = Driver::owning(stage, session, globals, clock, options, self.stats.clone());
        let hook = self.hook.clone();
        driver.crash_when(move |point| hook.borrow_mut()(point));
        driver
    }

    /// Asks `hook` at every point of this process and of those behind it whether to die there.
    pub(super) fn crash_when(&mut self, hook: impl FnMut(DriverPoint) -> bool + 'static) {
        *self.hook.borrow_mut() = Box::new(hook);
    }

    /// The first process that comes to that point dies there.
    pub(super) fn crash_at(&mut self, point: DriverPoint) {
        let mut is_due = true;
        self.crash_when(move |here| here == point && std::mem::replace(&mut is_due, false));
    }

    /// The next commit meets that fault.
    pub(super) fn fail_commit(&mut self, fault: CommitFault) {
        self.log.bus.fail_commit_of(MEMBER, fault);
        self.is_log_faulty = true;
    }

    /// The process dies; another one has what the log says.
    pub(super) fn take_over(&mut self) {
        self.process = None;
    }

    /// One turn of the driver.
    pub(super) fn turn(&mut self) -> Turn {
        let mut process = self.process.take().unwrap_or_else(|| self.start());
        let aborts = self.stats.aborts.load(Ordering::Relaxed);
        let is_idle = match process.tick() {
            Ok(tick) => tick.records == 0 && !tick.committed,
            Err(DriverError::Crashed(_)) => return Turn::Died,
            Err(DriverError::Rebuild(_)) if self.is_log_faulty => return Turn::Died,
            Err(error) => panic!("{error}"),
        };
        self.process = Some(process);
        let is_idle = is_idle && aborts == self.stats.aborts.load(Ordering::Relaxed);
        if is_idle { Turn::Idle } else { Turn::Busy }
    }

    /// Turns until nothing is left to do.
    pub(super) fn settle(&mut self) {
        self.settle_with(|_| {});
    }

    /// The same, with a look after every turn.
    pub(super) fn settle_with(&mut self, mut look: impl FnMut(&mut Self)) {
        let mut idle = 0;
        while idle < IDLE_TURNS {
            idle = if self.turn() == Turn::Idle { idle + 1 } else { 0 };
            look(self);
        }
    }

    /// What was committed since this was asked last.
    pub(super) fn written(&mut self) -> Written {
        let written = Written::of(&self.log, self.seen);
        self.seen = (self.seen.0 + written.ticks.len(), self.seen.1 + written.letters.len());
        written
    }

    /// Does what there is to do at an instant; what was committed.
    pub(super) fn at(&mut self, now_ms: i64) -> Written {
        self.wait_until(now_ms);
        self.settle();
        self.written()
    }

    /// Does what there is to do at an instant; the instants that fired.
    pub(super) fn fired(&mut self, now_ms: i64) -> Vec<i64> {
        self.at(now_ms).instants()
    }

    /// Lets time pass, in which the process stands still.
    pub(super) fn wait_until(&self, now_ms: i64) {
        let passed_ms = now_ms - self.log.clock.now_ms();
        assert!(passed_ms >= 0, "time goes on");
        self.log.clock.advance(passed_ms);
    }
}
