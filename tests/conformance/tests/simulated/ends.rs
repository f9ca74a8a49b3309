//! What a driver asks about the ends of partitions: all of them at once, and when nothing waits for the answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{
    Begin, Clock, Driver, DriverError, DriverOptions, Fetched, GroupEvent, InputTopic, MemoryStores, Output, Position,
    RestoreFrom, Restored, Session, SessionError, StageStats, Start, TopicPartition,
};
use petrel_conformance_tests::{BusUnderTest, SimUnderTest, World};

const PARTITIONS: u32 = 8;

/// A question about ends: of how many partitions, and whether a transaction was open.
type Asked = Rc<RefCell<Vec<(usize, bool)>>>;

/// What the log says of a topic on which it lets nobody begin.
#[derive(Clone, Copy)]
enum Described {
    /// Nothing.
    Not,
    /// That it is there; it has no id.
    WithoutId,
    /// All of it: another broker refuses.
    Whole,
}

/// A session that notes what it is asked.
struct Watched {
    inner: Box<dyn Session>,
    asked: Asked,
    is_open: Cell<bool>,
    /// How long fetches may have waited.
    waits: Rc<RefCell<Vec<Duration>>>,
    /// Told once, and again when it is asked for while it is denied.
    halts: Option<TopicPartition>,
    is_denied: Rc<Cell<bool>>,
    /// Whether the end of what was halted is not told.
    is_mute: bool,
    asked_again: Rc<Cell<u32>>,
    /// Nobody can begin there, until its topic is known.
    refuses: Option<TopicPartition>,
    described: Described,
    is_known: Rc<Cell<bool>>,
}

impl Watched {
    fn over(inner: Box<dyn Session>) -> Self {
        Self {
            inner,
            asked: Rc::default(),
            is_open: Cell::new(false),
            waits: Rc::default(),
            halts: None,
            is_denied: Rc::default(),
            is_mute: false,
            asked_again: Rc::default(),
            refuses: None,
            described: Described::Not,
            is_known: Rc::default(),
        }
    }
}

impl Session for Watched {
    fn group(&self) -> &Arc<str> {
        self.inner.group()
    }

    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        self.inner.subscribe(inputs)
    }

    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        self.waits.borrow_mut().push(wait);
        let mut events = self.inner.fetch(wait, max, each)?;
        // Gaps behind the last record have been passed by then, too.
        if events.is_empty() && self.inner.all_caught_up() {
            let halted = self.halts.take();
            self.is_mute |= halted.is_some();
            events.extend(halted.map(|at| GroupEvent::Halted(at, "its leader is away".into())));
        }
        Ok(events)
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        let mut begun = self.inner.begin(assigned)?;
        if self.is_known.get() {
            return Ok(begun);
        }
        for begin in begun.iter_mut().filter(|begin| self.refuses.as_ref() == Some(&begin.position.at)) {
            begin.refused = Some("it must not be read".into());
            if !matches!(self.described, Described::Whole) {
                begin.incarnation = None;
            }
        }
        Ok(begun)
    }

    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        self.inner.restore(wanted, each)
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.inner.accept(positions)
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.inner.release(partitions)
    }

    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.pause(at)
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.resume(at)
    }

    fn read_again(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.asked_again.set(self.asked_again.get() + 1);
        self.halts = self.is_denied.get().then(|| at.clone());
        self.is_mute = self.is_denied.get();
        Ok(())
    }

    fn caught_up(&self, at: &TopicPartition) -> bool {
        !self.is_mute && self.inner.caught_up(at)
    }

    fn all_caught_up(&self) -> bool {
        self.inner.all_caught_up()
    }

    fn position(&self, at: &TopicPartition) -> i64 {
        self.inner.position(at)
    }

    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        self.asked.borrow_mut().push((partitions.len(), self.is_open.get()));
        self.inner.high_watermarks(partitions)
    }

    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError> {
        let mut found = self.inner.incarnations(topics)?;
        if let Some(TopicPartition { topic, .. }) = &self.refuses {
            match self.described {
                Described::Not if !self.is_known.get() => drop(found.remove(topic)),
                Described::WithoutId => drop(found.insert(topic.clone(), None)),
                Described::Not | Described::Whole => {}
            }
        }
        Ok(found)
    }

    fn lag(&mut self) -> Option<u64> {
        self.inner.lag()
    }

    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError> {
        self.inner.partitions(topic)
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        self.is_open.set(true);
        self.inner.send(output, partition)
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.inner.commit(positions)?;
        self.is_open.set(false);
        Ok(())
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        self.is_open.set(false);
        self.inner.abort(rewind)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// Runs records with that value, one of every key, through a driver with a cache, then lets time pass; what
/// was asked until then, and after it.
fn asked(value: &str, pass_ms: i64) -> [Vec<(usize, bool)>; 2] {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "ends", PARTITIONS);
    let keys: Vec<String> = (0..64).map(|i| format!("k{i}")).collect();
    let (asked, mut stage) = (Asked::default(), world.stage());
    let inner = under.bus().session(&world.session_options("a")).unwrap();
    let session = Watched { asked: asked.clone(), ..Watched::over(inner) };
    let stores: Arc<MemoryStores> = Arc::default();
    let options = DriverOptions { stores: Some(stores), position_interval_ms: 1_000, ..world.options.clone() };
    let clock: Arc<dyn Clock> = under.clock();
    let mut driver = Driver::new(&mut stage, Box::new(session), world.settings.clone(), clock, options, Arc::default());
    for round in 1..=4 {
        world.publish("in", &keys.iter().map(|key| (&**key, value)).collect::<Vec<_>>());
        let done = || world.output_count() >= keys.len() * round;
        world.run_until("the outputs", &mut [&mut driver], done).unwrap();
        under.clock.advance(1_001);
    }
    let before = asked.take();
    under.clock.advance(pass_ms);
    for _ in 0..50 {
        driver.tick().unwrap();
    }
    [before, asked.take()]
}

