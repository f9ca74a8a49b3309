//! Processes that own all partitions, one after the other, under the real driver on the simulated log.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use petrel_bus::sim::{CommitFault, SimBus, SimClock, SimOptions};
use petrel_bus::{
    Bus, Driver, DriverError, DriverOptions, DriverPoint, GlobalsSource, Output, OwnedRecord, Publisher,
    SessionOptions, StageStats, TopicSpec, Versioned,
};
use petrel_execution::worker::Final;
use petrel_schemas::{Cleanup, OwnTopic, TaskResult, Topics};

use super::steps::{Do, NOW_MS, PARTITION, View, id, record_of, stage, status_in, topics};
use crate::owner::OwnerStage;
use crate::worker::{Telling, Told};

/// Name of the only member: a process that follows a dead one returns under it, and waits for nobody to expire.
const MEMBER: &str = "one";
/// A worker elsewhere, whose transaction stands open.
const ELSEWHERE: &str = "elsewhere";
/// Turns that do nothing, one after the other, of a process that has nothing left to do: joining and restoring takes
/// two, and a driver that has noted an earlier end of its input forgets that in a turn of its own.
const IDLE_TURNS: u32 = 4;

/// The globals that a test sets, and what waits to be told.
struct Source {
    set: Mutex<Versioned<View>>,
    told: Told,
}

impl Source {
    fn set(&self, what: &Do) {
        let mut set = self.set.lock().unwrap();
        let mut view = View::clone(&set.value);
        view.change(what);
        *set = Versioned { version: set.version + 1, value: Arc::new(view) };
    }
}

impl GlobalsSource<View> for Source {
    fn current(&self) -> Versioned<View> {
        let Versioned { version, value } = self.set.lock().unwrap().clone();
        let mut view = View::clone(&value);
        view.letters = self.told.waiting();
        Versioned { version, value: Arc::new(view) }
    }
}

/// What a turn of a process was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Idle,
    Busy,
    Committed,
    Died,
}

/// A record, whatever its offset: those that were aborted have some, too.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    partition: u32,
    key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

type Hook = Box<dyn FnMut(DriverPoint) -> bool>;

/// The process that has the partitions; another one comes when it is asked to do something after its death. Every
/// turn of it that does something is a transaction.
pub(super) struct Process {
    bus: SimBus,
    clock: Arc<SimClock>,
    topics: Topics,
    source: Arc<Source>,
    stats: Arc<StageStats>,
    process: Option<Driver<'static, OwnerStage<View>>>,
    hook: Rc<RefCell<Hook>>,
    /// Whether the log was told to fail commits.
    is_log_faulty: bool,
    is_open_elsewhere: bool,
}

impl Process {
    pub(super) fn new() -> Self {
        let clock = SimClock::at(NOW_MS);
        // The clock leaps here, and whoever stands still in a leap has not been silent.
        let options = SimOptions { session_timeout_ms: i64::MAX / 4, delete_retention_ms: 0, ..SimOptions::default() };
        let (bus, topics) = (SimBus::new(clock.clone(), options), topics());
        let specs: Vec<TopicSpec> = topics.all(&["default"]).into_iter().map(spec).collect();
        bus.ensure_topics(&specs).unwrap();
        let view = Versioned { version: 1, value: Arc::new(View::telling_ends()) };
        Self {
            bus,
            clock,
            topics,
            source: Arc::new(Source { set: Mutex::new(view), told: Told::new(1_000_000) }),
            stats: Arc::default(),
            process: None,
            hook: Rc::new(RefCell::new(Box::new(|_| false))),
            is_log_faulty: false,
            is_open_elsewhere: false,
        }
    }

