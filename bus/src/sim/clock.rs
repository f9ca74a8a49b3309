//! Virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// Time that passes only when somebody says so: by [`SimClock::advance`], or by sleeping.
#[derive(Debug)]
pub struct SimClock(AtomicI64);

impl SimClock {
    /// A clock that shows that instant, in milliseconds since the epoch.
    pub fn at(now_ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now_ms)))
    }

    /// Lets that many milliseconds pass.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) {
        // A sleeper of less than a millisecond expects time to pass, too.
        self.advance(i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1));
    }
}

/// The clock of one process, which may be wrong: as wrong as the time of day of its machine was when the
/// process started. From then on it goes on by itself, as a real process's does, whatever happens to
/// the machine's.
#[derive(Debug)]
pub struct ProcessClock {
    true_time: Arc<SimClock>,
    machine_ahead_ms: AtomicI64,
    ahead_ms: AtomicI64,
}

impl ProcessClock {
    /// A clock that is right, until its process starts on a machine whose time of day is not.
    pub fn new(true_time: Arc<SimClock>) -> Arc<Self> {
        Arc::new(Self { true_time, machine_ahead_ms: AtomicI64::new(0), ahead_ms: AtomicI64::new(0) })
    }

    /// Sets the machine's time of day so far ahead, or behind; 0 corrects it.
    pub fn set_machine(&self, ahead_ms: i64) {
        self.machine_ahead_ms.store(ahead_ms, Ordering::SeqCst);
    }

    /// The process starts, and looks at the time of day.
    pub fn start(&self) {
        self.ahead_ms.store(self.machine_ahead_ms.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Clock for ProcessClock {
    fn now_ms(&self) -> i64 {
        self.true_time.now_ms() + self.ahead_ms.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) {
        self.true_time.sleep(time);
    }
}
