//! What a process holds in memory.

use anyhow::{Context, Result};

/// Gives freed memory back to the system, then counts the bytes that are resident and the process's own.
///
/// The allocator keeps freed pages; without the trim a build's temporary values would count as its result.
#[allow(unsafe_code)]
pub(crate) fn resident_bytes() -> Result<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes no pointer and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("RssAnon")?;
    Ok(kib * 1024)
}
