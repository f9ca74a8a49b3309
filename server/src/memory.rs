//! What the system's allocator, which librdkafka uses, may keep (ADR 0017).
#![allow(unsafe_code)] // `mallopt` is a function of the C library

use std::thread::available_parallelism;

/// Fewest arenas.
const ARENAS_MIN: usize = 2;

/// One arena per core. By default there are eight of them, and what librdkafka's threads free stays in the one that it
/// came from. To be called before there are threads.
pub(crate) fn limit_arenas() {
    let cores = available_parallelism().map_or(ARENAS_MIN, usize::from);
    let arenas = i32::try_from(cores.max(ARENAS_MIN)).unwrap_or(i32::MAX);
    // SAFETY: it takes two numbers, and there is no other thread yet. If it is refused, memory is all that it costs.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}
