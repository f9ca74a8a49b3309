//! What the suite asks of a bus under test.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, Clock, StateStores};

/// One log for one test.
pub trait BusUnderTest {
    /// A handle of the log.
    fn bus(&self) -> Arc<dyn Bus>;

    /// The time that the log and the drivers go by.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Where drivers keep their state between sessions, if anywhere.
    fn stores(&self) -> Option<Arc<dyn StateStores>> {
        None
    }

    /// What a crash of the process does to the log and to stores; every handle is dropped before.
    fn restart(&self) {}

    /// Begins the name of every topic and group of this test, for logs that tests share.
    fn prefix(&self) -> String {
        String::new()
    }

    /// Removes the records of a partition before an offset, as retention does; all of them where the
    /// log cannot cut in between. Returns the first offset that is left.
    fn drop_before(&self, topic: &str, partition: u32, offset: i64) -> i64;

    /// Deletes a topic; returns once it is gone, and with it what that group, without members, committed there.
    fn delete_topic(&self, topic: &str, group: &str);

    /// Forgets what a group without members has committed, as a broker does after a time.
    fn forget_offsets(&self, group: &str);

    /// Retention of a topic from which [`BusUnderTest::drop_before`] shall be able to remove records.
    fn short_retention_ms(&self) -> Option<i64> {
        None
    }

    /// Whether records of an open transaction have their place in the log already, so that readers of committed
    /// records wait before them until it ends.
    fn holds_readers_back(&self) -> bool {
        true
    }

    /// Whether nothing happens while a test waits: a transaction that is open stays open.
    fn stands_still(&self) -> bool {
        false
    }

    /// How long everything may take before a test fails, in real time.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// The real time, for buses that live in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods)] // This is the tests' clock.
    fn now_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