    fn start(&self) -> Driver<'static, OwnerStage<View>> {
        let options = SessionOptions { group: "owner".into(), member: MEMBER.into(), transactional: true };
        let session = self.bus.session(&options).unwrap();
        let options = DriverOptions { commit_interval_ms: 0, quiet_commit_interval_ms: 0, ..DriverOptions::default() };
        let (source, clock) = (self.source.clone(), self.clock.clone());
        let mut driver = Driver::owning(stage(), session, source, clock, options, self.stats.clone());
        let hook = self.hook.clone();
        driver.crash_when(move |point| hook.borrow_mut()(point));
        driver
    }

    /// Lets it happen, before an owner has a turn. Faults of the step before that were not met do not come any more.
    pub(super) fn begin(&mut self, what: &Do) {
        self.hook_with(|_| false);
        match what {
            Do::Wait(ms, heard) => {
                if self.end_elsewhere() {
                    self.settle();
                }
                if !heard {
                    self.open_elsewhere();
                }
                self.clock.advance(*ms);
            }
            Do::Pause | Do::Resume | Do::Arrive | Do::Off(..) | Do::On(_) => self.source.set(what),
            record => {
                let (topic, value) = record_of(&self.topics, record);
                self.bus.publish(vec![Output::to_partition(&topic, PARTITION, "", Some(value))]).wait().unwrap();
            }
        }
        if !matches!(what, Do::Wait(..)) {
            // What stands behind it is read before a silence counts.
            self.end_elsewhere();
        }
    }

    /// Nobody can read yet what stands there: there may be a sign of life behind it.
    fn open_elsewhere(&mut self) {
        let (results, beat) = record_of(&self.topics, &Do::Beat(9, 1));
        self.bus.leave_open(ELSEWHERE, vec![Output::to_partition(&results, PARTITION, "", Some(beat))]).unwrap();
        self.is_open_elsewhere = true;
    }

    /// What is open elsewhere comes to nothing; whether there was something.
    fn end_elsewhere(&mut self) -> bool {
        self.bus.leave_open(ELSEWHERE, Vec::new()).unwrap();
        std::mem::replace(&mut self.is_open_elsewhere, false)
    }

    pub(super) fn act(&mut self, what: &Do) {
        self.begin(what);
        self.settle();
    }

    /// Tells it beside the log.
    pub(super) fn tell(&self, end: TaskResult) -> Telling {
        self.source.told.owner(PARTITION).tell(&Final::Result(end), true).expect("it is small")
    }

    /// Whether nobody waits for an answer to what was told.
    pub(super) fn is_all_told(&self) -> bool {
        self.source.told.waiting().is_empty()
    }

    /// The first process that comes to one of these points within this step dies there.
    pub(super) fn crash_at(&mut self, points: &[DriverPoint]) {
        let (points, mut is_due) = (points.to_vec(), true);
        self.hook_with(move |here| points.contains(&here) && std::mem::replace(&mut is_due, false));
    }

    /// The first commit of this step meets that fault.
    pub(super) fn fail_commit(&mut self, fault: CommitFault) {
        let (bus, mut is_due) = (self.bus.clone(), true);
        self.is_log_faulty = true;
        // Ordered when a commit is asked for: a step without one leaves no fault to the next.
        self.hook_with(move |here| {
            if here == DriverPoint::BeforeCommit && std::mem::replace(&mut is_due, false) {
                bus.fail_commit_of(MEMBER, fault);
            }
            false
        });
    }

    fn hook_with(&self, hook: impl FnMut(DriverPoint) -> bool + 'static) {
        *self.hook.borrow_mut() = Box::new(hook);
    }

    /// The process dies; another one has what the log says.
    pub(super) fn take_over(&mut self) {
        self.process = None;
    }

    /// One turn of the driver.
    pub(super) fn turn(&mut self) -> Turn {
        let mut process = self.process.take().unwrap_or_else(|| self.start());
        let aborts = self.stats.aborts.load(Ordering::Relaxed);
        let tick = match process.tick() {
            Ok(tick) => tick,
            Err(DriverError::Crashed(_)) => return Turn::Died,
            Err(DriverError::Rebuild(_)) if self.is_log_faulty => return Turn::Died,
            Err(error) => panic!("{error}"),
        };
        self.process = Some(process);
        let is_idle = tick.records == 0 && aborts == self.stats.aborts.load(Ordering::Relaxed);
        match (tick.committed, is_idle) {
            (true, _) => Turn::Committed,
            (false, true) => Turn::Idle,
            (false, false) => Turn::Busy,
        }
    }

    /// Turns until nothing is left to do.
    pub(super) fn settle(&mut self) {
        self.settle_until(|_| false);
    }

    /// Turns until one that is looked for, or until nothing is left to do.
    pub(super) fn settle_until(&mut self, is_it: impl Fn(Turn) -> bool) {
        let mut idle = 0;
        while idle < IDLE_TURNS {
            let turn = self.turn();
            if is_it(turn) {
                return;
            }
            idle = if turn == Turn::Idle { idle + 1 } else { 0 };
        }
    }

    /// What was committed to a topic.
    pub(super) fn written(&self, topic: &str) -> Vec<Written> {
        let written = |(partition, OwnedRecord { key, value, .. })| Written { partition, key, value };
        self.bus.records(topic).into_iter().map(written).collect()
    }

    /// State and timers as the changelog says, and the positions that are kept with them.
    pub(super) fn state(&self) -> BTreeMap<(u32, Vec<u8>), Vec<u8>> {
        let changelog = self.topics.executions();
        // The second compaction takes tombstones, too.
        self.bus.compact(&changelog);
        self.bus.compact(&changelog);
        let kept = |record: Written| ((record.partition, record.key.unwrap()), record.value.unwrap());
        self.written(&changelog).into_iter().map(kept).collect()
    }

    pub(super) fn status(&self, execution: u8) -> Option<&'static str> {
        self.state().get(&(PARTITION, id(execution).into_bytes())).map(|state| status_in(state))
    }
}

fn spec(topic: OwnTopic) -> TopicSpec {
    TopicSpec {
        name: topic.name,
        partitions: topic.partitions,
        compacted: topic.cleanup == Cleanup::Compact,
        retention_ms: None,
        delete_retention_ms: None,
    }
}
