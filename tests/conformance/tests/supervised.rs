//! Stages on threads of their own that panic: they are started anew, and say so meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use petrel_bus::{
    Batch, Bus, Clock, Context, DriverOptions, InputTopic, Output, SessionOptions, Stage, StageHandle, StageSpec,
    Start, TURN_MS_MAX, Taken, TopicSpec, spawn_stage,
};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_conformance_tests::{CountStage, Settings, SharedSettings, Topics, WallClock};
use petrel_testkit::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// A clock whose sleepers sleep until they are let go: a stage pauses for as long as a test looks.
#[derive(Default)]
struct Held(AtomicBool);

impl Clock for Held {
    fn now_ms(&self) -> i64 {
        WallClock.now_ms()
    }

    fn sleep(&self, time: Duration) {
        while self.0.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        WallClock.sleep(time);
    }
}

/// A log with an input, and what a stage needs to read it.
struct Input {
    bus: LocalBus,
    _dir: tempfile::TempDir,
}

impl Input {
    fn new() -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let bus = LocalBus::open(LocalOptions::new(dir.path()), Arc::new(WallClock)).unwrap();
        let spec = |name: &str, compacted| TopicSpec {
            name: name.into(),
            partitions: 1,
            compacted,
            retention_ms: None,
            delete_retention_ms: None,
        };
        bus.ensure_topics(&[spec("in", false), spec("out", false), spec("state", true)]).unwrap();
        Self { bus, _dir: dir }
    }

    fn stage(&self) -> CountStage {
        let topics = Topics {
            inputs: vec![InputTopic { name: "in".into(), start: Start::Beginning, with: None }],
            output: "out".into(),
            changelog: "state".into(),
        };
        CountStage::new("count", topics)
    }

    fn spawn(&self, stage: impl Stage<Globals = Settings> + 'static, clock: Arc<dyn Clock>) -> StageHandle {
        let session = SessionOptions { group: "g".into(), member: "m".into(), transactional: true };
        let bus = Arc::new(self.bus.clone());
        spawn_stage(bus, stage, session, DriverOptions::default(), SharedSettings::new(), clock)
    }

    fn publish(&self, records: &[(&str, &str)]) {
        let output = |(key, value): &(&str, &str)| Output::keyed(&"in".into(), *key, value.as_bytes().to_vec());
        let publisher = self.bus.publisher("p").unwrap();
        publisher.publish(records.iter().map(output).collect()).wait().unwrap();
    }

    fn outputs(&self) -> Vec<String> {
        let mut tail = self.bus.tail("out").unwrap();
        let mut outputs = Vec::new();
        while !tail.caught_up() {
            let mut each = |_, record: petrel_bus::Record<'_>| {
                outputs.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
            };
            tail.next(Duration::from_millis(5), &mut each).unwrap();
        }
        outputs
    }
}

#[test]
fn a_stage_that_a_record_kills_is_not_ready_until_the_record_is_given_up() {
    let input = Input::new();
    let clock = Arc::new(Held::default());
    let stage = input.spawn(input.stage(), clock.clone());
    let stats = stage.stats().clone();
    wait_until("its partition", PATIENCE, || stats.ready.load(Ordering::Relaxed));
    clock.0.store(true, Ordering::Relaxed);
    input.publish(&[("a", "1"), ("a", "panic"), ("a", "2")]);
    wait_until("the first panic is told", PATIENCE, || {
        let is_told = stats.problems().iter().any(|problem| problem.contains("the stage panicked: as told"));
        is_told && !stats.ready.load(Ordering::Relaxed)
    });
    assert_eq!(input.outputs(), [""; 0], "what came with it is undone");
    clock.0.store(false, Ordering::Relaxed);
    wait_until("the others", PATIENCE, || input.outputs().len() == 3);
    wait_until("all is well", PATIENCE, || stats.ready.load(Ordering::Relaxed) && stats.problems().is_empty());
    let outputs = input.outputs();
    assert_eq!(outputs.iter().filter(|output| output.contains("stage_panicked")).count(), 1, "{outputs:?}");
    assert!((3..=4).contains(&stats.panics.load(Ordering::Relaxed)));
    assert_eq!(stats.rebuilds.load(Ordering::Relaxed), 0, "the others of its group need not know");
    stage.join();
}

