//! The operating system's clock, for the measured stage.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petrel_bus::Clock;

/// The real time.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    // The measured stage runs in real time.
    #[allow(clippy::disallowed_methods)]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
