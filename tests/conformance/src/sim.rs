//! The simulated log under test.

use std::sync::Arc;

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{Bus, Clock, MemoryStores, StateStores};

use crate::harness::BusUnderTest;

/// A log in memory under virtual time.
#[derive(Debug)]
pub struct SimUnderTest {
    /// The log, for what only it can do.
    pub bus: SimBus,
    /// Its time.
    pub clock: Arc<SimClock>,
    /// What outlives sessions, if anything does.
    pub stores: Option<MemoryStores>,
}

impl SimUnderTest {
    /// An empty one.
    pub fn fresh() -> Option<Self> {
        let clock = SimClock::at(1_700_000_000_000);
        Some(Self { bus: SimBus::new(clock.clone(), SimOptions::default()), clock, stores: None })
    }

    /// An empty one whose members have caches of their state.
    pub fn with_stores() -> Option<Self> {
        Some(Self { stores: Some(MemoryStores::default()), ..Self::fresh()? })
    }
}

impl BusUnderTest for SimUnderTest {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus.clone())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn stands_still(&self) -> bool {
        true
    }

    fn stores(&self) -> Option<Arc<dyn StateStores>> {
        Some(Arc::new(self.stores.clone()?))
    }

    fn forget_offsets(&self, group: &str) {
        self.bus.forget_offsets(group);
    }

    fn delete_topic(&self, topic: &str, _group: &str) {
        self.bus.delete_topic(topic);
    }

    fn drop_before(&self, topic: &str, partition: u32, offset: i64) -> i64 {
        self.bus.drop_before(topic, partition, offset);
        offset
    }
}
