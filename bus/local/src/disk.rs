//! Free space of the disk under a directory.

use std::path::Path;

/// Bytes that this process may still write there; none if the system does not say.
pub(crate) fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(dir).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Why nothing may be written there now, if so.
pub(crate) fn too_full(dir: &Path, free_bytes_min: u64) -> Option<String> {
    let free = free_bytes(dir)?;
    (free < free_bytes_min).then(|| {
        let (free, min) = (free >> 20, free_bytes_min >> 20);
        format!("the disk of {} is full: {free} MiB are free, disk_free_bytes_min wants {min} MiB", dir.display())
    })
}
