//! One process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use petrel_bus::BusError;

/// Name of the lock file; it holds the process id of whoever has the lock.
const FILE: &str = "owner.pid";

/// Holds the directory until it is dropped; the operating system lets go of it when the process ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[allow(dead_code)] File);

impl DirectoryLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, BusError> {
        let failed = |e: &dyn std::fmt::Display| {
            BusError::Storage(format!("the directory of the local log, {}, cannot be used: {e}", dir.display()))
        };
        let path = dir.join(FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| failed(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Without the number the message says less, no more.
                let _ = file.read_to_string(&mut pid);
                return Err(failed(&format!("process {} is using it", pid.trim())));
            }
            Err(TryLockError::Error(e)) => return Err(failed(&e)),
        }
        // Only people read it, so a full disk is no reason to stop here.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}