/// The bus goes on by itself once a leader is back, and then nothing is wrong any more.
#[test]
fn a_partition_that_is_read_again_is_not_halted() {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "resumed", 1);
    world.publish("in", &[("a", "1")]);
    let (mut stage, stats) = (world.stage(), Arc::new(StageStats::default()));
    let inner = under.bus().session(&world.session_options("a")).unwrap();
    let halts = Some(TopicPartition { topic: world.topic("in"), partition: 0 });
    let session = Box::new(Watched { halts, ..Watched::over(inner) });
    let (clock, options): (Arc<dyn Clock>, _) = (under.clock(), world.options.clone());
    let mut driver = Driver::new(&mut stage, session, world.settings.clone(), clock, options, stats.clone());
    world.run_until("a problem", &mut [&mut driver], || !stats.problems().is_empty()).unwrap();
    assert_eq!(stats.problems(), [format!("{}/0: its leader is away", world.topic("in"))]);
    world.publish("in", &[("a", "2")]);
    world.run_until("the outputs", &mut [&mut driver], || world.output_count() == 2).unwrap();
    assert_eq!(stats.problems(), [""; 0]);
}

/// What has nothing new is asked for again, now and then, and no record must come before it is not told any more.
#[test]
fn a_partition_that_has_nothing_new_is_halted_no_longer_than_it_cannot_be_read() {
    let under = SimUnderTest::fresh().unwrap();
    let mut world = World::new(&under, "mute", 1);
    world.options.position_interval_ms = 1_000;
    world.publish("in", &[("a", "1")]);
    let (mut stage, stats) = (world.stage(), Arc::new(StageStats::default()));
    let inner = under.bus().session(&world.session_options("a")).unwrap();
    let (is_denied, asked_again) = (Rc::new(Cell::new(true)), Rc::<Cell<u32>>::default());
    let session = Watched {
        halts: Some(TopicPartition { topic: world.topic("in"), partition: 0 }),
        is_denied: is_denied.clone(),
        asked_again: asked_again.clone(),
        ..Watched::over(inner)
    };
    let (clock, options): (Arc<dyn Clock>, _) = (under.clock(), world.options.clone());
    let mut driver = Driver::new(&mut stage, Box::new(session), world.settings.clone(), clock, options, stats.clone());
    world.run_until("a problem", &mut [&mut driver], || !stats.problems().is_empty()).unwrap();
    for round in 0..3 {
        assert_eq!(asked_again.get(), round, "once in an interval");
        under.clock.advance(1_001);
        (0..20).for_each(|_| _ = driver.tick().unwrap());
        assert_eq!(stats.problems(), [format!("{}/0: its leader is away", world.topic("in"))]);
    }
    is_denied.set(false);
    under.clock.advance(1_001);
    (0..20).for_each(|_| _ = driver.tick().unwrap());
    assert_eq!((stats.problems(), asked_again.get()), (Vec::new(), 4));
    under.clock.advance(1_001);
    (0..20).for_each(|_| _ = driver.tick().unwrap());
    assert_eq!((asked_again.get(), world.output_count()), (4, 1), "it is not halted any more");
}

