//! The real clock; the only place that asks the operating system for the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petrel_bus::Clock;
use petrel_executor::supervise::boot_ms;

/// The time of day as it was at the start, and from then on the machine's own count since it booted:
/// leases and timers must not jump when somebody sets the clock, and must not stand still while the
/// machine sleeps.
#[derive(Debug)]
pub struct SystemClock {
    /// Time of day when the machine booted, as far as the start knew, in milliseconds since the epoch.
    booted_at_ms: i64,
}

impl SystemClock {
    /// A clock that is right now.
    // This is the clock that everybody else is told to use.
    #[allow(clippy::disallowed_methods)]
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self { booted_at_ms: now_ms.saturating_sub_unsigned(boot_ms()) }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        self.booted_at_ms.saturating_add_unsigned(boot_ms())
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
