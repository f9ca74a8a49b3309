//! Time, as an argument.

use std::time::Duration;

/// The only way time enters. The binary has the real one; [`crate::sim`] a virtual one.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// Waits, or lets virtual time pass.
    fn sleep(&self, time: Duration);
}
