//! Stages on threads of their own that panic: they are started anew, and say so meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use petrel_bus::{
    Batch, Bus, Context, DriverOptions, InputTopic, Output, SessionOptions, Stage, StageHandle, StageSpec, Start,
    Taken, TopicSpec, spawn_stage,
};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_conformance_tests::{CountStage, Settings, SharedSettings, Topics, WallClock};
use petrel_testkit::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

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

    fn spawn(&self, stage: impl Stage<Globals = Settings> + 'static) -> StageHandle {
        let session = SessionOptions { group: "g".into(), member: "m".into(), transactional: true };
        let bus = Arc::new(self.bus.clone());
        spawn_stage(bus, stage, session, DriverOptions::default(), SharedSettings::new(), Arc::new(WallClock))
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
    let stage = input.spawn(input.stage());
    let stats = stage.stats().clone();
    wait_until("its partition", PATIENCE, || stats.ready.load(Ordering::Relaxed));
    input.publish(&[("a", "1"), ("a", "panic"), ("a", "2")]);
    // The pauses between two tries are long enough to be seen.
    wait_until("the first panic is told", PATIENCE, || {
        let is_told = stats.problems().iter().any(|problem| problem.contains("the stage panicked: as told"));
        is_told && !stats.ready.load(Ordering::Relaxed)
    });
    wait_until("the others", PATIENCE, || input.outputs().len() == 3);
    wait_until("all is well", PATIENCE, || stats.ready.load(Ordering::Relaxed) && stats.problems().is_empty());
    let outputs = input.outputs();
    assert_eq!(outputs.iter().filter(|output| output.contains("stage_panicked")).count(), 1, "{outputs:?}");
    assert!((3..=4).contains(&stats.panics.load(Ordering::Relaxed)));
    assert_eq!(stats.rebuilds.load(Ordering::Relaxed), 0, "the others of its group need not know");
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
    let stage = input.spawn(Fragile { inner: input.stage(), panicked: panicked.clone() });
    let stats = stage.stats().clone();
    wait_until("the panic", PATIENCE, || panicked.load(Ordering::Relaxed));
    input.publish(&[("a", "3")]);
    wait_until("what came later", PATIENCE, || input.outputs().len() == 3);
    wait_until("all is well", PATIENCE, || stats.ready.load(Ordering::Relaxed) && stats.problems().is_empty());
    assert_eq!(input.outputs(), ["in/0/0 1 0 1", "in/0/1 2 0 2", "in/0/2 3 0 3"]);
    assert_eq!((stats.panics.load(Ordering::Relaxed), stats.rebuilds.load(Ordering::Relaxed)), (1, 1));
    stage.join();
}
