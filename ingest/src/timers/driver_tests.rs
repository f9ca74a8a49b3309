//! The stage under the real driver, over the smallest log that has transactions: what a crash at any
//! point leaves behind. The log's own faults are for the buses' conformance suite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use petrel_bus::{
    Clock, Driver, DriverError, DriverOptions, DriverPoint, Fetched, GroupEvent, InputTopic, Output, OwnedRecord,
    Position, RestoreFrom, Restored, Session, SessionError, StageStats, TopicPartition, Versioned,
};
use petrel_schemas::{TimerDefinition, Topics, TriggerEvent, decode, encode};

use super::{TimerOptions, TimerStage};

const T0: i64 = 1_700_000_000_000;
const TIMERS: &str = "petrel.timers";

#[derive(Default)]
struct Data {
    now_ms: i64,
    topics: BTreeMap<String, Vec<OwnedRecord>>,
    committed: i64,
}

/// One partition of every topic, and the clock.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Data>>);

impl Log {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap()
    }

    fn append(&self, topic: &str, key: Option<Vec<u8>>, value: Option<Vec<u8>>) {
        let mut data = self.data();
        let timestamp_ms = data.now_ms;
        let records = data.topics.entry(topic.to_owned()).or_default();
        records.push(OwnedRecord { offset: records.len() as i64, timestamp_ms, key, value });
    }

    fn define(&self, timer: &str, every_ms: i64, catch_up: &str) {
        let definition = TimerDefinition {
            timer: timer.to_owned(),
            every_ms,
            catch_up: catch_up.to_owned(),
            anchor_ms: T0,
            revision: "r".to_owned(),
        };
        self.append(TIMERS, Some(timer.into()), Some(encode(&definition)));
    }

    fn fired(&self, timer: &str) -> Vec<i64> {
        let data = self.data();
        let records = data.topics.get("petrel.triggers").into_iter().flatten();
        let events = records.map(|r| decode::<TriggerEvent>(r.value.as_ref().unwrap()).unwrap());
        events.filter(|e| e.trigger == timer).map(|e| e.occurred_at_ms - T0).collect()
    }

    fn count(&self, topic: &str) -> usize {
        self.data().topics.get(topic).map_or(0, Vec::len)
    }
}

impl Clock for Log {
    fn now_ms(&self) -> i64 {
        self.data().now_ms
    }

    fn sleep(&self, time: Duration) {
        self.data().now_ms += time.as_millis() as i64;
    }
}

struct Member {
    log: Log,
    at: TopicPartition,
    assigned: bool,
    position: Option<i64>,
    open: Vec<Output>,
}

impl Member {
    fn new(log: &Log) -> Self {
        let at = TopicPartition { topic: TIMERS.into(), partition: 0 };
        Self { log: log.clone(), at, assigned: false, position: None, open: Vec::new() }
    }
}

impl Session for Member {
    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        assert_eq!(inputs.iter().map(|i| &*i.name).collect::<Vec<_>>(), [TIMERS]);
        Ok(())
    }

    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        if !self.assigned {
            self.assigned = true;
            return Ok(vec![GroupEvent::Assigned(vec![self.at.clone()])]);
        }
        let from = self.position.expect("accepted before it is fetched");
        let records: Vec<OwnedRecord> = {
            let data = self.log.data();
            data.topics.get(TIMERS).into_iter().flatten().skip(from as usize).take(max).cloned().collect()
        };
        // Time passes whether or not there is something to read.
        self.log.sleep(wait.max(Duration::from_millis(1)));
        let mut fetched = Fetched::with_capacity(records.len());
        records.iter().for_each(|r| fetched.push(&self.at.topic, 0, r.as_record()));
        if !fetched.is_empty() {
            each(&fetched);
            self.position = Some(from + records.len() as i64);
        }
        Ok(Vec::new())
    }

    fn begin(&mut self, _: &[TopicPartition]) -> Result<Vec<Position>, SessionError> {
        let offset = self.log.data().committed;
        Ok(vec![Position { at: self.at.clone(), offset, metadata: None }])
    }

    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        assert_eq!(wanted[0].at, self.at, "the changelog is the input");
        let records = self.log.data().topics.get(TIMERS).cloned().unwrap_or_default();
        records.iter().for_each(|r| each(0, r.offset, r.key.as_deref().unwrap(), r.value.as_deref()));
        Ok(vec![records.last().map_or(0, |r| r.offset + 1)])
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.position = Some(positions[0].offset);
        Ok(())
    }

    fn release(&mut self, _: &[TopicPartition]) -> Result<(), SessionError> {
        Ok(())
    }

    fn pause(&mut self, _: &TopicPartition) -> Result<(), SessionError> {
        Ok(())
    }

    fn resume(&mut self, _: &TopicPartition) -> Result<(), SessionError> {
        Ok(())
    }

    fn caught_up(&self, _: &TopicPartition) -> bool {
        self.all_caught_up()
    }

    fn all_caught_up(&self) -> bool {
        self.position == Some(self.log.count(TIMERS) as i64)
    }

    fn position(&self, _: &TopicPartition) -> i64 {
        self.position.unwrap_or(0)
    }

    fn high_watermark(&mut self, _: &TopicPartition) -> Result<i64, SessionError> {
        Ok(self.log.count(TIMERS) as i64)
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn partitions(&mut self, _: &Arc<str>) -> Result<u32, SessionError> {
        Ok(1)
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        assert_eq!(partition, 0);
        self.open.push(output);
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        assert!(self.open.is_empty() || !positions.is_empty(), "a transaction without an offset is not fenced");
        for output in self.open.drain(..) {
            self.log.append(&output.topic, output.key, output.value);
        }
        if let Some(position) = positions.first() {
            self.log.data().committed = position.offset;
        }
        Ok(())
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        self.open.clear();
        self.position = rewind.first().map(|p| p.offset);
        Ok(())
    }

    fn close(&mut self) {}
}

/// Runs processes one after the other, each until it crashes, up to an instant. `crash` is asked at
/// every point.
fn run(log: &Log, until_ms: i64, crash: impl Fn(DriverPoint) -> bool + Clone + 'static) {
    while log.now_ms() < T0 + until_ms {
        let mut stage = TimerStage::new(&Topics::new("petrel.", 1, 1), TimerOptions::default());
        let globals = Arc::new(Versioned { version: 1, value: Arc::new(()) });
        let (clock, options, stats) =
            (Arc::new(log.clone()), DriverOptions::default(), Arc::new(StageStats::default()));
        let mut driver = Driver::new(&mut stage, Box::new(Member::new(log)), globals, clock, options, stats);
        driver.crash_when(crash.clone());
        loop {
            match driver.tick() {
                Ok(_) if log.now_ms() >= T0 + until_ms => return,
                Ok(_) => {}
                Err(DriverError::Crashed(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // The next process comes a little later.
        log.sleep(Duration::from_millis(700));
    }
}

fn log() -> Log {
    let log = Log::default();
    log.data().now_ms = T0;
    log
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
                let crash = here == point && *met % every == 0 && (clock.now_ms() - T0) % 4_000 < 2_000;
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
    log.append(TIMERS, Some(b"t.gone".to_vec()), None);
    log.define("t.slower", 20_000, "last");
    log.sleep(Duration::from_millis(10_000));
    run(&log, 45_000, |_| false);
    assert_eq!(log.fired("t.gone"), instants(1_000, 5_000));
    assert_eq!(log.fired("t.slower"), [1_000, 2_000, 3_000, 4_000, 5_000, 20_000, 40_000]);
}
