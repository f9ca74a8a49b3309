//! What the allocators keep of memory that is free (ADR 0017).
#![allow(unsafe_code)] // both are functions of C

use std::ffi::{c_int, c_long};
use std::thread::available_parallelism;

/// Fewest arenas of the system's allocator.
const ARENAS_MIN: usize = 2;

/// `mi_option_purge_delay` of mimalloc's `mi_option_e`, which the crate does not name.
const PURGE_DELAY: c_int = 15;
/// How long mimalloc keeps memory that is free before the system gets it back, in milliseconds.
const PURGE_DELAY_MS: c_long = 20;

/// Keeps little of what is free. To be called before there are threads.
pub(crate) fn keep_little() {
    // SAFETY: it sets a number, and refuses one that it does not know.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
    // By default there are eight arenas per core, and what librdkafka's threads free stays in the one that it came from.
    let cores = available_parallelism().map_or(ARENAS_MIN, usize::from);
    let arenas = c_int::try_from(cores.max(ARENAS_MIN)).unwrap_or(c_int::MAX);
    // SAFETY: it takes two numbers, and there is no other thread yet. If it is refused, memory is all that it costs.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_delay_of_a_purge() {
        // SAFETY: it reads a number.
        let delay_ms = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay_ms(), 1_000, "mimalloc's default: no other option has it");
        keep_little();
        assert_eq!(delay_ms(), PURGE_DELAY_MS);
    }
}
