//! Topics, drivers and looks at the log for one test.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{
    BusError, Driver, DriverError, DriverOptions, DriverPoint, Output, OwnedRecord, SessionOptions, StageStats,
    StateStores, Tail, TopicSpec,
};

use crate::harness::BusUnderTest;
use crate::stage::{CountStage, SharedSettings, Topics, from_beginning};

/// Every point at which a driver can crash.
pub fn all_points() -> [DriverPoint; 8] {
    use DriverPoint::{AfterCommit, Applied, Assigned, BeforeCommit, Restored, Revoking, Sent, Stepped};
    [Assigned, Restored, Stepped, Sent, BeforeCommit, AfterCommit, Applied, Revoking]
}

/// One test's topics on a bus, and what it does with them.
pub struct World<'b, B: BusUnderTest> {
    /// The bus.
    pub under: &'b B,
    /// Begins all names.
    pub prefix: String,
    /// Topics of the stage; the first input is `<prefix>in`.
    pub topics: Topics,
    /// Globals of all drivers.
    pub settings: Arc<SharedSettings>,
    /// Options of all drivers.
    pub options: DriverOptions,
    /// Follows the outputs and counts them.
    counting: RefCell<Option<(Box<dyn Tail>, usize)>>,
}

impl<'b, B: BusUnderTest> World<'b, B> {
    /// A world with an input, an output and a changelog of that many partitions.
    pub fn new(under: &'b B, name: &str, partitions: u32) -> Self {
        let prefix = format!("{}{name}.", under.prefix());
        let topic = |name: &str| -> Arc<str> { format!("{prefix}{name}").into() };
        let topics =
            Topics { inputs: vec![from_beginning(&topic("in"))], output: topic("out"), changelog: topic("state") };
        let positions = Some(topic("positions"));
        let options = DriverOptions {
            commit_interval_ms: 20,
            quiet_commit_interval_ms: 20,
            idle_wait_ms: 5,
            positions,
            ..DriverOptions::default()
        };
        let settings = SharedSettings::new();
        let world = Self { under, prefix, topics, settings, options, counting: RefCell::default() };
        world.ensure(&[
            ("in", partitions, false),
            ("out", partitions, false),
            ("state", partitions, true),
            ("positions", 2, true),
        ]);
        world
    }

    /// Full name of a topic.
    pub fn topic(&self, name: &str) -> Arc<str> {
        format!("{}{name}", self.prefix).into()
    }

    /// Makes topics: name, partitions, compacted.
    pub fn ensure(&self, topics: &[(&str, u32, bool)]) {
        let retention_ms = self.under.short_retention_ms().or(Some(3_600_000));
        let spec = |(name, partitions, compacted): &(&str, u32, bool)| TopicSpec {
            name: self.topic(name),
            partitions: *partitions,
            compacted: *compacted,
            retention_ms: retention_ms.filter(|_| !compacted),
            delete_retention_ms: Some(86_400_000).filter(|_| *compacted),
        };
        let specs: Vec<TopicSpec> = topics.iter().map(spec).collect();
        self.under.bus().ensure_topics(&specs).expect("topics can be made");
        // A partition has no leader for a moment after it was made, and who asks for it then is told that it is unknown.
        for spec in &specs {
            petrel_testkit::wait_until("its partitions have leaders", self.under.patience(), || {
                self.under.bus().end_offsets(&spec.name).is_ok()
            });
        }
    }

    /// Publishes key-value pairs to a topic and waits until they are durable.
    pub fn publish(&self, topic: &str, records: &[(&str, &str)]) {
        let topic = self.topic(topic);
        let output = |(key, value): &(&str, &str)| Output::keyed(&topic, *key, value.as_bytes().to_vec());
        let publisher = self.under.bus().publisher("suite").expect("a publisher");
        publisher.publish(records.iter().map(output).collect()).wait().expect("records are written");
    }

    /// A stage of this world.
    pub fn stage(&self) -> CountStage {
        CountStage::new("count", self.topics.clone())
    }

    /// Settings of a session of this world's group.
    pub fn session_options(&self, member: &str) -> SessionOptions {
        SessionOptions {
            group: format!("{}group", self.prefix).into(),
            member: format!("{}{member}", self.prefix).into(),
            transactional: true,
        }
    }

