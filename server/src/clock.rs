//! The real clock; the only place that asks the operating system for the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petrel_bus::Clock;

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    // This is the clock that everybody else is told to use.
    #[allow(clippy::disallowed_methods)]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
