//! Time that no one sets: it also runs while the machine sleeps, and is the same in all its processes.

use nix::time::{ClockId, clock_gettime};

/// Now, in milliseconds of `CLOCK_BOOTTIME`.
///
/// # Panics
/// If the kernel has no such clock; Linux has it since 2.6.39.
pub fn boot_ms() -> u64 {
    // The clock's absence is the only error that this call knows.
    #[allow(clippy::expect_used)]
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME exists");
    now.tv_sec().unsigned_abs() * 1_000 + now.tv_nsec().unsigned_abs() / 1_000_000
}