/// The others are read; and that one is begun once the log lets somebody, whatever it said of the topic before.
#[test]
fn a_partition_that_nobody_can_begin_on_stands_still_alone() {
    for described in [Described::Not, Described::WithoutId, Described::Whole] {
        stands_still_alone(described);
    }
}

fn stands_still_alone(described: Described) {
    let under = SimUnderTest::fresh().unwrap();
    let mut world = World::new(&under, "refused", 1);
    world.ensure(&[("more", 1, false)]);
    let more = InputTopic { name: world.topic("more"), start: Start::Beginning, with: None };
    world.topics.inputs.push(more);
    world.options.position_interval_ms = 1_000;
    world.publish("in", &[("a", "1")]);
    world.publish("more", &[("a", "2")]);
    let (mut stage, stats, is_known) = (world.stage(), Arc::new(StageStats::default()), Rc::<Cell<bool>>::default());
    let inner = under.bus().session(&world.session_options("a")).unwrap();
    let refuses = Some(TopicPartition { topic: world.topic("more"), partition: 0 });
    let session = Box::new(Watched { refuses, described, is_known: is_known.clone(), ..Watched::over(inner) });
    let (clock, options): (Arc<dyn Clock>, _) = (under.clock(), world.options.clone());
    let mut driver = Driver::new(&mut stage, session, world.settings.clone(), clock, options, stats.clone());
    world.run_until("the output", &mut [&mut driver], || world.output_count() == 1).unwrap();
    for _ in 0..3 {
        under.clock.advance(1_001);
        (0..5).for_each(|_| _ = driver.tick().unwrap());
    }
    assert_eq!(stats.problems(), [format!("{}/0: it must not be read", world.topic("more"))]);
    assert_eq!(world.outputs(), [format!("{}/0/0 1 0 1", world.topic("in"))]);
    is_known.set(true);
    under.clock.advance(1_001);
    let rebuilt = driver.tick();
    assert!(matches!(&rebuilt, Err(DriverError::Rebuild(why)) if why.contains("can be begun now")), "{rebuilt:?}");
    drop(driver);
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the other output", &mut [&mut driver], || world.output_count() == 2).unwrap();
}

/// Nobody will be heard on an input that is not begun, and nobody waits for it with all his might.
#[test]
fn silences_on_an_input_that_is_not_begun_keep_no_thread_busy() {
    let under = SimUnderTest::fresh().unwrap();
    let mut world = World::new(&under, "deaf", 1);
    world.ensure(&[("more", 1, false)]);
    let more = InputTopic { name: world.topic("more"), start: Start::Beginning, with: None };
    world.topics.inputs.push(more);
    let key = format!("~p/{}", world.topic("in"));
    let unreadable = Output::to_partition(&world.topic("state"), 0, key, Some(b"short".to_vec()));
    under.bus().publisher("keeper").unwrap().publish(vec![unreadable]).wait().unwrap();
    world.publish("more", &[("a", "silence 1000")]);
    let (mut stage, waits) = (world.stage(), Rc::<RefCell<Vec<Duration>>>::default());
    let inner = under.bus().session(&world.session_options("a")).unwrap();
    let session = Watched { waits: waits.clone(), ..Watched::over(inner) };
    let (clock, options): (Arc<dyn Clock>, _) = (under.clock(), world.options.clone());
    let mut driver = Driver::new(&mut stage, Box::new(session), world.settings.clone(), clock, options, Arc::default());
    world.run_until("the output", &mut [&mut driver], || world.output_count() == 1).unwrap();
    under.clock.advance(1_001);
    driver.tick().unwrap();
    waits.take();
    for _ in 0..10 {
        driver.tick().unwrap();
    }
    assert!(waits.borrow().iter().all(|wait| !wait.is_zero()), "{waits:?}");
}

#[test]
fn the_ends_of_changelogs_are_asked_for_at_once_and_while_nothing_is_open() {
    let [asked, _] = asked("x", 0);
    assert!(asked.iter().any(|(partitions, _)| *partitions == PARTITIONS as usize), "{asked:?}");
    assert!(asked.len() <= 5, "once in an interval, for all of them: {asked:?}");
    assert!(asked.iter().all(|(_, is_open)| !is_open), "{asked:?}");
}

#[test]
fn the_ends_of_an_input_are_asked_for_at_once() {
    let [_, asked] = asked("silence 30000", 40_000);
    // The first question is about the input; a partition without a key has no timer.
    assert!(asked[0].0 >= 5 && !asked[0].1, "{asked:?}");
}