    /// A driver as that member.
    pub fn driver<'s>(&self, stage: &'s mut CountStage, member: &str) -> Driver<'s, CountStage> {
        self.driver_with_stats(stage, member, Arc::default())
    }

    /// A driver as that member, with counters that the test reads.
    pub fn driver_with_stats<'s>(
        &self,
        stage: &'s mut CountStage,
        member: &str,
        stats: Arc<StageStats>,
    ) -> Driver<'s, CountStage> {
        self.driver_over(self.under.stores(), stage, member, stats)
    }

    /// A driver as that member, whose state is kept there between sessions.
    pub fn driver_over<'s>(
        &self,
        stores: Option<Arc<dyn StateStores>>,
        stage: &'s mut CountStage,
        member: &str,
        stats: Arc<StageStats>,
    ) -> Driver<'s, CountStage> {
        let session = self.under.bus().session(&self.session_options(member)).expect("a session");
        let options = DriverOptions { stores, ..self.options.clone() };
        Driver::new(stage, session, self.settings.clone(), self.under.clock(), options, stats)
    }

    /// Ticks the drivers in turn until the condition holds.
    ///
    /// # Errors
    /// The first that a driver meets.
    ///
    /// # Panics
    /// If it does not hold within the bus's patience.
    #[track_caller]
    pub fn run_until(
        &self,
        what: &str,
        drivers: &mut [&mut Driver<'_, CountStage>],
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), DriverError> {
        let deadline = Instant::now() + self.under.patience();
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain for: {what}");
            let mut idle = true;
            for driver in &mut *drivers {
                let tick = driver.tick()?;
                idle &= tick.records == 0 && !tick.committed;
            }
            if idle {
                self.under.clock().sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Follows a topic. One that has just been made may have no leader yet: that is waited for.
    #[track_caller]
    pub fn tail(&self, topic: &str) -> Box<dyn Tail> {
        let name = self.topic(topic);
        let opened = petrel_testkit::poll_until(self.under.patience(), || match self.under.bus().tail(&name) {
            Err(BusError::Unavailable(_)) => None,
            opened => Some(opened),
        });
        opened.expect("the log can be reached").expect("a tail")
    }

    /// Every committed record of a topic, as far as it can be read now: partition, record.
    #[track_caller]
    pub fn records(&self, topic: &str) -> Vec<(u32, OwnedRecord)> {
        let deadline = Instant::now() + self.under.patience();
        let mut tail = self.tail(topic);
        let mut records = Vec::new();
        while !tail.caught_up() {
            assert!(Instant::now() < deadline, "the tail of {topic} does not reach its end");
            let before = records.len();
            tail.next(Duration::from_millis(5), &mut |partition, record| records.push((partition, record.to_owned())))
                .expect("the tail reads");
            if records.len() == before && self.under.stands_still() {
                break;
            }
        }
        records
    }

    /// The outputs as text, sorted.
    #[track_caller]
    pub fn outputs(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.records("out").iter().map(|(_, r)| text(r.value.as_deref())).collect();
        texts.sort();
        texts
    }

    /// How many outputs a tail that lives as long as the world has seen; it may be a moment behind.
    pub fn output_count(&self) -> usize {
        let mut counting = self.counting.borrow_mut();
        let (tail, count) = counting.get_or_insert_with(|| (self.tail("out"), 0));
        tail.next(Duration::ZERO, &mut |_, _| *count += 1).expect("the tail reads");
        *count
    }

    /// What a crash of the process does to the log; see [`BusUnderTest::restart`].
    pub fn restart(&self) {
        *self.counting.borrow_mut() = None;
        self.under.restart();
    }

    /// Key and value of the state as the changelog has it.
    pub fn state(&self) -> BTreeMap<String, String> {
        let mut state = BTreeMap::new();
        for (_, record) in self.records("state") {
            let key = text(record.key.as_deref());
            match record.value {
                Some(value) => state.insert(key, text(Some(&value))),
                None => state.remove(&key),
            };
        }
        state
    }

    /// Checks that the outputs, but for those of timers, are exactly what every record of the inputs leads
    /// to, once, counted per key without a gap, and that the state says the same.
    #[track_caller]
    pub fn check_exactly_once(&self, inputs: &[&str]) {
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for input in inputs {
            for (partition, record) in self.records(input) {
                let from = format!("{}/{partition}/{}", self.topic(input), record.offset);
                expected.entry(text(record.key.as_deref())).or_default().push(from);
            }
        }
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (_, record) in self.records("out") {
            let (key, value) = (text(record.key.as_deref()), text(record.value.as_deref()));
            // No record led to it.
            if value.starts_with("fired ") {
                continue;
            }
            let mut words = value.split(' ');
            found.entry(key.clone()).or_default().push(words.next().unwrap_or_default().to_owned());
            counts.entry(key).or_default().push(words.next().and_then(|n| n.parse().ok()).unwrap_or_default());
        }
        for (key, from) in &mut expected {
            let found = found.remove(key).unwrap_or_default();
            let (mut sorted, counted) = (found.clone(), counts.remove(key).unwrap_or_default());
            sorted.sort();
            from.sort();
            assert_eq!(&sorted, from, "one output per record of key {key}");
            assert_eq!(counted, (1..=from.len() as u64).collect::<Vec<_>>(), "counted in order, key {key}");
        }
        assert!(found.is_empty(), "outputs of nothing: {found:?}");
        let wanted = expected.iter().map(|(key, from)| (key.clone(), from.len().to_string())).collect();
        let state: BTreeMap<_, _> = self.state().into_iter().filter(|(key, _)| !key.starts_with(['~', '#'])).collect();
        assert_eq!(state, wanted, "the state");
    }
}

/// Bytes as text.
pub(crate) fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
