//! The local log under test.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use petrel_bus::{Bus, Clock, StateStores};
use petrel_bus_cache::{CacheOptions, DiskStores};
use petrel_bus_local::{LocalBus, LocalOptions};
use tempfile::TempDir;

use crate::harness::{BusUnderTest, WallClock};

/// The real time plus what a test lets pass.
#[derive(Debug, Default)]
struct ShiftedClock(AtomicI64);

impl Clock for ShiftedClock {
    fn now_ms(&self) -> i64 {
        WallClock.now_ms() + self.0.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) {
        WallClock.sleep(time);
    }
}

/// A log in a temporary directory, with a cache of the state beside it.
pub struct LocalUnderTest {
    dir: TempDir,
    clock: Arc<ShiftedClock>,
    open: Mutex<Option<(LocalBus, DiskStores)>>,
}

impl LocalUnderTest {
    /// An empty one.
    pub fn fresh() -> Option<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let this = Self { dir, clock: Arc::default(), open: Mutex::new(None) };
        this.restart();
        Some(this)
    }
}

impl BusUnderTest for LocalUnderTest {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.open.lock().expect("no panic").clone().expect("it is open").0)
    }

    fn stores(&self) -> Option<Arc<dyn StateStores>> {
        Some(Arc::new(self.open.lock().expect("no panic").clone()?.1))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn restart(&self) {
        let mut open = self.open.lock().expect("no panic");
        *open = None;
        let options = LocalOptions { retention_turn_ms: 10, ..LocalOptions::new(self.dir.path().join("log")) };
        let bus = LocalBus::open(options, self.clock.clone()).expect("the log opens again");
        let cluster_id = bus.cluster_id().expect("it is here");
        let stores = DiskStores::open(CacheOptions::new(self.dir.path().join("state"), cluster_id));
        *open = Some((bus, stores.expect("the cache opens again")));
    }

    /// Time passes, and with it everything that is there.
    fn drop_before(&self, topic: &str, partition: u32, offset: i64) -> i64 {
        let retention_ms = self.short_retention_ms().unwrap_or_default();
        self.clock.0.fetch_add(2 * retention_ms, Ordering::SeqCst);
        let begin = || self.bus().beginning_offsets(topic).expect("the topic is there")[partition as usize];
        petrel_testkit::wait_until("old records are removed", self.patience(), || begin() >= offset);
        begin()
    }

    fn forget_offsets(&self, group: &str) {
        let bus = self.open.lock().expect("no panic").clone().expect("it is open").0;
        bus.forget_offsets(group).expect("the log forgets");
    }

    fn delete_topic(&self, topic: &str, _group: &str) {
        let bus = self.open.lock().expect("no panic").clone().expect("it is open").0;
        bus.delete_topic(topic).expect("the topic is deleted");
    }

    /// A batch is written when it is committed.
    fn holds_readers_back(&self) -> bool {
        false
    }

    fn short_retention_ms(&self) -> Option<i64> {
        Some(60_000)
    }
}
