//! A note, beside the store, of how many batches it must have.
//!
//! A store that recovers from a kill cuts a damaged end off its journal, for the last batch may be half
//! written. It cannot tell that from damage to batches which were acknowledged; this note can. It is
//! written after the batch is as durable as it will be and never waited for, so that it is never ahead.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const FILE: &str = "commits.mark";

#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    commits: u64,
}

impl Mark {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(FILE))?;
        let mut bytes = [0; 8];
        let commits = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_be_bytes(bytes),
            // New, or never written to.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(e) => return Err(e),
        };
        Ok(Self { file, commits })
    }

    /// Batches that the store must have at least; later the number that it has.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) fn set_commits(&mut self, commits: u64) {
        self.commits = commits;
    }

    pub(super) fn note(&self, commits: u64) {
        // An old note only finds less damage.
        let _ = self.file.write_all_at(&commits.to_be_bytes(), 0);
    }
}