/// A clock that a test sets ahead, in milliseconds.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        WallClock.now_ms() + self.0.load(Ordering::Relaxed)
    }

    fn sleep(&self, time: Duration) {
        WallClock.sleep(time);
    }
}

/// Hangs in each step until it is let go.
struct Hanging {
    inner: CountStage,
    hangs: Sender<()>,
    go: Receiver<()>,
}

impl Stage for Hanging {
    type Globals = Settings;

    fn spec(&self) -> &StageSpec {
        self.inner.spec()
    }

    fn inputs(&self, globals: &Settings) -> Vec<InputTopic> {
        self.inner.inputs(globals)
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Settings>) -> Taken {
        self.hangs.send(()).unwrap();
        self.go.recv().unwrap();
        self.inner.records(batch, context)
    }
}

#[test]
fn a_stage_that_hangs_says_for_how_long_by_not_making_a_turn() {
    let input = Input::new();
    let clock = Arc::new(Ahead::default());
    let ((hangs, hung), (go_on, go)) = (channel(), channel());
    let stage = input.spawn(Hanging { inner: input.stage(), hangs, go }, clock.clone());
    let stats = stage.stats().clone();
    wait_until("its partition", PATIENCE, || stats.ready.load(Ordering::Relaxed));
    input.publish(&[("a", "1")]);
    hung.recv_timeout(PATIENCE).unwrap();
    assert_eq!(stats.hangs_ms(clock.now_ms()), None, "a step may take its time");
    clock.0.store(TURN_MS_MAX + 1, Ordering::Relaxed);
    assert!(stats.hangs_ms(clock.now_ms()).is_some_and(|took_ms| took_ms > TURN_MS_MAX));
    assert!(stats.ready.load(Ordering::Relaxed) && stats.problems().is_empty(), "nothing else tells");
    go_on.send(()).unwrap();
    wait_until("the next turn", PATIENCE, || stats.hangs_ms(clock.now_ms()).is_none());
    wait_until("its output", PATIENCE, || input.outputs().len() == 1);
    stage.join();
}

/// Panics where no step is to blame, once.
struct Fragile {
    inner: CountStage,
    panicked: Arc<AtomicBool>,
}

impl Stage for Fragile {
    type Globals = Settings;

    fn spec(&self) -> &StageSpec {
        self.inner.spec()
    }

    fn inputs(&self, globals: &Settings) -> Vec<InputTopic> {
        self.inner.inputs(globals)
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Settings>) -> Taken {
        self.inner.records(batch, context)
    }

    fn committed(&mut self) {
        assert!(self.panicked.swap(true, Ordering::Relaxed), "fragile");
    }
}

#[test]
fn a_stage_that_panics_outside_of_a_step_gets_a_session_anew() {
    let input = Input::new();
    let panicked = Arc::new(AtomicBool::new(false));
    input.publish(&[("a", "1"), ("a", "2")]);
    let stage = input.spawn(Fragile { inner: input.stage(), panicked: panicked.clone() }, Arc::new(WallClock));
    let stats = stage.stats().clone();
    wait_until("the panic", PATIENCE, || panicked.load(Ordering::Relaxed));
    input.publish(&[("a", "3")]);
    wait_until("what came later", PATIENCE, || input.outputs().len() == 3);
    wait_until("all is well", PATIENCE, || stats.ready.load(Ordering::Relaxed) && stats.problems().is_empty());
    assert_eq!(input.outputs(), ["in/0/0 1 0 1", "in/0/1 2 0 2", "in/0/2 3 0 3"]);
    assert_eq!((stats.panics.load(Ordering::Relaxed), stats.rebuilds.load(Ordering::Relaxed)), (1, 1));
    stage.join();
}
